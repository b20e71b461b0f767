//! Tests of the text parsers, mostly against the standard library and chrono.

use super::*;

#[test]
fn whole_numbers_agree_with_the_standard_library() {
    let mut cases: Vec<String> = [
        "",
        "-",
        "+",
        "0",
        "-0",
        "+7",
        "007",
        "1a",
        "a",
        "12345678",
        "123456789",
        "1234567a",
        "12345678x",
        " 1",
        "1 ",
        "1_0",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut value = 1i128;
    while value < i128::from(i64::MAX) * 100 {
        for around in [value - 1, value, value + 1] {
            cases.push(around.to_string());
            cases.push((-around).to_string());
        }
        value *= 3;
    }
    cases.extend([
        i64::MAX.to_string(),
        i64::MIN.to_string(),
        "9223372036854775808".into(),
        "-9223372036854775809".into(),
    ]);
    for text in cases {
        assert_eq!(parse_i64(text.as_bytes()), text.parse().ok(), "{text:?}");
    }
}

#[test]
fn doubles_agree_with_the_standard_library() {
    for text in [
        "0",
        "-0",
        "1.5",
        ".5",
        "5.",
        "-17.25",
        "0.1",
        "3.3333333333333333",
        "1e10",
        "1E-5",
        "-2.5e+3",
        "123456789.123",
        "NaN",
        "-Infinity",
        "inf",
        "9007199254740992",
        "0.000000000000000000000001",
        "179769313486231570000e288",
    ] {
        let expected: f64 = text.parse().unwrap();
        let found = parse_f64(text.as_bytes()).unwrap();
        assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(), "{text}: {found}");
    }
    for text in ["", ".", "-", "1.2.3", "1e", "abc", "0x10", "1,5", "infinit", "e5", "--1", "1e400", "-1.5e999"] {
        assert_eq!(parse_f64(text.as_bytes()), Err(NotDouble::Syntax), "{text}");
    }
}

#[test]
fn a_whole_number_stays_exact_as_a_double_or_fails() {
    assert_eq!(parse_f64(b"9007199254740993"), Err(NotDouble::Inexact));
    assert_eq!(parse_f64(b"-9007199254740993"), Err(NotDouble::Inexact));
    assert_eq!(parse_f64(b"9007199254740994"), Ok(9007199254740994.0));
    assert_eq!(parse_f64(b"100000000000000000000"), Ok(1e20));
    assert!(fits_double(1 << 53) && !fits_double((1 << 53) + 1) && !fits_double(i64::MAX) && fits_double(i64::MIN));
}

#[test]
fn decimals_are_exact() {
    assert_eq!(parse_decimal(b"12.3", 5, 2), Some(1230));
    assert_eq!(parse_decimal(b"-12.300", 5, 2), Some(-1230));
    assert_eq!(parse_decimal(b"1.5e2", 5, 2), Some(15000));
    assert_eq!(parse_decimal(b"99999999999999999999999999999999999999", 38, 0), Some(10i128.pow(38) - 1));
    for text in ["12.345", "1000", "", ".", "1a", "1e", "1e99999999999"] {
        assert_eq!(parse_decimal(text.as_bytes(), 5, 2), None, "{text}");
    }
}

#[test]
fn dates_agree_with_chrono() {
    let mut day = chrono::NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
    let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    while day.format("%Y").to_string().len() == 4 {
        let expected = day.signed_duration_since(epoch).num_days();
        assert_eq!(parse_date(day.to_string().as_bytes()).map(i64::from), Some(expected), "{day}");
        day += chrono::Duration::days(13);
    }
    for text in
        ["2026-02-29", "2026-13-01", "2026-00-01", "2026-01-32", "0000-01-01", "2026-1-1", "20260101", "2026/01/01"]
    {
        assert_eq!(parse_date(text.as_bytes()), None, "{text}");
    }
    assert!(parse_date(b"2024-02-29").is_some());
}

#[test]
fn timestamps_with_and_without_zone() {
    let micros = |text: &str| parse_timestamp(text.as_bytes()).map(|t| (t.micros, t.zoned));
    assert_eq!(micros("1970-01-01 00:00"), Some((0, false)));
    assert_eq!(micros("1970-01-02T00:00:01.5"), Some((86_401_500_000, false)));
    assert_eq!(micros("1970-01-01T02:00:00+02:00"), Some((0, true)));
    assert_eq!(micros("1969-12-31T22:30:00-0130"), Some((0, true)));
    assert_eq!(micros("1970-01-01 00:00:00.123456000Z"), Some((123_456, true)));
    let nanos = parse_timestamp(b"1969-12-31 23:59:59.123456789000").map(|t| (t.micros, t.nanos));
    assert_eq!(nanos, Some((-876_544, 789)));
    for text in [
        "1970-01-01",
        "1970-01-01 24:00",
        "1970-01-01 00:60",
        "1970-01-01 00:00:00.1234567891",
        "1970-01-01 00:00:00.12345x",
        "1970-01-01 00:00 +1",
        "x",
    ] {
        assert_eq!(micros(text), None, "{text}");
    }
}
