//! What is pushed: operators, casts and functions that mean in PostgreSQL what they mean in the
//! engine, for every value of their types. Whatever is not in these tables stays local.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::Operator;

use super::term::is_text;
use crate::types::is_utc;

/// Comparisons: the symbol, and whether the order matters or equality alone.
pub(super) const COMPARISONS: &[(Operator, &str, bool)] = &[
    (Operator::Eq, "=", false),
    (Operator::NotEq, "<>", false),
    (Operator::Lt, "<", true),
    (Operator::LtEq, "<=", true),
    (Operator::Gt, ">", true),
    (Operator::GtEq, ">=", true),
    (Operator::IsDistinctFrom, "IS DISTINCT FROM", false),
    (Operator::IsNotDistinctFrom, "IS NOT DISTINCT FROM", false),
];

/// What keeps an operator from being pushed, as EXPLAIN shows it.
pub(super) const LOCAL_OPERATORS: &[(Operator, &str)] = &[
    (Operator::RegexMatch, "regular expressions differ"),
    (Operator::RegexIMatch, "regular expressions differ"),
    (Operator::RegexNotMatch, "regular expressions differ"),
    (Operator::RegexNotIMatch, "regular expressions differ"),
    (Operator::ILikeMatch, "letter case depends on the locale"),
    (Operator::NotILikeMatch, "letter case depends on the locale"),
];

/// What keeps a function from being pushed, as EXPLAIN shows it.
pub(super) const LOCAL_FUNCTIONS: &[(&str, &str)] = &[
    ("lower", "collation"),
    ("upper", "collation"),
    ("initcap", "collation"),
    ("round", "rounding of ties differs"),
    ("regexp_like", "regular expressions differ"),
    ("regexp_match", "regular expressions differ"),
    ("regexp_replace", "regular expressions differ"),
];

/// How far PostgreSQL's comparison of two values agrees with the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Whatever the values.
    Exact,
    /// But for NaN and -0.
    Float,
    /// By the collation.
    Text,
}

/// How values of two types are compared; `None` if they are not, or differently.
pub(super) fn family(left: &DataType, right: &DataType) -> Option<Family> {
    use DataType as T;
    match (left, right) {
        (left, right) if is_text(left) && is_text(right) => Some(Family::Text),
        (left, right) if super::term::is_binary(left) && super::term::is_binary(right) => Some(Family::Exact),
        (T::Boolean, T::Boolean) | (T::UInt32, T::UInt32) | (T::Date32, T::Date32) => Some(Family::Exact),
        (T::Int16 | T::Int32 | T::Int64, T::Int16 | T::Int32 | T::Int64) => Some(Family::Exact),
        (T::Decimal128(..) | T::Decimal256(..), T::Decimal128(..) | T::Decimal256(..)) => Some(Family::Exact),
        (T::Float32, T::Float32) | (T::Float64, T::Float64) => Some(Family::Float),
        (T::Time64(TimeUnit::Microsecond), T::Time64(TimeUnit::Microsecond)) => Some(Family::Exact),
        (T::Timestamp(left, a), T::Timestamp(right, b)) => {
            let utc = |zone: &Option<_>| zone.as_deref().is_none_or(is_utc);
            let alike = a.is_some() == b.is_some() && utc(a) && utc(b);
            (alike && left == right && *left == TimeUnit::Microsecond).then_some(Family::Exact)
        }
        _ => None,
    }
}

/// How a cast is printed behind its operand; `{}` stands for the operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CastText {
    /// Not at all: the value is the same.
    Same,
    /// So.
    As(&'static str),
}

