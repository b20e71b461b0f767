//! Numbers as PostgreSQL prints them: up to eight digits at once, as the bytes of a word.

use arrow::datatypes::DataType;

use super::fault::Fault;
use super::field::Value;
use super::numeric::{self, Target};

/// Decimals of up to so many digits travel as text: any such number fits a word.
const DIGITS_MAX: u8 = 18;

/// Digits that a word holds.
const WORD: usize = 8;
/// What holds any number of two words, its sign and its point.
type Window = [u8; 24];

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
const HIGHEST: u64 = 0x8080_8080_8080_8080;
/// What carries a byte into its highest bit that is above 9.
const ABOVE_9: u64 = 0x7676_7676_7676_7676;

/// Eight bytes from `start` on.
#[inline(always)]
fn load(window: &Window, start: usize) -> Option<u64> {
    window.get(start..)?.first_chunk::<WORD>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// The number of the first `count` digits of a word, 1 to 8; `None` if a byte is no digit.
///
/// The digits are moved to the word's end, so that it has leading zeros, and are then joined to pairs, to
/// fours, to eight: three multiplications, and no jump by their number.
#[inline(always)]
fn number(bytes: u64, count: usize) -> Option<u64> {
    let digits = (bytes ^ ZEROS) << (8 * (WORD - count) as u32);
    if ((digits.wrapping_add(ABOVE_9)) | digits) & HIGHEST != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10 * 256 + 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 * 65_536 + 1) >> 16 & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 * 4_294_967_296 + 1) >> 32)
}

/// The number of 1 to 16 digits from `start` on.
#[inline(always)]
fn long_number(window: &Window, start: usize, count: usize) -> Option<u64> {
    match count {
        1..=WORD => number(load(window, start)?, count),
        9..=16 => {
            let first = count - WORD;
            let (first, rest) = (number(load(window, start)?, first)?, number(load(window, start + first)?, WORD)?);
            Some(first * 100_000_000 + rest)
        }
        _ => None,
    }
}

#[inline(always)]
fn signed(negative: bool, magnitude: u64) -> i64 {
    let sign = i64::from(negative);
    (magnitude as i64 ^ -sign) + sign
}

/// An integer.
///
/// # Errors
/// [`Fault::Corrupt`] for what is none of `N`.
#[inline(always)]
pub(super) fn integer<N: TryFrom<i64>>(value: Value<'_>) -> Result<N, Fault> {
    let quick = value.window::<24>().and_then(|window| {
        let negative = window[0] == b'-';
        let start = usize::from(negative);
        long_number(window, start, value.len().wrapping_sub(start)).map(|number| signed(negative, number))
    });
    let number = quick.map_or_else(|| long_integer(value.bytes()), Ok)?;
    N::try_from(number).map_err(|_| Fault::Corrupt)
}

#[inline(never)]
fn long_integer(text: &[u8]) -> Result<i64, Fault> {
    str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Fault::Corrupt)
}

/// The decimal type that values must fit, of at most [`DIGITS_MAX`] digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal {
    exact: Target<i128>,
    scale: usize,
    /// `10^scale`, and one more than the largest value.
    power: u64,
    limit: u64,
}

impl Decimal {
    /// The target of a type for which `exact` is right; `None` if its values are better read in binary.
    pub(super) fn new(data_type: &DataType, exact: Target<i128>) -> Option<Self> {
        let &DataType::Decimal128(precision, scale) = data_type else { return None };
        let scale = usize::try_from(scale).ok().filter(|_| precision <= DIGITS_MAX)?;
        let power = 10u64.checked_pow(scale as u32)?;
        Some(Self { exact, scale, power, limit: 10u64.pow(precision.into()) })
    }

    /// The unscaled value.
    ///
    /// # Errors
    /// As [`numeric::decimal128`].
    #[inline(always)]
    pub(super) fn unscaled(&self, value: Value<'_>) -> Result<i128, Fault> {
        match self.usual(value) {
            Some(number) => Ok(i128::from(number)),
            None => self.unusual(value.bytes()),
        }
    }

    /// A value with as many decimals as the type, which is how PostgreSQL prints a column's.
    #[inline(always)]
    fn usual(&self, value: Value<'_>) -> Option<i64> {
        let window = value.window::<24>()?;
        let negative = window[0] == b'-';
        let start = usize::from(negative);
        let digits = value.len().wrapping_sub(start);
        let number = match self.scale {
            0 => long_number(window, start, digits)?,
            scale @ 1..=WORD => {
                let whole = digits.wrapping_sub(scale + 1);
                if !(1..=WORD).contains(&whole) || window.get(start + whole) != Some(&b'.') {
                    return None;
                }
                let (first, decimals) = (load(window, start)?, load(window, start + whole + 1)?);
                if whole + scale <= WORD {
                    // Without the point they are one word.
                    let bits = 8 * whole as u32;
                    number((first & !(u64::MAX << bits)) | decimals << bits, whole + scale)?
                } else {
                    number(first, whole)? * self.power + number(decimals, scale)?
                }
            }
            _ => return None,
        };
        (number < self.limit).then(|| signed(negative, number))
    }

