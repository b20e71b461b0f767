//! `greatest` and `least`: NULL if an argument is, unlike DataFusion's, which leave it out.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::compute::nullif;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// One of the two, computed by DataFusion's function of that name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    inner: Arc<ScalarUDF>,
}

/// Both functions.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [datafusion::functions::core::greatest(), datafusion::functions::core::least()]
        .map(|inner| Arc::new(ScalarUDF::new_from_impl(Extreme { inner })))
        .to_vec()
}

impl ScalarUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let mut valid: Option<NullBuffer> = None;
        for argument in &args.args {
            match argument {
                ColumnarValue::Scalar(value) if value.is_null() => {
                    return Ok(ColumnarValue::Scalar(args.return_field.data_type().try_into()?));
                }
                ColumnarValue::Scalar(_) => {}
                ColumnarValue::Array(array) => {
                    valid = NullBuffer::union(valid.as_ref(), array.logical_nulls().as_ref())
                }
            }
        }
        let result = self.inner.invoke_with_args(args)?;
        let Some(valid) = valid else { return Ok(result) };
        let missing = BooleanArray::new(!valid.inner(), None);
        Ok(ColumnarValue::Array(nullif(&result.to_array(rows)?, &missing)?))
    }
}
