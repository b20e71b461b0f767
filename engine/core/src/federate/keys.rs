//! Keys of joins for the scans of sources: which filters a scan waits for, and which joins list their keys.
//!
//! Joins, sorts with a limit and aggregations hand filters down to the scans below them. A join completes
//! its filter before it needs a row of the scan's; the others learn theirs from those very rows, so that
//! a scan that waited for them would wait for itself. The filter does not say whose it is.
//!
//! A source looks up a list of keys, however long; to an operator that only tests rows against them the
//! join's own hash table is the better list. So only joins above a scan of a source make long lists.
//!
//! ```text
//! HashJoinExec                        JoinKeysExec: list
//!   DataSourceExec (lake)               HashJoinExec
//!   SourceScanExec (PostgreSQL)           DataSourceExec (lake)
//!                                         SourceScanExec (PostgreSQL), waits for the join's keys
//! ```

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::{ConfigOptions, OptimizerOptions};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, replace_children_if_necessary,
};
use meesh_connector_spi::SourceScanExec;

/// Keys of a join's build side that are listed for a source, and what they take in memory.
const LISTED_KEYS_MAX: usize = 100_000;
const LISTED_BYTES_MAX: usize = 4 << 20;

/// Tells scans of sources which of their filters are joins', and joins whose keys to list. Runs after
/// filters were handed down.
#[derive(Debug)]
pub(crate) struct JoinKeys;

impl PhysicalOptimizerRule for JoinKeys {
    fn name(&self) -> &str {
        "join_keys"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let (mut of_joins, mut of_scans) = (HashSet::new(), HashSet::new());
        plan.apply(|node| {
            if node.downcast_ref::<HashJoinExec>().is_some() {
                of_joins.extend(produced(node));
            } else if let Some(scan) = node.downcast_ref::<SourceScanExec>() {
                of_scans.extend(scan.filter_ids());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        of_joins.retain(|id| of_scans.contains(id));
        if of_joins.is_empty() {
            return Ok(plan);
        }
        let wanted = Arc::new(of_joins);
        let told = plan.transform_up(|node| match node.downcast_ref::<SourceScanExec>() {
            Some(scan) if scan.has_filters() => {
                let scan: Arc<dyn ExecutionPlan> = Arc::new(scan.awaiting(&wanted));
                Ok(Transformed::yes(scan))
            }
            _ => Ok(Transformed::no(node)),
        });
        with_lists(told?.data, &wanted, false)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The ids of the filters that a node makes.
pub(super) fn produced(node: &Arc<dyn ExecutionPlan>) -> Vec<u64> {
    node.dynamic_expressions_produced().iter().filter_map(|filter| filter.expression_id()).collect()
}

/// The plan in which just the joins whose filters are `wanted` list their keys; `listing`: whether those
/// above do.
fn with_lists(plan: Arc<dyn ExecutionPlan>, wanted: &HashSet<u64>, listing: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let is_join = plan.downcast_ref::<HashJoinExec>().is_some();
    let lists = if is_join { produced(&plan).iter().any(|id| wanted.contains(id)) } else { listing };
    let children = plan.children().into_iter().map(|child| with_lists(Arc::clone(child), wanted, lists));
    let children = children.collect::<Result<Vec<_>>>()?;
    let plan = replace_children_if_necessary(plan, children)?;
    Ok(if lists == listing { plan } else { Arc::new(JoinKeysExec { input: plan, lists }) })
}

/// Says how long the lists of keys may be that the join below it makes.
#[derive(Debug)]
struct JoinKeysExec {
    input: Arc<dyn ExecutionPlan>,
    lists: bool,
}

impl DisplayAs for JoinKeysExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinKeysExec: {}", if self.lists { "list" } else { "no list" })
    }
}

impl ExecutionPlan for JoinKeysExec {
    fn name(&self) -> &str {
        "JoinKeysExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self { input, lists: self.lists }))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut config = context.session_config().clone();
        let defaults = OptimizerOptions::default();
        let optimizer = &mut config.options_mut().optimizer;
        (optimizer.hash_join_inlist_pushdown_max_distinct_values, optimizer.hash_join_inlist_pushdown_max_size) =
            if self.lists {
                (LISTED_KEYS_MAX, LISTED_BYTES_MAX)
            } else {
                (defaults.hash_join_inlist_pushdown_max_distinct_values, defaults.hash_join_inlist_pushdown_max_size)
            };
        let context = TaskContext::new(
            context.task_id(),
            context.session_id(),
            config,
            context.scalar_functions().clone(),
            context.higher_order_functions().clone(),
            context.aggregate_functions().clone(),
            context.window_functions().clone(),
            context.runtime_env(),
        );
        self.input.execute(partition, Arc::new(context))
    }
}
