//! `numeric`: digits to base 10000 with a weight, into decimals of a fixed scale.
//!
//! The format is that of `numeric_send` (`numeric.c`): int16 count of digits, int16 weight (the power
//! of 10000 of the first digit), uint16 sign, uint16 display scale, then the digits as int16 each.

use arrow::datatypes::i256;

use super::fault::Fault;
use super::field::Value;
use crate::config::Rounding;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITE: [u16; 2] = [0xd000, 0xf000];

/// The powers of ten that an `i128` holds.
const POWERS: [i128; 39] = {
    let mut powers = [1i128; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// The decimal type that values must fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<N> {
    scale: i32,
    /// One more than the largest magnitude.
    limit: N,
    rounding: Rounding,
    word: Word,
}

/// How the usual value is read: four digits at once, as 16 bits each of a word in which the point is always at the
/// same place. Nothing jumps by the number of digits, which differs from value to value.
#[derive(Debug, Clone, Copy)]
struct Word {
    /// The weight of the word's first digit.
    weight: i64,
    /// Decimals that the word has more than the scale: 0 to 3.
    surplus: u32,
    /// The inverse of `5^surplus` modulo 2^64.
    inverse: u64,
    /// One more than the largest value.
    limit: u64,
}

/// The bits of a word's first digits.
const FIRST: [u64; 5] = [0, 0xffff << 48, 0xffff_ffff << 32, 0xffff_ffff_ffff << 16, u64::MAX];
/// The bits of its second and fourth digit.
const EVEN: u64 = 0xffff_0000_ffff;
/// The highest bit of each digit, and what carries a digit into it that is above 9999.
const HIGHEST: u64 = 0x8000_8000_8000_8000;
const ABOVE_9999: u64 = 0x58f0_58f0_58f0_58f0;

impl Word {
    fn new(precision: u8, scale: i32) -> Self {
        let decimals = (scale + 3).div_euclid(4);
        let surplus = (4 * decimals - scale).unsigned_abs();
        // Each step of Newton's iteration doubles the bits that are right.
        let step = |inverse: u64, _| inverse.wrapping_mul(2u64.wrapping_sub(5u64.pow(surplus).wrapping_mul(inverse)));
        let limit = 10u64.checked_pow(u32::from(precision)).unwrap_or(u64::MAX);
        Self {
            weight: i64::from(3 - decimals),
            surplus,
            inverse: (0..6).fold(1, step),
            // No multiple of the divisor has a larger quotient.
            limit: limit.min((u64::MAX / 10u64.pow(surplus)).saturating_add(1)),
        }
    }

    /// The unscaled value that begins with `window` and has `length` bytes; `None` if it is none of the usual.
    #[inline(always)]
    fn number(&self, window: &[u8; 16], length: usize) -> Option<i64> {
        let (&[header, digits], _) = window.as_chunks::<8>() else { return None };
        let (header, digits) = (u64::from_be_bytes(header), u64::from_be_bytes(digits));
        let (count, weight, sign) = (header >> 48, (header >> 32) as i16, header >> 16 & 0xffff);
        let shift = (self.weight - i64::from(weight)) as u64;
        let fits = length as u64 == 8 + 2 * count && shift <= 4 && shift + count <= 4;
        if !fits || sign & !u64::from(NEGATIVE) != 0 {
            return None;
        }
        let digits = digits & FIRST[count as usize];
        let corrupt = (((digits & !HIGHEST) + ABOVE_9999) | digits) & HIGHEST;
        // In two steps: by 64 bits at once nothing is shifted.
        let digits = digits >> (8 * shift) >> (8 * shift);
        let pairs = (digits >> 16 & EVEN).wrapping_mul(10_000).wrapping_add(digits & EVEN);
        let whole = (pairs >> 32).wrapping_mul(100_000_000).wrapping_add(pairs & 0xffff_ffff);
        // Division by 10^surplus. Where it leaves a rest, the result is above every quotient (Granlund and
        // Montgomery, "Division by Invariant Integers using Multiplication", section 9).
        let quotient = whole.wrapping_mul(self.inverse).rotate_right(self.surplus);
        if corrupt != 0 || quotient >= self.limit {
            return None;
        }
        let negative = (sign >> 14) as i64;
        Some((quotient as i64 ^ -negative) + negative)
    }
}

/// The arithmetic that the slow path needs of a decimal's storage.
pub(super) trait Wide: Copy + PartialOrd {
    const ZERO: Self;
    /// `self * factor + digit`.
    fn shift_in(self, factor: u32, digit: u32) -> Option<Self>;
    fn negate(self) -> Self;
    fn is_odd(self) -> bool;
}

impl Wide for i128 {
    const ZERO: Self = 0;
    fn shift_in(self, factor: u32, digit: u32) -> Option<Self> {
        self.checked_mul(i128::from(factor))?.checked_add(i128::from(digit))
    }
    fn negate(self) -> Self {
        -self
    }
    fn is_odd(self) -> bool {
        self & 1 == 1
    }
}

impl Wide for i256 {
    const ZERO: Self = i256::ZERO;
    fn shift_in(self, factor: u32, digit: u32) -> Option<Self> {
        self.checked_mul(i256::from_i128(i128::from(factor)))?.checked_add(i256::from_i128(i128::from(digit)))
    }
    fn negate(self) -> Self {
        self.wrapping_neg()
    }
    fn is_odd(self) -> bool {
        self.to_parts().0 & 1 == 1
    }
}

impl<N: Wide> Target<N> {
    /// The target `decimal(precision, scale)`; `None` if its values do not fit the storage.
    pub(super) fn new(precision: u8, scale: i8, rounding: Rounding) -> Option<Self> {
        let one = N::ZERO.shift_in(1, 1)?;
        let limit = (0..precision).try_fold(one, |limit, _| limit.shift_in(10, 0))?;
        let scale = i32::from(scale);
        Some(Self { scale, limit, rounding, word: Word::new(precision, scale) })
    }
}

struct Parts<'a> {
    weight: i32,
    sign: u16,
    digits: &'a [u8],
}

