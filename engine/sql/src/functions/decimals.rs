//! What Trino's decimals have in common: their limits, what becomes one, and how they round.

use arrow::datatypes::{DataType, Decimal128Type, DecimalType, i256};
use datafusion::common::DataFusionError;
use meesh_base::Error;

use super::definition::external;

/// The most digits of a decimal.
pub(super) const PRECISION_MAX: u8 = arrow::datatypes::DECIMAL128_MAX_PRECISION;
/// The most of them behind the point.
pub(super) const SCALE_MAX: i8 = arrow::datatypes::DECIMAL128_MAX_SCALE;

/// The decimal that holds every value of a decimal or whole number.
pub(crate) fn as_decimal(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Decimal128(..) => data_type.clone(),
        DataType::Int8 => DataType::Decimal128(3, 0),
        DataType::Int16 | DataType::UInt8 => DataType::Decimal128(5, 0),
        DataType::Int32 | DataType::UInt16 => DataType::Decimal128(10, 0),
        DataType::Int64 | DataType::UInt32 => DataType::Decimal128(19, 0),
        DataType::UInt64 => DataType::Decimal128(20, 0),
        _ => return None,
    })
}

/// Whether a decimal can have these digits.
pub(super) fn is_in_range(unscaled: i128) -> bool {
    Decimal128Type::validate_decimal_precision(unscaled, PRECISION_MAX, 0).is_ok()
}

/// `dividend * factor / divisor`, rounded half up (away from zero); `None` if no i128 holds it.
/// `narrow` is the factor if it fits. The divisor must not be zero.
pub(super) fn divide_half_up(dividend: i128, divisor: i128, narrow: Option<i128>, factor: i256) -> Option<i128> {
    match narrow.and_then(|factor| dividend.checked_mul(factor)) {
        Some(dividend) => half_up(dividend, divisor),
        None => wide_half_up(i256::from_i128(dividend).wrapping_mul(factor), i256::from_i128(divisor)),
    }
}

/// `dividend / divisor`, rounded half up.
pub(super) fn half_up(dividend: i128, divisor: i128) -> Option<i128> {
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let up = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
    let away = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    if up { quotient.checked_add(away) } else { Some(quotient) }
}

fn wide_half_up(dividend: i256, divisor: i256) -> Option<i128> {
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let up = rest.wrapping_abs() >= divisor.wrapping_abs().wrapping_sub(rest.wrapping_abs());
    let away = if (dividend < i256::ZERO) == (divisor < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    let value = if up { quotient.wrapping_add(away) } else { quotient };
    value.to_i128()
}

pub(super) fn overflow() -> DataFusionError {
    external(Error::invalid_query("decimal overflow").with_code("NUMERIC_VALUE_OUT_OF_RANGE"))
}
