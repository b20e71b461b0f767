//! JSON records to Arrow arrays: one pass over the text, straight into the builders of the wanted fields.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Fields;
use meesh_base::{Error, Result};

use super::lex::{JsonFault, Lexer};
use super::split::JsonLayout;
use super::values::{Fault, ObjectDecoder};
use crate::piece::{Piece, TextColumn};

/// Places in arrays after which a batch is full: `{}` fills one in each of a thousand columns.
const SLOTS_ENOUGH: usize = 2 << 20;

/// Gathers the wanted fields of records until a batch is full.
pub(crate) struct JsonDecoder {
    columns: Arc<[TextColumn]>,
    /// How columns are declared, for messages.
    remedy: Arc<str>,
    record: ObjectDecoder,
    /// Places that one record fills, the items of its arrays beside.
    width: usize,
    rows: usize,
    /// Places filled since the last batch.
    slots: usize,
}

impl JsonDecoder {
    pub(crate) fn new(columns: Arc<[TextColumn]>, remedy: Arc<str>) -> Self {
        let fields: Fields = columns.iter().map(|column| Arc::clone(&column.field)).collect();
        let inferred = columns.iter().all(|column| column.inferred);
        let record = ObjectDecoder::of_record(&fields, inferred);
        Self { width: record.width(), record, columns, remedy, rows: 0, slots: 0 }
    }

    /// Rows gathered so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the gathered rows fill arrays as much as a batch should.
    pub(crate) fn is_full(&self) -> bool {
        self.slots >= SLOTS_ENOUGH
    }

    /// Takes records from the front of `piece` until `rows_max` rows are gathered or the batch is full,
    /// and leaves the rest.
    ///
    /// # Errors
    /// `SourceData` naming object and line, and column and value where one does not fit.
    pub(crate) fn push(&mut self, piece: &mut Piece, layout: JsonLayout, rows_max: usize) -> Result<()> {
        let text = piece.text.clone();
        let mut lexer = Lexer::new(&text);
        while self.rows < rows_max && !self.is_full() {
            match self.next_record(&mut lexer, layout) {
                Ok(true) => self.rows += 1,
                Ok(false) => break,
                Err(fault) => return Err(self.error(piece, fault)),
            }
        }
        let used = lexer.at();
        if used < text.len() {
            piece.line = piece.line_at(used);
        }
        piece.text = text.slice(used..);
        Ok(())
    }

    fn next_record(&mut self, lexer: &mut Lexer<'_>, layout: JsonLayout) -> Result<bool, Fault> {
        if layout == JsonLayout::Array {
            // Brackets and commas around records were followed by the splitter.
            while lexer.take(b'[') || lexer.take(b',') || lexer.take(b']') {}
        }
        match lexer.peek() {
            None => Ok(false),
            Some(b'{') => {
                self.slots += self.width;
                self.record.append(lexer, &mut self.slots)?;
                Ok(true)
            }
            Some(_) => Err(lexer.fault("a record is expected to be an object").into()),
        }
    }

    /// The gathered rows, one array a column.
    pub(crate) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        let rows = std::mem::take(&mut self.rows);
        self.slots = 0;
        let (arrays, _) = self.record.finish_parts();
        if arrays.iter().any(|array| array.len() != rows) {
            return Err(Error::internal("columns of JSON records came out of step"));
        }
        Ok(arrays)
    }

    fn error(&self, piece: &Piece, fault: Fault) -> Error {
        match fault {
            Fault::Json(JsonFault { at, what }) => {
                piece.fault_at(at, &format!("not valid JSON: {what}")).with_hint("correct the record")
            }
            Fault::TooLong { at, field } => piece
                .fault_at(at, &format!("column {:?}: the arrays of the record hold too many values", field.name()))
                .with_hint(format!("declare the column as varchar, to read it as JSON text: {}", self.remedy)),
            Fault::Misfit { at, value, field, misfit } => {
                let inferred = self.columns.iter().any(|column| column.inferred);
                piece.misfit(at, &value, &TextColumn { field, inferred }, misfit, &self.remedy)
            }
        }
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
