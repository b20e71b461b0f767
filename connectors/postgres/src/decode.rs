//! Rows of PostgreSQL into record batches.
//!
//! ```text
//! int16 fields | int32 length, bytes | int32 length, bytes | ...      one row, as the socket delivered it
//!                 `-> builder of c0      `-> builder of c1             one pass, no value is allocated
//! ```

mod buffers;
mod column;
mod digits;
mod fault;
mod field;
mod list;
mod numeric;
mod record;
mod temporal;
mod text;

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use meesh_base::{Error, Result};

use crate::types::Decoder;
use crate::wire::{RowOutcome, RowSink, Tuple, ValueFormat};
use column::Builder;
use fault::Fault;
use field::split_field;

/// Rows to make room for at first: most results are small.
const FIRST_ROWS: usize = 1024;
/// A batch ends at this many bytes even if it has few rows.
const BATCH_BYTES: usize = 4 << 20;

/// Fills record batches from tuples. After an error it holds half a row and must be dropped.
#[derive(Debug)]
pub(crate) struct BatchDecoder {
    /// Catalog and table, for messages.
    place: Arc<str>,
    schema: SchemaRef,
    builders: Vec<Builder>,
    batch_rows: usize,
    rows: usize,
    bytes: usize,
    rows_before: u64,
}

impl BatchDecoder {
    /// A decoder of tuples whose fields are `decoders`, into batches of `schema`.
    ///
    /// # Errors
    /// `Internal` if a decoder does not yield its column's type.
    pub(crate) fn new(place: Arc<str>, schema: SchemaRef, decoders: &[Decoder], batch_rows: usize) -> Result<Self> {
        Self::built(place, schema, decoders, batch_rows, Builder::of_column)
    }

    fn built(
        place: Arc<str>,
        schema: SchemaRef,
        decoders: &[Decoder],
        batch_rows: usize,
        build: impl Fn(&Decoder, &DataType, usize) -> Option<Builder>,
    ) -> Result<Self> {
        let batch_rows = batch_rows.max(1);
        let builder = |(decoder, field): (&Decoder, &Arc<arrow::datatypes::Field>)| {
            build(decoder, field.data_type(), batch_rows.min(FIRST_ROWS)).ok_or_else(|| {
                Error::internal(format!("{place}: column {:?} cannot be read as {}", field.name(), field.data_type()))
            })
        };
        let builders = decoders.iter().zip(schema.fields()).map(builder).collect::<Result<Vec<_>>>()?;
        if builders.len() != schema.fields().len() {
            return Err(Error::internal(format!("{place}: {} columns expected", schema.fields().len())));
        }
        Ok(Self { place, schema, builders, batch_rows, rows: 0, bytes: 0, rows_before: 0 })
    }

    /// How the values of the columns must come.
    pub(crate) fn formats(&self) -> Vec<ValueFormat> {
        self.builders.iter().map(Builder::format).collect()
    }

    /// Whether there is no row to make a batch of.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The bytes of the rows in the batch being filled.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows so far as a batch; the next row starts a new one.
    ///
    /// # Errors
    /// `SourceData` for text that is not UTF-8 and for a NULL in a column declared NOT NULL.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let mut arrays = Vec::with_capacity(self.builders.len());
        for index in 0..self.builders.len() {
            let array = self.builders[index].finish(self.rows);
            let array = array.map_err(|(fault, row)| self.error(fault, index, row, &[]))?;
            if array.null_count() > 0 && !self.schema.field(index).is_nullable() {
                let row = (0..array.len()).find(|row| array.is_null(*row)).unwrap_or(0);
                return Err(self.error(Fault::UnexpectedNull, index, row, &[]));
            }
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(|error| {
            Error::internal(format!("{}: batch does not fit its schema", self.place)).with_cause(error)
        })?;
        self.rows_before += self.rows as u64;
        (self.rows, self.bytes) = (0, 0);
        Ok(batch)
    }

    /// The error for what is wrong with the first of `fields`, if not with the row.
    #[cold]
    fn error(&self, fault: Fault, column: usize, row: usize, fields: &[u8]) -> Error {
        let name = self.schema.fields().get(column).map_or("?", |field| field.name());
        let shown = match (self.builders.get(column), split_field(fields)) {
            (Some(Builder::Decimal128(..) | Builder::Decimal256(..)), Ok((Some(value), _))) => {
                numeric::text(value.bytes())
            }
            (Some(Builder::Decimal128Text(..)), Ok((Some(value), _))) => {
                str::from_utf8(value.bytes()).ok().map(str::to_owned)
            }
            _ => None,
        };
        fault.error(&self.place, name, self.rows_before + row as u64 + 1, shown.as_deref())
    }
}

impl RowSink for BatchDecoder {
    #[inline]
    fn row(&mut self, tuple: Tuple<'_>) -> Result<RowOutcome> {
        let columns = self.builders.len();
        // What lies behind the tuple is taken for fields only if it is broken, and is found out at its end.
        let Some((count, mut fields)) = tuple.with_rest().split_first_chunk::<2>() else {
            return Err(self.error(Fault::Truncated, 0, self.rows, &[]));
        };
        if usize::from(u16::from_be_bytes(*count)) != columns {
            return Err(self.error(Fault::FieldCount, 0, self.rows, &[]));
        }
        for (index, builder) in self.builders.iter_mut().enumerate() {
            match builder.take(fields) {
                Ok(rest) => fields = rest,
                Err(fault) => return Err(self.error(fault, index, self.rows, fields)),
            }
        }
        match (tuple.with_rest().len() - fields.len()).cmp(&tuple.len()) {
            Ordering::Equal => {}
            Ordering::Less => return Err(self.error(Fault::FieldCount, 0, self.rows, &[])),
            Ordering::Greater => return Err(self.error(Fault::Truncated, columns.saturating_sub(1), self.rows, &[])),
        }
        self.rows += 1;
        self.bytes += tuple.len();
        let full = self.rows >= self.batch_rows || self.bytes >= BATCH_BYTES;
        Ok(if full { RowOutcome::Full } else { RowOutcome::Continue })
    }
}

#[cfg(test)]
mod tests;
