//! Intervals and timestamps: their texts in parts.

use datafusion::sql::sqlparser::ast::{Expr, Interval, Value};
use meesh_base::{Error, Result};

use super::Parser;
use crate::lexer::Kind;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A length of time as DataFusion keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Length {
    months: i128,
    days: i128,
    nanos: i128,
}

/// Units of `INTERVAL '5 days'` and `INTERVAL '5' DAY`, with what one of them adds.
const UNITS: &[(&[&str], Length)] = &[
    (&["century", "centuries"], Length { months: 1200, days: 0, nanos: 0 }),
    (&["decade", "decades"], Length { months: 120, days: 0, nanos: 0 }),
    (&["year", "years", "yr", "yrs", "y"], Length { months: 12, days: 0, nanos: 0 }),
    (&["quarter", "quarters"], Length { months: 3, days: 0, nanos: 0 }),
    (&["month", "months", "mon", "mons"], Length { months: 1, days: 0, nanos: 0 }),
    (&["week", "weeks", "w"], Length { months: 0, days: 7, nanos: 0 }),
    (&["day", "days", "d"], Length { months: 0, days: 1, nanos: 0 }),
    (&["hour", "hours", "hr", "hrs", "h"], Length { months: 0, days: 0, nanos: 3600 * NANOS_PER_SECOND }),
    (&["minute", "minutes", "min", "mins", "m"], Length { months: 0, days: 0, nanos: 60 * NANOS_PER_SECOND }),
    (&["second", "seconds", "sec", "secs", "s"], Length { months: 0, days: 0, nanos: NANOS_PER_SECOND }),
    (&["millisecond", "milliseconds", "ms"], Length { months: 0, days: 0, nanos: 1_000_000 }),
    (&["microsecond", "microseconds", "us"], Length { months: 0, days: 0, nanos: 1_000 }),
];

/// The fields of a day-time interval, largest first.
const DAY_TIME: &[&str] = &["day", "hour", "minute", "second"];

impl Parser<'_> {
    /// Whether an interval literal begins here; `interval` alone is a name.
    pub(super) fn begins_interval(&self) -> bool {
        let signed = self.is_symbol_at(1, "-") || self.is_symbol_at(1, "+");
        self.is_word("INTERVAL") && self.peek_at(if signed { 2 } else { 1 }).kind == Kind::Text
    }

    /// `INTERVAL [±] 'text' [unit [TO unit]]`. Without a unit the text must name its own.
    pub(super) fn interval(&mut self) -> Result<Expr> {
        let token = self.advance();
        let negative = self.eat_symbol("-");
        self.eat_symbol("+");
        let text = self.string_value()?;
        let first = self.interval_unit();
        let last = if first.is_some() && self.eat_word("TO") {
            match self.interval_unit() {
                Some(unit) => Some(unit),
                None => return Err(self.unexpected("'DAY', 'HOUR', 'MINUTE', 'MONTH', 'SECOND', 'YEAR'")),
            }
        } else {
            None
        };
        let length = match (first, last) {
            (None, _) if !text.contains(|c: char| c.is_alphabetic() || c == ':') => {
                return Err(self.unexpected("'DAY', 'HOUR', 'MINUTE', 'MONTH', 'SECOND', 'YEAR'"));
            }
            (None, _) => spelled_out(&text),
            (Some(unit), None) => number_of(&text, unit),
            (Some("year"), Some("month")) => year_to_month(&text),
            (Some(first), Some(last)) => day_to_second(&text, first, last),
        };
        let sign = if negative { -1 } else { 1 };
        let Some(Length { months, days, nanos }) = length else {
            return Err(Error::invalid_query(format!("'{text}' is not a valid interval literal"))
                .with_position(token.position())
                .with_code("INVALID_LITERAL"));
        };
        let canonical = format!("{} months {} days {} nanoseconds", sign * months, sign * days, sign * nanos);
        self.node(0)?;
        Ok(Expr::Interval(Interval {
            value: Box::new(Expr::Value(Value::SingleQuotedString(canonical).with_span(token.span()))),
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        }))
    }

    fn interval_unit(&mut self) -> Option<&'static str> {
        let token = self.peek();
        if token.kind != Kind::Word {
            return None;
        }
        let word = self.text_of(&token).to_ascii_lowercase();
        // One letter is rather an alias.
        let (names, _) = UNITS.iter().find(|(names, _)| word.len() > 2 && names.contains(&word.as_str()))?;
        self.advance();
        names.first().copied()
    }
}

fn unit_length(unit: &str) -> Option<Length> {
    UNITS.iter().find(|(names, _)| names.contains(&unit)).map(|(_, length)| *length)
}

/// A signed decimal as a whole number of billionths.
fn billionths(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if digits.len() > 18 || digits.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some(sign * (whole * NANOS_PER_SECOND + fraction))
}

/// `'5'` of a unit; a fraction only where it is a whole number of nanoseconds, months or days.
fn number_of(text: &str, unit: &str) -> Option<Length> {
    let (count, length) = (billionths(text.trim())?, unit_length(unit)?);
    let times = |per: i128| {
        let product = count.checked_mul(per)?;
        (product % NANOS_PER_SECOND == 0).then_some(product / NANOS_PER_SECOND)
    };
    Some(Length { months: times(length.months)?, days: times(length.days)?, nanos: times(length.nanos)? })
}

/// `1-2`: years and months.
fn year_to_month(text: &str) -> Option<Length> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (years, months) = digits.split_once('-')?;
    let (years, months): (u32, u32) = (years.parse().ok()?, months.parse().ok()?);
    Some(Length { months: sign * (i128::from(years) * 12 + i128::from(months)), ..Length::default() })
}

