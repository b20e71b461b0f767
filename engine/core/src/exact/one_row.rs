//! Correlated subqueries that yield a row whatever the query around them gives.
//!
//! An aggregation without groups makes a row of no rows. DataFusion makes of a correlated subquery a join with
//! groups, and of no rows there is no group: `EXISTS (SELECT max(x) … WHERE x.k = k)` was false, `0 IN (SELECT
//! count(*) …)` too, and a HAVING in a scalar subquery left rows out. Here they become what they mean of scalar
//! subqueries, of which DataFusion knows it:
//!
//! ```text
//! EXISTS (SELECT max(x) …)            true
//! v IN (SELECT max(x) …)              v = (SELECT max(x) …)
//! v < ALL (SELECT max(x) … HAVING p)  CASE WHEN (SELECT p …) THEN v < (SELECT max(x) …) ELSE true END
//! (SELECT max(x) … HAVING p)          CASE WHEN (SELECT p …) THEN (SELECT max(x) …) END
//! EXISTS (SELECT … OFFSET 2)          (SELECT count(*) …) > 2       (it forgot the OFFSET)
//! ```

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, FetchType, Limit, LogicalPlan, LogicalPlanBuilder, Operator, SkipType, Subquery, binary_expr, lit, not, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::single_row::single_row;

/// Writes such subqueries as scalar ones. Comes before DataFusion's own rules for subqueries.
#[derive(Debug)]
pub(super) struct OneRowSubqueries;

impl AnalyzerRule for OneRowSubqueries {
    fn name(&self) -> &str {
        "one_row_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            let plan = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(rewrite)?.update_data(|expr| name.restore(expr)))
            })?;
            if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
        });
        Ok(rewritten?.data)
    }
}

fn rewrite(expr: Expr) -> Result<Transformed<Expr>> {
    let rewritten = match &expr {
        Expr::Exists(Exists { subquery, negated }) => exists(subquery)?.map(|truth| negated_if(*negated, truth)),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => match one_row(subquery)? {
            Some(row) => Some(negated_if(*negated, row.compare(expr, Operator::Eq, false)?)),
            None => None,
        },
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => match one_row(subquery)? {
            Some(row) => Some(row.compare(expr, *op, *quantifier == SetQuantifier::All)?),
            None => None,
        },
        Expr::ScalarSubquery(subquery) => match one_row(subquery)? {
            Some(row) if !row.conditions.is_empty() => Some(when(row.exists(), row.value()).end()?),
            Some(_) => None,
            None => single_row(subquery)?,
        },
        _ => None,
    };
    Ok(rewritten.map_or_else(|| Transformed::no(expr), Transformed::yes))
}

pub(super) fn negated_if(negated: bool, truth: Expr) -> Expr {
    if negated { not(truth) } else { truth }
}

/// A subquery that yields one row, or none if one of its conditions does not hold.
struct OneRow {
    /// It without its conditions.
    values: LogicalPlan,
    /// Each condition as a plan of one row with one value.
    conditions: Vec<LogicalPlan>,
}

impl OneRow {
    fn value(&self) -> Expr {
        scalar(self.values.clone())
    }

    /// Whether there is the row.
    fn exists(&self) -> Expr {
        let conditions = self.conditions.iter().map(|condition| scalar(condition.clone()).is_true());
        conjunction(conditions).unwrap_or_else(|| lit(true))
    }

    /// `left op value`; `otherwise` without the row.
    fn compare(&self, left: &Expr, op: Operator, otherwise: bool) -> Result<Expr> {
        let compared = binary_expr(left.clone(), op, self.value());
        if self.conditions.is_empty() {
            return Ok(compared);
        }
        when(self.exists(), compared).otherwise(lit(otherwise))
    }
}

pub(super) fn scalar(plan: LogicalPlan) -> Expr {
    Expr::ScalarSubquery(subquery_of(plan))
}

/// `plan` as a subquery of the query whose columns it names.
pub(super) fn subquery_of(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Default::default() }
}

/// How many rows a subquery has, as a value.
pub(super) fn count_of(rows: LogicalPlan) -> Result<Expr> {
    Ok(scalar(LogicalPlanBuilder::from(rows).aggregate(Vec::<Expr>::new(), [count_all()])?.build()?))
}

/// The subquery as one row, if it is correlated and aggregates without groups.
fn one_row(subquery: &Subquery) -> Result<Option<OneRow>> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(None);
    }
    aggregated(&subquery.subquery)
}

fn aggregated(plan: &LogicalPlan) -> Result<Option<OneRow>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
            Ok(Some(OneRow { values: plan.clone(), conditions: Vec::new() }))
        }
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            let Some(input) = plan.inputs().first().map(|input| aggregated(input)).transpose()?.flatten() else {
                return Ok(None);
            };
            let values = plan.with_new_exprs(plan.expressions(), vec![input.values])?;
            Ok(Some(OneRow { values, ..input }))
        }
        LogicalPlan::Filter(filter) => {
            let Some(mut input) = aggregated(&filter.input)? else { return Ok(None) };
            let holds = filter.predicate.clone().alias("holds");
            input.conditions.push(LogicalPlanBuilder::from(input.values.clone()).project([holds])?.build()?);
            Ok(Some(input))
        }
        // Of one row there is nothing to sort, and nothing to cut.
        LogicalPlan::Sort(sort) => aggregated(&sort.input),
        LogicalPlan::Distinct(distinct) => aggregated(distinct.input()),
        LogicalPlan::Limit(limit) => match extent(limit) {
            Some((0, fetch)) if fetch != Some(0) => aggregated(&limit.input),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Whether a correlated subquery has a row, where DataFusion would not find out.
fn exists(subquery: &Subquery) -> Result<Option<Expr>> {
    if let Some(row) = one_row(subquery)? {
        return Ok(Some(row.exists()));
    }
    let LogicalPlan::Limit(limit) = rows_of(&subquery.subquery) else { return Ok(None) };
    match extent(limit).filter(|_| !subquery.outer_ref_columns.is_empty()) {
        Some((_, Some(0))) => Ok(Some(lit(false))),
        Some((skip, _)) => {
            let rows = count_of(limit.input.as_ref().clone())?;
            Ok(Some(rows.gt(lit(i64::try_from(skip).unwrap_or(i64::MAX)))))
        }
        None => Ok(None),
    }
}

/// The part of a plan that has rows whenever the plan has: without what only names, orders or cuts them.
pub(super) fn rows_of(plan: &LogicalPlan) -> &LogicalPlan {
    let passes = match plan {
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) => true,
        LogicalPlan::Limit(limit) => extent(limit).is_some_and(|(skip, fetch)| skip == 0 && fetch != Some(0)),
        _ => false,
    };
    match plan.inputs().first() {
        Some(input) if passes => rows_of(input),
        _ => plan,
    }
}

/// How many rows a limit skips and lets through, where they are constants.
pub(super) fn extent(limit: &Limit) -> Option<(usize, Option<usize>)> {
    match (limit.get_skip_type(), limit.get_fetch_type()) {
        (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) => Some((skip, fetch)),
        _ => None,
    }
}
