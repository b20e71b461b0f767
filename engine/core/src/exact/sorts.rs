//! Sorts that DataFusion leaves out and misses later.
//!
//! A filter `CASE … END = 'A'` makes the CASE a constant, by which nothing need be sorted. The rules after the one
//! that decides so may put an operator in between that hands on the columns but not what is known of the CASE; the
//! plan is then refused, because an operator asks for an order that is not to be seen.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, replace_children_if_necessary};

/// Sorts where an operator asks for an order that its input is not known to have.
#[derive(Debug)]
pub(super) struct MissedSorts;

impl PhysicalOptimizerRule for MissedSorts {
    fn name(&self) -> &str {
        "missed_sorts"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let (mut children, mut missed) = (Vec::new(), false);
            for (child, required) in plan.children().into_iter().zip(plan.required_input_ordering()) {
                let required = required.map(|required| required.into_single());
                let known = child.equivalence_properties();
                match required {
                    Some(order) if !known.ordering_satisfy_requirement(order.clone())? => {
                        let sort = SortExec::new(LexOrdering::from(order), Arc::clone(child))
                            .with_preserve_partitioning(child.output_partitioning().partition_count() > 1);
                        children.push(Arc::new(sort) as Arc<dyn ExecutionPlan>);
                        missed = true;
                    }
                    _ => children.push(Arc::clone(child)),
                }
            }
            if !missed {
                return Ok(Transformed::no(plan));
            }
            replace_children_if_necessary(plan, children).map(Transformed::yes)
        })
        .map(|sorted| sorted.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}
