//! Whole numbers in one file, doubles in another: a cast that fails where it would round.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use meesh_base::Error;
use meesh_connector_spi::into_datafusion;

use crate::values::fits_double;

/// Adapts a table's expressions to the columns of one file: as DataFusion does, but exact.
#[derive(Debug)]
pub(super) struct ExactAdapterFactory;

impl PhysicalExprAdapterFactory for ExactAdapterFactory {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let is_widened = |field: &Field| {
            let in_file = file.field_with_name(field.name()).map(Field::data_type);
            field.data_type() == &DataType::Float64 && in_file.is_ok_and(DataType::is_integer)
        };
        let widened: Vec<String> =
            table.fields().iter().filter(|field| is_widened(field)).map(|field| field.name().clone()).collect();
        if widened.is_empty() {
            return DefaultPhysicalExprAdapterFactory.create(table, file);
        }
        // The default adapter is shown these columns as the file has them, and leaves them alone.
        let fields: Vec<_> = table
            .fields()
            .iter()
            .map(|field| match file.field_with_name(field.name()) {
                Ok(in_file) if widened.contains(field.name()) => Arc::new(in_file.clone()),
                _ => Arc::clone(field),
            })
            .collect();
        let shown = Arc::new(Schema::new_with_metadata(fields, table.metadata().clone()));
        let inner = DefaultPhysicalExprAdapterFactory.create(shown, file)?;
        Ok(Arc::new(ExactAdapter { inner, widened }))
    }
}

#[derive(Debug)]
struct ExactAdapter {
    inner: Arc<dyn PhysicalExprAdapter>,
    widened: Vec<String>,
}

impl PhysicalExprAdapter for ExactAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        self.inner
            .rewrite(expr)?
            .transform_up(|expr| {
                let widened = expr.downcast_ref::<Column>().is_some_and(|c| self.widened.iter().any(|w| w == c.name()));
                Ok(if widened {
                    Transformed::yes(Arc::new(ExactDouble { whole: expr }) as _)
                } else {
                    Transformed::no(expr)
                })
            })
            .data()
    }
}

/// A whole number as a double, or an error.
#[derive(Debug, Clone)]
struct ExactDouble {
    whole: Arc<dyn PhysicalExpr>,
}

impl PartialEq for ExactDouble {
    fn eq(&self, other: &Self) -> bool {
        self.whole.eq(&other.whole)
    }
}

impl Eq for ExactDouble {}

impl Hash for ExactDouble {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.whole.hash(state);
    }
}

impl fmt::Display for ExactDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exact_double({})", self.whole)
    }
}

impl PhysicalExpr for ExactDouble {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.whole.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = self.whole.evaluate(batch)?.into_array(batch.num_rows())?;
        let whole = cast(&array, &DataType::Int64)?;
        let whole = whole.as_primitive::<Int64Type>();
        if let Some(value) = whole.iter().flatten().find(|value| !fits_double(*value)) {
            return Err(into_datafusion(inexact(&self.whole.to_string(), value)));
        }
        let doubles: Float64Array = whole.unary(|value| value as f64);
        Ok(match (doubles.len(), batch.num_rows()) {
            (1, rows) if rows != 1 => ColumnarValue::Scalar(ScalarValue::try_from_array(&doubles, 0)?),
            _ => ColumnarValue::Array(Arc::new(doubles)),
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.whole]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let whole = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.whole));
        Ok(Arc::new(Self { whole }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn inexact(column: &str, value: i64) -> Error {
    let name = column.split('@').next().unwrap_or(column);
    Error::source_data(format!(
        "column {name:?} is double in some files and holds the whole number {value} in another, which is not exact as a double"
    ))
    .with_hint("write the column alike in all files of the table")
}
