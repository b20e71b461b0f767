//! One session: its stream, what the server said about itself, and what is owed to the protocol.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use meesh_base::{Error, Result};

use super::cancel::{BackendKey, CancelHandle};
use super::connect;
use super::error::{Place, ServerError};
use super::message::{Fields, version_number};
use super::options::ConnectOptions;
use super::pace::Pace;
use super::receive::{Garbage, ReceiveBuffer};
use super::transport::{Endpoint, Transport};

/// Where the session stands in the protocol. A call that is dropped half-way leaves it at what is
/// owed, so that whoever gets the session next knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// ReadyForQuery was the last thing seen.
    Ready,
    /// A request may have been sent in part: nothing can follow it.
    Sending,
    /// The answer to a request is to be read up to ReadyForQuery.
    Answering,
    /// The answers to two requests that were sent together.
    AnsweringTwo,
    /// The answer to a SELECT is to be read up to ReadyForQuery, from amid its rows on.
    Rows,
    /// The server waits for the data of a COPY FROM.
    CopyingIn,
    /// Nothing more can be said or heard.
    Broken,
}

/// One session with a server. Not shared and not cloned: whoever holds it drives it.
///
/// Every call may be dropped at any time; the session then stands at what it owes the server
/// ([`Self::is_idle`] is false), and [`crate::pool`] either settles that or closes it. Dropping the
/// session closes the socket. No call has a deadline of its own but [`Self::connect`].
pub(crate) struct Connection {
    pub(super) transport: Transport,
    pub(super) receive: ReceiveBuffer,
    pub(super) state: State,
    pub(super) pace: Pace,
    /// The error of the request being answered, kept until its ReadyForQuery.
    pub(super) failure: Option<ServerError>,
    send: BytesMut,
    transaction_status: u8,
    parameters: BTreeMap<String, String>,
    server_version: u32,
    pub(super) key: Option<BackendKey>,
    /// What is set in every transaction.
    pub(super) settings: Vec<(&'static str, String)>,
    pub(super) endpoint: Endpoint,
    /// The host it was reached by, for TLS.
    pub(super) host: Arc<str>,
    pub(super) options: Arc<ConnectOptions>,
    place: Place,
}

impl Connection {
    /// Opens a session: name lookup, TCP, TLS, login and session settings, host after host, all
    /// within `options.connect_timeout`.
    ///
    /// # Errors
    /// `SourceUnavailable` or `Denied`, naming catalog and host, with the remedy; `Exhausted` when
    /// the server has no free connection.
    pub(crate) async fn connect(options: &ConnectOptions) -> Result<Self> {
        connect::connect(options).await
    }

    /// A stream on which nothing was said yet but the request for TLS.
    pub(super) fn new(
        transport: Transport,
        endpoint: Endpoint,
        host: Arc<str>,
        options: Arc<ConnectOptions>,
        place: Place,
    ) -> Self {
        Self {
            transport,
            receive: ReceiveBuffer::new(),
            state: State::Answering,
            pace: Pace::default(),
            failure: None,
            send: BytesMut::new(),
            transaction_status: b'I',
            parameters: BTreeMap::new(),
            server_version: 0,
            key: None,
            settings: Vec::new(),
            endpoint,
            host,
            options,
            place,
        }
    }

    /// Whether ReadyForQuery was the last thing seen, outside any transaction.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Ready && self.transaction_status == b'I'
    }

