//! Keys of joins that DataFusion's optimizer would lose, or compare in another way.
//!
//! A join of DataFusion's compares all its keys in one way. Where a join by `IS NOT DISTINCT FROM` is merged
//! with one by `=`, or gets an `=` from a filter above it, some of its rules take the way of the one for the
//! keys of both: rows whose keys are NULL are lost, or join. And where inner joins are merged and put in another
//! order, a key like `a.x + b.x = c.x` fits none of the new ones, and is forgotten, as is one that became a constant.
//!
//! So these rules see such keys as plain conditions, and what makes keys of conditions has the last word.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Operator, binary_expr};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Keys that take two NULLs for equal, and keys that are not of one column, become conditions.
#[derive(Debug)]
pub(super) struct KeysAsConditions;

impl OptimizerRule for KeysAsConditions {
    fn name(&self) -> &str {
        "keys_as_conditions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else { return Ok(Transformed::no(plan)) };
        let nulls_match = join.null_equality == NullEquality::NullEqualsNull;
        let becomes_condition = |(left, right): &(Expr, Expr)| {
            nulls_match || (join.join_type == JoinType::Inner && (!is_of_one(left) || !is_of_one(right)))
        };
        if join.null_aware || !join.on.iter().any(becomes_condition) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let (conditions, on): (Vec<_>, Vec<_>) = std::mem::take(&mut join.on).into_iter().partition(becomes_condition);
        let operator = if nulls_match { Operator::IsNotDistinctFrom } else { Operator::Eq };
        let conditions = conditions.into_iter().map(|(left, right)| binary_expr(left, operator, right));
        let filter = conjunction(conditions.chain(join.filter.take()));
        let null_equality = NullEquality::NullEqualsNothing;
        Ok(Transformed::yes(LogicalPlan::Join(Join { on, filter, null_equality, ..join })))
    }
}

/// Whether a key is certainly one table's: columns may be those of several, and a constant is nobody's.
fn is_of_one(key: &Expr) -> bool {
    key.column_refs().len() == 1
}
