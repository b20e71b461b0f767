//! `numeric` as PostgreSQL receives it (`numeric_recv`): digits of base 10,000 around the decimal point.

/// The sign of a number below zero.
const NEGATIVE: u16 = 0x4000;
/// Decimal digits in one of base 10,000.
const GROUP: usize = 4;

/// Appends the value with its length in front. `unscaled` is a whole number in decimal digits, the value
/// is that divided by ten to the power of `scale`.
pub(super) fn append(unscaled: &str, scale: i8, out: &mut Vec<u8>) {
    let (sign, digits) = unscaled.strip_prefix('-').map_or((0, unscaled), |digits| (NEGATIVE, digits));
    let digits = digits.as_bytes();
    let behind = usize::try_from(scale).unwrap_or(0);
    let zeros_behind = usize::from(if scale < 0 { scale.unsigned_abs() } else { 0 });
    // Position of a digit: its power of ten above or below the point.
    let value_at = |power: i32| -> u16 {
        let from_end = power + behind as i32 - zeros_behind as i32;
        let index = usize::try_from(from_end).ok().and_then(|from_end| digits.len().checked_sub(from_end + 1));
        index.and_then(|index| digits.get(index)).map_or(0, |digit| u16::from(digit.wrapping_sub(b'0')))
    };
    let group_at = |weight: i32| -> u16 {
        let base = weight * GROUP as i32;
        (0..GROUP as i32).rev().fold(0, |sum, power| sum * 10 + value_at(base + power))
    };
    let whole_digits = (digits.len() + zeros_behind).saturating_sub(behind);
    let mut highest = whole_digits.div_ceil(GROUP) as i32 - 1;
    let mut lowest = -(behind.div_ceil(GROUP) as i32);
    while highest >= lowest && group_at(highest) == 0 {
        highest -= 1;
    }
    while lowest <= highest && group_at(lowest) == 0 {
        lowest += 1;
    }
    let count = (highest - lowest + 1).max(0) as u16;
    let (weight, sign) = if count == 0 { (0, 0) } else { (highest as i16 as u16, sign) };
    out.extend_from_slice(&(8 + 2 * i32::from(count)).to_be_bytes());
    for word in [count, weight, sign, behind as u16] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for weight in (lowest..=highest).rev() {
        out.extend_from_slice(&group_at(weight).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(unscaled: &str, scale: i8) -> Vec<u16> {
        let mut out = Vec::new();
        append(unscaled, scale, &mut out);
        assert_eq!(i32::from_be_bytes(out[..4].try_into().unwrap()) as usize, out.len() - 4);
        out[4..].chunks(2).map(|word| u16::from_be_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn digits_stand_around_the_point() {
        for (unscaled, scale, expected) in [
            ("0", 2, vec![0, 0, 0, 2]),
            ("1", 2, vec![1, 0xffff, 0, 2, 100]),
            ("-1234567", 2, vec![3, 1, NEGATIVE, 2, 1, 2345, 6700]),
            ("10000", 0, vec![1, 1, 0, 0, 1]),
            ("1", 10, vec![1, 0xfffd, 0, 10, 100]),
            ("5", -3, vec![1, 0, 0, 0, 5000]),
            ("99999999999999999999999999999999999999", 38, {
                let mut words = vec![10, 0xffff, 0, 38];
                words.extend([9999; 9]);
                words.push(9900);
                words
            }),
        ] {
            assert_eq!(words(unscaled, scale), expected, "{unscaled} {scale}");
        }
    }
}
