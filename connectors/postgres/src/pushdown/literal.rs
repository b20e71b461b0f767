//! Literals in pushed SQL: every one carries its type, and no text can end its own quotes.

use std::fmt::{Display, Write as _};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type, IntervalMonthDayNano, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::scalar::ScalarValue;

use crate::quote::quote_text;
use crate::types::is_utc;

/// The years that both sides know, on the safe side: PostgreSQL starts at 4713 BC.
const YEARS: std::ops::RangeInclusive<i32> = -4_700..=250_000;
const UNIX_EPOCH_DAYS: i32 = 719_163;

/// Why something stays local, as EXPLAIN shows it.
pub(crate) type Reason = String;

/// A value as PostgreSQL reads it, before it is quoted.
struct Plain {
    text: String,
    type_name: &'static str,
}

/// `value` as a literal of the type that PostgreSQL has for its Arrow type.
///
/// # Errors
/// The reason, if PostgreSQL has no such value, or another one would be meant.
pub(super) fn print(value: &ScalarValue) -> Result<String, Reason> {
    if value.is_null() {
        return null(&value.data_type());
    }
    if let ScalarValue::Boolean(Some(value)) = value {
        return Ok(if *value { "TRUE" } else { "FALSE" }.to_owned());
    }
    let Plain { text, type_name } = plain(value)?;
    // In quotes if negative: the minus sign binds weaker than the cast.
    let bare = matches!(type_name, "smallint" | "integer" | "bigint" | "numeric") && !text.starts_with('-');
    Ok(if bare { format!("{text}::{type_name}") } else { format!("{}::{type_name}", quote_text(&text)) })
}

/// The values, none of them NULL, as one literal: `'{1,2}'::bigint[]`. A parameter in all but name: however
/// many there are, it is one node of the statement.
///
/// # Errors
/// As [`print`].
pub(super) fn array(values: &ArrayRef) -> Result<String, Reason> {
    let (type_name, _) = crate::types::computed(values.data_type()).ok_or("array of another type")?;
    if let Some(values) = values.as_primitive_opt::<Int64Type>() {
        return Ok(numbers(values.values().iter(), type_name));
    }
    if let Some(values) = values.as_primitive_opt::<Int32Type>() {
        return Ok(numbers(values.values().iter(), type_name));
    }
    let value = |row| plain(&ScalarValue::try_from_array(values, row).map_err(|error| error.to_string())?);
    let texts = (0..values.len()).map(|row| Ok(value(row)?.text)).collect::<Result<Vec<_>, Reason>>()?;
    Ok(texts_array(texts.iter().map(String::as_str), type_name))
}

/// These texts as one literal: `'{"a b",c}'::text[]`.
pub(super) fn texts_array<'a>(texts: impl Iterator<Item = &'a str>, type_name: &str) -> String {
    let mut list = String::from("{");
    for (index, text) in texts.enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push('"');
        for letter in text.chars() {
            if matches!(letter, '"' | '\\') {
                list.push('\\');
            }
            list.push(letter);
        }
        list.push('"');
    }
    list.push('}');
    format!("{}::{type_name}[]", quote_text(&list))
}

fn numbers<'a, N: Display + 'a>(values: impl Iterator<Item = &'a N>, type_name: &str) -> String {
    let mut list = String::from("'{");
    for (index, value) in values.enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing to a String does not fail.
        let _written = write!(list, "{comma}{value}");
    }
    format!("{list}}}'::{type_name}[]")
}