    /// Whether the session has ended: only dropping it is left.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken | State::Sending)
    }

    /// The last ReadyForQuery's status: `b'I'` idle, `b'T'` in a transaction, `b'E'` in a failed one.
    pub(crate) fn transaction_status(&self) -> u8 {
        self.transaction_status
    }

    /// The server's version: 150018 for 15.18.
    pub(crate) fn server_version(&self) -> u32 {
        self.server_version
    }

    /// A setting that the server reports on its own: `server_encoding`, `is_superuser` …
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The TLS version and cipher suite, if the session is encrypted.
    pub(crate) fn encryption(&self) -> Option<String> {
        self.transport.encryption()
    }

    /// Which server it reached.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where the session goes, for messages.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Makes messages name `catalog`: catalogs with the same source share sessions.
    pub(crate) fn serve(&mut self, catalog: &Arc<str>) {
        self.place.users_text = false;
        if self.place.catalog != *catalog {
            self.place.catalog = Arc::clone(catalog);
        }
    }

    /// Makes what the server refuses the user's fault: what runs is a text of his own.
    pub(crate) fn runs_users_text(&mut self) {
        self.place.users_text = true;
    }

    /// Moves the session out and leaves a broken one behind, for holders that are being dropped.
    pub(crate) fn take(&mut self) -> Self {
        let (endpoint, host) = (self.endpoint.clone(), Arc::clone(&self.host));
        let mut gone = Self::new(Transport::Closed, endpoint, host, Arc::clone(&self.options), self.place.clone());
        gone.state = State::Broken;
        std::mem::replace(self, gone)
    }

    /// What cancels the session's statement from outside.
    pub(crate) fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self)
    }

    /// Whether an unused session still stands, as far as can be told without asking the server:
    /// a server that ended it has said so, or closed the socket.
    pub(crate) async fn still_open(&mut self) -> bool {
        if !self.is_idle() {
            return false;
        }
        // One poll of the reader: it is ready only if something came unasked.
        let mut read = Box::pin(self.message());
        let heard = std::future::poll_fn(|context| match read.as_mut().poll(context) {
            Poll::Ready(Ok(_)) | Poll::Ready(Err(_)) => Poll::Ready(true),
            Poll::Pending => Poll::Ready(false),
        })
        .await;
        drop(read);
        !heard
    }

    /// Sends one or more messages that `write` puts together, as the start of a request.
    pub(super) async fn request(&mut self, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<()> {
        if self.state != State::Ready {
            return Err(Error::internal(format!(
                "catalog {:?}: a statement was sent while another one was being answered",
                self.place.catalog
            )));
        }
        self.send.clear();
        // The only failure is a zero byte, which PostgreSQL's texts cannot hold.
        write(&mut self.send).map_err(|_| {
            Error::invalid_query(format!("catalog {:?}: a text holds the character U+0000", self.place.catalog))
                .with_hint("PostgreSQL cannot compare or store it: remove it from the statement")
        })?;
        self.failure = None;
        self.flush().await?;
        self.state = State::Answering;
        Ok(())
    }

    /// Sends messages of the login, where the server waits for us.
    pub(super) async fn answer(&mut self, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<()> {
        self.send.clear();
        write(&mut self.send).map_err(|error| self.place.io("cannot be logged in to", error))?;
        self.flush().await?;
        self.state = State::Answering;
        Ok(())
    }

    /// Sends bytes within a COPY FROM; the caller says where the session stands then.
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.state = State::Sending;
        let sent = self.transport.write_all(bytes).await;
        sent.map_err(|error| self.broken("cannot be written to", error))
    }

    async fn flush(&mut self) -> Result<()> {
        self.state = State::Sending;
        let sent = self.transport.write_all(&self.send).await;
        // A large statement is not kept for the life of the session.
        if self.send.capacity() > 64 << 10 {
            self.send = BytesMut::new();
        }
        sent.map_err(|error| self.broken("cannot be written to", error))
    }

    /// The next message that belongs to an answer: tag and body. Notices, notifications and changed
    /// settings are taken in on the way.
    ///
    /// # Errors
    /// `SourceUnavailable` if the stream ends or holds no messages; the session is broken then.
    pub(super) async fn message(&mut self) -> Result<(u8, &[u8])> {
        let (tag, body) = loop {
            let Some((tag, body)) = self.receive.next().map_err(|garbage| self.garbage(garbage))? else {
                self.fill().await?;
                continue;
            };
            if !self.take_in(tag, body.clone()) {
                break (tag, body);
            }
        };
        Ok((tag, self.receive.body(body)))
    }

    /// Takes in what a server may send at any time; false for everything else.
    fn take_in(&mut self, tag: u8, body: std::ops::Range<usize>) -> bool {
        match tag {
            b'S' => {
                let mut fields = Fields::new(self.receive.body(body));
                if let (Some(name), Some(value)) = (fields.text(), fields.text()) {
                    if name == "server_version" {
                        self.server_version = version_number(&value);
                    }
                    self.parameters.insert(name, value);
                }
                true
            }
            b'N' => {
                let notice = ServerError::parse(self.receive.body(body));
                tracing::debug!(catalog = %self.place.catalog, code = notice.code, "{}", notice.message);
                true
            }
            b'A' => true,
            _ => false,
        }
    }

    /// Reads more, at least one byte.
    pub(super) async fn fill(&mut self) -> Result<()> {
        self.disarm();
        let room = self.receive.room();
        let room = match room {
            Ok(room) => room,
            Err(garbage) => return Err(self.garbage(garbage)),
        };
        let read = self.transport.read(room).await;
        self.took(read)
    }

    /// Books what a read yielded.
    pub(super) fn took(&mut self, read: std::io::Result<usize>) -> Result<()> {
        match read {
            Ok(0) => Err(self.broken("broke off", std::io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                self.receive.filled(count);
                Ok(())
            }
            Err(error) => Err(self.broken("broke off", error)),
        }
    }

    /// Takes in an ErrorResponse. A fatal one ends the session at once: no ReadyForQuery follows.
    pub(super) fn failed(&mut self, error: ServerError) -> Result<()> {
        if error.is_fatal() {
            self.state = State::Broken;
            return self.place.server(&error);
        }
        self.failure.get_or_insert(error);
        Ok(())
    }

    /// Takes in a ReadyForQuery; the last one yields the request's error if it had one.
    pub(super) fn ready(&mut self, status: Option<u8>) -> Result<()> {
        let Some(status @ (b'I' | b'T' | b'E')) = status else {
            return Err(self.garbage("a ReadyForQuery without a status".to_owned()));
        };
        self.transaction_status = status;
        if self.state == State::AnsweringTwo {
            self.state = State::Answering;
            return Ok(());
        }
        self.state = State::Ready;
        self.receive.shrink();
        self.failure.take().map_or(Ok(()), |error| self.place.server(&error))
    }

    /// Reads and drops the rest of an answer. Its error, if it had one, is dropped with it.
    ///
    /// # Errors
    /// `SourceUnavailable` if the session ended before its ReadyForQuery.
    pub(crate) async fn drain(&mut self) -> Result<()> {
        if self.state == State::CopyingIn {
            self.fail_copy().await?;
        }
        while matches!(self.state, State::Answering | State::AnsweringTwo | State::Rows) {
            match self.message().await? {
                (b'Z', body) => {
                    let status = body.first().copied();
                    self.failure = None;
                    self.ready(status)?;
                }
                (b'E', body) => {
                    let error = ServerError::parse(body);
                    self.failed(error)?;
                }
                _ => {}
            }
        }
        if self.is_broken() { Err(self.place.unavailable("broke off")) } else { Ok(()) }
    }

    /// The error of bytes that are no protocol; the session is broken then.
    pub(super) fn garbage(&mut self, what: Garbage) -> Error {
        self.state = State::Broken;
        self.place.protocol(format_args!("it sent {what}"))
    }

    fn broken(&mut self, what: &str, error: std::io::Error) -> Error {
        self.state = State::Broken;
        self.place.io(what, error).passing()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({}, {:?})", self.place.server, self.state)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.state == State::Ready {
            // Terminate (manual, section 55.2.9): spares the server's log a message about a lost client.
            self.transport.try_write(b"X\0\0\0\x04");
        }
    }
}
