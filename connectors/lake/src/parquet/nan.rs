//! Filters that minima and maxima of floats do not answer.
//!
//! Statistics of Parquet leave NaN out: of `1, NaN` both are 1. What is true for NaN (`x <> 1`,
//! `x IS NOT DISTINCT FROM nan()`, the largest value so far of a TopK) would skip row groups that hold it.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterPhysicalExpr, InListExpr, NotExpr};

/// Whether row groups may be skipped by a filter on columns of `schema`.
///
/// # Errors
/// For a filter on columns that the schema does not have.
pub(super) fn leaves_nan_out(filter: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<bool> {
    let mut holds = true;
    filter.apply(|expr| {
        let compared: Vec<&Arc<dyn PhysicalExpr>> = if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            use Operator::{IsDistinctFrom, IsNotDistinctFrom, NotEq};
            match binary.op() {
                NotEq | IsDistinctFrom | IsNotDistinctFrom => vec![binary.left(), binary.right()],
                _ => Vec::new(),
            }
        } else if let Some(list) = expr.downcast_ref::<InListExpr>() {
            if list.negated() { vec![list.expr()] } else { Vec::new() }
        } else if expr.is::<NotExpr>() || expr.is::<DynamicFilterPhysicalExpr>() {
            vec![expr]
        } else {
            Vec::new()
        };
        for operand in compared {
            holds &= !has_float(operand, schema)?;
        }
        Ok(if holds { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(holds)
}

fn has_float(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<bool> {
    let mut found = false;
    expr.apply(|expr| {
        found |= expr.data_type(schema)?.is_floating();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
