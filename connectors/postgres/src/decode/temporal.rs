//! Dates, times and intervals: PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.

use arrow::datatypes::IntervalMonthDayNano;

use super::fault::Fault;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// `date`: the largest and the smallest integer stand for the infinities.
#[inline]
pub(super) fn date(days: i32) -> Result<i32, Fault> {
    if days == i32::MAX || days == i32::MIN {
        return Err(Fault::Infinite);
    }
    days.checked_add(EPOCH_DAYS).ok_or(Fault::OutOfRange)
}

/// `timestamp` and `timestamptz`, likewise.
#[inline]
pub(super) fn timestamp(microseconds: i64) -> Result<i64, Fault> {
    if microseconds == i64::MAX || microseconds == i64::MIN {
        return Err(Fault::Infinite);
    }
    microseconds.checked_add(EPOCH_MICROSECONDS).ok_or(Fault::OutOfRange)
}

/// `time`: `24:00:00` is a time in PostgreSQL alone.
#[inline]
pub(super) fn time(microseconds: i64) -> Result<i64, Fault> {
    if (0..DAY_MICROSECONDS).contains(&microseconds) { Ok(microseconds) } else { Err(Fault::OutOfRange) }
}

/// `interval`: int64 microseconds, int32 days, int32 months (`interval_send`). Since PostgreSQL 17
/// all three at their ends stand for the infinities.
pub(super) fn interval(bytes: &[u8]) -> Result<IntervalMonthDayNano, Fault> {
    let &[m0, m1, m2, m3, m4, m5, m6, m7, d0, d1, d2, d3, n0, n1, n2, n3] = bytes else { return Err(Fault::Length) };
    let microseconds = i64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
    let days = i32::from_be_bytes([d0, d1, d2, d3]);
    let months = i32::from_be_bytes([n0, n1, n2, n3]);
    let ends = [(i32::MAX, i64::MAX), (i32::MIN, i64::MIN)];
    if ends.iter().any(|(int, long)| months == *int && days == *int && microseconds == *long) {
        return Err(Fault::Infinite);
    }
    let nanoseconds = microseconds.checked_mul(1000).ok_or(Fault::OutOfRange)?;
    Ok(IntervalMonthDayNano::new(months, days, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_shift_and_infinities_are_told() {
        assert_eq!(date(0), Ok(EPOCH_DAYS));
        assert_eq!(date(i32::MAX), Err(Fault::Infinite));
        assert_eq!(date(i32::MAX - 1), Err(Fault::OutOfRange));
        assert_eq!(timestamp(-EPOCH_MICROSECONDS), Ok(0));
        assert_eq!(timestamp(i64::MIN), Err(Fault::Infinite));
        assert_eq!(timestamp(i64::MAX - 1), Err(Fault::OutOfRange));
        assert_eq!(time(DAY_MICROSECONDS), Err(Fault::OutOfRange));
    }

    #[test]
    fn an_interval_keeps_its_three_parts() {
        let send = |microseconds: i64, days: i32, months: i32| {
            interval(&[&microseconds.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat())
        };
        assert_eq!(send(5, -2, 14), Ok(IntervalMonthDayNano::new(14, -2, 5000)));
        assert_eq!(send(i64::MAX, 0, 0), Err(Fault::OutOfRange));
        assert_eq!(send(i64::MAX, i32::MAX, i32::MAX), Err(Fault::Infinite));
        assert_eq!(interval(&[0; 15]), Err(Fault::Length));
    }
}
