//! Trino's decimals: their limits, what becomes one, how they round, and what is computed of two.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array};
use arrow::compute::{binary, try_binary, try_unary, unary};
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, i256};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use meesh_base::Error;

use super::arithmetic::{Operation, division_by_zero};
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
    external(overflow_error())
}

fn overflow_error() -> Error {
    Error::invalid_query("decimal overflow").with_code("NUMERIC_VALUE_OUT_OF_RANGE")
}

/// `left operation right` of decimals, as a decimal of type `result`.
pub(super) fn computed(
    operation: Operation,
    left: &dyn Datum,
    right: &dyn Datum,
    result: &DataType,
) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = *result else { return Err(overflow()) };
    let (s1, s2) = (decimal_scale(left)?, decimal_scale(right)?);
    // Values are brought to the scale of the result; how many digits it has says whether that can overflow.
    let factor = |from: i8| i128::pow(10, u32::try_from(scale - from).unwrap_or(0));
    let fits = precision < PRECISION_MAX;
    let array = match operation {
        Operation::Add | Operation::Subtract => {
            let (f1, f2) = (factor(s1), factor(s2));
            let sign = if operation == Operation::Add { 1 } else { -1 };
            match (fits, f1 == 1 && f2 == 1) {
                (true, true) => each(left, right, |a, b| a.wrapping_add(b.wrapping_mul(sign)))?,
                (true, false) => {
                    let f2 = f2 * sign;
                    each(left, right, |a, b| a.wrapping_mul(f1).wrapping_add(b.wrapping_mul(f2)))?
                }
                (false, _) => try_each(left, right, |a, b| {
                    a.checked_mul(f1)?
                        .checked_add(b.checked_mul(f2)?.checked_mul(sign)?)
                        .filter(|sum| is_in_range(*sum))
                })?,
            }
        }
        Operation::Multiply if fits => each(left, right, i128::wrapping_mul)?,
        Operation::Multiply => try_each(left, right, |a, b| a.checked_mul(b).filter(|product| is_in_range(*product)))?,
        Operation::Divide => {
            // The quotient of the unscaled numbers has the scale s1 - s2.
            let shift = u32::try_from(scale + s2 - s1).map_err(|_| overflow())?;
            let factor = i256::from_i128(10).wrapping_pow(shift);
            let narrow = 10i128.checked_pow(shift);
            divided(left, right, |a, b| divide_half_up(a, b, narrow, factor).filter(|quotient| is_in_range(*quotient)))?
        }
        Operation::Modulus => {
            let (f1, f2) = (i256::from_i128(factor(s1)), i256::from_i128(factor(s2)));
            divided(left, right, |a, b| {
                let wide = |value, factor| i256::from_i128(value).wrapping_mul(factor);
                wide(a, f1).checked_rem(wide(b, f2))?.to_i128()
            })?
        }
    };
    Ok(Arc::new(array.with_precision_and_scale(precision, scale)?))
}

pub(super) fn decimal_scale(value: &dyn Datum) -> Result<i8> {
    match value.get().0.data_type() {
        DataType::Decimal128(_, scale) => Ok(*scale),
        other => Err(exec_datafusion_err!("{other} instead of a decimal")),
    }
}

/// Both sides row by row; a constant side is read once.
fn each(left: &dyn Datum, right: &dyn Datum, op: impl Fn(i128, i128) -> i128) -> Result<Decimal128Array> {
    let ((a, a_constant), (b, b_constant)) = (left.get(), right.get());
    let (a, b) = (a.as_primitive::<Decimal128Type>(), b.as_primitive::<Decimal128Type>());
    Ok(match (constant(a, a_constant), constant(b, b_constant)) {
        (Some(None), _) => Decimal128Array::new_null(if b_constant { 1 } else { b.len() }),
        (_, Some(None)) => Decimal128Array::new_null(a.len()),
        (Some(Some(a)), _) => unary(b, |b| op(a, b)),
        (_, Some(Some(b))) => unary(a, |a| op(a, b)),
        (None, None) => binary(a, b, op)?,
    })
}

/// As [`each`], of an operation that may have no result.
fn try_each(left: &dyn Datum, right: &dyn Datum, op: impl Fn(i128, i128) -> Option<i128>) -> Result<Decimal128Array> {
    let ((a, a_constant), (b, b_constant)) = (left.get(), right.get());
    let (a, b) = (a.as_primitive::<Decimal128Type>(), b.as_primitive::<Decimal128Type>());
    let op = |a, b| op(a, b).ok_or_else(|| ArrowError::from_external_error(Box::new(overflow_error())));
    Ok(match (constant(a, a_constant), constant(b, b_constant)) {
        (Some(None), _) => Decimal128Array::new_null(if b_constant { 1 } else { b.len() }),
        (_, Some(None)) => Decimal128Array::new_null(a.len()),
        (Some(Some(a)), _) => try_unary(b, |b| op(a, b))?,
        (_, Some(Some(b))) => try_unary(a, |a| op(a, b))?,
        (None, None) => try_binary(a, b, op)?,
    })
}

/// As [`try_each`], of an operation that no zero divides.
fn divided(left: &dyn Datum, right: &dyn Datum, op: impl Fn(i128, i128) -> Option<i128>) -> Result<Decimal128Array> {
    let (divisors, divisor_constant) = right.get();
    let (dividends, dividend_constant) = left.get();
    let (dividends, divisors) = (dividends.as_primitive::<Decimal128Type>(), divisors.as_primitive::<Decimal128Type>());
    let rows = if dividend_constant { divisors.len() } else { dividends.len() };
    let at = |array: &Decimal128Array, constant: bool, row: usize| {
        let row = if constant { 0 } else { row };
        array.is_valid(row).then(|| array.value(row))
    };
    let quotient = |row| {
        let dividend = at(dividends, dividend_constant, row);
        let divisor = at(divisors, divisor_constant, row);
        let (Some(dividend), Some(divisor)) = (dividend, divisor) else { return Ok(None) };
        if divisor == 0 {
            return Err(division_by_zero());
        }
        op(dividend, divisor).map(Some).ok_or_else(overflow)
    };
    (0..rows).map(quotient).collect()
}

fn constant(array: &Decimal128Array, is_constant: bool) -> Option<Option<i128>> {
    is_constant.then(|| array.is_valid(0).then(|| array.value(0)))
}
