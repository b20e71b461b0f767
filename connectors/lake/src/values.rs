//! Text to values: numbers, dates and instants out of the bytes of one field.
//!
//! These run once per field of a scan, so they are written for speed; each agrees with the standard
//! library where that reads the same text (the tests compare). `None`: the text is not of the type.

/// `true` or `false`, whatever the case.
pub(crate) fn parse_bool(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// A whole number that fits 64 bits.
#[inline]
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() {
        return None;
    }
    if digits.len() <= 18 {
        let value = parse_digits(digits)? as i64;
        return Some(if negative { -value } else { value });
    }
    let mut value = 0i64;
    for &byte in digits {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?;
        value = if negative { value.checked_sub(digit)? } else { value.checked_add(digit)? };
    }
    Some(value)
}

#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// At most 18 digits, eight at a time.
#[inline]
fn parse_digits(digits: &[u8]) -> Option<u64> {
    let (eights, rest) = digits.as_chunks::<8>();
    let mut value = 0u64;
    for chunk in eights {
        value = value.wrapping_mul(100_000_000).wrapping_add(parse_eight(u64::from_le_bytes(*chunk))?);
    }
    for &byte in rest {
        let digit = u64::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        value = value.wrapping_mul(10).wrapping_add(digit);
    }
    Some(value)
}

/// Eight ASCII digits in one word: neighbours are joined three times.
#[inline]
fn parse_eight(word: u64) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let carried = word.wrapping_add(0x0606_0606_0606_0606);
    if word & HIGH != ZEROS || carried & HIGH != ZEROS {
        return None;
    }
    let ones = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = ones.wrapping_mul(10).wrapping_add(ones >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Why a text is no double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDouble {
    /// It is not a number, or one beyond the range of doubles.
    Syntax,
    /// It is a whole number that no double is equal to.
    Inexact,
}

/// A double: a number with or without point and exponent, `NaN`, `Infinity`. A whole number must be
/// representable exactly; fractions are rounded to the nearest double.
#[inline]
pub(crate) fn parse_f64(text: &[u8]) -> Result<f64, NotDouble> {
    let (negative, digits) = sign(text);
    let mut mantissa = 0u64;
    let mut point = None;
    for (at, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return parse_f64_slowly(text);
        }
    }
    let decimals = point.map_or(0, |at| digits.len() - at - 1);
    let count = digits.len() - usize::from(point.is_some());
    if count == 0 || count > 19 || mantissa > 1 << 53 || decimals > 22 {
        return parse_f64_slowly(text);
    }
    // Both operands are exact, so the one division rounds correctly (Clinger 1990).
    let value = mantissa as f64 / POWERS[decimals];
    Ok(if negative { -value } else { value })
}

#[cold]
fn parse_f64_slowly(text: &[u8]) -> Result<f64, NotDouble> {
    let text = std::str::from_utf8(text).map_err(|_| NotDouble::Syntax)?;
    let (_, unsigned) = sign(text.as_bytes());
    let starts_well = matches!(unsigned.first(), Some(b'0'..=b'9' | b'.'));
    let special = ["nan", "infinity", "inf"].iter().any(|word| word.as_bytes().eq_ignore_ascii_case(unsigned));
    if !starts_well && !special {
        return Err(NotDouble::Syntax);
    }
    let value: f64 = text.parse().map_err(|_| NotDouble::Syntax)?;
    if value.is_infinite() && !special {
        return Err(NotDouble::Syntax);
    }
    if unsigned.iter().all(u8::is_ascii_digit) && !is_exact(text, value) {
        return Err(NotDouble::Inexact);
    }
    Ok(value)
}

fn is_exact(text: &str, value: f64) -> bool {
    // Below 2^127 the cast is exact for whole numbers; longer texts are not worth the proof.
    text.trim_start_matches('+').parse::<i128>().is_ok_and(|whole| value.abs() < 1.7e38 && value as i128 == whole)
}

/// Whether a whole number is exactly a double.
pub(crate) fn fits_double(value: i64) -> bool {
    (value as f64) as i128 == i128::from(value)
}

