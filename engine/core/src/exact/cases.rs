//! CASE decides what is computed at all: `CASE WHEN k = 2 THEN false ELSE 10 / (k - 2) > 0 END` divides by no zero.
//! DataFusion makes ANDs and ORs of a CASE of truth values, and computes both of their sides.
//!
//! A CASE with an operand it leaves alone. So `CASE WHEN a THEN b END` becomes `CASE true WHEN a THEN b END` where
//! something in it can fail.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Gives such a CASE its operand. Comes before DataFusion's simplification.
#[derive(Debug)]
pub(super) struct LazyCases;

impl OptimizerRule for LazyCases {
    fn name(&self) -> &str {
        "lazy_cases"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|expr| match expr {
                Expr::Case(case) if case.expr.is_none() && is_truth(&case, &schema) && may_fail(&case)? => {
                    Ok(Transformed::yes(Expr::Case(Case { expr: Some(Box::new(lit(true))), ..case })))
                }
                expr => Ok(Transformed::no(expr)),
            })?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })
    }
}

fn is_truth(case: &Case, schema: &DFSchema) -> bool {
    let then = case.when_then_expr.first().map(|(_, then)| then);
    then.and_then(|then| then.get_type(schema).ok()).is_some_and(|kind| kind == DataType::Boolean)
}

/// Whether computing anything that a condition decides about can be an error.
fn may_fail(case: &Case) -> Result<bool> {
    let fails = |expr: &Expr| {
        expr.exists(|expr| {
            Ok(match expr {
                Expr::ScalarFunction(_) | Expr::Cast(_) | Expr::Negative(_) => true,
                Expr::BinaryExpr(BinaryExpr { op, .. }) => is_arithmetic(*op),
                _ => false,
            })
        })
    };
    // The first condition is computed in any case.
    for (index, (when, then)) in case.when_then_expr.iter().enumerate() {
        if fails(then)? || (index > 0 && fails(when)?) {
            return Ok(true);
        }
    }
    case.else_expr.as_ref().map_or(Ok(false), |otherwise| fails(otherwise))
}

fn is_arithmetic(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}
