//! Division of decimals as Trino does it: of the scale that its rule says, and rounded half up.
//! DataFusion's has another scale and cuts off what is behind it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, i256};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result};
use meesh_base::Error;

use super::definition::{Definition, argument, external};

/// The most digits of a decimal.
pub(super) const PRECISION_MAX: u8 = arrow::datatypes::DECIMAL128_MAX_PRECISION;
/// The most of them behind the point.
pub(super) const SCALE_MAX: i8 = arrow::datatypes::DECIMAL128_MAX_SCALE;

/// `$divide(decimal, decimal)`, which `/` becomes where a decimal is divided; no statement can name it.
pub(super) const DIVIDE: Definition = Definition {
    name: "$divide",
    accepts: |types| match types {
        [left, right] => Some(vec![as_decimal(left)?, as_decimal(right)?]),
        _ => None,
    },
    returns: |types| match types {
        [left, right] => quotient_type(left, right),
        _ => DataType::Null,
    },
    body: divide,
};

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

/// Trino's rule: precision p1 + s2 + max(0, s2 - s1), scale max(s1, s2).
fn quotient_type(left: &DataType, right: &DataType) -> DataType {
    let (DataType::Decimal128(p1, s1), DataType::Decimal128(_, s2)) = (left, right) else { return DataType::Null };
    let precision = i16::from(*p1) + i16::from(*s2) + i16::from((*s2 - *s1).max(0));
    DataType::Decimal128(u8::try_from(precision).unwrap_or(PRECISION_MAX).clamp(1, PRECISION_MAX), *s1.max(s2))
}

fn divide(arrays: &[ArrayRef], _: &ConfigOptions) -> Result<ArrayRef> {
    let (left, right) = (argument::<Decimal128Array>(arrays, 0)?, argument::<Decimal128Array>(arrays, 1)?);
    let DataType::Decimal128(precision, scale) = quotient_type(left.data_type(), right.data_type()) else {
        return Err(overflow());
    };
    // The quotient of the unscaled numbers has the scale s1 - s2.
    let shift = u32::try_from(scale + right.scale() - left.scale()).map_err(|_| overflow())?;
    let factor = i256::from_i128(10).wrapping_pow(shift);
    let narrow = 10i128.checked_pow(shift);
    let quotient = |(dividend, divisor): (Option<i128>, Option<i128>)| {
        let (Some(dividend), Some(divisor)) = (dividend, divisor) else { return Ok(None) };
        if divisor == 0 {
            return Err(external(Error::invalid_query("division by zero").with_code("DIVISION_BY_ZERO")));
        }
        let value = match narrow.and_then(|factor| dividend.checked_mul(factor)) {
            Some(dividend) => half_up(dividend, divisor),
            None => wide_half_up(i256::from_i128(dividend).wrapping_mul(factor), i256::from_i128(divisor)),
        };
        let value =
            value.filter(|value| Decimal128Type::validate_decimal_precision(*value, PRECISION_MAX, scale).is_ok());
        value.map(Some).ok_or_else(overflow)
    };
    let quotients = left.iter().zip(right.iter()).map(quotient).collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(quotients.with_precision_and_scale(precision, scale)?))
}

fn half_up(dividend: i128, divisor: i128) -> Option<i128> {
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

fn overflow() -> DataFusionError {
    external(Error::invalid_query("decimal overflow").with_code("NUMERIC_VALUE_OUT_OF_RANGE"))
}

#[cfg(test)]
mod tests {
    use crate::tests::{check, run};

    #[test]
    fn quotients_are_trinos() {
        for (sql, expected) in [
            ("SELECT 1.0 / 3, arrow_typeof(1.0 / 3)", "0.3|Decimal128(2, 1)"),
            ("SELECT 2.5 / 1.50, arrow_typeof(2.5 / 1.50)", "1.67|Decimal128(5, 2)"),
            ("SELECT -2.0 / 3, 2.0 / -3, -1.5 / 1.0, 1.0 / 4", "-0.7|-0.7|-1.5|0.3"),
            ("SELECT 7 / 2.0, arrow_typeof(7 / 2.0)", "3.5|Decimal128(21, 1)"),
            ("SELECT 7 / 2, 7.0 / 2e0", "3|3.5"),
            ("SELECT DECIMAL '1' / DECIMAL '0.0000000001'", "10000000000.0000000000"),
            ("SELECT CAST(NULL AS decimal(5,2)) / 0.0", "NULL"),
            ("SELECT sum(n * 1.0) / sum(k) FROM a", "5.0"),
            (
                "SELECT DECIMAL '12345678901234567890123456789.123' / DECIMAL '0.001'",
                "12345678901234567890123456789123.000",
            ),
        ] {
            check(sql, expected);
        }
        assert!(run("SELECT 1.0 / 0.0").unwrap_err().contains("division by zero"));
        let large = "99999999999999999999999999999999999999";
        assert!(run(&format!("SELECT DECIMAL '{large}' / DECIMAL '0.1'")).unwrap_err().contains("overflow"));
    }
}
