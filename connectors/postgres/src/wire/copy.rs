//! COPY TO STDOUT in binary: each tuple's payload is handed from the receive buffer to a sink.

use meesh_base::Result;
use postgres_protocol::message::frontend;

use super::connection::{Connection, State};
use super::error::ServerError;
use super::message::{TextRow, text_row};
use super::pace::{Gather, Pace};
use super::receive::{Garbage, HEADER};
use super::socket_options::set_low_water;

/// The signature that binary COPY starts with (manual, COPY, "Binary Format").
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The field count that ends the stream.
const TRAILER: &[u8] = &[0xff, 0xff];

/// A tuple where it is, in the receive buffer: an int16 field count, then per field an int32 length (-1:
/// NULL) and as many bytes. Nothing about it was checked but its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuple<'a> {
    with_rest: &'a [u8],
    length: usize,
}

impl<'a> Tuple<'a> {
    /// The first `length` bytes; `None` if there are fewer.
    #[inline(always)]
    pub(crate) fn first(with_rest: &'a [u8], length: usize) -> Option<Self> {
        (length <= with_rest.len()).then_some(Self { with_rest, length })
    }

    /// The tuple's bytes and what follows them in memory: to copy a fixed number of bytes is faster than
    /// to copy as many as a value has.
    #[inline(always)]
    pub(crate) fn with_rest(self) -> &'a [u8] {
        self.with_rest
    }

    /// How many bytes it has.
    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.length
    }

    /// This tuple without its first `count` bytes, none of which may be behind it.
    fn without(self, count: usize) -> Self {
        Self { with_rest: &self.with_rest[count..], length: self.length - count }
    }

    /// Whether it is none: the end of the stream, or nothing.
    #[inline]
    fn is_trailer(self) -> bool {
        self.length == 0 || (self.length == TRAILER.len() && self.with_rest.starts_with(TRAILER))
    }
}

/// Where the tuples of a COPY go.
pub(crate) trait RowSink {
    /// Takes one tuple.
    ///
    /// # Errors
    /// Its own; they come back from [`Connection::read_copy`], and the session is then mid-COPY.
    fn row(&mut self, tuple: Tuple<'_>) -> Result<RowOutcome>;
}

/// What a sink wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowOutcome {
    /// The next tuple.
    Continue,
    /// To be asked again: its batch is complete.
    Full,
}

/// Where a COPY stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyState {
    /// The sink was full; there may be more.
    More,
    /// The statement is complete and the session ready for the next.
    Done,
}

/// Why the loop over the buffer ended.
enum Stop {
    Full,
    /// The buffer holds no further whole message.
    Empty,
    /// A message that is no tuple.
    Other,
}

impl Connection {
    /// Starts `copy_sql`, which must be `COPY (…) TO STDOUT (FORMAT BINARY)` (further statements,
    /// such as `; COMMIT`, may follow it). Statements of `prelude` (`BEGIN …; SET LOCAL …`) go
    /// before it in the same message; their rows are returned. Returns once the server has begun to
    /// answer the COPY; nothing is read ahead.
    ///
    /// # Errors
    /// What the server said; the session is then ready again, in a failed transaction if `prelude`
    /// began one.
    pub(crate) async fn start_copy_out(&mut self, prelude: Option<&str>, copy_sql: &str) -> Result<Vec<TextRow>> {
        let sql = prelude.map(|prelude| format!("{prelude}; {copy_sql}"));
        let sql = sql.as_deref().unwrap_or(copy_sql);
        self.request(|out| frontend::query(sql, out)).await?;
        let mut rows = Vec::new();
        loop {
            match self.message().await? {
                (b'H', body) if body.first() == Some(&1) => {
                    self.state = State::Copying { header_seen: false };
                    // The parts of a table come as fast as the first.
                    self.pace = if prelude.is_some() { Pace::default() } else { Pace::resumed() };
                    return Ok(rows);
                }
                (b'D', body) => match text_row(body) {
                    Some(row) => rows.push(row),
                    None => return Err(self.garbage("a broken DataRow".to_owned())),
                },
                (b'T' | b'C' | b'I', _) => {}
                (b'E', body) => {
                    let error = ServerError::parse(body);
                    self.failed(error)?;
                }
                (b'Z', body) => {
                    let status = body.first().copied();
                    self.ready(status)?;
                    return Err(self.place().protocol("it sent no rows for a COPY"));
                }
                (tag, _) => return Err(self.garbage(format!("a message {:?} before the rows", char::from(tag)))),
            }
        }
    }

    /// Hands tuples to `sink`, in the server's order, until it is full or the COPY has ended. Waits
    /// when the buffer holds no whole message. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// The sink's; the server's, once everything up to ReadyForQuery was read (the session is then
    /// usable); `SourceUnavailable` when the connection breaks.
    pub(crate) async fn read_copy<S: RowSink + ?Sized>(&mut self, sink: &mut S) -> Result<CopyState> {
        loop {
            match self.hand_over(sink)? {
                Stop::Full => return Ok(CopyState::More),
                Stop::Empty => self.fill_paced().await?,
                Stop::Other => {
                    if self.end_of_copy().await? {
                        return Ok(CopyState::Done);
                    }
                }
            }
        }
    }