/// The casts that cannot fail and yield the same value on both sides.
pub(super) fn cast(from: &DataType, to: &DataType) -> Option<CastText> {
    use CastText::{As, Same};
    use DataType as T;
    use TimeUnit::Microsecond;
    Some(match (from, to) {
        (from, to) if from == to || (is_text(from) && is_text(to)) => Same,
        (T::Int16, T::Int32) => As("{}::integer"),
        (T::Int16 | T::Int32 | T::UInt32, T::Int64) => As("{}::bigint"),
        (T::Int16 | T::Int32 | T::Int64, T::Decimal128(precision, scale)) => {
            let whole = i16::from(*precision) - i16::from(*scale);
            (whole >= integer_digits(from)).then_some(As("{}::numeric"))?
        }
        (T::Decimal128(p1, s1), T::Decimal128(p2, s2)) => {
            let whole = |precision: &u8, scale: &i8| i16::from(*precision) - i16::from(*scale);
            (s2 >= s1 && whole(p2, s2) >= whole(p1, s1)).then_some(Same)?
        }
        (T::Int16, T::Float32) => As("{}::real"),
        (T::Int16 | T::Int32 | T::Int64 | T::Float32, T::Float64) => As("{}::double precision"),
        (T::Int16 | T::Int32 | T::Int64 | T::Boolean, to) if is_text(to) => As("{}::text"),
        (T::Date32, T::Timestamp(Microsecond, None)) => As("{}::timestamp"),
        (T::Timestamp(Microsecond, None), T::Date32) => As("{}::date"),
        (T::Timestamp(Microsecond, Some(zone)), T::Date32) if is_utc(zone) => As("({} AT TIME ZONE 'UTC')::date"),
        _ => return None,
    })
}

fn integer_digits(integer: &DataType) -> i16 {
    match integer {
        DataType::Int16 => 5,
        DataType::Int32 => 10,
        _ => 19,
    }
}

/// Parts of a date or timestamp: the engine's names, PostgreSQL's, and whether only a timestamp has it.
pub(super) const DATE_PARTS: &[(&[&str], &str, bool)] = &[
    (&["year", "years"], "year", false),
    (&["quarter", "qtr"], "quarter", false),
    (&["month", "months"], "month", false),
    (&["day", "days"], "day", false),
    (&["dow"], "dow", false),
    (&["doy"], "doy", false),
    (&["hour", "hours"], "hour", true),
    (&["minute", "minutes"], "minute", true),
];

/// What a timestamp may be cut to.
pub(super) const TRUNCATIONS: &[&str] = &["year", "quarter", "month", "week", "day", "hour", "minute", "second"];

/// Whether a LIKE pattern means the same: a backslash that escapes nothing is an error in PostgreSQL.
pub(super) fn is_complete_pattern(pattern: &str) -> bool {
    let trailing = pattern.bytes().rev().take_while(|byte| *byte == b'\\').count();
    trailing % 2 == 0 && !pattern.contains('\0')
}

/// Whether a text is a UUID as PostgreSQL prints it.
pub(super) fn is_canonical_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_casts_that_cannot_fail() {
        use DataType as T;
        for (from, to, expected) in [
            (T::Int32, T::Int64, Some(CastText::As("{}::bigint"))),
            (T::Int64, T::Int32, None),
            (T::Int64, T::Decimal128(19, 0), Some(CastText::As("{}::numeric"))),
            (T::Int64, T::Decimal128(20, 2), None),
            (T::Decimal128(10, 2), T::Decimal128(12, 4), Some(CastText::Same)),
            (T::Decimal128(10, 2), T::Decimal128(12, 1), None),
            (T::Decimal128(10, 2), T::Float64, None),
            (T::Utf8View, T::Utf8, Some(CastText::Same)),
            (T::Utf8View, T::Int64, None),
            (T::Float64, T::Utf8, None),
        ] {
            assert_eq!(cast(&from, &to), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn patterns_and_uuids() {
        assert!(is_complete_pattern("a%") && is_complete_pattern(r"a\\") && is_complete_pattern(r"\%"));
        assert!(!is_complete_pattern(r"a\") && !is_complete_pattern("\0"));
        assert!(is_canonical_uuid("0f0e0d0c-0b0a-0908-0706-050403020100"));
        assert!(!is_canonical_uuid("0F0E0D0C-0B0A-0908-0706-050403020100"));
    }
}
