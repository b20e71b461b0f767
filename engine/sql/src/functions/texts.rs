//! How Trino writes numbers and times as texts.

use std::fmt::Write;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, PrimitiveArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, ArrowTimestampType, DataType, Decimal128Type, DecimalType, Float32Type, Float64Type,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use chrono::DateTime;
use datafusion::common::Result;

use super::casts::{digits, local_time, refusal, split};
use super::decimals::PRECISION_MAX;
use super::definition::external;

/// Floats, times and timestamps as texts of type `to`.
///
/// # Errors
/// A type that is written otherwise, and a time zone that nobody knows.
pub(super) fn written(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    use DataType as T;
    match array.data_type() {
        T::Float32 => {
            texts(array.as_primitive::<Float32Type>(), to, |value, text| write_float(value, f64::from(value), text))
        }
        T::Float64 => texts(array.as_primitive::<Float64Type>(), to, |value, text| write_float(value, value, text)),
        T::Time32(unit) | T::Time64(unit) => {
            let digits = digits(*unit);
            let nanoseconds = cast(array, &T::Time64(TimeUnit::Nanosecond))?;
            texts(nanoseconds.as_primitive::<Time64NanosecondType>(), to, |value, text| write_time(value, digits, text))
        }
        T::Timestamp(unit, zone) => {
            let zone = zone.as_deref().map(|name| Ok::<_, arrow::error::ArrowError>((name, name.parse::<Tz>()?)));
            timestamp_texts(array, *unit, zone.transpose()?, to)
        }
        from => Err(external(refusal(from, to))),
    }
}

/// A decimal by its digits without the point, and how many of them are behind it.
pub(super) fn format_decimal(unscaled: i128, scale: i8) -> String {
    Decimal128Type::format_decimal(unscaled, PRECISION_MAX, scale)
}

/// One text for each value.
fn texts<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    to: &DataType,
    write: impl Fn(T::Native, &mut String),
) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(values.len());
    let mut text = String::new();
    for value in values {
        match value {
            None => builder.append_null(),
            Some(value) => {
                text.clear();
                write(value, &mut text);
                builder.append_value(&text);
            }
        }
    }
    Ok(cast(&builder.finish(), to)?)
}

/// The shortest digits that name the value, one of them before the point, as Trino writes doubles:
/// `1.5E1`, `-2E0`.
pub(super) fn write_float<F: std::fmt::LowerExp>(value: F, wide: f64, text: &mut String) {
    let written = if wide.is_nan() {
        text.write_str("NaN")
    } else if wide.is_infinite() {
        text.write_str(if wide > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        let start = text.len();
        let written = write!(text, "{value:e}");
        if let Some(at) = text.get(start..).and_then(|number| number.find('e')) {
            text.replace_range(start + at..=start + at, "E");
        }
        written
    };
    debug_assert!(written.is_ok(), "a String takes every text");
}

fn write_time(nanoseconds: i64, digits: u32, text: &mut String) {
    let seconds = nanoseconds / 1_000_000_000;
    let written = write!(text, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    debug_assert!(written.is_ok(), "a String takes every text");
    write_fraction(nanoseconds % 1_000_000_000, digits, text);
}

fn write_fraction(nanoseconds: i64, digits: u32, text: &mut String) {
    if digits > 0 {
        let fraction = nanoseconds / 10i64.pow(9 - digits);
        let written = write!(text, ".{fraction:0width$}", width = digits as usize);
        debug_assert!(written.is_ok(), "a String takes every text");
    }
}

/// `2020-01-31 10:00:00.000`, and the zone if the type has one.
fn timestamp_texts(array: &ArrayRef, unit: TimeUnit, zone: Option<(&str, Tz)>, to: &DataType) -> Result<ArrayRef> {
    match unit {
        TimeUnit::Second => timestamp_texts_of::<TimestampSecondType>(array, zone, to),
        TimeUnit::Millisecond => timestamp_texts_of::<TimestampMillisecondType>(array, zone, to),
        TimeUnit::Microsecond => timestamp_texts_of::<TimestampMicrosecondType>(array, zone, to),
        TimeUnit::Nanosecond => timestamp_texts_of::<TimestampNanosecondType>(array, zone, to),
    }
}

fn timestamp_texts_of<T: ArrowTimestampType>(
    array: &ArrayRef,
    zone: Option<(&str, Tz)>,
    to: &DataType,
) -> Result<ArrayRef> {
    let digits = digits(T::UNIT);
    texts(array.as_primitive::<T>(), to, |value, text| {
        let Some((seconds, nanoseconds)) = split(value, digits) else { return };
        let Some(instant) = DateTime::from_timestamp(seconds, nanoseconds) else { return };
        let local = match &zone {
            Some((_, zone)) => local_time(&instant.naive_utc(), zone),
            None => instant.naive_utc(),
        };
        let written = write!(text, "{}", local.format("%Y-%m-%d %H:%M:%S"));
        debug_assert!(written.is_ok(), "a String takes every text");
        write_fraction(i64::from(nanoseconds), digits, text);
        if let Some((name, _)) = &zone {
            text.push(' ');
            text.push_str(if *name == "+00:00" { "UTC" } else { name });
        }
    })
}
