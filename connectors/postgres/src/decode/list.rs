//! Arrays: every dimension becomes a list.
//!
//! The format is that of `array_send` (`arrayfuncs.c`): int32 dimensions, int32 whether there are
//! NULLs, oid of the element type, then length and lower bound of each dimension, then the elements,
//! each with its length in front, -1 for NULL.

use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};

use super::buffers::Nulls;
use super::column::Builder;
use super::fault::Fault;
use crate::types::ListDecoder;

/// PostgreSQL's own limit (`MAXDIM`).
const DIMENSIONS_MAX: usize = 6;

/// A column of arrays.
#[derive(Debug)]
pub(super) struct ListBuilder {
    element_oid: u32,
    /// The lists from the outermost to the innermost.
    levels: Vec<Level>,
    elements: Builder,
}

#[derive(Debug)]
struct Level {
    field: FieldRef,
    /// Where each list ends among the items of the next level; starts with 0.
    offsets: Vec<i32>,
    nulls: Nulls,
}

impl Level {
    /// Ends a list after `items` more items.
    fn end(&mut self, items: usize) -> Result<(), Fault> {
        let last = self.offsets.last().copied().unwrap_or(0);
        let items = i32::try_from(items).map_err(|_| Fault::TooLarge)?;
        self.offsets.push(last.checked_add(items).ok_or(Fault::TooLarge)?);
        Ok(())
    }
}

impl ListBuilder {
    /// A builder of `data_type`, a list for every dimension of `list`; `None` if they do not match.
    pub(super) fn new(list: &ListDecoder, data_type: &DataType, capacity: usize) -> Option<Self> {
        let mut levels = Vec::new();
        let mut item = data_type;
        for _ in 0..list.dimensions {
            let DataType::List(field) = item else { return None };
            levels.push(Level { field: Arc::clone(field), offsets: vec![0], nulls: Nulls::default() });
            item = field.data_type();
        }
        if levels.is_empty() {
            return None;
        }
        Some(Self { element_oid: list.element_oid, levels, elements: Builder::new(&list.element, item, capacity)? })
    }

    /// Appends an array that is not NULL.
    pub(super) fn append(&mut self, value: &[u8]) -> Result<(), Fault> {
        let (header, mut rest) = value.split_first_chunk::<12>().ok_or(Fault::Length)?;
        let [d0, d1, d2, d3, _, _, _, _, o0, o1, o2, o3] = *header;
        if u32::from_be_bytes([o0, o1, o2, o3]) != self.element_oid {
            return Err(Fault::ElementType);
        }
        let count = u32::from_be_bytes([d0, d1, d2, d3]) as usize;
        if count == 0 {
            return self.levels.first_mut().map_or(Err(Fault::Dimensions), |outer| outer.end(0));
        }
        if count != self.levels.len() || count > DIMENSIONS_MAX {
            return Err(Fault::Dimensions);
        }
        let mut lengths = [0usize; DIMENSIONS_MAX];
        let mut total = 1usize;
        for length in lengths.iter_mut().take(count) {
            let (&[l0, l1, l2, l3, _, _, _, _], tail) = rest.split_first_chunk::<8>().ok_or(Fault::Truncated)?;
            *length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
            total = total.checked_mul(*length).ok_or(Fault::Corrupt)?;
            rest = tail;
        }
        // Every element takes four bytes at least, so a lying header costs no memory.
        if total == 0 || total > rest.len() / 4 {
            return Err(Fault::Corrupt);
        }
        let mut lists = 1;
        for (level, length) in self.levels.iter_mut().zip(lengths) {
            for _ in 0..lists {
                level.end(length)?;
            }
            lists *= length;
        }
        self.append_elements(total, rest)
    }

    fn append_elements(&mut self, total: usize, mut rest: &[u8]) -> Result<(), Fault> {
        for _ in 0..total {
            rest = self.elements.take(rest)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(Fault::Length) }
    }

    pub(super) fn null(&mut self) {
        if let Some(outer) = self.levels.first_mut() {
            outer.nulls.push(outer.offsets.len() - 1);
            let end = outer.offsets.last().copied().unwrap_or(0);
            outer.offsets.push(end);
        }
    }

    /// The arrays so far.
    ///
    /// # Errors
    /// As [`Builder::finish`], with the position of the array that holds the element.
    pub(super) fn finish(&mut self, capacity: usize) -> Result<ArrayRef, (Fault, usize)> {
        let mut items = self.elements.finish(capacity).map_err(|(fault, element)| {
            // From the element up to the array: the list that ends behind it, level by level.
            let inside = |at: usize, level: &Level| level.offsets.iter().skip(1).position(|end| *end as usize > at);
            (fault, self.levels.iter().rev().fold(element, |at, level| inside(at, level).unwrap_or(0)))
        })?;
        for level in self.levels.iter_mut().rev() {
            let offsets = mem::replace(&mut level.offsets, vec![0]);
            let nulls = level.nulls.finish(offsets.len() - 1);
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            let list = ListArray::try_new(Arc::clone(&level.field), offsets, items, nulls);
            items = Arc::new(list.map_err(|_| (Fault::Corrupt, 0))?);
        }
        Ok(items)
    }
}
