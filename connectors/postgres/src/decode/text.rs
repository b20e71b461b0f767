//! Texts and bytes. Characters are collected in one buffer per batch, checked in one sweep, and
//! only then cut into views.

use std::mem;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, BinaryViewArray, StringArray, StringViewArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::buffers::{Nulls, fitted};
use super::fault::Fault;
use super::field::split_field;
use crate::types::TextForm;

/// Views hold values up to this length themselves (Arrow's columnar format, "Variable-size Binary View Layout").
const INLINE_MAX: usize = 12;
const HEX: &[u8; 16] = b"0123456789abcdef";
/// The version that `jsonb_send` writes.
const JSONB_VERSION: u8 = 1;

/// A column of texts or bytes.
#[derive(Debug)]
pub(super) struct TextBuilder {
    /// `None` for bytes.
    form: Option<TextForm>,
    data_type: DataType,
    /// Where each value ends; starts with 0.
    offsets: Vec<i32>,
    data: Vec<u8>,
    nulls: Nulls,
    longest: usize,
}

impl TextBuilder {
    /// A builder of texts; `None` if `data_type` is no text.
    pub(super) fn text(form: TextForm, data_type: &DataType, capacity: usize) -> Option<Self> {
        matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            .then(|| Self::new(Some(form), data_type, capacity))
    }

    /// A builder of bytes; `None` if `data_type` is no binary.
    pub(super) fn bytes(data_type: &DataType, capacity: usize) -> Option<Self> {
        matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
            .then(|| Self::new(None, data_type, capacity))
    }

    fn new(form: Option<TextForm>, data_type: &DataType, capacity: usize) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        let data = Vec::with_capacity(capacity.saturating_mul(16));
        Self { form, data_type: data_type.clone(), offsets, data, nulls: Nulls::default(), longest: 0 }
    }

    /// Whether a value is the same bytes in both of PostgreSQL's formats.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.form, Some(TextForm::Plain | TextForm::Padded))
    }

    /// Takes the first of `fields` in; says what follows it.
    #[inline(always)]
    pub(super) fn take<'a>(&mut self, fields: &'a [u8]) -> Result<&'a [u8], Fault> {
        let (value, rest) = split_field(fields)?;
        let Some(value) = value else {
            self.null();
            return Ok(rest);
        };
        let length = match self.form {
            Some(TextForm::Plain) | None => value.len(),
            Some(TextForm::Padded) => trimmed(value.bytes()),
            Some(TextForm::Versioned) => return self.append_versioned(value.bytes()).map(|()| rest),
            Some(TextForm::Uuid) => return self.append_uuid(value.bytes()).map(|()| rest),
        };
        self.longest = self.longest.max(length);
        let end = self.data.len() + length;
        match (value.window::<16>(), value.window::<64>()) {
            (Some(window), _) if length <= 16 => self.data.extend_from_slice(window),
            (_, Some(window)) if length <= 64 => self.data.extend_from_slice(window),
            _ => self.data.extend_from_slice(value.bytes()),
        }
        self.data.truncate(end);
        self.offsets.push(i32::try_from(end).map_err(|_| Fault::TooLarge)?);
        Ok(rest)
    }

    fn append_versioned(&mut self, value: &[u8]) -> Result<(), Fault> {
        let Some((&JSONB_VERSION, text)) = value.split_first() else { return Err(Fault::Corrupt) };
        self.longest = self.longest.max(text.len());
        self.data.extend_from_slice(text);
        self.end_value()
    }

    #[inline(always)]
    fn end_value(&mut self) -> Result<(), Fault> {
        self.offsets.push(i32::try_from(self.data.len()).map_err(|_| Fault::TooLarge)?);
        Ok(())
    }

    /// 16 bytes as RFC 9562 writes them: 8-4-4-4-12 hexadecimal digits.
    fn append_uuid(&mut self, value: &[u8]) -> Result<(), Fault> {
        let bytes: &[u8; 16] = value.try_into().map_err(|_| Fault::Length)?;
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        self.longest = text.len();
        self.data.extend_from_slice(&text);
        self.end_value()
    }

    pub(super) fn null(&mut self) {
        self.nulls.push(self.offsets.len() - 1);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.offsets.push(end);
    }

    /// The values so far.
    ///
    /// # Errors
    /// [`Fault::NotUtf8`] with the position of the first text that is not UTF-8.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, (Fault, usize)> {
        let room = self.data.len() + self.data.len() / 8;
        let mut fresh = Vec::with_capacity(self.offsets.len());
        fresh.push(0);
        let offsets = fitted(mem::replace(&mut self.offsets, fresh));
        let data = fitted(mem::replace(&mut self.data, Vec::with_capacity(room)));
        let nulls = self.nulls.finish(offsets.len() - 1);
        let inline = mem::take(&mut self.longest) <= INLINE_MAX;
        // A column of short values would only drag its buffer along.
        if self.form.is_some() {
            let (offsets, data) = (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from(data));
            let array = StringArray::try_new(offsets.clone(), data.clone(), nulls);
            let array = array.map_err(|_| (Fault::NotUtf8, first_not_utf8(&offsets, &data)))?;
            return Ok(match &self.data_type {
                DataType::Utf8View => {
                    let views = StringViewArray::from(&array);
                    Arc::new(if inline { views.gc() } else { views })
                }
                DataType::Utf8 => Arc::new(array),
                other => cast(&array, other).map_err(|_| (Fault::Corrupt, 0))?,
            });
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let array = BinaryArray::try_new(offsets, Buffer::from(data), nulls).map_err(|_| (Fault::Corrupt, 0))?;
        Ok(match &self.data_type {
            DataType::BinaryView => {
                let views = BinaryViewArray::from(&array);
                Arc::new(if inline { views.gc() } else { views })
            }
            DataType::Binary => Arc::new(array) as Arc<dyn Array>,
            other => cast(&array, other).map_err(|_| (Fault::Corrupt, 0))?,
        })
    }
}

/// The length of `value` without the blanks at its end.
#[inline(always)]
fn trimmed(value: &[u8]) -> usize {
    let (words, rest) = value.as_chunks::<8>();
    let mut length = 0;
    // Forward, because the number of blanks differs from value to value and that of words does not.
    for (index, word) in words.iter().enumerate() {
        let others = u64::from_le_bytes(*word) ^ u64::from_le_bytes([b' '; 8]);
        let end = 8 * (index + 1) - others.leading_zeros() as usize / 8;
        length = if others == 0 { length } else { end };
    }
    for (index, byte) in rest.iter().enumerate() {
        length = if *byte == b' ' { length } else { 8 * words.len() + index + 1 };
    }
    length
}

#[cold]
fn first_not_utf8(offsets: &[i32], data: &[u8]) -> usize {
    let invalid = |pair: &[i32]| match *pair {
        [start, end] => data.get(start as usize..end as usize).is_none_or(|text| str::from_utf8(text).is_err()),
        _ => false,
    };
    offsets.windows(2).position(invalid).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_blanks_at_the_end_are_cut() {
        for blanks in 0..20 {
            for word in ["", "a", " a", "a b", "1234567", "12345678", "a       b", "x\t", "x\u{a0}"] {
                let padded = format!("{word}{}", " ".repeat(blanks));
                assert_eq!(trimmed(padded.as_bytes()), word.len(), "{padded:?}");
            }
        }
    }
}