    #[inline(never)]
    fn unusual(&self, text: &[u8]) -> Result<i128, Fault> {
        let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
        match digits {
            b"NaN" => return Err(Fault::NotANumber),
            b"Infinity" => return Err(Fault::Infinite),
            _ => {}
        }
        let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
        let (whole, fraction) = digits.split_at(point);
        let fraction = fraction.get(1..).unwrap_or_default();
        if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return Err(Fault::Corrupt);
        }
        if whole.len() + fraction.len() > usize::from(DIGITS_MAX) || fraction.len() > self.scale {
            return numeric::decimal128(Value::from(&numeric::pack(negative, whole, fraction)[..]), &self.exact);
        }
        let mut number = whole.iter().chain(fraction).fold(0, |sum, byte| sum * 10 + i128::from(byte - b'0'));
        (fraction.len()..self.scale).for_each(|_| number *= 10);
        if number >= i128::from(self.limit) {
            return Err(Fault::TooLarge);
        }
        Ok(if negative { -number } else { number })
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::split_field;
    use super::*;
    use crate::config::Rounding;

    /// Reads the text with memory behind it, with what a neighbour may have there, and without any.
    fn all_ways<T: PartialEq + std::fmt::Debug>(text: &str, read: impl Fn(Value<'_>) -> T) -> T {
        let alone = read(Value::from(text.as_bytes()));
        for behind in [[b'7'; 24], [0xff; 24], [0; 24]] {
            let field = [&(text.len() as u32).to_be_bytes(), text.as_bytes(), &behind].concat();
            assert_eq!(read(split_field(&field).unwrap().0.unwrap()), alone, "{text:?}");
        }
        alone
    }

    fn decimal(text: &str, precision: u8, scale: i8, rounding: Rounding) -> Result<i128, Fault> {
        let exact = Target::new(precision, scale, rounding).unwrap();
        let target = Decimal::new(&DataType::Decimal128(precision, scale), exact).unwrap();
        all_ways(text, |value| target.unscaled(value))
    }

    #[test]
    fn integers_of_every_length() {
        for length in 1..=18 {
            for digits in ["123456789012345678", "999999999999999999", "100000000000000000", "900000000000000005"] {
                let number: i64 = digits[..length].parse().unwrap();
                for number in [number, -number] {
                    assert_eq!(all_ways(&number.to_string(), integer::<i64>), Ok(number));
                }
            }
        }
        for number in [0, i64::MAX, i64::MIN, i64::from(i32::MIN), i64::from(u32::MAX)] {
            assert_eq!(all_ways(&number.to_string(), integer::<i64>), Ok(number));
            assert_eq!(all_ways(&number.to_string(), integer::<i32>).ok(), i32::try_from(number).ok());
            assert_eq!(all_ways(&number.to_string(), integer::<u32>).ok(), u32::try_from(number).ok());
            assert_eq!(all_ways(&number.to_string(), integer::<i16>).ok(), i16::try_from(number).ok());
        }
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        for text in
            ["", "-", "--1", "1-", " 1", "1 ", "1.0", "0x10", "1e3", "12345678a", "a23456789", "9223372036854775808"]
        {
            assert_eq!(all_ways(text, integer::<i64>), Err(Fault::Corrupt), "{text:?}");
        }
        // Every byte at every place.
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
            for place in 0..16 {
                let mut text = *b"1234567890123456";
                text[place] = byte;
                let read = integer::<i64>(Value::from(&[&text[..], &[b'0'; 24]].concat()[..16]));
                let window = [&16u32.to_be_bytes()[..], &text, &[b'0'; 24]].concat();
                let quick = integer::<i64>(split_field(&window).unwrap().0.unwrap());
                assert_eq!(read, quick);
                assert!(quick.is_err() || (place == 0 && (byte == b'-' || byte == b'+')), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn decimals_are_scaled() {
        for (text, precision, scale, unscaled) in [
            ("0.00", 15, 2, 0),
            ("0.01", 15, 2, 1),
            ("-12345.67", 15, 2, -1_234_567),
            ("99999999.99", 15, 2, 9_999_999_999),
            ("9999999999999.99", 15, 2, 999_999_999_999_999),
            ("-9999999999999.99", 15, 2, -999_999_999_999_999),
            ("123456789012345678", 18, 0, 123_456_789_012_345_678),
            ("-7", 5, 0, -7),
            ("0.123456789", 9, 9, 123_456_789),
            ("0.12345678", 8, 8, 12_345_678),
            ("0.123456789012345678", 18, 18, 123_456_789_012_345_678),
            // Of another scale than the type, as an expression may yield them.
            ("7", 15, 2, 700),
            ("-1.5", 15, 2, -150),
            ("1.50000000", 15, 2, 150),
            ("0.0000000000000000000000", 15, 2, 0),
            ("000000000000000000000001.5", 15, 2, 150),
        ] {
            assert_eq!(decimal(text, precision, scale, Rounding::Unnecessary), Ok(unscaled), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_a_decimal_is_told() {
        for (text, fault) in [
            ("0.001", Fault::Inexact),
            ("10000000000000.00", Fault::TooLarge),
            ("10000000000000", Fault::TooLarge),
            ("123456789012345678901234567890", Fault::TooLarge),
            ("NaN", Fault::NotANumber),
            ("Infinity", Fault::Infinite),
            ("-Infinity", Fault::Infinite),
            ("", Fault::Corrupt),
            ("-", Fault::Corrupt),
            (".5", Fault::Corrupt),
            ("1.2.3", Fault::Corrupt),
            ("1,20", Fault::Corrupt),
            ("1e5", Fault::Corrupt),
            ("--1.00", Fault::Corrupt),
        ] {
            assert_eq!(decimal(text, 15, 2, Rounding::Unnecessary), Err(fault), "{text}");
        }
        assert_eq!(decimal("-2.345", 15, 2, Rounding::HalfUp), Ok(-235));
        assert_eq!(decimal("1.995", 3, 2, Rounding::HalfEven), Ok(200));
        assert_eq!(decimal("9.995", 3, 2, Rounding::HalfUp), Err(Fault::TooLarge));
    }
}
