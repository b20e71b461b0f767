//! Literals in pushed SQL: every one carries its type, and no text can end its own quotes.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::scalar::ScalarValue;

use crate::types::is_utc;

/// The years that both sides know, on the safe side: PostgreSQL starts at 4713 BC.
const YEARS: std::ops::RangeInclusive<i32> = -4_700..=250_000;
const UNIX_EPOCH_DAYS: i32 = 719_163;

/// Why something stays local, as EXPLAIN shows it.
pub(crate) type Reason = String;

/// A text as an SQL literal, whatever it holds and whatever `standard_conforming_strings` is: with
/// a backslash it is written in the escaping form (`quote_literal` does the same).
///
/// The character U+0000 cannot be in a text of PostgreSQL's; callers keep it out.
pub(crate) fn quote_text(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// `value` as a literal of the type that PostgreSQL has for its Arrow type.
///
/// # Errors
/// The reason, if PostgreSQL has no such value, or another one would be meant.
pub(super) fn print(value: &ScalarValue) -> Result<String, Reason> {
    use ScalarValue as V;
    if value.is_null() {
        return null(&value.data_type());
    }
    Ok(match value {
        V::Boolean(Some(value)) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        V::Int16(Some(value)) => integer(i64::from(*value), "smallint"),
        V::Int32(Some(value)) => integer(i64::from(*value), "integer"),
        V::Int64(Some(value)) => integer(*value, "bigint"),
        V::UInt32(Some(value)) => format!("'{value}'::oid"),
        V::Float32(Some(value)) => float(f64::from(*value), &format!("{value:?}"), "real"),
        V::Float64(Some(value)) => float(*value, &format!("{value:?}"), "double precision"),
        V::Decimal128(Some(unscaled), _, scale) => decimal(&unscaled.to_string(), *scale),
        V::Decimal256(Some(unscaled), _, scale) => decimal(&unscaled.to_string(), *scale),
        V::Utf8(Some(text)) | V::LargeUtf8(Some(text)) | V::Utf8View(Some(text)) => self::text(text)?,
        V::Binary(Some(bytes)) | V::LargeBinary(Some(bytes)) | V::BinaryView(Some(bytes)) => binary(bytes),
        V::Date32(Some(days)) => date(*days)?,
        V::Time64Microsecond(Some(microseconds)) => time(*microseconds)?,
        V::TimestampSecond(Some(value), zone) => timestamp(scaled(*value, 1_000_000)?, zone.as_deref())?,
        V::TimestampMillisecond(Some(value), zone) => timestamp(scaled(*value, 1_000)?, zone.as_deref())?,
        V::TimestampMicrosecond(Some(value), zone) => timestamp(*value, zone.as_deref())?,
        V::TimestampNanosecond(Some(value), zone) if value % 1000 == 0 => timestamp(value / 1000, zone.as_deref())?,
        V::TimestampNanosecond(..) => return Err("literal has nanoseconds".to_owned()),
        V::IntervalMonthDayNano(Some(value)) => interval(*value)?,
        other => return Err(format!("literal of type {}", other.data_type())),
    })
}

fn null(data_type: &DataType) -> Result<String, Reason> {
    match crate::types::computed(data_type) {
        Some((name, _)) => Ok(format!("NULL::{name}")),
        None => Err(format!("NULL of type {data_type}")),
    }
}

/// In quotes if negative: the minus sign binds weaker than the cast.
fn integer(value: i64, name: &str) -> String {
    if value < 0 { format!("'{value}'::{name}") } else { format!("{value}::{name}") }
}

fn float(value: f64, shortest: &str, name: &str) -> String {
    let text = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => shortest,
    };
    format!("'{text}'::{name}")
}

fn decimal(unscaled: &str, scale: i8) -> String {
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
    if sign.is_empty() { format!("{number}::numeric") } else { format!("'-{number}'::numeric") }
}

fn text(text: &str) -> Result<String, Reason> {
    if text.contains('\0') {
        return Err("literal holds the character U+0000".to_owned());
    }
    Ok(format!("{}::text", quote_text(text)))
}

fn binary(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}::bytea", quote_text(&format!("\\x{hex}")))
}

fn date(days: i32) -> Result<String, Reason> {
    let date = days.checked_add(UNIX_EPOCH_DAYS).and_then(NaiveDate::from_num_days_from_ce_opt);
    let (day, era) = date.and_then(day_and_era).ok_or("date is out of range")?;
    Ok(format!("'{day}{era}'::date"))
}

fn time(microseconds: i64) -> Result<String, Reason> {
    let time = u32::try_from(microseconds / 1_000_000).ok().zip(u32::try_from(microseconds % 1_000_000).ok());
    let time = time.and_then(|(seconds, rest)| {
        chrono::NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest * 1000).map(clock)
    });
    Ok(format!("'{}'::time", time.ok_or("time is out of range")?))
}

fn timestamp(microseconds: i64, zone: Option<&str>) -> Result<String, Reason> {
    let instant = DateTime::from_timestamp_micros(microseconds).map(|instant| instant.naive_utc());
    let instant =
        instant.and_then(|instant: NaiveDateTime| Some((day_and_era(instant.date())?, clock(instant.time()))));
    let ((day, era), clock) = instant.ok_or("timestamp is out of range")?;
    match zone {
        None => Ok(format!("'{day} {clock}{era}'::timestamp")),
        // The value is an instant whatever its zone; the zone only says how it is shown.
        Some(zone) if is_utc(zone) => Ok(format!("'{day} {clock}+00{era}'::timestamptz")),
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
    Ok(format!("'{} mons {} days {microseconds} microseconds'::interval", value.months, value.days))
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
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        for (text, quoted) in [
            ("plain", "'plain'"),
            ("it's", "'it''s'"),
            ("\"; drop table x;--", "'\"; drop table x;--'"),
            ("'; drop table x;--", "'''; drop table x;--'"),
            (r"\'", r"E'\\'''"),
            (r"\\", r"E'\\\\'"),
            ("$$", "'$$'"),
            ("🦦", "'🦦'"),
        ] {
            assert_eq!(quote_text(text), quoted);
        }
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
