//! A run of whole records of one object, and errors that say where in it they are.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use bytes::Bytes;
use meesh_base::Error;
use memchr::memchr_iter;

use crate::pinned::PinnedObject;
use crate::sqltype::sql_name;

/// Whole records, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) text: Bytes,
    /// The line, counted from 1, that the text starts at.
    pub(crate) line: u64,
    pub(crate) object: Arc<PinnedObject>,
}

/// One column to read from text.
#[derive(Debug, Clone)]
pub(crate) struct TextColumn {
    pub(crate) field: FieldRef,
    /// Whether its type comes from a sample: such a column takes no text that the sample's rules
    /// would not have taken.
    pub(crate) inferred: bool,
}

/// What may be wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It does not read as the type.
    Syntax,
    /// It is a whole number that the type cannot hold exactly.
    Inexact,
    /// It is not UTF-8.
    Encoding,
}

impl Piece {
    /// The line of a place in the text.
    pub(crate) fn line_at(&self, offset: usize) -> u64 {
        self.line + memchr_iter(b'\n', &self.text[..offset.min(self.text.len())]).count() as u64
    }

    /// An error at a place in the text: `object "…" line 7: text`.
    pub(crate) fn fault_at(&self, offset: usize, text: &str) -> Error {
        self.object.fault(&format!("line {}: {text}", self.line_at(offset)))
    }

    /// The error of a value that does not fit its column. `remedy` says how the column is declared.
    pub(crate) fn misfit(
        &self,
        offset: usize,
        value: &[u8],
        column: &TextColumn,
        misfit: Misfit,
        remedy: &str,
    ) -> Error {
        let name = column.field.name();
        let data_type = sql_name(column.field.data_type());
        let value = shown(value);
        let (text, hint) = match misfit {
            Misfit::Syntax => (format!("value {value} is not a {data_type}"), "correct the value"),
            Misfit::Inexact => (format!("value {value} is not exact as a {data_type}"), "correct the value"),
            Misfit::Encoding => (format!("value {value} is not UTF-8 text"), "write the file as UTF-8"),
        };
        let error = self.fault_at(offset, &format!("column {name:?}: {text}"));
        match (misfit, column.inferred) {
            (Misfit::Encoding, _) => error.with_hint(hint),
            (_, true) => error.with_hint(format!("{hint}, or declare the column's type: {remedy}")),
            (_, false) => error.with_hint(format!("{hint}, or the type in {remedy}")),
        }
    }
}

/// A value in quotes, cut where it would fill the message.
pub(crate) fn shown(value: &[u8]) -> String {
    const CHARS_MAX: usize = 60;
    let text = String::from_utf8_lossy(value);
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
