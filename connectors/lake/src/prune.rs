//! Files that cannot hold a wanted row, by the values of their folders and their path.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, Volatility};

/// Whether a filter can be decided by these columns alone, once for each file.
pub(crate) fn decides_on_files(filter: &Expr, columns: &[FieldRef]) -> bool {
    let names: HashSet<&str> = columns.iter().map(|field| field.name().as_str()).collect();
    let mut decidable = !filter.column_refs().is_empty();
    let walked = filter.apply(|expr| {
        let fits = match expr {
            Expr::Column(column) => names.contains(column.name.as_str()),
            Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
            Expr::Literal(..)
            | Expr::Alias(_)
            | Expr::BinaryExpr(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::InList(_) => true,
            _ => false,
        };
        decidable &= fits;
        Ok(if fits { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    decidable && walked.is_ok()
}

/// Which files every filter lets through. A filter that fails for some file (a cast, a division) is
/// left to the rows.
pub(crate) fn keep(
    state: &dyn Session,
    filters: &[Expr],
    columns: &[FieldRef],
    values: &[&[ScalarValue]],
) -> Result<Vec<bool>> {
    let mut kept = vec![true; values.len()];
    let decisive: Vec<&Expr> = filters.iter().filter(|filter| decides_on_files(filter, columns)).collect();
    if decisive.is_empty() || values.is_empty() {
        return Ok(kept);
    }
    let schema = Arc::new(Schema::new(columns.to_vec()));
    let arrays = (0..columns.len())
        .map(|at| {
            let column = values.iter().map(|row| row.get(at).cloned().unwrap_or(ScalarValue::Null));
            ScalarValue::iter_to_array(column)
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(values.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
    let df_schema = DFSchema::try_from(schema)?;
    for filter in decisive {
        let unqualified = filter.clone().transform(|expr| {
            Ok(match expr {
                Expr::Column(mut column) => {
                    column.relation = None;
                    datafusion::common::tree_node::Transformed::yes(Expr::Column(column))
                }
                other => datafusion::common::tree_node::Transformed::no(other),
            })
        })?;
        let Ok(physical) = state.create_physical_expr(unqualified.data, &df_schema) else { continue };
        let Ok(verdict) = physical.evaluate(&batch).and_then(|v| v.into_array(batch.num_rows())) else { continue };
        let Some(verdict) = verdict.as_boolean_opt() else { continue };
        apply(verdict, &mut kept);
    }
    Ok(kept)
}

/// A filter that is NULL lets no row through.
fn apply(verdict: &BooleanArray, kept: &mut [bool]) {
    for (keep, passes) in kept.iter_mut().zip(verdict) {
        *keep &= passes.unwrap_or(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field};
    use datafusion::prelude::{SessionContext, col, lit};

    #[test]
    fn files_are_kept_by_the_values_of_their_folders() {
        let columns: Vec<FieldRef> = vec![
            Arc::new(Field::new("day", DataType::Int64, true)),
            Arc::new(Field::new("$path", DataType::Utf8View, false)),
        ];
        let path = |text: &str| ScalarValue::Utf8View(Some(text.to_owned()));
        let rows = [
            [ScalarValue::Int64(Some(1)), path("a")],
            [ScalarValue::Int64(Some(2)), path("b")],
            [ScalarValue::Int64(None), path("c")],
        ];
        let values: Vec<&[ScalarValue]> = rows.iter().map(|row| row.as_slice()).collect();
        let state = SessionContext::new().state();
        let kept = |filter: Expr| keep(&state, &[filter], &columns, &values).unwrap();
        assert_eq!(kept(col("t.day").gt(lit(1i64))), [false, true, false]);
        assert_eq!(kept(col("day").is_null()), [false, false, true]);
        assert_eq!(kept(col("day").in_list(vec![lit(1i64), lit(9i64)], false)), [true, false, false]);
        assert_eq!(kept(col("amount").gt(lit(1i64))), [true, true, true]);
        assert_eq!(kept(col("day").gt(lit(1i64)).or(col("amount").gt(lit(1i64)))), [true, true, true]);
        // Division by zero for one file says nothing of the others.
        assert_eq!(kept((lit(1i64) / (col("day") - lit(1i64))).gt(lit(0i64))), [true, true, true]);
    }
}