impl<'a> Parts<'a> {
    #[inline]
    fn of(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (&[c0, c1, w0, w1, s0, s1, _, _], digits) = bytes.split_first_chunk::<8>().ok_or(Fault::Length)?;
        if digits.len() != usize::from(u16::from_be_bytes([c0, c1])) * 2 {
            return Err(Fault::Length);
        }
        let weight = i32::from(i16::from_be_bytes([w0, w1]));
        Ok(Self { weight, sign: u16::from_be_bytes([s0, s1]), digits })
    }

    fn values(&self) -> impl Iterator<Item = u16> + 'a {
        self.digits.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }
}

/// A value as the unscaled integer of an Arrow decimal.
#[inline(always)]
pub(super) fn decimal128(value: Value<'_>, target: &Target<i128>) -> Result<i128, Fault> {
    match value.window().and_then(|window| target.word.number(window, value.len())) {
        Some(number) => Ok(i128::from(number)),
        None => unusual(value.bytes(), target),
    }
}

/// As [`decimal128`], for what is not usual.
#[inline(never)]
fn unusual(bytes: &[u8], target: &Target<i128>) -> Result<i128, Fault> {
    let parts = Parts::of(bytes)?;
    let count = parts.digits.len() / 2;
    // Up to four digits fit a machine word, wherever their point is.
    if count > 4 || parts.sign & !NEGATIVE != 0 {
        return wide(&parts, target);
    }
    let mut word = 0u64;
    for digit in parts.values() {
        if digit > 9999 {
            return Err(Fault::Corrupt);
        }
        word = word.wrapping_mul(10_000).wrapping_add(u64::from(digit));
    }
    let shift = 4 * (parts.weight + 1 - count as i32) + target.scale;
    let (quotient, rest) = match shift {
        0 => (i128::from(word), 0),
        // Less than 10^19, which is a word still.
        1 => (i128::from(word.wrapping_mul(10)), 0),
        2 => (i128::from(word.wrapping_mul(100)), 0),
        3 => (i128::from(word.wrapping_mul(1000)), 0),
        4..=18 => (i128::from(word) * POWERS[shift as usize], 0),
        -1 => (i128::from(word / 10), word % 10),
        -2 => (i128::from(word / 100), word % 100),
        -3 => (i128::from(word / 1000), word % 1000),
        _ => return wide(&parts, target),
    };
    if rest != 0 {
        return wide(&parts, target);
    }
    if quotient >= target.limit {
        return Err(Fault::TooLarge);
    }
    Ok(if parts.sign == NEGATIVE { -quotient } else { quotient })
}

