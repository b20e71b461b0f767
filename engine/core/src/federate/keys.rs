//! Which filters a scan should wait for.
//!
//! Joins, sorts with a limit and aggregations hand filters down to the scans below them. A join completes
//! its filter before it needs a row of the scan's; the others learn theirs from those very rows, so that
//! a scan that waited for them would wait for itself. The filter does not say whose it is.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use meesh_connector_spi::SourceScanExec;

/// Tells scans of sources which of their filters are joins'. Runs after filters were handed down.
#[derive(Debug)]
pub(crate) struct AwaitedKeys;

impl PhysicalOptimizerRule for AwaitedKeys {
    fn name(&self) -> &str {
        "awaited_keys"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let mut joins = HashSet::new();
        plan.apply(|node| {
            if node.downcast_ref::<HashJoinExec>().is_some() {
                joins.extend(node.dynamic_expressions_produced().iter().filter_map(|filter| filter.expression_id()));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if joins.is_empty() {
            return Ok(plan);
        }
        let joins = Arc::new(joins);
        let told = plan.transform_up(|node| match node.downcast_ref::<SourceScanExec>() {
            Some(scan) if scan.has_filters() => {
                let scan: Arc<dyn ExecutionPlan> = Arc::new(scan.awaiting(&joins));
                Ok(Transformed::yes(scan))
            }
            _ => Ok(Transformed::no(node)),
        });
        Ok(told?.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}
