//! Values as text, the same in every output format.

use arrow::array::{Array, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_null("NULL")
    .with_datetime_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));

/// The cells of one batch as text.
pub(crate) struct Cells<'a> {
    columns: Vec<(Option<NullBuffer>, ArrayFormatter<'a>)>,
}

impl<'a> Cells<'a> {
    /// Prepares to read `batch`.
    ///
    /// # Errors
    /// Arrow's, for a type that it cannot print.
    pub(crate) fn new(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        let columns = batch
            .columns()
            .iter()
            // Not every array has its NULLs in a bitmap of its own: dictionaries, runs and the type of NULL do not.
            .map(|column| Ok((column.logical_nulls(), ArrayFormatter::try_new(column.as_ref(), &OPTIONS)?)))
            .collect::<Result<_, ArrowError>>()?;
        Ok(Self { columns })
    }

    /// The text of a cell, or `None` for NULL.
    ///
    /// # Errors
    /// Arrow's, for a value out of range, such as a date after the year 262142.
    pub(crate) fn text(&self, column: usize, row: usize) -> Result<Option<String>, ArrowError> {
        match self.columns.get(column) {
            Some((nulls, formatter)) if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) => {
                formatter.value(row).try_to_string().map(Some)
            }
            _ => Ok(None),
        }
    }

    /// How many columns there are.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }
}

/// Whether values are numbers, which stand to the right.
pub(crate) fn is_number(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_number(value),
        other => other.is_numeric(),
    }
}

/// `text` with control characters and those that reorder a line written as escapes, so that no value
/// can drive the terminal it is shown on.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(c.escape_unicode()),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, NullArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn values_look_like_sql() {
        let decimals = Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(12, 2).unwrap();
        let times = TimestampMicrosecondArray::from(vec![1_500_000, 0]).with_timezone("UTC");
        let batch = RecordBatch::try_from_iter([
            ("d", Arc::new(decimals) as Arc<dyn Array>),
            ("t", Arc::new(times) as Arc<dyn Array>),
            ("n", Arc::new(NullArray::new(2)) as Arc<dyn Array>),
        ])
        .unwrap();
        let cells = Cells::new(&batch).unwrap();
        assert_eq!(cells.text(0, 0).unwrap().as_deref(), Some("12.50"));
        assert_eq!(cells.text(0, 1).unwrap(), None);
        assert_eq!(cells.text(2, 0).unwrap(), None);
        assert_eq!(cells.text(1, 0).unwrap().as_deref(), Some("1970-01-01 00:00:01.500+00:00"));
    }

    #[test]
    fn no_value_drives_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc\u{202e}"), "a\\u{1b}[31mb\\nc\\u{202e}");
        assert_eq!(printable("é 日本"), "é 日本");
    }
}