/// As [`decimal128`], for up to 76 digits.
pub(super) fn decimal256(bytes: &[u8], target: &Target<i256>) -> Result<i256, Fault> {
    wide(&Parts::of(bytes)?, target)
}

/// What the scale cuts off: the digits next to it, out of how many, and whether more follow.
struct Dropped {
    first: u32,
    unit: u32,
    more: bool,
}

#[cold]
fn wide<N: Wide>(parts: &Parts<'_>, target: &Target<N>) -> Result<N, Fault> {
    match parts.sign {
        0 | NEGATIVE => {}
        NAN => return Err(Fault::NotANumber),
        sign if INFINITE.contains(&sign) => return Err(Fault::Infinite),
        _ => return Err(Fault::Corrupt),
    }
    let mut value = N::ZERO;
    let mut dropped = Dropped { first: 0, unit: 10_000, more: false };
    // The power of ten, after scaling, of a digit's last decimal.
    let mut exponent = 4 * parts.weight + target.scale;
    for digit in parts.values() {
        let digit = u32::from(digit);
        if digit > 9999 {
            return Err(Fault::Corrupt);
        }
        match exponent {
            0.. => value = value.shift_in(10_000, digit).ok_or(Fault::TooLarge)?,
            -4..=-1 => {
                let unit = 10u32.pow(exponent.unsigned_abs());
                value = value.shift_in(10_000 / unit, digit / unit).ok_or(Fault::TooLarge)?;
                dropped = Dropped { first: digit % unit, unit, more: false };
            }
            _ => dropped.more |= digit != 0,
        }
        exponent -= 4;
    }
    // Zeros at the end are not sent.
    if value > N::ZERO {
        for _ in 0..exponent + 4 {
            value = value.shift_in(10, 0).filter(|value| *value < target.limit).ok_or(Fault::TooLarge)?;
        }
    }
    let negative = parts.sign == NEGATIVE;
    if rounds_up(&dropped, negative, value.is_odd(), target.rounding)? {
        value = value.shift_in(1, 1).ok_or(Fault::TooLarge)?;
    }
    if value >= target.limit {
        return Err(Fault::TooLarge);
    }
    Ok(if negative { value.negate() } else { value })
}

/// Whether the magnitude grows by one, by the rules of Java's `RoundingMode`.
fn rounds_up(dropped: &Dropped, negative: bool, odd: bool, rounding: Rounding) -> Result<bool, Fault> {
    if dropped.first == 0 && !dropped.more {
        return Ok(false);
    }
    let half = (2 * dropped.first).cmp(&dropped.unit).then(if dropped.more {
        std::cmp::Ordering::Greater
    } else {
        std::cmp::Ordering::Equal
    });
    match rounding {
        Rounding::Unnecessary => Err(Fault::Inexact),
        Rounding::Up => Ok(true),
        Rounding::Down => Ok(false),
        Rounding::Ceiling => Ok(!negative),
        Rounding::Floor => Ok(negative),
        Rounding::HalfUp => Ok(half.is_ge()),
        Rounding::HalfDown => Ok(half.is_gt()),
        Rounding::HalfEven => Ok(half.is_gt() || (half.is_eq() && odd)),
    }
}

/// What `numeric_send` writes for a number in ASCII digits before and behind its point.
pub(super) fn pack(negative: bool, whole: &[u8], fraction: &[u8]) -> Vec<u8> {
    let padding = |length: usize| std::iter::repeat_n(&b'0', length.next_multiple_of(4) - length);
    let decimals: Vec<u8> =
        padding(whole.len()).chain(whole).chain(fraction).chain(padding(fraction.len())).copied().collect();
    let number = |digit: &[u8; 4]| digit.iter().fold(0, |sum, byte| sum * 10 + u16::from(byte - b'0'));
    let digits: Vec<u16> = decimals.as_chunks::<4>().0.iter().map(number).collect();
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let end = digits.iter().rposition(|digit| *digit != 0).map_or(zeros, |last| last + 1);
    let digits = digits.get(zeros..end).unwrap_or_default();
    let weight = (whole.len().div_ceil(4) as i16).wrapping_sub(1).wrapping_sub(zeros as i16);
    let sign = if negative { NEGATIVE } else { 0 };
    let header = [digits.len() as u16, weight as u16, sign, fraction.len() as u16];
    header.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
}

