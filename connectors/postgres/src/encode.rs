//! Record batches into COPY BINARY tuples: the other way round than [`crate::decode`].
//!
//! ```text
//! batch of the column's Arrow types --travel.rs--> the PostgreSQL type that the bytes are of
//!    |                                             equal to the column's: COPY into the table
//!    `- one pass, row by row, into a frame         else: into a temporary table, and a cast from there
//! ```

mod column;
mod fault;
mod numeric;
mod travel;

use std::sync::Arc;

use arrow::array::RecordBatch;
use meesh_base::Result;

use column::Values;
pub(crate) use travel::{Carrier, Encoder, carrier, direct};

/// What a COPY BINARY begins with: signature, flags, and the length of no extension (manual, COPY).
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(crate) const TRAILER: &[u8] = &[0xff, 0xff];

/// One batch on its way into frames.
pub(crate) struct BatchRows<'a> {
    columns: Vec<Values<'a>>,
    names: &'a [Arc<str>],
    place: &'a str,
    rows: usize,
    next: usize,
}

impl<'a> BatchRows<'a> {
    /// The rows of `batch`, whose columns are encoded by `encoders` and called `names` in messages;
    /// `place` names catalog and table.
    ///
    /// # Errors
    /// `Internal` if a column has not the type that its encoder takes.
    pub(crate) fn new(
        batch: &'a RecordBatch,
        encoders: &'a [Encoder],
        names: &'a [Arc<str>],
        place: &'a str,
    ) -> Result<Self> {
        let values = |((encoder, array), name): ((&'a Encoder, &'a _), &Arc<str>)| {
            Values::new(encoder, array).ok_or_else(|| {
                meesh_base::Error::internal(format!("{place}: column {name:?} cannot be written as {encoder:?}"))
            })
        };
        let columns = encoders.iter().zip(batch.columns()).zip(names).map(values).collect::<Result<Vec<_>>>()?;
        Ok(Self { columns, names, place, rows: batch.num_rows(), next: 0 })
    }

    /// Appends rows to `frame` until it holds `bytes` or there is no row left; whether any is.
    ///
    /// # Errors
    /// `InvalidQuery`, naming the column, for a value that PostgreSQL cannot hold.
    pub(crate) fn fill(&mut self, frame: &mut Vec<u8>, bytes: usize) -> Result<bool> {
        // A table has 1,600 columns at most.
        let count = (self.columns.len() as u16).to_be_bytes();
        while self.next < self.rows && frame.len() < bytes {
            frame.extend_from_slice(&count);
            for (index, column) in self.columns.iter().enumerate() {
                if let Err(fault) = column.append(self.next, frame) {
                    return Err(fault.error(self.place, self.names.get(index).map_or("?", |name| name)));
                }
            }
            self.next += 1;
        }
        Ok(self.next < self.rows)
    }
}

#[cfg(test)]
mod tests;
