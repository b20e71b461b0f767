//! Values that PostgreSQL cannot hold, and how that is told.

use meesh_base::Error;

/// A value that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A text with the character U+0000.
    Zero,
    /// A date or time before or after all of PostgreSQL's.
    OutOfRange,
    /// A text that is no UUID.
    NotUuid,
    /// An interval with nanoseconds.
    Nanoseconds,
    /// A value of more than 1 GB.
    TooLarge,
}

impl Fault {
    /// The error that tells it.
    pub(super) fn error(self, place: &str, column: &str) -> Error {
        let (what, hint, code) = match self {
            Self::Zero => (
                "text holds the character U+0000",
                "PostgreSQL cannot store it: remove it, as with replace(x, chr(0), '')",
                "INVALID_FUNCTION_ARGUMENT",
            ),
            Self::OutOfRange => (
                "date or time is out of PostgreSQL's range",
                "leave such rows out, or replace the value",
                "NUMERIC_VALUE_OUT_OF_RANGE",
            ),
            Self::NotUuid => {
                ("text is no UUID", "it has 32 hexadecimal digits, with or without hyphens", "INVALID_CAST_ARGUMENT")
            }
            Self::Nanoseconds => {
                ("interval has nanoseconds", "PostgreSQL keeps microseconds: round it", "NUMERIC_VALUE_OUT_OF_RANGE")
            }
            Self::TooLarge => ("value is larger than 1 GB", "store it elsewhere", "NUMERIC_VALUE_OUT_OF_RANGE"),
        };
        Error::invalid_query(format!("{place}: column {column:?}: {what}")).with_hint(hint).with_code(code)
    }
}
