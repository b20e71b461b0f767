//! What the builders of columns have in common.

use std::mem;

use arrow::buffer::{BooleanBuffer, NullBuffer};

/// Where the NULLs are. Kept as positions, so that a value costs nothing.
#[derive(Debug, Default)]
pub(super) struct Nulls(Vec<usize>);

impl Nulls {
    pub(super) fn push(&mut self, position: usize) {
        self.0.push(position);
    }

    /// The validity of `length` values; `None` if all are valid.
    pub(super) fn finish(&mut self, length: usize) -> Option<NullBuffer> {
        let positions = mem::take(&mut self.0);
        if positions.is_empty() {
            return None;
        }
        let mut bytes = vec![0xffu8; length.div_ceil(8)];
        for position in positions {
            if let Some(byte) = bytes.get_mut(position / 8) {
                *byte &= !(1 << (position % 8));
            }
        }
        Some(NullBuffer::new(BooleanBuffer::new(bytes.into(), 0, length)))
    }
}

/// `values`, without room that would count against the query's memory for as long as they live.
pub(super) fn fitted<T>(mut values: Vec<T>) -> Vec<T> {
    if values.capacity() - values.len() > values.len() / 4 {
        values.shrink_to_fit();
    }
    values
}