/// `2 03:04:05.3`: the fields from `first` to `last`.
fn day_to_second(text: &str, first: &str, last: &str) -> Option<Length> {
    let field = |name: &str| DAY_TIME.iter().position(|field| *field == name);
    let (first, last) = (field(first)?, field(last)?);
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let parts: Vec<&str> =
        digits.split(|c: char| c == ':' || c.is_whitespace()).filter(|part| !part.is_empty()).collect();
    if first >= last || parts.len() != last - first + 1 {
        return None;
    }
    let mut total = Length::default();
    for (part, unit) in parts.iter().zip(DAY_TIME.get(first..=last)?) {
        if part.starts_with(['-', '+']) || (*unit != "second" && part.contains('.')) {
            return None;
        }
        let length = number_of(part, unit)?;
        total.days += sign * length.days;
        total.nanos += sign * length.nanos;
    }
    Some(total)
}

/// PostgreSQL's `1 year 2 mons 3 days 04:05:06`.
fn spelled_out(text: &str) -> Option<Length> {
    let mut total = Length::default();
    let mut add = |length: Length| {
        total = Length {
            months: total.months + length.months,
            days: total.days + length.days,
            nanos: total.nanos + length.nanos,
        };
    };
    let lower = text.to_lowercase();
    let mut words = lower.split_whitespace();
    while let Some(word) = words.next() {
        if word.contains(':') {
            let last = if word.matches(':').count() == 1 { "minute" } else { "second" };
            add(day_to_second(word, "hour", last)?);
            continue;
        }
        // `3 days` and `3days`.
        let split = word.find(|c: char| c.is_alphabetic()).unwrap_or(word.len());
        let (number, unit) = word.split_at_checked(split)?;
        let unit = if unit.is_empty() { words.next()? } else { unit };
        add(number_of(number, unit)?);
    }
    Some(total)
}

/// A timestamp's text in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TimestampParts<'a> {
    date: &'a str,
    time: String,
    pub(super) fraction: &'a str,
    pub(super) zone: Option<&'a str>,
}

impl TimestampParts<'_> {
    /// Date and time as ISO 8601 writes them.
    pub(super) fn local(&self) -> String {
        let point = if self.fraction.is_empty() { "" } else { "." };
        format!("{}T{}{point}{}", self.date, self.time, self.fraction)
    }
}

/// Takes `2020-01-31[ 10:20[:30[.123]]][ zone]` apart; `T` may stand between date and time.
pub(super) fn timestamp_parts(text: &str) -> Option<TimestampParts<'_>> {
    let text = text.trim();
    let date_end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    let (date, rest) = text.split_at_checked(date_end)?;
    let is_date = date.split('-').count() == 3 && date.split('-').all(|part| !part.is_empty());
    if !is_date {
        return None;
    }
    let rest = rest.strip_prefix('T').unwrap_or(rest).trim_start();
    let begins_time = rest.starts_with(|c: char| c.is_ascii_digit());
    let time_end = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
    let (time, rest) = if begins_time { rest.split_at_checked(time_end)? } else { ("00:00:00", rest) };
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()))?,
        None => ("", rest),
    };
    let parts: Vec<&str> = time.split(':').collect();
    if !(2..=3).contains(&parts.len()) || parts.iter().any(|part| part.is_empty() || part.len() > 2) {
        return None;
    }
    let mut padded: Vec<String> = parts.iter().map(|part| format!("{part:0>2}")).collect();
    padded.resize(3, "00".to_owned());
    let zone = Some(rest.trim()).filter(|zone| !zone.is_empty());
    Some(TimestampParts { date, time: padded.join(":"), fraction, zone })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(months: i128, days: i128, nanos: i128) -> Option<Length> {
        Some(Length { months, days, nanos })
    }

    #[test]
    fn lengths() {
        assert_eq!(number_of("30", "day"), length(0, 30, 0));
        assert_eq!(number_of("-1.5", "second"), length(0, 0, -1_500_000_000));
        assert_eq!(number_of("1.5", "month"), None);
        assert_eq!(year_to_month("-1-2"), length(-14, 0, 0));
        assert_eq!(day_to_second("2 03:04:05.321", "day", "second"), length(0, 2, 11_045_321_000_000));
        assert_eq!(day_to_second("03:04", "hour", "minute"), length(0, 0, 11_040_000_000_000));
        assert_eq!(day_to_second("03:04:05", "hour", "minute"), None);
        assert_eq!(spelled_out("1 year 2 mons 3days 04:05:06"), length(14, 3, 14_706_000_000_000));
        assert_eq!(spelled_out("5 parsecs"), None);
    }

    #[test]
    fn timestamps() {
        let local = |text: &str| timestamp_parts(text).map(|parts| (parts.local(), parts.zone.map(str::to_owned)));
        assert_eq!(local("2020-01-31"), Some(("2020-01-31T00:00:00".into(), None)));
        assert_eq!(local("2020-01-31 1:02"), Some(("2020-01-31T01:02:00".into(), None)));
        assert_eq!(
            local("2020-01-31 10:20:30.123 Europe/Paris"),
            Some(("2020-01-31T10:20:30.123".into(), Some("Europe/Paris".into())))
        );
        assert_eq!(local("2020-01-31T10:20:30+01:00"), Some(("2020-01-31T10:20:30".into(), Some("+01:00".into()))));
        assert_eq!(local("yesterday"), None);
    }
}
