//! COPY FROM STDIN: frames to the server, which may refuse them at any time.
//!
//! A server that refuses a row says so and then reads and drops what still comes, so writing never
//! blocks on it; its answer is looked for between the frames.

use std::task::Poll;

use meesh_base::Result;

use super::connection::{Connection, State};
use super::error::ServerError;

/// A tag and a length, in front of every frame.
const FRAME_HEADER: usize = 5;

/// Bytes of a COPY on their way. Reused from frame to frame.
#[derive(Debug)]
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    /// An empty frame with room for `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let mut frame = Vec::with_capacity(FRAME_HEADER + bytes);
        frame.extend_from_slice(&[b'd', 0, 0, 0, 0]);
        Self(frame)
    }

    /// Where the payload is appended. What is there already must stay.
    pub(crate) fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    fn sealed(&mut self) -> &[u8] {
        let length = (self.0.len() as u32 - 1).to_be_bytes();
        if let Some(place) = self.0.get_mut(1..FRAME_HEADER) {
            place.copy_from_slice(&length);
        }
        &self.0
    }

    fn clear(&mut self) {
        self.0.truncate(FRAME_HEADER);
    }
}

impl Connection {
    /// Starts `copy_sql`, which must be one `COPY … FROM STDIN`. Returns once the server waits for data.
    ///
    /// # Errors
    /// What the server said; the session is then ready again.
    pub(crate) async fn start_copy_in(&mut self, copy_sql: &str) -> Result<()> {
        self.request(|out| postgres_protocol::message::frontend::query(copy_sql, out)).await?;
        loop {
            match self.message().await? {
                (b'G', _) => {
                    self.state = State::CopyingIn;
                    return Ok(());
                }
                (b'E', body) => {
                    let error = ServerError::parse(body);
                    self.failed(error)?;
                }
                (b'Z', body) => {
                    let status = body.first().copied();
                    self.ready(status)?;
                    return Err(self.place().protocol("it wanted no rows for a COPY"));
                }
                (tag, _) => return Err(self.garbage(format!("a message {:?} before a COPY", char::from(tag)))),
            }
        }
    }

    /// Sends the frame and empties it.
    ///
    /// # Errors
    /// What the server has said against an earlier frame; the session is then ready again, in a failed
    /// transaction. `SourceUnavailable` when the connection breaks.
    pub(crate) async fn send_copy(&mut self, frame: &mut Frame) -> Result<()> {
        self.refused_copy().await?;
        self.send_raw(frame.sealed()).await?;
        self.state = State::CopyingIn;
        frame.clear();
        Ok(())
    }

    /// Ends the data; the number of rows that were stored.
    ///
    /// # Errors
    /// What the server said against the data; the session is then ready again.
    pub(crate) async fn finish_copy(&mut self) -> Result<u64> {
        self.send_raw(b"c\0\0\0\x04").await?;
        self.state = State::Answering;
        let mut rows = 0;
        loop {
            match self.message().await? {
                (b'C', body) => rows = rows_of_tag(body),
                (b'E', body) => {
                    let error = ServerError::parse(body);
                    self.failed(error)?;
                }
                (b'Z', body) => {
                    let status = body.first().copied();
                    return self.ready(status).map(|()| rows);
                }
                (tag, _) => return Err(self.garbage(format!("a message {:?} after a COPY", char::from(tag)))),
            }
        }
    }

    /// Tells the server to give up a COPY that is being sent; what it says to that is owed then.
    pub(super) async fn fail_copy(&mut self) -> Result<()> {
        // CopyFail with the reason that the server's log shows.
        self.send_raw(b"f\0\0\0\x0ecancelled\0").await?;
        self.state = State::Answering;
        Ok(())
    }

    /// The server's refusal, if it is there already.
    async fn refused_copy(&mut self) -> Result<()> {
        let refusal = {
            let mut read = Box::pin(self.message());
            std::future::poll_fn(|context| match read.as_mut().poll(context) {
                Poll::Ready(Ok((tag, body))) => Poll::Ready(Some(Ok((tag, ServerError::parse(body))))),
                Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
                Poll::Pending => Poll::Ready(None),
            })
            .await
        };
        let Some(refusal) = refusal else { return Ok(()) };
        let (tag, error) = refusal?;
        if tag != b'E' {
            return Err(self.garbage(format!("a message {:?} within a COPY", char::from(tag))));
        }
        self.failed(error)?;
        self.state = State::Answering;
        loop {
            if let (b'Z', body) = self.message().await? {
                let status = body.first().copied();
                self.ready(status)?;
                return Err(self.place().protocol("it ended a COPY without an error"));
            }
        }
    }
}

/// The count at the end of `COPY 3`, `INSERT 0 3`, `DELETE 3`; 0 if there is none.
pub(crate) fn rows_of_tag(tag: &[u8]) -> u64 {
    let text = tag.split(|byte| *byte == 0).next().unwrap_or_default();
    let count = str::from_utf8(text).ok().and_then(|text| text.rsplit(' ').next()?.parse().ok());
    count.unwrap_or(0)
}
