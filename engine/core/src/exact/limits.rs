//! Limits that DataFusion hands down to a grouping below a window function.
//!
//! The first rows by a key of a grouping need no other of its groups, so that it keeps that many only. A window
//! function in between hands on every row, and so DataFusion goes on below it; but the function's value
//! (`count(*) OVER ()`) is made of all rows.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

/// A rule that hands limits down, kept to plans without window functions, and to what is below them.
#[derive(Debug)]
pub(super) struct LimitsBelowWindows(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for LimitsBelowWindows {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if !has_window(&plan) {
            return self.0.optimize(plan, config);
        }
        let children = plan.children().into_iter().map(|child| self.optimize(Arc::clone(child), config));
        let children = children.collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, children)
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn has_window(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<WindowAggExec>().is_some()
        || plan.downcast_ref::<BoundedWindowAggExec>().is_some()
        || plan.children().into_iter().any(has_window)
}
