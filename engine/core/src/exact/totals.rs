//! Filters that DataFusion would push below an aggregation that makes a row of none.
//!
//! It pushes a condition below a GROUP BY if all its columns are grouped by, and so one without columns, such as what
//! a condition on a constant column becomes below the projection that makes the constant. Below an aggregation
//! without groups, or with grouping sets, one of which may have none, `false` leaves a row where there should be none:
//!
//! ```sql
//! SELECT n FROM (SELECT count(*) AS n FROM t) s RIGHT JOIN u ON s.n = u.n AND u.m = NULL   -- n is 0, not NULL
//! ```
//!
//! Nothing is pushed below a limit, so that such an aggregation has one while filters are pushed.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Aggregate, Expr, Limit, LogicalPlan, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// More rows than there are.
const ALL: i64 = i64::MAX;

/// Limits aggregations that make a row of none, before filters are pushed.
#[derive(Debug)]
pub(super) struct TotalsLimited;

impl OptimizerRule for TotalsLimited {
    fn name(&self) -> &str {
        "totals_limited"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        Ok(match plan {
            LogicalPlan::Aggregate(aggregate) if makes_a_row_of_none(&aggregate) => {
                let input = Arc::new(LogicalPlan::Aggregate(aggregate));
                Transformed::yes(LogicalPlan::Limit(Limit { skip: None, fetch: Some(Box::new(lit(ALL))), input }))
            }
            plan => Transformed::no(plan),
        })
    }
}

/// Takes those limits away, after that.
#[derive(Debug)]
pub(super) struct TotalsUnlimited;

impl OptimizerRule for TotalsUnlimited {
    fn name(&self) -> &str {
        "totals_unlimited"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        Ok(match plan {
            LogicalPlan::Limit(limit) if is_ours(&limit) => Transformed::yes(Arc::unwrap_or_clone(limit.input)),
            plan => Transformed::no(plan),
        })
    }
}

fn makes_a_row_of_none(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_)))
}

fn is_ours(limit: &Limit) -> bool {
    let all = |fetch: &Expr| matches!(fetch, Expr::Literal(ScalarValue::Int64(Some(ALL)), _));
    limit.skip.is_none()
        && limit.fetch.as_deref().is_some_and(all)
        && matches!(limit.input.as_ref(), LogicalPlan::Aggregate(_))
}