    /// Hands over what the buffer holds.
    fn hand_over<S: RowSink + ?Sized>(&mut self, sink: &mut S) -> Result<Stop> {
        let State::Copying { mut header_seen } = self.state else { return Ok(Stop::Other) };
        let pending = self.receive.pending();
        let mut used = 0;
        let outcome: Result<Result<Stop>, Garbage> = loop {
            let Some(&[tag, a, b, c, d]) = pending.get(used..used + HEADER) else { break Ok(Ok(Stop::Empty)) };
            if tag != b'd' {
                break Ok(Ok(Stop::Other));
            }
            let length = (u32::from_be_bytes([a, b, c, d]) as usize).wrapping_sub(HEADER - 1);
            // Too short a length is told as garbage when more is read.
            let Some(mut tuple) = Tuple::first(&pending[used + HEADER..], length) else { break Ok(Ok(Stop::Empty)) };
            used += HEADER + length;
            if !header_seen {
                match header_length(&tuple.with_rest()[..length]) {
                    Ok(header) => (tuple, header_seen) = (tuple.without(header), true),
                    Err(garbage) => break Err(garbage),
                }
            }
            if tuple.is_trailer() {
                continue;
            }
            match sink.row(tuple) {
                Ok(RowOutcome::Continue) => {}
                Ok(RowOutcome::Full) => break Ok(Ok(Stop::Full)),
                Err(error) => break Ok(Err(error)),
            }
        };
        self.receive.consume(used);
        self.state = State::Copying { header_seen };
        outcome.map_err(|garbage| self.garbage(garbage))?
    }

    /// Takes in one message that is no tuple; true once the answer is complete.
    async fn end_of_copy(&mut self) -> Result<bool> {
        match self.message().await? {
            (b'Z', body) => {
                let status = body.first().copied();
                self.disarm();
                self.ready(status).map(|()| true)
            }
            (b'E', body) => {
                let error = ServerError::parse(body);
                self.failed(error)?;
                Ok(false)
            }
            // CopyDone, and the CommandComplete of this statement and those after it.
            (b'c' | b'C' | b'I' | b'T' | b'D', _) => Ok(false),
            (tag, _) => Err(self.garbage(format!("a message {:?} after the rows", char::from(tag)))),
        }
    }

    /// Reads more, once enough has been gathered where that pays.
    async fn fill_paced(&mut self) -> Result<()> {
        let gather = self.pace.gather(self.transport.plain_tcp());
        if gather == Gather::Nothing {
            let before = self.receive.pending().len();
            self.fill().await?;
            self.pace.count(self.receive.pending().len() - before);
            return Ok(());
        }
        self.receive.grow_for_stream();
        let room = match self.receive.room() {
            Ok(room) => room,
            Err(garbage) => return Err(self.garbage(garbage)),
        };
        let read = match gather {
            Gather::Bursts => match self.transport.read_now(room) {
                Some(read) => Some(read),
                None => match self.pace.burst_due() {
                    Some(due) => {
                        tokio::time::sleep_until(due.into()).await;
                        self.transport.read_now(room)
                    }
                    None => None,
                },
            },
            _ => tokio::time::timeout_at(self.pace.mark_due().into(), self.transport.read(room)).await.ok(),
        };
        self.pace.waited();
        match read {
            Some(read) => {
                self.pace.count(*read.as_ref().unwrap_or(&0));
                self.took(read)
            }
            // The end of the result, or a source that slowed down.
            None => {
                self.disarm();
                self.pace = Pace::resumed();
                Ok(())
            }
        }
    }

    /// Takes what arrives as it comes again.
    pub(super) fn disarm(&mut self) {
        if !self.pace.gathers() {
            return;
        }
        let gathered = std::mem::take(&mut self.pace);
        if let Some(socket) = self.transport.plain_tcp()
            && gathered.has_mark()
            && let Err(error) = set_low_water(socket, 1)
        {
            tracing::warn!(server = %self.place().server, "cannot reset the low-water mark: {error}");
        }
    }
}

/// How much of the first CopyData is the header.
fn header_length(data: &[u8]) -> Result<usize, Garbage> {
    let header = data.strip_prefix(SIGNATURE).and_then(|rest| rest.first_chunk::<8>());
    let Some(&[upper, lower, _, _, a, b, c, d]) = header else {
        return Err("no binary COPY header".to_owned());
    };
    // The upper half of the flags is critical: rows with oids, or what is not known yet.
    if (upper, lower) != (0, 0) {
        return Err("a binary COPY with unknown flags".to_owned());
    }
    let length = SIGNATURE.len() + 8 + u32::from_be_bytes([a, b, c, d]) as usize;
    if length <= data.len() { Ok(length) } else { Err("a broken binary COPY header".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_taken_off_with_its_extension() {
        let header = |flags: u8, extension: u32, rest: &[u8]| {
            [SIGNATURE, &[0, flags, 0, 0], &extension.to_be_bytes(), rest].concat()
        };
        assert_eq!(header_length(&header(0, 0, b"row")), Ok(19));
        assert_eq!(header_length(&header(0, 2, b"xxrow")), Ok(21));
        assert_eq!(header_length(&header(0, 0, b"")), Ok(19));
        assert!(header_length(&header(1, 0, b"row")).is_err());
        assert!(header_length(&header(0, 9, b"row")).is_err());
        assert!(header_length(b"PGCOPY\n").is_err());
    }
}