/// The value as PostgreSQL prints it, for messages; `None` if it is no number or very long.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let parts = Parts::of(bytes).ok().filter(|parts| parts.sign & !NEGATIVE == 0)?;
    let scale = usize::from(u16::from_be_bytes([bytes[6], bytes[7]]));
    if parts.weight > 24 || scale > 100 {
        return None;
    }
    let digit = |place: i32| -> u16 {
        let index = parts.weight - place;
        usize::try_from(index).ok().and_then(|index| parts.values().nth(index)).unwrap_or(0)
    };
    let whole: String = (0..=parts.weight.max(0)).rev().map(|place| format!("{:04}", digit(place))).collect();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let fraction: String = (1..=scale.div_ceil(4) as i32).map(|place| format!("{:04}", digit(-place))).collect();
    let sign = if parts.sign == NEGATIVE { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    Some(format!("{sign}{whole}{point}{}", &fraction[..scale]))
}

#[cfg(test)]
mod tests {
    use super::super::field::split_field;
    use super::*;

    /// `numeric_send` of a decimal text.
    fn send(text: &str) -> Vec<u8> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        pack(negative, whole.as_bytes(), fraction.as_bytes())
    }

    fn decode(text: &str, precision: u8, scale: i8, rounding: Rounding) -> Result<i128, Fault> {
        let bytes = send(text);
        let narrow = all_ways(&bytes, precision, scale, rounding);
        let wide = decimal256(&bytes, &Target::new(precision, scale, rounding).unwrap());
        assert_eq!(narrow.map(i256::from_i128), wide, "{text}");
        narrow
    }

    /// The value, with and without memory behind it.
    fn all_ways(bytes: &[u8], precision: u8, scale: i8, rounding: Rounding) -> Result<i128, Fault> {
        let target = Target::new(precision, scale, rounding).unwrap();
        let field = [&(bytes.len() as u32).to_be_bytes(), bytes, &[0xff; 16]].concat();
        let followed = decimal128(split_field(&field).unwrap().0.unwrap(), &target);
        let alone = decimal128(Value::from(bytes), &target);
        assert_eq!(followed, alone, "{bytes:?} as decimal({precision}, {scale})");
        assert_eq!(alone, unusual(bytes, &target), "{bytes:?} as decimal({precision}, {scale})");
        alone
    }

    /// Every number of digits, weight, sign and scale, with digits at their limits: the quick way and the exact one agree.
    #[test]
    fn the_quick_way_is_exact() {
        let mut taken = 0;
        for digits in [
            [1, 2, 3, 4, 5],
            [9999, 9999, 9999, 9999, 9999],
            [10, 100, 1000, 5, 50],
            [1, 0, 0, 7, 0],
            [3, 10_000, 4, 1, 2],
            [1, 2, 0x8001, 0xffff, 0],
        ] {
            for case in 0..6 * 13 * 4 {
                let (count, weight) = (case % 6, (case / 6 % 13) as i16 - 6);
                let sign = [0, NEGATIVE, NAN, 0x4001][case / 78];
                let header = [count as u16, weight as u16, sign, 0];
                let bytes: Vec<u8> =
                    header.iter().chain(&digits[..count]).flat_map(|word| word.to_be_bytes()).collect();
                for (precision, scale) in
                    [(1, 0), (15, 2), (18, 18), (19, 0), (38, 10), (38, 38), (38, 0), (5, 3), (20, 1), (4, 4)]
                {
                    let exact = Target::<i256>::new(precision, scale, Rounding::Unnecessary).unwrap();
                    let quick = all_ways(&bytes, precision, scale, Rounding::Unnecessary);
                    taken += usize::from(quick.is_ok());
                    assert_eq!(
                        quick.map(i256::from_i128),
                        decimal256(&bytes, &exact),
                        "{bytes:?} as decimal({precision}, {scale})"
                    );
                }
            }
        }
        assert!(taken > 1000, "{taken}");
    }

    #[test]
    fn numbers_are_packed_as_numeric_send_does() {
        for (text, bytes) in [
            ("-12345.67", vec![0, 3, 0, 1, 0x40, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x2c]),
            ("0.00", vec![0, 0, 0xff, 0xff, 0, 0, 0, 2]),
            ("0.0001", vec![0, 1, 0xff, 0xff, 0, 0, 0, 4, 0, 1]),
            ("10000", vec![0, 1, 0, 1, 0, 0, 0, 0, 0, 1]),
        ] {
            let got = send(text);
            // The weight of zero means nothing.
            assert_eq!((&got[..2], &got[4..]), (&bytes[..2], &bytes[4..]), "{text}");
            assert!(got[1] == 0 || got[2..4] == bytes[2..4], "{text}");
        }
    }

    #[test]
    fn digits_are_scaled() {
        for (text, precision, scale, unscaled) in [
            ("0", 15, 2, 0),
            ("0.01", 15, 2, 1),
            ("-12345.67", 15, 2, -1_234_567),
            ("9999999999999.99", 15, 2, 999_999_999_999_999),
            ("10000", 15, 2, 1_000_000),
            ("100000000", 38, 10, 1_000_000_000_000_000_000),
            ("0.0000000001", 38, 10, 1),
            ("1.5", 38, 10, 15_000_000_000),
            ("99999999999999999999999999999999999999", 38, 0, 10i128.pow(38) - 1),
            ("1234567890123456789.123456789", 38, 9, 1_234_567_890_123_456_789_123_456_789),
        ] {
            assert_eq!(decode(text, precision, scale, Rounding::Unnecessary), Ok(unscaled), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (text, precision, scale, fault) in [
            ("0.001", 15, 2, Fault::Inexact),
            ("0.00000000001", 38, 10, Fault::Inexact),
            ("10000000000000", 15, 2, Fault::TooLarge),
            ("10000000000000000000000000000", 38, 10, Fault::TooLarge),
            ("1000000000000000000000000000000000000000", 38, 0, Fault::TooLarge),
        ] {
            assert_eq!(decode(text, precision, scale, Rounding::Unnecessary), Err(fault), "{text}");
        }
    }

    #[test]
    fn rounding_is_javas() {
        use Rounding::*;
        for (text, expected) in [
            ("1.15", [12, 11, 12, 11, 12, 11, 12]),
            ("1.25", [13, 12, 13, 12, 13, 12, 12]),
            ("-1.25", [-13, -12, -12, -13, -13, -12, -12]),
            ("1.2500001", [13, 12, 13, 12, 13, 13, 13]),
            ("0.00001", [1, 0, 1, 0, 0, 0, 0]),
        ] {
            let modes = [Up, Down, Ceiling, Floor, HalfUp, HalfDown, HalfEven];
            let rounded: Vec<i128> = modes.iter().map(|mode| decode(text, 10, 1, *mode).unwrap()).collect();
            assert_eq!(rounded, expected, "{text}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        let target = Target::<i128>::new(38, 10, Rounding::Unnecessary).unwrap();
        let special = |sign: u16| [&[0, 0, 0, 0][..], &sign.to_be_bytes(), &[0, 0]].concat();
        for (bytes, fault) in [
            (vec![], Fault::Length),
            (vec![0, 9, 0, 0, 0, 0, 0, 0], Fault::Length),
            (vec![0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Fault::Corrupt),
            (special(NAN), Fault::NotANumber),
            (special(0xf000), Fault::Infinite),
            (special(0x1234), Fault::Corrupt),
            (vec![0, 1, 0x7f, 0xff, 0, 0, 0, 0, 0, 1], Fault::TooLarge),
            (vec![0, 1, 0x80, 0, 0, 0, 0, 0, 0, 1], Fault::Inexact),
        ] {
            assert_eq!(decimal128(Value::from(&bytes[..]), &target), Err(fault), "{bytes:?}");
        }
    }

    #[test]
    fn values_are_shown_as_postgresql_shows_them() {
        for shown in ["0", "-12345.67", "0.00000000001", "10000.0", "99999999999999999999.5"] {
            assert_eq!(text(&send(shown)).as_deref(), Some(shown));
        }
    }
}