/// # Errors
/// As [`print`]; NULL has no text.
fn plain(value: &ScalarValue) -> Result<Plain, Reason> {
    use ScalarValue as V;
    let (text, type_name) = match value {
        V::Boolean(Some(value)) => (if *value { "t" } else { "f" }.to_owned(), "boolean"),
        V::Int16(Some(value)) => (value.to_string(), "smallint"),
        V::Int32(Some(value)) => (value.to_string(), "integer"),
        V::Int64(Some(value)) => (value.to_string(), "bigint"),
        V::UInt32(Some(value)) => (value.to_string(), "oid"),
        V::Float32(Some(value)) => (float(f64::from(*value), &format!("{value:?}")), "real"),
        V::Float64(Some(value)) => (float(*value, &format!("{value:?}")), "double precision"),
        V::Decimal128(Some(unscaled), _, scale) => (decimal(&unscaled.to_string(), *scale), "numeric"),
        V::Decimal256(Some(unscaled), _, scale) => (decimal(&unscaled.to_string(), *scale), "numeric"),
        V::Utf8(Some(text)) | V::LargeUtf8(Some(text)) | V::Utf8View(Some(text)) => (self::text(text)?, "text"),
        V::Binary(Some(bytes)) | V::LargeBinary(Some(bytes)) | V::BinaryView(Some(bytes)) => (binary(bytes), "bytea"),
        V::Date32(Some(days)) => (date(*days)?, "date"),
        V::Time64Microsecond(Some(microseconds)) => (time(*microseconds)?, "time"),
        V::TimestampSecond(Some(value), zone) => timestamp(scaled(*value, 1_000_000)?, zone.as_deref())?,
        V::TimestampMillisecond(Some(value), zone) => timestamp(scaled(*value, 1_000)?, zone.as_deref())?,
        V::TimestampMicrosecond(Some(value), zone) => timestamp(*value, zone.as_deref())?,
        V::TimestampNanosecond(Some(value), zone) if value % 1000 == 0 => timestamp(value / 1000, zone.as_deref())?,
        V::TimestampNanosecond(..) => return Err("literal has nanoseconds".to_owned()),
        V::IntervalMonthDayNano(Some(value)) => (interval(*value)?, "interval"),
        other => return Err(format!("literal of type {}", other.data_type())),
    };
    Ok(Plain { text, type_name })
}

fn null(data_type: &DataType) -> Result<String, Reason> {
    match crate::types::computed(data_type) {
        Some((name, _)) => Ok(format!("NULL::{name}")),
        None => Err(format!("NULL of type {data_type}")),
    }
}

fn float(value: f64, shortest: &str) -> String {
    let text = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => shortest,
    };
    text.to_owned()
}

/// A whole number with its decimal point moved to the left.
pub(super) fn decimal(unscaled: &str, scale: i8) -> String {
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    let number = match usize::try_from(scale) {
        Ok(0) => digits.to_owned(),
        Ok(scale) => {
            let digits = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{whole}.{fraction}")
        }
        Err(_negative) => format!("{digits}{}", "0".repeat(usize::from(scale.unsigned_abs()))),
    };
    format!("{sign}{number}")
}

fn text(text: &str) -> Result<String, Reason> {
    if text.contains('\0') {
        return Err("literal holds the character U+0000".to_owned());
    }
    Ok(text.to_owned())
}

fn binary(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{hex}")
}

fn date(days: i32) -> Result<String, Reason> {
    let date = days.checked_add(UNIX_EPOCH_DAYS).and_then(NaiveDate::from_num_days_from_ce_opt);
    let (day, era) = date.and_then(day_and_era).ok_or("date is out of range")?;
    Ok(format!("{day}{era}"))
}

fn time(microseconds: i64) -> Result<String, Reason> {
    let time = u32::try_from(microseconds / 1_000_000).ok().zip(u32::try_from(microseconds % 1_000_000).ok());
    let time = time.and_then(|(seconds, rest)| {
        chrono::NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest * 1000).map(clock)
    });
    time.ok_or_else(|| "time is out of range".to_owned())
}

fn timestamp(microseconds: i64, zone: Option<&str>) -> Result<(String, &'static str), Reason> {
    let instant = DateTime::from_timestamp_micros(microseconds).map(|instant| instant.naive_utc());
    let instant =
        instant.and_then(|instant: NaiveDateTime| Some((day_and_era(instant.date())?, clock(instant.time()))));
    let ((day, era), clock) = instant.ok_or("timestamp is out of range")?;
    match zone {
        None => Ok((format!("{day} {clock}{era}"), "timestamp")),
        // The value is an instant whatever its zone; the zone only says how it is shown.
        Some(zone) if is_utc(zone) => Ok((format!("{day} {clock}+00{era}"), "timestamptz")),
        Some(zone) => Err(format!("time zone {zone}")),
    }
}

/// A day as PostgreSQL reads it under any DateStyle: it has no year 0, but years BC.
fn day_and_era(date: NaiveDate) -> Option<(String, &'static str)> {
    let year = date.year();
    if !YEARS.contains(&year) {
        return None;
    }
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    Some((format!("{year:04}-{:02}-{:02}", date.month(), date.day()), era))
}

fn clock(time: chrono::NaiveTime) -> String {
    let whole = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    match time.nanosecond() / 1000 {
        0 => whole,
        microseconds => format!("{whole}.{microseconds:06}"),
    }
}

/// Only for date arithmetic: PostgreSQL compares intervals otherwise than Arrow.
fn interval(value: IntervalMonthDayNano) -> Result<String, Reason> {
    if value.nanoseconds % 1000 != 0 {
        return Err("literal has nanoseconds".to_owned());
    }
    let microseconds = value.nanoseconds / 1000;
    Ok(format!("{} mons {} days {microseconds} microseconds", value.months, value.days))
}

