//! One field of a row.

use super::fault::Fault;

/// A value that is not NULL, and whatever follows it in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    with_rest: &'a [u8],
    length: usize,
}

impl<'a> Value<'a> {
    /// The value's bytes.
    #[inline(always)]
    pub(super) fn bytes(self) -> &'a [u8] {
        self.with_rest.get(..self.length).unwrap_or_default()
    }

    /// How many bytes it has.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.length
    }

    /// `WIDTH` bytes that begin with the value, or with as much of it; `None` at the end of memory. To copy
    /// a fixed number of bytes takes no call, and no jump that depends on the value's length.
    #[inline(always)]
    pub(super) fn window<const WIDTH: usize>(self) -> Option<&'a [u8; WIDTH]> {
        self.with_rest.first_chunk()
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { with_rest: bytes, length: bytes.len() }
    }
}

/// The first field, `None` for NULL, and what follows it.
///
/// # Errors
/// [`Fault::Truncated`] if memory ends inside it.
#[inline(always)]
pub(super) fn split_field(fields: &[u8]) -> Result<(Option<Value<'_>>, &[u8]), Fault> {
    let (length, with_rest) = fields.split_first_chunk::<4>().ok_or(Fault::Truncated)?;
    let length = i32::from_be_bytes(*length);
    if length == -1 {
        return Ok((None, with_rest));
    }
    // Any other negative length becomes one that no value has.
    let rest = with_rest.get(length as usize..).ok_or(Fault::Truncated)?;
    Ok((Some(Value { with_rest, length: length as usize }), rest))
}

/// As [`split_field`], if the field's value has `WIDTH` bytes.
///
/// Where the next field begins is then known before this one's length has arrived from memory: what is
/// usual is taken for granted, and the processor begins with the next field at once.
#[inline(always)]
pub(super) fn split_fixed<const WIDTH: usize>(fields: &[u8]) -> Option<(&[u8; WIDTH], &[u8])> {
    let (length, rest) = fields.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*length) as usize != WIDTH {
        return None;
    }
    rest.split_first_chunk()
}
