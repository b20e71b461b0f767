//! Sorts that DataFusion leaves out and misses later.
//!
//! A filter `CASE … END = 'A'` makes the CASE a constant, by which nothing need be sorted. The rules after the one
//! that decides so may put an operator in between that hands on the columns but not what is known of the CASE; the
//! plan is then refused, because an operator asks for an order that is not to be seen. Nor is it seen after a filter
//! `x = abs(x)`: wherever one of them is met the other may stand for it, and so for the `x` in it, again and again.
//!
//! A grouping makes its key unique, and rows in the order of a unique key need no further order. But a projection above
//! the grouping is said to hand that on by the column's place alone: `SELECT n, k FROM (SELECT count(*) AS n, k … GROUP BY
//! k)` made `n` unique, so that rows once sorted by it, as for `rank() OVER (ORDER BY n)`, were not sorted by `n, k`.
//!
//! A running maximum grows from row to row, which DataFusion takes for an order with the NULLs last. But it is NULL
//! until the first value comes.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Operator, SetMonotonicity};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr, WindowExpr};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, replace_children_if_necessary};

use super::constants::SideExec;

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

/// Filters by `column = expression of columns` that no order is learned from.
#[derive(Debug)]
pub(super) struct ComputedEqualities;

impl PhysicalOptimizerRule for ComputedEqualities {
    fn name(&self) -> &str {
        "computed_equalities"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(plan)) };
            let conditions = split_conjunction(filter.predicate());
            if !conditions.iter().any(|condition| is_computed(condition)) {
                return Ok(Transformed::no(plan));
            }
            // A filter passes on what is true, and says so here.
            let unread = |condition: &Arc<dyn PhysicalExpr>| match is_computed(condition) {
                true => Arc::new(BinaryExpr::new(Arc::clone(condition), Operator::IsNotDistinctFrom, lit(true))) as _,
                false => Arc::clone(condition),
            };
            let predicate = conjunction(conditions.into_iter().map(unread));
            Ok(Transformed::yes(Arc::new(FilterExecBuilder::from(filter).with_predicate(predicate).build()?) as _))
        })
        .map(|plan| plan.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether `condition` is an equality of a column with an expression of columns.
fn is_computed(condition: &Arc<dyn PhysicalExpr>) -> bool {
    let Some(equality) = condition.downcast_ref::<BinaryExpr>().filter(|binary| *binary.op() == Operator::Eq) else {
        return false;
    };
    let is_column = |side: &Arc<dyn PhysicalExpr>| side.downcast_ref::<Column>().is_some();
    match (is_column(equality.left()), is_column(equality.right())) {
        (true, false) => !collect_columns(equality.right()).is_empty(),
        (false, true) => !collect_columns(equality.left()).is_empty(),
        _ => false,
    }
}

/// Window functions whose results are not taken for ordered.
#[derive(Debug)]
pub(super) struct RunningExtremes;

impl PhysicalOptimizerRule for RunningExtremes {
    fn name(&self) -> &str {
        "running_extremes"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            match window_functions(&plan).is_some_and(|functions| functions.iter().any(is_running_extreme)) {
                true => Ok(Transformed::yes(Arc::new(SideExec::new(plan)) as Arc<dyn ExecutionPlan>)),
                false => Ok(Transformed::no(plan)),
            }
        })
        .map(|plan| plan.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether the function's result never shrinks, or never grows, as its frame does, and may be NULL: `max` and `min`,
/// not `count`.
fn is_running_extreme(function: &Arc<dyn WindowExpr>) -> bool {
    let plain = function.as_any().downcast_ref::<PlainAggregateWindowExpr>();
    let sliding = function.as_any().downcast_ref::<SlidingAggregateWindowExpr>();
    let aggregate = plain
        .map(PlainAggregateWindowExpr::get_aggregate_expr)
        .or(sliding.map(SlidingAggregateWindowExpr::get_aggregate_expr));
    aggregate.is_some_and(|aggregate| {
        aggregate.is_nullable() && aggregate.set_monotonicity() != SetMonotonicity::NotMonotonic
    })
}

/// Keeps a grouping's key from being known below window functions and sorts, but for the plan's last sort: nothing above
/// that one could leave a sort out for its order.
#[derive(Debug)]
pub(super) struct ForgottenKeys;

impl PhysicalOptimizerRule for ForgottenKeys {
    fn name(&self) -> &str {
        "forgotten_keys"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        forgotten_keys(plan, true)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// `at_the_end`: no operator above `plan` sorts, or asks for an order.
fn forgotten_keys(plan: Arc<dyn ExecutionPlan>, at_the_end: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let is_sort = plan.downcast_ref::<SortExec>().is_some();
    let is_window = window_functions(&plan).is_some();
    let sorts = is_window || is_sort && !at_the_end;
    let inputs = plan.children();
    let at_the_end = at_the_end && inputs.len() == 1 && !is_sort && !is_window;
    let inputs = inputs.into_iter().map(|input| {
        let input = forgotten_keys(Arc::clone(input), at_the_end)?;
        let forgets = sorts && !input.equivalence_properties().constraints().is_empty();
        Ok(if forgets { Arc::new(SideExec::new(input)) as Arc<dyn ExecutionPlan> } else { input })
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    replace_children_if_necessary(plan, inputs)
}

/// The functions of `plan`, if it computes window functions.
fn window_functions(plan: &Arc<dyn ExecutionPlan>) -> Option<&[Arc<dyn WindowExpr>]> {
    let bounded = plan.downcast_ref::<BoundedWindowAggExec>().map(BoundedWindowAggExec::window_expr);
    bounded.or(plan.downcast_ref::<WindowAggExec>().map(WindowAggExec::window_expr))
}
