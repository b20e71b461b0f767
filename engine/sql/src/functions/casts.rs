//! Trino's casts where Arrow's differ: numbers round half up, what does not fit is an error with
//! Trino's code, times round to the digits that are kept, and texts are written as Trino writes them (`texts.rs`).
//!
//! [`crate::TrinoOperators`] asks [`conversion`] what a cast is. What Arrow does as Trino does stays
//! DataFusion's own cast, which sources and pruning know.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, PrimitiveArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, DecimalType, Field, FieldRef, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time64NanosecondType, TimeUnit,
};
use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use meesh_base::Error;

use super::decimals::{decimal_scale, half_up};
use super::definition::{external, is_text};
use super::texts::{format_decimal, write_float, written};
use crate::types::{second_digits, type_name};

/// How a value becomes one of another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// As DataFusion does it.
    Native,
    /// As [`trino_cast`] does it.
    Own,
    /// Not at all.
    Refused,
}

/// How `from` becomes `to`.
pub(crate) fn conversion(from: &DataType, to: &DataType) -> Conversion {
    use Conversion::{Native, Own, Refused};
    use Kind as K;
    let (Some(source), Some(target)) = (kind(from), kind(to)) else { return Native };
    match (source, target) {
        (K::Null, _) => Native,
        (K::Integer, K::Integer) if is_wider(to, from) => Native,
        (K::Integer | K::Decimal | K::Float, K::Integer) => Own,
        (K::Integer, K::Boolean) | (K::Boolean, K::Integer | K::Float) => Native,
        (K::Decimal | K::Float, K::Boolean) | (K::Boolean, K::Decimal) => Own,
        // DataFusion takes it for one that loses nothing, and compares with what is cast.
        (K::Decimal, K::Decimal) if loses_decimals(from, to) => Own,
        (K::Integer | K::Decimal | K::Float, K::Decimal | K::Float) => Native,
        (K::Float | K::Time | K::Timestamp | K::Instant, K::Text) => Own,
        (K::Boolean | K::Integer | K::Decimal | K::Date | K::Text, K::Text) => Native,
        (K::Text, K::Bytes) | (K::Bytes, K::Bytes) => Native,
        (K::Text, _) => Native,
        (K::Date, K::Date | K::Timestamp | K::Instant) => Native,
        (K::Time, K::Time) | (K::Timestamp, K::Timestamp) => {
            if is_finer(from, to) {
                Own
            } else {
                Native
            }
        }
        (K::Timestamp, K::Date | K::Time) => Native,
        // DataFusion takes the two for the same numbers, which they are in UTC alone.
        (K::Timestamp, K::Instant) => Own,
        (K::Instant, K::Instant) => {
            if is_finer(from, to) {
                Own
            } else {
                Native
            }
        }
        (K::Instant, K::Timestamp) => Own,
        (K::Instant, K::Date | K::Time) => Native,
        _ => Refused,
    }
}

/// The types among which casts are told apart; others are DataFusion's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Decimal,
    Float,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    /// A timestamp with time zone.
    Instant,
}

fn kind(data_type: &DataType) -> Option<Kind> {
    use DataType as T;
    Some(match data_type {
        T::Null => Kind::Null,
        T::Boolean => Kind::Boolean,
        T::Int8 | T::Int16 | T::Int32 | T::Int64 => Kind::Integer,
        T::Decimal128(..) => Kind::Decimal,
        T::Float32 | T::Float64 => Kind::Float,
        T::Binary | T::LargeBinary | T::BinaryView => Kind::Bytes,
        T::Date32 => Kind::Date,
        T::Time32(_) | T::Time64(_) => Kind::Time,
        T::Timestamp(_, None) => Kind::Timestamp,
        T::Timestamp(_, Some(_)) => Kind::Instant,
        text if is_text(text) => Kind::Text,
        _ => return None,
    })
}

