//! COPY TO STDOUT in binary: each tuple's payload is handed from the receive buffer to a sink.
//!
//! PostgreSQL flushes 8 KiB at a time, so a reader that takes what is there wakes up for every 40
//! rows; the wake-ups cost more than decoding. On a plain TCP socket that has proven fast, the
//! socket becomes readable only when [`MARK`] bytes are there, and a short timer covers the end of
//! the result and a source that slows down ([`Pace`]).

use std::time::{Duration, Instant};

use meesh_base::Result;
use postgres_protocol::message::frontend;

use super::connection::{Connection, State};
use super::error::ServerError;
use super::low_water::set_low_water;
use super::message::{TextRow, text_row};
use super::receive::{Garbage, HEADER};

/// How much one wake-up should bring.
const MARK: i32 = 256 << 10;
/// How many marks' worth must have come before the first wait for a full one: the rest of a small
/// result is not worth a timer.
const PROOF_MARKS: usize = 4;
/// The slowest stream that is waited for so, as the time a mark's worth takes (26 MB/s). Below that
/// the wake-ups cost little.
const MARK_TIME_MAX: Duration = Duration::from_millis(10);
/// The shortest wait; tokio's timers count milliseconds.
const WAIT_MIN: Duration = Duration::from_millis(2);

/// The signature that binary COPY starts with (manual, COPY, "Binary Format").
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The field count that ends the stream.
const TRAILER: &[u8] = &[0xff, 0xff];

/// Where the tuples of a COPY go.
pub(crate) trait RowSink {
    /// Takes one tuple: an int16 field count, then per field an int32 length (-1: NULL) and as many
    /// bytes. `fields` points into the receive buffer; nothing about it was checked but its end.
    ///
    /// # Errors
    /// Its own; they come back from [`Connection::read_copy`], and the session is then mid-COPY.
    fn row(&mut self, fields: &[u8]) -> Result<RowOutcome>;
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
                    self.pace = Pace::default();
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
            let end = used + 1 + u32::from_be_bytes([a, b, c, d]) as usize;
            // Too short a length is told as garbage when more is read.
            let Some(mut tuple) = pending.get(used + HEADER..end) else { break Ok(Ok(Stop::Empty)) };
            used = end;
            if !header_seen {
                match without_header(tuple) {
                    Ok(rest) => (tuple, header_seen) = (rest, true),
                    Err(garbage) => break Err(garbage),
                }
            }
            if tuple.len() <= TRAILER.len() && (tuple.is_empty() || tuple == TRAILER) {
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

    /// Reads more, waiting for a full mark where that pays.
    async fn fill_paced(&mut self) -> Result<()> {
        let Some(socket) = self.transport.plain_tcp() else { return self.fill().await };
        if self.pace.is_proven() && !self.pace.armed {
            self.receive.grow_for_stream();
            self.pace.armed = set_low_water(socket, MARK).is_ok();
        }
        if !self.pace.armed {
            let before = self.receive.pending().len();
            self.fill().await?;
            self.pace.count(self.receive.pending().len() - before);
            return Ok(());
        }
        let room = match self.receive.room() {
            Ok(room) => room,
            Err(garbage) => return Err(self.garbage(garbage)),
        };
        // Counted from when the wait began, also if this call was dropped meanwhile: whoever calls with a
        // shorter patience would never get the rest.
        let end = *self.pace.waiting_since.get_or_insert_with(Instant::now) + self.pace.wait;
        match tokio::time::timeout_at(end.into(), self.transport.read(room)).await {
            Ok(read) => {
                self.pace.waiting_since = None;
                self.took(read)
            }
            // The end of the result, or a source that slowed down.
            Err(_elapsed) => {
                self.disarm();
                self.pace.proof = 1;
                Ok(())
            }
        }
    }

    /// Makes the socket wake us for every byte again.
    pub(super) fn disarm(&mut self) {
        if !self.pace.armed {
            return;
        }
        self.pace = Pace::default();
        if let Some(socket) = self.transport.plain_tcp()
            && let Err(error) = set_low_water(socket, 1)
        {
            tracing::warn!(server = %self.place().server, "cannot reset the low-water mark: {error}");
        }
    }
}

/// What follows the header in the first CopyData.
fn without_header(data: &[u8]) -> Result<&[u8], Garbage> {
    let header = data.strip_prefix(SIGNATURE).and_then(|rest| rest.split_at_checked(8));
    let Some((&[upper, lower, _, _, a, b, c, d], rest)) = header else {
        return Err("no binary COPY header".to_owned());
    };
    // The upper half of the flags is critical: rows with oids, or what is not known yet.
    if (upper, lower) != (0, 0) {
        return Err("a binary COPY with unknown flags".to_owned());
    }
    rest.get(u32::from_be_bytes([a, b, c, d]) as usize..).ok_or_else(|| "a broken binary COPY header".to_owned())
}

/// How fast a stream has been coming, and whether the low-water mark is set.
#[derive(Debug)]
pub(super) struct Pace {
    armed: bool,
    since: Option<Instant>,
    bytes: usize,
    /// How many marks' worth are counted before the next verdict.
    proof: usize,
    /// How long a full mark is waited for: twice what one took.
    wait: Duration,
    /// Since when one is waited for.
    waiting_since: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { armed: false, since: None, bytes: 0, proof: PROOF_MARKS, wait: WAIT_MIN, waiting_since: None }
    }
}

impl Pace {
    /// Counts bytes that a wake-up brought.
    fn count(&mut self, bytes: usize) {
        // Time before the first bytes is the server's planning and says nothing about the stream.
        if self.since.is_none() {
            self.since = Some(Instant::now());
            return;
        }
        self.bytes += bytes;
    }

    /// Whether enough came fast enough. A stream that was too slow is measured anew.
    fn is_proven(&mut self) -> bool {
        let Some(since) = self.since.filter(|_| self.bytes >= self.proof * MARK as usize) else { return false };
        let mark_time = since.elapsed().mul_f64(f64::from(MARK) / self.bytes as f64);
        (self.since, self.bytes) = (Some(Instant::now()), 0);
        self.wait = (2 * mark_time).max(WAIT_MIN);
        mark_time < MARK_TIME_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_taken_off_with_its_extension() {
        let header = |flags: u8, extension: u32, rest: &[u8]| {
            [SIGNATURE, &[0, flags, 0, 0], &extension.to_be_bytes(), rest].concat()
        };
        assert_eq!(without_header(&header(0, 0, b"row")), Ok(&b"row"[..]));
        assert_eq!(without_header(&header(0, 2, b"xxrow")), Ok(&b"row"[..]));
        assert_eq!(without_header(&header(0, 0, b"")), Ok(&b""[..]));
        assert!(without_header(&header(1, 0, b"row")).is_err());
        assert!(without_header(&header(0, 9, b"row")).is_err());
        assert!(without_header(b"PGCOPY\n").is_err());
    }

    #[test]
    fn only_a_fast_stream_is_proven() {
        let mut pace = Pace::default();
        pace.count(1 << 30);
        assert!(!pace.is_proven(), "the first read has no rate");
        pace.count(1 << 20);
        assert!(pace.is_proven());
        assert_eq!(pace.wait, WAIT_MIN);
        pace.count(1 << 20);
        pace.since = Instant::now().checked_sub(Duration::from_secs(1));
        assert!(!pace.is_proven());
        assert_eq!(pace.bytes, 0);
    }
}
