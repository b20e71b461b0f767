//! One text to one value of a column's type, with the reason where it does not fit.

use arrow::datatypes::TimeUnit;

use crate::piece::Misfit;
use crate::values::{
    NotDouble, Timestamp, fits_double, parse_bool, parse_date, parse_decimal, parse_f64, parse_i64, parse_timestamp,
};

pub(crate) fn boolean(text: &[u8]) -> Result<bool, Misfit> {
    parse_bool(text).ok_or(Misfit::Syntax)
}

/// A whole number of any width.
#[inline]
pub(crate) fn integer<T: TryFrom<i64>>(text: &[u8]) -> Result<T, Misfit> {
    parse_i64(text).and_then(|value| T::try_from(value).ok()).ok_or(Misfit::Syntax)
}

/// A whole number as a sample takes it: `007` and `+49` are text, since they would lose what they say.
#[inline]
pub(crate) fn plain_integer(text: &[u8]) -> Result<i64, Misfit> {
    if is_plain(text) { integer(text) } else { Err(Misfit::Syntax) }
}

/// Whether a number is written without leading zeros and plus signs.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    !matches!(text, [b'0', b'0'..=b'9', ..] | [b'-', b'0', b'0'..=b'9', ..] | [b'+', ..])
}

#[inline]
pub(crate) fn double(text: &[u8]) -> Result<f64, Misfit> {
    parse_f64(text).map_err(misfit_of)
}

/// A double as a sample takes it.
#[inline]
pub(crate) fn plain_double(text: &[u8]) -> Result<f64, Misfit> {
    if is_plain(text) { double(text) } else { Err(Misfit::Syntax) }
}

/// The nearest 32-bit float; a whole number must be exact.
pub(crate) fn real(text: &[u8]) -> Result<f32, Misfit> {
    let wide = double(text)?;
    let narrow = match std::str::from_utf8(text).ok().and_then(|text| text.parse::<f32>().ok()) {
        Some(value) => value,
        None => wide as f32,
    };
    let whole = wide.fract() == 0.0;
    if whole && f64::from(narrow) != wide { Err(Misfit::Inexact) } else { Ok(narrow) }
}

fn misfit_of(error: NotDouble) -> Misfit {
    match error {
        NotDouble::Syntax => Misfit::Syntax,
        NotDouble::Inexact => Misfit::Inexact,
    }
}

pub(crate) fn decimal(text: &[u8], precision: u8, scale: i8) -> Result<i128, Misfit> {
    parse_decimal(text, precision, scale).ok_or(Misfit::Syntax)
}

#[inline]
pub(crate) fn date(text: &[u8]) -> Result<i32, Misfit> {
    parse_date(text).ok_or(Misfit::Syntax)
}

/// A timestamp in `unit`. A column with a zone takes texts with a zone only; one without takes texts
/// without, a date being its midnight.
pub(crate) fn timestamp(text: &[u8], unit: TimeUnit, zoned: bool) -> Result<i64, Misfit> {
    let value = match parse_timestamp(text) {
        Some(value) => value,
        None => Timestamp { micros: i64::from(date(text)?) * 86_400_000_000, nanos: 0, zoned: false },
    };
    if value.zoned != zoned || (value.nanos != 0 && unit != TimeUnit::Nanosecond) {
        return Err(Misfit::Syntax);
    }
    let whole = |divisor: i64| {
        if value.micros % divisor == 0 { Ok(value.micros / divisor) } else { Err(Misfit::Syntax) }
    };
    match unit {
        TimeUnit::Second => whole(1_000_000),
        TimeUnit::Millisecond => whole(1_000),
        TimeUnit::Microsecond => Ok(value.micros),
        TimeUnit::Nanosecond => {
            value.micros.checked_mul(1_000).and_then(|n| n.checked_add(value.nanos)).ok_or(Misfit::Syntax)
        }
    }
}

/// Whether a whole number's text is exactly a double.
pub(crate) fn is_exact_double(text: &[u8]) -> bool {
    parse_i64(text).is_some_and(fits_double)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_what_a_number_would_lose() {
        assert_eq!(plain_integer(b"-7"), Ok(-7));
        assert_eq!(plain_integer(b"0"), Ok(0));
        for text in ["007", "+49", "-01"] {
            assert!(plain_integer(text.as_bytes()).is_err() && plain_double(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(plain_double(b"-0.5"), Ok(-0.5));
        assert_eq!(integer::<i32>(b"007"), Ok(7));
        assert!(integer::<i8>(b"128").is_err());
    }

    #[test]
    fn narrow_floats_round_fractions_but_not_whole_numbers() {
        assert_eq!(real(b"0.1"), Ok(0.1f32));
        assert_eq!(real(b"16777217"), Err(Misfit::Inexact));
    }

    #[test]
    fn zones_and_units_must_fit() {
        let text = b"1970-01-01 00:00:01.5";
        assert_eq!(timestamp(text, TimeUnit::Microsecond, false), Ok(1_500_000));
        assert_eq!(timestamp(text, TimeUnit::Nanosecond, false), Ok(1_500_000_000));
        assert!(timestamp(text, TimeUnit::Second, false).is_err());
        assert!(timestamp(text, TimeUnit::Microsecond, true).is_err());
        assert_eq!(timestamp(b"1970-01-02", TimeUnit::Second, false), Ok(86_400));
        let fine = b"1970-01-01 00:00:01.000000001";
        assert_eq!(timestamp(fine, TimeUnit::Nanosecond, false), Ok(1_000_000_001));
        assert!(timestamp(fine, TimeUnit::Microsecond, false).is_err());
        assert!(timestamp(b"9999-12-31 00:00:00", TimeUnit::Nanosecond, false).is_err());
    }
}
