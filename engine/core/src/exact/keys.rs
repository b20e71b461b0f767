//! Joins whose keys are compared with `=` and with `IS NOT DISTINCT FROM`.
//!
//! A join of DataFusion's compares all its keys in one way. Where a join by `IS NOT DISTINCT FROM` is merged
//! with one by `=`, or gets an `=` from a filter above it, some of its optimizer's rules take the way of the
//! one for the keys of both: rows whose keys are NULL are lost, or join.
//!
//! So these rules see such keys as plain conditions, and what makes keys of conditions, which does it for one
//! kind or the other, has the last word.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{NullEquality, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Join, LogicalPlan, Operator, binary_expr};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Keys that take two NULLs for equal become conditions.
#[derive(Debug)]
pub(super) struct NullEqualKeys;

impl OptimizerRule for NullEqualKeys {
    fn name(&self) -> &str {
        "null_equal_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Join(mut join)
                if join.null_equality == NullEquality::NullEqualsNull && !join.on.is_empty() && !join.null_aware =>
            {
                let keys = std::mem::take(&mut join.on).into_iter();
                let keys = keys.map(|(left, right)| binary_expr(left, Operator::IsNotDistinctFrom, right));
                let filter = conjunction(keys.chain(join.filter.take()));
                let null_equality = NullEquality::NullEqualsNothing;
                Ok(Transformed::yes(LogicalPlan::Join(Join { filter, null_equality, ..join })))
            }
            plan => Ok(Transformed::no(plan)),
        }
    }
}
