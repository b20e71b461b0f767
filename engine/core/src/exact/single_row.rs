//! Correlated scalar subqueries that do not aggregate.
//!
//! DataFusion refuses them, or cannot compute them, for it makes groups of a correlated subquery and joins them. Here
//! their first row becomes an aggregate; that there is no second one is tested for the rows that the join finds:
//!
//! ```text
//! (SELECT x … WHERE k = o.k)                       $single((SELECT {count(*), first_value(x)} … WHERE k = o.k))
//! (SELECT x … WHERE k = o.k ORDER BY t LIMIT 1)    (SELECT first_value(x ORDER BY t) … WHERE k = o.k)
//! ```

use std::collections::HashMap;

use datafusion::common::{Column, Result};
use datafusion::functions::core::expr_fn::named_struct;
use datafusion::functions_aggregate::count::count_all;
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, LogicalPlanBuilder, SortExpr, Subquery, lit};
use datafusion::optimizer::push_down_filter::replace_cols_by_name;
use meesh_sql::functions::single;

use super::one_row::{extent, scalar};

/// The subquery's value as one that DataFusion computes; `None` if it does so anyway, or nobody can.
pub(super) fn single_row(subquery: &Subquery) -> Result<Option<Expr>> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(None);
    }
    let Some(FirstRow { rows, value, order, is_cut }) = FirstRow::of(&subquery.subquery)? else { return Ok(None) };
    let first = first_value(value, order);
    let rows = LogicalPlanBuilder::from(rows);
    if is_cut {
        return Ok(Some(scalar(rows.aggregate(Vec::<Expr>::new(), [first])?.build()?)));
    }
    let aggregated = rows.aggregate(Vec::<Expr>::new(), [count_all(), first])?;
    let [count, first] = [0, 1].map(|column| Expr::Column(Column::from(aggregated.schema().qualified_field(column))));
    let pair = named_struct(vec![lit("rows"), count, lit("value"), first]);
    let pair = scalar(aggregated.project([pair.alias("pair")])?.build()?);
    Ok(Some(Expr::ScalarFunction(ScalarFunction::new_udf(single(), vec![pair]))))
}

/// The first row of a plan of one column.
struct FirstRow {
    rows: LogicalPlan,
    /// The column, of `rows`.
    value: Expr,
    /// Which of the rows is the first; any if empty.
    order: Vec<SortExpr>,
    /// Whether the plan leaves out all the others.
    is_cut: bool,
}

impl FirstRow {
    fn of(plan: &LogicalPlan) -> Result<Option<Self>> {
        let mut value = Expr::Column(Column::from(plan.schema().qualified_field(0)));
        let (mut rows, mut order, mut is_cut) = (plan, Vec::new(), false);
        loop {
            rows = match rows {
                LogicalPlan::Projection(projection) => {
                    let names = projection.schema.iter().map(|(table, field)| Column::from((table, field)).flat_name());
                    let computed: HashMap<String, Expr> =
                        names.zip(projection.expr.iter().map(|expr| expr.clone().unalias_nested().data)).collect();
                    value = replace_cols_by_name(value, &computed)?;
                    projection.input.as_ref()
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    let names = alias.schema.iter().map(|(table, field)| Column::from((table, field)).flat_name());
                    let inner = alias.input.schema().iter().map(|column| Expr::Column(Column::from(column)));
                    let inner: HashMap<String, Expr> = names.zip(inner).collect();
                    value = replace_cols_by_name(value, &inner)?;
                    alias.input.as_ref()
                }
                LogicalPlan::Limit(limit) if !is_cut && extent(limit) == Some((0, Some(1))) => {
                    is_cut = true;
                    limit.input.as_ref()
                }
                LogicalPlan::Sort(sort) if is_cut => {
                    order = sort.expr.clone();
                    rows = sort.input.as_ref();
                    break;
                }
                LogicalPlan::Sort(sort) => sort.input.as_ref(),
                _ => break,
            };
        }
        // What the query around it gives is found in conditions only.
        let is_outer = |expr: &Expr| expr.contains_outer();
        if is_outer(&value) || order.iter().any(|by| is_outer(&by.expr)) {
            return Ok(None);
        }
        let rows = match rows {
            LogicalPlan::Distinct(Distinct::All(all)) if !is_cut => {
                let columns = all.schema().iter().map(|column| Expr::Column(Column::from(column)));
                LogicalPlanBuilder::from(all.as_ref().clone())
                    .aggregate(columns.collect::<Vec<_>>(), Vec::<Expr>::new())?
                    .build()?
            }
            // These DataFusion knows.
            LogicalPlan::Aggregate(_) | LogicalPlan::Filter(_) if !is_cut && is_grouped(rows) => return Ok(None),
            rows => rows.clone(),
        };
        Ok(Some(Self { rows, value, order, is_cut }))
    }
}

fn is_grouped(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Filter(filter) => is_grouped(&filter.input),
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().first().is_some_and(|input| is_grouped(input))
        }
        _ => false,
    }
}
