//! The type of a column of texts, from all of its texts in a sample.
//!
//! A type is taken only if it loses nothing: `007` is text, and so is a whole number beyond 64 bits.

use arrow::datatypes::{DataType, TimeUnit};

use crate::scalar::{is_exact_double, is_plain};
use crate::sqltype::UTC;
use crate::values::{parse_bool, parse_date, parse_f64, parse_i64, parse_timestamp};

/// What one text may be, the narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool = 1,
    Integer = 2,
    Double = 4,
    Date = 8,
    Timestamp = 16,
    Instant = 32,
    Text = 64,
}

/// The kinds of text seen in one column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Guess {
    kinds: u8,
    /// A whole number was seen that is not exactly a double.
    wide_integer: bool,
}

impl Guess {
    /// Looks at a text that is not NULL.
    pub(crate) fn observe(&mut self, text: &[u8]) {
        if self.kinds & Kind::Text as u8 != 0 {
            return;
        }
        let text = text.trim_ascii();
        if text.is_empty() {
            return;
        }
        let kind = kind_of(text);
        self.kinds |= kind as u8;
        if kind == Kind::Integer && !is_exact_double(text) {
            self.wide_integer = true;
        }
    }

    /// A text that is no other type, whatever it looks like.
    pub(crate) fn observe_text(&mut self) {
        self.kinds |= Kind::Text as u8;
    }

    /// Whether texts were seen, and all of a type other than text.
    pub(crate) fn is_typed(&self) -> bool {
        !matches!(self.data_type(), DataType::Null | DataType::Utf8View)
    }

    /// Whether `text` is not of the type of the texts seen.
    pub(crate) fn excludes(&self, text: &[u8]) -> bool {
        let mut with = *self;
        with.observe(text);
        self.is_typed() && !with.is_typed()
    }

    /// Whether a text alone reads as something else than text.
    pub(crate) fn reads_as_value(text: &[u8]) -> bool {
        kind_of(text) != Kind::Text
    }

    /// The narrowest type that holds every text seen; `Null` if none was.
    pub(crate) fn data_type(&self) -> DataType {
        const BOOL: u8 = Kind::Bool as u8;
        const INTEGER: u8 = Kind::Integer as u8;
        const DOUBLE: u8 = Kind::Double as u8;
        const DATE: u8 = Kind::Date as u8;
        const TIMESTAMP: u8 = Kind::Timestamp as u8;
        const INSTANT: u8 = Kind::Instant as u8;
        const NUMBER: u8 = INTEGER | DOUBLE;
        const DAY_AND_TIME: u8 = DATE | TIMESTAMP;
        match self.kinds {
            0 => DataType::Null,
            BOOL => DataType::Boolean,
            INTEGER => DataType::Int64,
            DOUBLE => DataType::Float64,
            NUMBER if !self.wide_integer => DataType::Float64,
            DATE => DataType::Date32,
            TIMESTAMP | DAY_AND_TIME => DataType::Timestamp(TimeUnit::Microsecond, None),
            INSTANT => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            _ => DataType::Utf8View,
        }
    }
}

fn kind_of(text: &[u8]) -> Kind {
    match text.first() {
        Some(b'0'..=b'9' | b'-' | b'+' | b'.') => {
            if parse_i64(text).is_some() && is_plain(text) {
                return Kind::Integer;
            }
            let looks_whole = text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-'));
            if !looks_whole && is_plain(text) && parse_f64(text).is_ok() {
                return Kind::Double;
            }
            if parse_date(text).is_some() {
                return Kind::Date;
            }
            match parse_timestamp(text) {
                // The type of samples ends at microseconds: one of nanoseconds holds few centuries.
                Some(timestamp) if timestamp.nanos != 0 => Kind::Text,
                Some(timestamp) if timestamp.zoned => Kind::Instant,
                Some(_) => Kind::Timestamp,
                None => Kind::Text,
            }
        }
        Some(b't' | b'T' | b'f' | b'F') if parse_bool(text).is_some() => Kind::Bool,
        Some(b'N' | b'n' | b'I' | b'i') if parse_f64(text).is_ok() => Kind::Double,
        _ => Kind::Text,
    }
}

/// The kind of a JSON text in quotes: a point in time, or text.
pub(crate) fn observe_json_text(guess: &mut Guess, text: &[u8]) {
    if text.first().is_some_and(u8::is_ascii_digit) && (parse_date(text).is_some() || parse_timestamp(text).is_some()) {
        guess.observe(text);
    } else {
        guess.observe_text();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(texts: &[&str]) -> DataType {
        let mut guess = Guess::default();
        texts.iter().for_each(|text| guess.observe(text.as_bytes()));
        guess.data_type()
    }

    #[test]
    fn the_narrowest_type_that_loses_nothing() {
        let timestamp = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (texts, expected) in [
            (&[][..], DataType::Null),
            (&["", "  "], DataType::Null),
            (&["true", "FALSE"], DataType::Boolean),
            (&["1", "-2", "0"], DataType::Int64),
            (&["1", "2.5"], DataType::Float64),
            (&["1e3", "NaN"], DataType::Float64),
            (&["9007199254740993"], DataType::Int64),
            (&["9007199254740993", "0.5"], DataType::Utf8View),
            (&["9223372036854775808"], DataType::Utf8View),
            (&["02134"], DataType::Utf8View),
            (&["+4912345"], DataType::Utf8View),
            (&["2026-11-23"], DataType::Date32),
            (&["2026-11-23", "2026-11-23 10:15:00"], timestamp(None)),
            (&["2026-11-23T10:15:00Z"], timestamp(Some("UTC"))),
            (&["2026-11-23T10:15:00Z", "2026-11-23T10:15:00"], DataType::Utf8View),
            (&["2026-11-23 10:15:00.123456789"], DataType::Utf8View),
            (&["2026-02-30"], DataType::Utf8View),
            (&["1.5", "1e400"], DataType::Utf8View),
            (&["1", "true"], DataType::Utf8View),
            (&["1", "n/a"], DataType::Utf8View),
            (&["Nancy"], DataType::Utf8View),
        ] {
            assert_eq!(guess(texts), expected, "{texts:?}");
        }
    }
}
