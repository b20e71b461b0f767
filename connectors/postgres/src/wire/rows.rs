//! The rows of a SELECT: each one's payload is handed from the receive buffer to a sink.
//!
//! They come by the extended query protocol (manual, section 55.2.3), in which every column has a format
//! of its own. COPY in binary, the usual way to read much, calls a function per value that reserves a
//! kilobyte for it; text that is already text costs the server half of that (measured on PostgreSQL 15: a
//! scan of 16 columns takes a quarter less of its CPU).

use std::io;

use bytes::BytesMut;
use meesh_base::Result;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend::{self, BindError};

use super::connection::{Connection, State};
use super::error::ServerError;
use super::message::{TextRow, text_row};
use super::pace::{Gather, Pace};
use super::receive::HEADER;
use super::socket_options::set_low_water;

/// How the server writes the values of a column (manual, section 55.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueFormat {
    Text = 0,
    Binary = 1,
}

/// A SELECT whose rows are to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsRequest<'a> {
    /// Statements that go before it in the same message (`BEGIN …; SET LOCAL …`).
    pub(crate) prelude: Option<&'a str>,
    pub(crate) select: &'a str,
    /// One for each column.
    pub(crate) formats: &'a [ValueFormat],
    /// Whether the transaction ends with the rows.
    pub(crate) commits: bool,
}

/// A row where it is, in the receive buffer: an int16 field count, then per field an int32 length (-1:
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
}

/// Where the rows go.
pub(crate) trait RowSink {
    /// Takes one row.
    ///
    /// # Errors
    /// Its own; they come back from [`Connection::read_rows`], and the session is then amid the rows.
    fn row(&mut self, tuple: Tuple<'_>) -> Result<RowOutcome>;
}

/// What a sink wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowOutcome {
    /// The next row.
    Continue,
    /// To be asked again: its batch is complete.
    Full,
}

/// Where a SELECT stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowsState {
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
    /// A message that is no row.
    Other,
}

impl Connection {
    /// Starts a SELECT; returns once the server has begun to answer it, with the rows of the prelude.
    /// Nothing is read ahead.
    ///
    /// # Errors
    /// What the server said; the session is then ready again, in a failed transaction if the prelude
    /// began one. `InvalidQuery` for a zero byte in the statement.
    pub(crate) async fn start_rows(&mut self, request: RowsRequest<'_>) -> Result<Vec<TextRow>> {
        let RowsRequest { prelude, select, formats, commits } = request;
        self.request(|out| {
            prelude.map_or(Ok(()), |prelude| frontend::query(prelude, out))?;
            execute(select, formats, out)?;
            if commits {
                execute("COMMIT", &[], out)?;
            }
            frontend::sync(out);
            Ok(())
        })
        .await?;
        if prelude.is_some() {
            self.state = State::AnsweringTwo;
        }
        let mut rows = Vec::new();
        loop {
            let failed = self.failure.is_some();
            match self.message().await? {
                // BindComplete
                (b'2', _) if !failed => {
                    self.state = State::Rows;
                    // The parts of a table come as fast as the first.
                    self.pace = if prelude.is_some() { Pace::default() } else { Pace::resumed() };
                    return Ok(rows);
                }
                (b'D', body) if !failed => match text_row(body) {
                    Some(row) => rows.push(row),
                    None => return Err(self.garbage("a broken DataRow".to_owned())),
                },
                // ParseComplete, and what statements of the prelude answer. After an error in it the SELECT
                // fails as well, but for one that was outside a transaction.
                (b'1' | b'2' | b'D' | b'T' | b'C' | b'I', _) => {}
                (b'E', body) => {
                    let error = ServerError::parse(body);
                    self.failed(error)?;
                }
                (b'Z', body) => {
                    let status = body.first().copied();
                    self.ready(status)?;
                    if self.state == State::Ready {
                        return Err(self.place().protocol("it sent no rows for a SELECT"));
                    }
                }
                (tag, _) => return Err(self.garbage(format!("a message {:?} before the rows", char::from(tag)))),
            }
        }
    }

    /// Hands rows to `sink`, in the server's order, until it is full or there are no more. Waits when the
    /// buffer holds no whole message. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// The sink's; the server's, once everything up to ReadyForQuery was read (the session is then
    /// usable); `SourceUnavailable` when the connection breaks.
    pub(crate) async fn read_rows<S: RowSink + ?Sized>(&mut self, sink: &mut S) -> Result<RowsState> {
        loop {
            match self.hand_over(sink)? {
                Stop::Full => return Ok(RowsState::More),
                Stop::Empty => self.fill_paced().await?,
                Stop::Other => {
                    if self.end_of_rows().await? {
                        return Ok(RowsState::Done);
                    }
                }
            }
        }
    }

    /// Hands over what the buffer holds.
    fn hand_over<S: RowSink + ?Sized>(&mut self, sink: &mut S) -> Result<Stop> {
        if self.state != State::Rows {
            return Ok(Stop::Other);
        }
        let pending = self.receive.pending();
        let mut used = 0;
        let outcome = loop {
            let Some(&[tag, a, b, c, d]) = pending.get(used..used + HEADER) else { break Ok(Stop::Empty) };
            if tag != b'D' {
                break Ok(Stop::Other);
            }
            let length = (u32::from_be_bytes([a, b, c, d]) as usize).wrapping_sub(HEADER - 1);
            // Too short a length is told as garbage when more is read.
            let Some(tuple) = Tuple::first(&pending[used + HEADER..], length) else { break Ok(Stop::Empty) };
            used += HEADER + length;
            match sink.row(tuple) {
                Ok(RowOutcome::Continue) => {}
                Ok(RowOutcome::Full) => break Ok(Stop::Full),
                Err(error) => break Err(error),
            }
        };
        self.receive.consume(used);
        outcome
    }

    /// Takes in one message that is no row; true once the answer is complete.
    async fn end_of_rows(&mut self) -> Result<bool> {
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
            // CommandComplete, and what a COMMIT behind it answers.
            (b'C' | b'1' | b'2', _) => Ok(false),
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

/// One statement from its text to its rows.
fn execute(sql: &str, formats: &[ValueFormat], out: &mut BytesMut) -> io::Result<()> {
    frontend::parse("", sql, [], out)?;
    let formats = formats.iter().map(|format| *format as i16);
    frontend::bind("", "", [], std::iter::empty::<()>(), |(), _| Ok(IsNull::Yes), formats, out).map_err(|error| {
        match error {
            BindError::Conversion(error) => io::Error::other(error),
            BindError::Serialization(error) => error,
        }
    })?;
    frontend::execute("", 0, out)
}