fn is_wider(to: &DataType, from: &DataType) -> bool {
    to.primitive_width() >= from.primitive_width()
}

fn loses_decimals(from: &DataType, to: &DataType) -> bool {
    matches!((from, to), (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) if to < from)
}

/// Whether `from` keeps more digits of a second than `to`.
fn is_finer(from: &DataType, to: &DataType) -> bool {
    let digits = |data_type: &DataType| match data_type {
        DataType::Time32(unit) | DataType::Time64(unit) | DataType::Timestamp(unit, _) => digits(*unit),
        _ => 0,
    };
    digits(from) > digits(to)
}

pub(super) fn digits(unit: TimeUnit) -> u32 {
    second_digits(unit).into()
}

/// The refusal of a cast between types that have none.
pub(crate) fn refusal(from: &DataType, to: &DataType) -> Error {
    Error::invalid_query(format!("cannot cast {} to {}", type_name(from), type_name(to))).with_code("TYPE_MISMATCH")
}

/// `$cast(value)`, to one type; `lenient` makes NULL of what cannot be cast, as `try_cast` does.
pub(crate) fn trino_cast(to: &DataType, lenient: bool) -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(TrinoCast { to: to.clone(), lenient, signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TrinoCast {
    to: DataType,
    lenient: bool,
    signature: Signature,
}

impl ScalarUDFImpl for TrinoCast {
    fn name(&self) -> &str {
        if self.lenient { "$try_cast" } else { "$cast" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// With its type: two casts of one value are two columns.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let values: Vec<String> = args.iter().map(|value| value.schema_name().to_string()).collect();
        Ok(format!("{}({} AS {})", self.name(), values.join(","), type_name(&self.to)))
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = self.lenient || args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.first().ok_or_else(|| exec_datafusion_err!("argument 0 is missing"))?;
        let array = value.to_array(if matches!(value, ColumnarValue::Scalar(_)) { 1 } else { args.number_rows })?;
        let result = convert(&array, &self.to, self.lenient)?;
        Ok(match value {
            ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            ColumnarValue::Array(_) => ColumnarValue::Array(result),
        })
    }
}

/// `$as type(value)`: a value that has the type already, as its name tells.
pub(crate) fn named_cast(to: &DataType) -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(NamedCast { name: format!("$as {}", type_name(to)), signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NamedCast {
    name: String,
    signature: Signature,
}

impl ScalarUDFImpl for NamedCast {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().ok_or_else(|| exec_datafusion_err!("argument 0 is missing"))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        args.arg_fields.first().cloned().ok_or_else(|| exec_datafusion_err!("argument 0 is missing"))
    }

    fn simplify(&self, mut args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match args.pop() {
            Some(value) => ExprSimplifyResult::Simplified(value),
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().ok_or_else(|| exec_datafusion_err!("argument 0 is missing"))
    }
}

fn convert(array: &ArrayRef, to: &DataType, lenient: bool) -> Result<ArrayRef> {
    use DataType as T;
    match (array.data_type(), to) {
        (_, T::Int8) => integers::<Int8Type>(array, lenient),
        (_, T::Int16) => integers::<Int16Type>(array, lenient),
        (_, T::Int32) => integers::<Int32Type>(array, lenient),
        (_, T::Int64) => integers::<Int64Type>(array, lenient),
        (T::Decimal128(..), T::Boolean) => {
            let values = array.as_primitive::<Decimal128Type>();
            Ok(Arc::new(values.iter().map(|value| value.map(|value| value != 0)).collect::<BooleanArray>()))
        }
        (T::Float32 | T::Float64, T::Boolean) => {
            let values = cast(array, &T::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            Ok(Arc::new(values.iter().map(|value| value.map(|value| value != 0.0)).collect::<BooleanArray>()))
        }
        (T::Decimal128(..), T::Decimal128(precision, scale)) => {
            let from = decimal_scale(array)?;
            let divisor = 10i128.pow(u32::try_from(from - scale).unwrap_or(0));
            let fits = |value: &i128| Decimal128Type::validate_decimal_precision(*value, *precision, *scale).is_ok();
            let rounded = |value: i128| {
                half_up(value, divisor)
                    .filter(fits)
                    .ok_or_else(|| impossible(format!("'{}'", format_decimal(value, from)), to))
            };
            let values =
                array.as_primitive::<Decimal128Type>().iter().map(|value| settled(value.map(rounded), lenient));
            let values = values.collect::<Result<Decimal128Array>>()?;
            Ok(Arc::new(values.with_precision_and_scale(*precision, *scale)?))
        }
        (T::Boolean, T::Decimal128(precision, scale)) => {
            let one = 10i128.pow(u32::try_from(*scale).unwrap_or(0));
            let values: Decimal128Array =
                array.as_boolean().iter().map(|value| value.map(|value| if value { one } else { 0 })).collect();
            Ok(Arc::new(values.with_precision_and_scale(*precision, *scale)?))
        }
        (T::Float32 | T::Float64 | T::Time32(_) | T::Time64(_) | T::Timestamp(..), to) if is_text(to) => {
            written(array, to)
        }
        (T::Time32(_) | T::Time64(_), T::Time32(_) | T::Time64(_)) => rounded_times(array, to),
        (T::Timestamp(from, None), T::Timestamp(unit, None)) => rounded_timestamps(array, *from, *unit, None),
        (T::Timestamp(from, Some(_)), T::Timestamp(unit, Some(zone))) => {
            rounded_timestamps(array, *from, *unit, Some(Arc::clone(zone)))
        }
        (T::Timestamp(from, None), T::Timestamp(unit, Some(_))) => {
            let local = match digits(*from) > digits(*unit) {
                true => rounded_timestamps(array, *from, *unit, None)?,
                false => Arc::clone(array),
            };
            Ok(cast_with_options(&local, to, &CastOptions { safe: lenient, ..CastOptions::default() })?)
        }
        (T::Timestamp(from, Some(zone)), T::Timestamp(unit, None)) => {
            let local = local_times(array, *from, zone.parse()?)?;
            if digits(*from) > digits(*unit) {
                rounded_timestamps(&local, *from, *unit, None)
            } else {
                Ok(cast(&local, to)?)
            }
        }
        (from, to) => Err(external(refusal(from, to))),
    }
}

fn out_of_range(to: &DataType, value: impl std::fmt::Display) -> datafusion::error::DataFusionError {
    let message = format!("out of range for {}: {value}", type_name(to));
    external(Error::invalid_query(message).with_code("NUMERIC_VALUE_OUT_OF_RANGE"))
}

fn impossible(value: impl std::fmt::Display, to: &DataType) -> datafusion::error::DataFusionError {
    let message = format!("cannot cast {value} to {}", type_name(to));
    external(Error::invalid_query(message).with_code("INVALID_CAST_ARGUMENT"))
}

/// What cannot be cast is NULL if the cast is lenient.
fn settled<T>(value: Option<Result<T>>, lenient: bool) -> Result<Option<T>> {
    match value {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) if lenient => Ok(None),
        Some(Err(error)) => Err(error),
    }
}

/// Whole numbers of a number, rounded half up (away from zero).
fn integers<T: ArrowPrimitiveType>(array: &ArrayRef, lenient: bool) -> Result<ArrayRef>
where
    T::Native: TryFrom<i128>,
{
    let to = &T::DATA_TYPE;
    let settle = |value: Option<Result<T::Native>>| settled(value, lenient);
    let narrow = |whole: i128| T::Native::try_from(whole).ok();
    let result: Result<PrimitiveArray<T>> = match array.data_type() {
        DataType::Float32 | DataType::Float64 => {
            let single = *array.data_type() == DataType::Float32;
            let values = cast(array, &DataType::Float64)?;
            let whole = |value: f64| {
                if value.is_nan() {
                    return Err(impossible("NaN", to));
                }
                let rounded = value.round();
                // Every integer type ends far below; a float above is no i128 to begin with.
                let whole = (rounded.abs() < 1e20).then_some(rounded as i128);
                whole.and_then(narrow).ok_or_else(|| {
                    let mut text = String::new();
                    match single {
                        true => write_float(value as f32, value, &mut text),
                        false => write_float(value, value, &mut text),
                    }
                    out_of_range(to, text)
                })
            };
            values.as_primitive::<Float64Type>().iter().map(|value| settle(value.map(whole))).collect()
        }
        DataType::Decimal128(_, scale) => {
            let divisor = 10i128.pow(u32::try_from(*scale).unwrap_or(0));
            let values = array.as_primitive::<Decimal128Type>();
            let whole = |value: i128| {
                half_up(value, divisor)
                    .and_then(narrow)
                    .ok_or_else(|| impossible(format!("'{}'", format_decimal(value, *scale)), to))
            };
            values.iter().map(|value| settle(value.map(whole))).collect()
        }
        _ => {
            let values = cast(array, &DataType::Int64)?;
            let whole = |value: i64| narrow(i128::from(value)).ok_or_else(|| out_of_range(to, value));
            values.as_primitive::<Int64Type>().iter().map(|value| settle(value.map(whole))).collect()
        }
    };
    Ok(Arc::new(result?))
}

/// A count of ticks as seconds and nanoseconds.
pub(super) fn split(ticks: i64, digits: u32) -> Option<(i64, u32)> {
    let per_second = 10i64.pow(digits);
    let rest = u32::try_from(ticks.rem_euclid(per_second)).ok()?;
    Some((ticks.div_euclid(per_second), rest * 10u32.pow(9 - digits)))
}

/// What the clocks of the zone show.
pub(super) fn local_time(utc: &NaiveDateTime, zone: &Tz) -> NaiveDateTime {
    *utc + zone.offset_from_utc_datetime(utc).fix()
}

/// Instants as what the clocks of the zone show then, in the same unit.
fn local_times(array: &ArrayRef, unit: TimeUnit, zone: Tz) -> Result<ArrayRef> {
    let digits = digits(unit);
    let ticks = cast(array, &DataType::Int64)?;
    let shifted = |ticks: i64| {
        let utc =
            split(ticks, digits).and_then(|(seconds, nanoseconds)| DateTime::from_timestamp(seconds, nanoseconds));
        let utc = utc.ok_or_else(|| impossible(ticks, &DataType::Timestamp(unit, None)))?.naive_utc();
        let offset = i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc());
        Ok(ticks + offset * 10i64.pow(digits))
    };
    let values = ticks.as_primitive::<Int64Type>().iter().map(|value| value.map(shifted).transpose());
    let values = values.collect::<Result<PrimitiveArray<Int64Type>>>()?;
    Ok(cast(&values, &DataType::Timestamp(unit, None))?)
}

/// `ticks` of a finer unit in a coarser one, rounded half up.
fn rounded(ticks: i64, factor: i64) -> i64 {
    ticks.div_euclid(factor) + i64::from(ticks.rem_euclid(factor) * 2 >= factor)
}

fn rounded_timestamps(array: &ArrayRef, from: TimeUnit, to: TimeUnit, zone: Option<Arc<str>>) -> Result<ArrayRef> {
    let factor = 10i64.pow(digits(from) - digits(to));
    let ticks = cast(array, &DataType::Int64)?;
    let values: PrimitiveArray<Int64Type> = ticks.as_primitive::<Int64Type>().unary(|ticks| rounded(ticks, factor));
    Ok(cast(&values, &DataType::Timestamp(to, zone))?)
}

/// Round a day's last moment up, and it is its first.
fn rounded_times(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    const DAY: i64 = 86_400_000_000_000;
    let (DataType::Time32(unit) | DataType::Time64(unit)) = to else { return Ok(cast(array, to)?) };
    let factor = 10i64.pow(9 - digits(*unit));
    let nanoseconds = cast(array, &DataType::Time64(TimeUnit::Nanosecond))?;
    let values: PrimitiveArray<Time64NanosecondType> = nanoseconds
        .as_primitive::<Time64NanosecondType>()
        .unary(|nanoseconds| rounded(nanoseconds, factor) * factor % DAY);
    Ok(cast(&values, to)?)
}

#[cfg(test)]
mod tests {
    use crate::tests::{check, run};

    #[test]
    fn numbers_round_half_up() {
        check(
            "SELECT CAST(1.5 AS integer), CAST(-1.5 AS integer), CAST(2.5e0 AS bigint), CAST(real '-2.5' AS smallint)",
            "2|-2|3|-3",
        );
        check("SELECT CAST(x AS integer) FROM (VALUES 0.49, 0.50, -0.50, NULL) t(x)", "0;1;-1;NULL");
        check("SELECT CAST(0.1 AS boolean), CAST(0e0 AS boolean), CAST(true AS decimal(3, 1))", "true|false|1.0");
        for (sql, message) in [
            ("SELECT CAST(300 AS tinyint)", "out of range for tinyint: 300"),
            ("SELECT CAST(real '3.4028235E38' AS integer)", "out of range for integer: 3.4028235E38"),
            ("SELECT CAST(300.5 AS tinyint)", "cannot cast '300.5' to tinyint"),
            ("SELECT CAST(nan() AS bigint)", "cannot cast NaN to bigint"),
            ("SELECT CAST(1 AS date)", "cannot cast integer to date"),
            ("SELECT CAST(X'00' AS varchar)", "cannot cast varbinary to varchar"),
        ] {
            let error = run(sql).unwrap_err();
            assert!(error.contains(message), "{sql}: {error}");
        }
        check(
            "SELECT TRY_CAST(300 AS tinyint), TRY_CAST(1e300 AS bigint), TRY(CAST('x' AS integer))",
            "NULL|NULL|NULL",
        );
    }

    #[test]
    fn texts_are_trinos() {
        check(
            "SELECT CAST(1e1 AS varchar), CAST(0e0 AS varchar), CAST(-1234567.891e0 AS varchar)",
            "1E1|0E0|-1.234567891E6",
        );
        check("SELECT CAST(real '0.1' AS varchar), CAST(1e-7 AS varchar)", "1E-1|1E-7");
        check("SELECT CAST(timestamp '2020-01-01 10:00:00.120' AS varchar)", "2020-01-01 10:00:00.120");
        check(
            "SELECT CAST(timestamp '2020-07-01 10:00:00.000 Europe/Paris' AS varchar)",
            "2020-07-01 10:00:00.000 Europe/Paris",
        );
        check("SELECT CAST(time '10:00:00.123456' AS varchar), CAST(12345 AS varchar(5))", "10:00:00.123456|12345");
        assert!(run("SELECT CAST(12345 AS varchar(3))").unwrap_err().contains("cannot be represented as varchar(3)"));
        check("SELECT CAST('12345' AS varchar(3)), CAST(NULL AS varchar(3))", "123|NULL");
    }

    #[test]
    fn times_round_to_their_digits() {
        check("SELECT CAST(timestamp '2020-01-01 10:00:00.123567' AS timestamp(3))", "2020-01-01T10:00:00.124");
        check("SELECT CAST(timestamp '1969-12-31 23:59:59.999999' AS timestamp(3))", "1970-01-01T00:00:00");
        check("SELECT CAST(time '23:59:59.999999' AS time(3))", "00:00:00");
        check("SELECT CAST(timestamp '2020-02-29 23:00:00 +05:30' AS timestamp(3))", "2020-02-29T23:00:00");
    }
}
