//! The value of a subquery that must not have several rows.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use meesh_base::Error;

use super::definition::external;

/// `$single({count of the rows, value of the first})`: the value, NULL without a row.
///
/// # Errors
/// `InvalidQuery` (`SUBQUERY_MULTIPLE_ROWS`) where there are several.
pub fn single() -> Arc<ScalarUDF> {
    static SINGLE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        // Of rows that are not asked for it is not an error: no condition may be tested with it earlier than written.
        Arc::new(ScalarUDF::new_from_impl(Single { signature: Signature::any(1, Volatility::Volatile) }))
    });
    Arc::clone(&SINGLE)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Single {
    signature: Signature,
}

impl ScalarUDFImpl for Single {
    fn name(&self) -> &str {
        "$single"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Struct(fields)] if fields.len() == 2 => Ok(fields[1].data_type().clone()),
            _ => Err(internal_datafusion_err!("$single of {types:?}")),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [rows] = args.args.as_slice() else { return Err(internal_datafusion_err!("$single without its rows")) };
        let array = rows.to_array(if matches!(rows, ColumnarValue::Scalar(_)) { 1 } else { args.number_rows })?;
        let pairs = array.as_struct();
        let counts = pairs.column(0).as_primitive::<Int64Type>();
        if (0..pairs.len()).any(|row| pairs.is_valid(row) && counts.is_valid(row) && counts.value(row) > 1) {
            let error = Error::invalid_query("Scalar sub-query has returned multiple rows")
                .with_hint("aggregate them, or end the subquery with LIMIT 1")
                .with_code("SUBQUERY_MULTIPLE_ROWS");
            return Err(external(error));
        }
        // Where there is no pair there is no value, whatever stands in the column.
        let value = match pairs.nulls() {
            Some(nulls) => {
                arrow::compute::nullif(pairs.column(1), &arrow::compute::not(&nulls.inner().clone().into())?)?
            }
            None => Arc::clone(pairs.column(1)),
        };
        Ok(match rows {
            ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?),
            ColumnarValue::Array(_) => ColumnarValue::Array(value),
        })
    }
}
