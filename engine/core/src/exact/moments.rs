//! `date IN (SELECT timestamp …)`: DataFusion compares the two in nanoseconds, which end in 2262 and begin
//! in 1677. Here the date becomes a timestamp of the other's own unit first, as for `=`.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::AnalyzerRule;

/// Casts such dates. Comes before DataFusion's own coercion.
#[derive(Debug)]
pub(super) struct DatesAmongTimestamps;

impl AnalyzerRule for DatesAmongTimestamps {
    fn name(&self) -> &str {
        "dates_among_timestamps"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let cast = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            plan.map_expressions(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::InSubquery(list) => {
                        let left = list.expr.get_type(&schema).unwrap_or(DataType::Null);
                        of_list(list, &left)
                    }
                    expr => Ok(Transformed::no(expr)),
                })
            })
        });
        Ok(cast?.data)
    }
}

fn of_list(mut list: InSubquery, left: &DataType) -> Result<Transformed<Expr>> {
    let column = list.subquery.subquery.schema().columns().into_iter().next();
    let right = list.subquery.subquery.schema().fields().first().map(|field| field.data_type().clone());
    match (left, column, right) {
        (DataType::Date32, _, Some(to @ DataType::Timestamp(unit, None))) if unit != TimeUnit::Nanosecond => {
            list.expr = Box::new(Expr::Cast(Cast::new(list.expr, to)));
            Ok(Transformed::yes(Expr::InSubquery(list)))
        }
        (to @ DataType::Timestamp(unit, None), Some(column), Some(DataType::Date32))
            if *unit != TimeUnit::Nanosecond =>
        {
            let cast = Expr::Cast(Cast::new(Box::new(Expr::Column(column)), to.clone())).alias("moment");
            let plan = LogicalPlanBuilder::from(list.subquery.subquery.as_ref().clone()).project([cast])?.build()?;
            list.subquery = Subquery { subquery: Arc::new(plan), ..list.subquery };
            Ok(Transformed::yes(Expr::InSubquery(list)))
        }
        _ => Ok(Transformed::no(Expr::InSubquery(list))),
    }
}
