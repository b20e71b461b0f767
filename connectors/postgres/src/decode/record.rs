//! Composite values become structs.
//!
//! The format is that of `record_send` (`rowtypes.c`): int32 number of attributes, then for each the
//! oid of its type, its length, -1 for NULL, and its value.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::datatypes::{DataType, Fields};

use super::buffers::Nulls;
use super::column::Builder;
use super::fault::Fault;
use crate::types::Decoder;

/// A column of composite values.
#[derive(Debug)]
pub(super) struct RecordBuilder {
    fields: Fields,
    attributes: Vec<(u32, Builder)>,
    nulls: Nulls,
    length: usize,
}

impl RecordBuilder {
    /// A builder of `data_type`, a struct with a field for every decoder; `None` if they do not match.
    pub(super) fn new(decoders: &[(u32, Decoder)], data_type: &DataType, capacity: usize) -> Option<Self> {
        let DataType::Struct(fields) = data_type else { return None };
        if fields.len() != decoders.len() {
            return None;
        }
        let pairs = decoders.iter().zip(fields);
        let attributes = pairs
            .map(|((oid, decoder), field)| Some((*oid, Builder::new(decoder, field.data_type(), capacity)?)))
            .collect::<Option<Vec<_>>>()?;
        Some(Self { fields: fields.clone(), attributes, nulls: Nulls::default(), length: 0 })
    }

    /// Appends a value that is not NULL.
    pub(super) fn append(&mut self, value: &[u8]) -> Result<(), Fault> {
        let (count, mut rest) = value.split_first_chunk::<4>().ok_or(Fault::Length)?;
        if u32::from_be_bytes(*count) as usize != self.attributes.len() {
            return Err(Fault::ElementType);
        }
        for (oid, builder) in &mut self.attributes {
            let (named, field) = rest.split_first_chunk::<4>().ok_or(Fault::Truncated)?;
            if u32::from_be_bytes(*named) != *oid {
                return Err(Fault::ElementType);
            }
            rest = builder.take(field)?;
        }
        self.length += 1;
        if rest.is_empty() { Ok(()) } else { Err(Fault::Length) }
    }

    pub(super) fn null(&mut self) {
        self.nulls.push(self.length);
        self.attributes.iter_mut().for_each(|(_, builder)| builder.null());
        self.length += 1;
    }

    /// The values so far.
    ///
    /// # Errors
    /// As [`Builder::finish`].
    pub(super) fn finish(&mut self, capacity: usize) -> Result<ArrayRef, (Fault, usize)> {
        let length = std::mem::take(&mut self.length);
        let nulls = self.nulls.finish(length);
        let columns =
            self.attributes.iter_mut().map(|(_, builder)| builder.finish(capacity)).collect::<Result<_, _>>()?;
        let array = StructArray::try_new(self.fields.clone(), columns, nulls).map_err(|_| (Fault::Corrupt, 0))?;
        Ok(Arc::new(array))
    }
}