/// A decimal of this precision and scale, as its unscaled integer. Digits beyond the scale must be zeros.
pub(crate) fn parse_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = sign(text);
    let (digits, exponent) = match digits.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&digits[..at], i32::try_from(parse_i64(&digits[at + 1..])?).ok()?),
        None => (digits, 0),
    };
    let mut value = 0i128;
    let mut seen = 0usize;
    let mut point: Option<usize> = None;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                seen += 1;
            }
            b'.' if point.is_none() => point = Some(seen),
            _ => return None,
        }
    }
    if seen == 0 {
        return None;
    }
    let decimals = i32::try_from(seen - point.unwrap_or(seen)).ok()?;
    let mut shift = i32::from(scale).checked_sub(decimals)?.checked_add(exponent)?;
    while shift > 0 && value != 0 {
        value = value.checked_mul(10)?;
        shift -= 1;
    }
    while shift < 0 && value != 0 {
        if value % 10 != 0 {
            return None;
        }
        value /= 10;
        shift += 1;
    }
    if value >= 10i128.checked_pow(u32::from(precision))? {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// `2026-11-23` as days since 1970-01-01.
#[inline]
pub(crate) fn parse_date(text: &[u8]) -> Option<i32> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let year = i32::from(two(y1, y2)?) * 100 + i32::from(two(y3, y4)?);
    days(year, two(m1, m2)?, two(d1, d2)?)
}

#[inline]
fn two(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| tens * 10 + ones)
}

/// Days of a date since 1970-01-01 in the Gregorian calendar; years 1 to 9999.
#[inline]
fn days(year: i32, month: u8, day: u8) -> Option<i32> {
    const LENGTHS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = *LENGTHS.get(usize::from(month.wrapping_sub(1)))? + u8::from(leap && month == 2);
    if year < 1 || day == 0 || day > length {
        return None;
    }
    // Years start in March here, so that the leap day is the last one.
    let (y, m) = if month > 2 { (year, i32::from(month) - 3) } else { (year - 1, i32::from(month) + 9) };
    Some(365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + i32::from(day) - 1 - 719_468)
}

/// An instant, or a time on a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp {
    /// Since 1970-01-01T00:00:00, in UTC if there was a zone.
    pub(crate) micros: i64,
    /// What is left below a microsecond.
    pub(crate) nanos: i64,
    /// Whether the text named a zone (`Z`, `+02:00`).
    pub(crate) zoned: bool,
}

/// `2026-11-23 10:15[:30[.123456789]][Z|+02:00]` with a space or `T`. Digits beyond the nanosecond
/// must be zeros.
pub(crate) fn parse_timestamp(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let [b' ' | b'T' | b't', time @ ..] = rest else { return None };
    let date = i64::from(parse_date(date)?);
    let (time, offset_minutes) = split_zone(time)?;
    let &[h1, h2, b':', m1, m2, ref seconds @ ..] = time else { return None };
    let (hour, minute) = (two(h1, h2)?, two(m1, m2)?);
    let (second, nanos) = match seconds {
        [] => (0, 0),
        [b':', s1, s2] => (two(*s1, *s2)?, 0),
        [b':', s1, s2, b'.' | b',', fraction @ ..] => (two(*s1, *s2)?, parse_fraction(fraction)?),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let minutes = date * 1440 + i64::from(hour) * 60 + i64::from(minute) - offset_minutes.unwrap_or(0);
    let seconds = minutes * 60 + i64::from(second);
    let micros = seconds * 1_000_000 + nanos / 1_000;
    Some(Timestamp { micros, nanos: nanos % 1_000, zoned: offset_minutes.is_some() })
}

/// The nanoseconds that the digits behind the point stand for.
fn parse_fraction(digits: &[u8]) -> Option<i64> {
    const NANOS: [i64; 10] = [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    if digits.is_empty() || digits.len() > 12 {
        return None;
    }
    let (kept, beyond) = digits.split_at(digits.len().min(9));
    if beyond.iter().any(|digit| *digit != b'0') {
        return None;
    }
    Some(parse_digits(kept)? as i64 * NANOS[kept.len()])
}

/// The time, and the minutes by which its zone is ahead of UTC.
fn split_zone(time: &[u8]) -> Option<(&[u8], Option<i64>)> {
    if let [time @ .., b'Z' | b'z'] = time {
        return Some((time, Some(0)));
    }
    let Some(at) = time.iter().position(|byte| matches!(byte, b'+' | b'-')) else { return Some((time, None)) };
    let (hours, minutes) = match &time[at + 1..] {
        &[h1, h2] => (two(h1, h2)?, 0),
        &[h1, h2, m1, m2] | &[h1, h2, b':', m1, m2] => (two(h1, h2)?, two(m1, m2)?),
        _ => return None,
    };
    if hours > 18 || minutes > 59 {
        return None;
    }
    let offset = i64::from(hours) * 60 + i64::from(minutes);
    Some((&time[..at], Some(if time[at] == b'-' { -offset } else { offset })))
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