fn scaled(value: i64, factor: i64) -> Result<i64, Reason> {
    value.checked_mul(factor).ok_or_else(|| "timestamp is out of range".to_owned())
}

/// Whether a unit is the one that PostgreSQL keeps.
pub(super) fn is_microseconds(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, zone) => zone.as_deref().is_none_or(is_utc),
        DataType::Time64(unit) => *unit == TimeUnit::Microsecond,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn no_text_of_postgresql_holds_a_nul() {
        assert!(print(&ScalarValue::from("a\0b")).is_err());
    }

    #[test]
    fn literals_carry_their_types() {
        let seconds = |value, zone: Option<&str>| ScalarValue::TimestampSecond(Some(value), zone.map(Into::into));
        for (value, sql) in [
            (ScalarValue::from(true), "TRUE"),
            (ScalarValue::Int64(Some(5)), "5::bigint"),
            (ScalarValue::Int64(Some(i64::MIN)), "'-9223372036854775808'::bigint"),
            (ScalarValue::Int32(None), "NULL::integer"),
            (ScalarValue::UInt32(Some(u32::MAX)), "'4294967295'::oid"),
            (ScalarValue::Float32(Some(0.1)), "'0.1'::real"),
            (ScalarValue::Float64(Some(1e300)), "'1e300'::double precision"),
            (ScalarValue::Float64(Some(f64::NAN)), "'NaN'::double precision"),
            (ScalarValue::Decimal128(Some(-5), 10, 2), "'-0.05'::numeric"),
            (ScalarValue::Decimal128(Some(12345), 10, 2), "123.45::numeric"),
            (ScalarValue::Decimal128(Some(7), 3, -2), "700::numeric"),
            (ScalarValue::Date32(Some(0)), "'1970-01-01'::date"),
            (ScalarValue::Date32(Some(-719_163)), "'0001-12-31 BC'::date"),
            (ScalarValue::Date32(Some(2_932_897)), "'10000-01-01'::date"),
            (seconds(-1, None), "'1969-12-31 23:59:59'::timestamp"),
            (seconds(1, Some("+00:00")), "'1970-01-01 00:00:01+00'::timestamptz"),
            (ScalarValue::TimestampMicrosecond(Some(-1), None), "'1969-12-31 23:59:59.999999'::timestamp"),
            (ScalarValue::Time64Microsecond(Some(1)), "'00:00:00.000001'::time"),
            (ScalarValue::Binary(Some(vec![0xde, 0xad])), r"E'\\xdead'::bytea"),
            (ScalarValue::Utf8View(Some("a".into())), "'a'::text"),
        ] {
            assert_eq!(print(&value).as_deref(), Ok(sql), "{value:?}");
        }
    }

    #[test]
    fn lists_are_one_literal() {
        use arrow::array::{BinaryArray, Date32Array, Int64Array, StringArray};
        let texts = ["a b", "it's", r"\", "\"", "", "NULL", "{,}", "🦦"];
        for (values, sql) in [
            (Arc::new(Int64Array::from(vec![-1, 7])) as ArrayRef, "'{-1,7}'::bigint[]"),
            (Arc::new(Date32Array::from(vec![0, -719_163])), r#"'{"1970-01-01","0001-12-31 BC"}'::date[]"#),
            (Arc::new(BinaryArray::from(vec![&[0xde_u8, 0xad][..]])), r#"E'{"\\\\xdead"}'::bytea[]"#),
            (
                Arc::new(StringArray::from(texts.to_vec())),
                r#"E'{"a b","it''s","\\\\","\\"","","NULL","{,}","🦦"}'::text[]"#,
            ),
        ] {
            assert_eq!(array(&values).as_deref(), Ok(sql));
        }
        assert!(array(&(Arc::new(StringArray::from(vec!["a\0b"])) as ArrayRef)).is_err());
    }

    #[test]
    fn what_postgresql_cannot_hold_stays_local() {
        for value in [
            ScalarValue::Date32(Some(i32::MAX)),
            ScalarValue::TimestampNanosecond(Some(1), None),
            ScalarValue::TimestampSecond(Some(i64::MAX), None),
            ScalarValue::TimestampMicrosecond(Some(0), Some("Europe/Paris".into())),
            ScalarValue::UInt64(Some(1)),
        ] {
            assert!(print(&value).is_err(), "{value:?}");
        }
    }
}
