//! The receive buffer: bytes from the socket, seen as protocol messages without being copied.

use std::ops::Range;

/// A fresh buffer; a session that reads catalogs and small results stays at it.
const SIZE_START: usize = 16 << 10;
/// What full reads make the buffer grow to; only a longer message makes it grow further.
const SIZE_READ_MAX: usize = 512 << 10;
/// The longest message: PostgreSQL makes none above 1 GiB (`MaxAllocSize`).
const MESSAGE_MAX: usize = 1 << 30;
/// The longest message before the login is done, when the peer may be anything.
const LOGIN_MESSAGE_MAX: usize = 64 << 10;

/// A tag and a length.
pub(super) const HEADER: usize = 5;

/// Why bytes cannot be protocol messages, as the end of a sentence.
pub(super) type Garbage = String;

/// Bytes that have arrived and are not used up yet: `bytes[start..end]`.
pub(super) struct ReceiveBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    message_max: usize,
    last_read_was_full: bool,
}

impl ReceiveBuffer {
    /// An empty buffer, without memory until it is read into, that takes only short messages until [`Self::logged_in`].
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, message_max: LOGIN_MESSAGE_MAX, last_read_was_full: false }
    }

    /// Allows messages of any length that PostgreSQL makes.
    pub(super) fn logged_in(&mut self) {
        self.message_max = MESSAGE_MAX;
    }

    /// What has arrived and is not used up.
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Uses up the first `count` bytes of [`Self::pending`].
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count.min(self.end - self.start);
    }

    /// Uses up the next whole message and says where it is: its tag, and the range of its body for
    /// [`Self::body`], valid until more is read. `None`: more must be read first.
    pub(super) fn next(&mut self) -> Result<Option<(u8, Range<usize>)>, Garbage> {
        let Some((tag, length)) = self.announced()? else { return Ok(None) };
        let (body, end) = (self.start + HEADER, self.start + 1 + length);
        if end > self.end {
            return Ok(None);
        }
        self.start = end;
        Ok(Some((tag, body..end)))
    }

    /// The body of a message that [`Self::next`] yielded.
    pub(super) fn body(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// The tag and length (without the tag) of the next message, once they are there.
    fn announced(&self) -> Result<Option<(u8, usize)>, Garbage> {
        let &[tag, a, b, c, d, ..] = self.pending() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..=self.message_max).contains(&length) {
            return Err(format!("a message with tag {:?} and length {length}", char::from(tag)));
        }
        Ok(Some((tag, length)))
    }

    /// Free space to read into, never empty. Moves the pending rest (less than one message) to the
    /// front, and grows by doubling: for a message that does not fit, only as its bytes arrive.
    pub(super) fn room(&mut self) -> Result<&mut [u8], Garbage> {
        let needed = self.announced()?.map_or(HEADER, |(_, length)| 1 + length);
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let size = self.bytes.len();
        if self.end == size || (self.last_read_was_full && size < SIZE_READ_MAX) {
            let limit = needed.max(SIZE_READ_MAX);
            self.bytes.resize((2 * size).clamp(SIZE_START, limit), 0);
        }
        Ok(&mut self.bytes[self.end..])
    }

    /// Says that `count` bytes were read into [`Self::room`].
    pub(super) fn filled(&mut self, count: usize) {
        self.last_read_was_full = self.end + count >= self.bytes.len();
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Makes room for one wake-up's worth of a fast stream.
    pub(super) fn grow_for_stream(&mut self) {
        if self.bytes.len() < SIZE_READ_MAX {
            self.bytes.resize(SIZE_READ_MAX, 0);
        }
    }

    /// Gives back the memory of a large result, so that an idle session costs little.
    pub(super) fn shrink(&mut self) {
        self.last_read_was_full = false;
        let pending = self.end - self.start;
        if self.bytes.len() > SIZE_START && pending <= SIZE_START {
            let mut small = vec![0; SIZE_START];
            small[..pending].copy_from_slice(self.pending());
            (self.bytes, self.start, self.end) = (small, 0, pending);
        }
    }

    #[cfg(test)]
    fn size(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(buffer: &mut ReceiveBuffer, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = buffer.room().unwrap();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            buffer.filled(count);
            bytes = &bytes[count..];
        }
    }

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn messages_come_whole_however_they_arrive() {
        let mut buffer = ReceiveBuffer::new();
        buffer.logged_in();
        let long = vec![7; 100_000];
        let stream = [message(b'a', b"x"), message(b'b', b""), message(b'c', &long)].concat();
        let mut seen = Vec::new();
        for piece in stream.chunks(3) {
            push(&mut buffer, piece);
            while let Some((tag, range)) = buffer.next().unwrap() {
                seen.push((tag, buffer.body(range).len()));
            }
        }
        assert_eq!(seen, [(b'a', 1), (b'b', 0), (b'c', 100_000)]);
        assert!(buffer.pending().is_empty());
        buffer.shrink();
        assert_eq!(buffer.size(), SIZE_START);
    }

    #[test]
    fn a_length_is_believed_only_as_bytes_arrive() {
        let mut buffer = ReceiveBuffer::new();
        buffer.logged_in();
        push(&mut buffer, &[b'D', 0x3f, 0xff, 0xff, 0xff, 1, 2, 3]);
        assert!(buffer.next().unwrap().is_none());
        buffer.room().unwrap();
        assert!(buffer.size() <= SIZE_READ_MAX, "{}", buffer.size());
    }

    #[test]
    fn nonsense_lengths_are_refused() {
        let mut buffer = ReceiveBuffer::new();
        push(&mut buffer, b"HTTP/1.1 400 Bad Request");
        assert!(buffer.next().unwrap_err().contains("'H'"));
        let mut buffer = ReceiveBuffer::new();
        push(&mut buffer, &[b'R', 0, 0, 0, 3]);
        assert!(buffer.room().is_err());
    }
}
