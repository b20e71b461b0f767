//! A parameter whose value is stored in a column. What its type is, and whether the column takes it, is known when
//! it has a value.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use meesh_base::Error;

use super::definition::external;
use crate::types::type_name;

/// `$stored($n)` as a value of type `to`.
pub(crate) fn stored(to: &DataType) -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Stored { to: to.clone(), signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Stored {
    to: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Stored {
    fn name(&self) -> &str {
        "$stored"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match args.as_slice() {
            [Expr::Literal(value, _)] => Ok(ExprSimplifyResult::Simplified(lit(stored_value(value, &self.to)?))),
            _ => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("a parameter of the statement has no value")
    }
}

/// The same value in the column's type.
///
/// # Errors
/// `InvalidQuery` (`TYPE_MISMATCH`) if the type has no such value. What a float of the column's own precision comes
/// next to is taken for it: clients have no other floats than doubles.
fn stored_value(value: &ScalarValue, to: &DataType) -> Result<ScalarValue> {
    let from = value.data_type();
    let cast = value.cast_to(to).ok();
    let zoned = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(_)));
    let alike =
        (from.is_numeric() && to.is_numeric()) || (from.is_temporal() && to.is_temporal() && zoned(&from) == zoned(to));
    let is_same = |cast: &ScalarValue| match (value, cast) {
        (ScalarValue::Float64(Some(value)), ScalarValue::Float32(Some(cast))) => cast.is_finite() == value.is_finite(),
        _ => alike && cast.cast_to(&from).is_ok_and(|back| back == *value),
    };
    cast.filter(|cast| value.is_null() || is_same(cast)).ok_or_else(|| {
        let message =
            format!("a parameter's value {value} of type {} cannot be stored as {}", type_name(&from), type_name(to));
        let error = Error::invalid_query(message).with_hint("CAST the parameter in the statement");
        external(error.with_code("TYPE_MISMATCH"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_changed() {
        let decimal = |value, scale| ScalarValue::Decimal128(Some(value), 5, scale);
        for (value, to, expected) in [
            (ScalarValue::from(2.0), DataType::Int32, Some(ScalarValue::from(2))),
            (ScalarValue::from(5.9), DataType::Int32, None),
            (decimal(79, 1), DataType::Int32, None),
            (decimal(1239, 3), DataType::Decimal128(10, 2), None),
            (decimal(1230, 3), DataType::Decimal128(10, 2), Some(ScalarValue::Decimal128(Some(123), 10, 2))),
            (ScalarValue::from(0.1), DataType::Float32, Some(ScalarValue::from(0.1f32))),
            (ScalarValue::from(1e300), DataType::Float32, None),
            (ScalarValue::from(true), DataType::Int32, None),
            (ScalarValue::Date32(Some(19723)), DataType::Int32, None),
            (ScalarValue::TimestampSecond(Some(86_400), None), DataType::Date32, Some(ScalarValue::Date32(Some(1)))),
            (ScalarValue::TimestampSecond(Some(86_401), None), DataType::Date32, None),
            (
                ScalarValue::TimestampSecond(Some(0), Some("+05:00".into())),
                DataType::Timestamp(arrow::datatypes::TimeUnit::Second, None),
                None,
            ),
        ] {
            assert_eq!(stored_value(&value, &to).ok(), expected, "{value:?} as {to}");
        }
    }
}
