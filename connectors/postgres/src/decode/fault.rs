//! What can be wrong with a value, and how it is told.

use meesh_base::Error;

/// A value that cannot become Arrow. Small, because it travels through the hot path's results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The row ends inside a value.
    Truncated,
    /// The row has more or fewer fields than there are columns.
    FieldCount,
    /// The value has not the length of its type.
    Length,
    /// The bytes cannot be a value of the type.
    Corrupt,
    /// `infinity`, which Arrow's dates and numbers do not have.
    Infinite,
    /// Arrow's type is narrower.
    OutOfRange,
    /// `NaN` in a numeric.
    NotANumber,
    /// More decimals than the column's scale.
    Inexact,
    /// More digits than the column's precision.
    TooLarge,
    /// An array of another number of dimensions than declared.
    Dimensions,
    /// An array of another type than declared.
    ElementType,
    /// Text that is not UTF-8.
    NotUtf8,
    /// NULL in a column declared NOT NULL.
    UnexpectedNull,
}

const CHANGED: &str = "the table may have changed while it was read: run the query again";
const AS_TEXT: &str =
    "leave such rows out with a WHERE that is pushed, or read the column through a view that casts it to text";
const ARRAY_AS_TEXT: &str =
    "read such arrays as text: jdbc-types-mapped-to-varchar=_int4 (or another array type) in the catalog file";
const UTF8: &str = "correct the text, or the encoding of the database";
const DECIMAL: &str = "raise decimal-default-scale, or set decimal-mapping=ALLOW_OVERFLOW and decimal-rounding-mode, \
                       in the catalog file";

#[rustfmt::skip]
const WORDS: &[(Fault, &str, &str)] = &[
    (Fault::Truncated,      "row ends inside the value",                        CHANGED),
    (Fault::FieldCount,     "row has another number of fields than columns",    CHANGED),
    (Fault::Length,         "value has not the length of its type",             CHANGED),
    (Fault::Corrupt,        "value cannot be decoded",                          CHANGED),
    (Fault::Infinite,       "value is infinite",                                AS_TEXT),
    (Fault::OutOfRange,     "value is out of range",                            AS_TEXT),
    (Fault::NotANumber,     "value NaN does not fit a decimal",                 AS_TEXT),
    (Fault::Inexact,        "value has more decimals than its decimal type",    DECIMAL),
    (Fault::TooLarge,       "value has more digits than its decimal type",      DECIMAL),
    (Fault::Dimensions,     "array has another number of dimensions than declared", ARRAY_AS_TEXT),
    (Fault::ElementType,    "array has another element type than declared",     CHANGED),
    (Fault::NotUtf8,        "text is not valid UTF-8",                          UTF8),
    (Fault::UnexpectedNull, "value is NULL although the column is NOT NULL",    CHANGED),
];

impl Fault {
    /// The error that tells it. `place` names catalog and table, `row` counts the rows of this
    /// stream from 1, `value` is the value as text where that is known.
    pub(crate) fn error(self, place: &str, column: &str, row: u64, value: Option<&str>) -> Error {
        let (_, words, hint) = WORDS.iter().find(|(fault, ..)| *fault == self).copied().unwrap_or(WORDS[3]);
        let shown = value.map(|value| format!(" {value}")).unwrap_or_default();
        let words = words.strip_prefix("value").map_or_else(|| words.to_owned(), |rest| format!("value{shown}{rest}"));
        Error::source_data(format!("{place}: column {column:?}: {words}, in row {row} of the scan")).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_column_row_value_and_key() {
        let error = Fault::Inexact.error("catalog \"sales\"", "amount", 7, Some("0.12345678901"));
        let text = error.to_string();
        assert!(
            text.starts_with("catalog \"sales\": column \"amount\": value 0.12345678901 has more decimals"),
            "{text}"
        );
        assert!(text.contains("row 7") && text.contains("decimal-default-scale"), "{text}");
    }
}
