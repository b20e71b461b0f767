//! What Trino's operators mean where DataFusion's of the same sign mean something else.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::functions::{as_decimal, divide};

/// Plans operators as Trino means them; to be asked before DataFusion's own planners.
#[derive(Debug)]
pub struct TrinoOperators {
    divide: Arc<ScalarUDF>,
}

impl Default for TrinoOperators {
    fn default() -> Self {
        Self { divide: divide() }
    }
}

impl ExprPlanner for TrinoOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::Divide {
            return Ok(PlannerResult::Original(expr));
        }
        // What has no type yet, such as a parameter, is left to DataFusion.
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let is_decimal = |data_type: &DataType| matches!(data_type, DataType::Decimal128(..));
        let exact = as_decimal(&left).is_some() && as_decimal(&right).is_some();
        if !exact || !(is_decimal(&left) || is_decimal(&right)) {
            return Ok(PlannerResult::Original(expr));
        }
        let call = ScalarFunction::new_udf(Arc::clone(&self.divide), vec![expr.left, expr.right]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}
