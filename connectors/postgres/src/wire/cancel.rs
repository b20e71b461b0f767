//! Cancelling a statement from outside its session (PostgreSQL manual, section 55.2.8).

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use meesh_base::Result;
use postgres_protocol::message::frontend;

use super::connect::{AttemptError, Encryption, open_transport};
use super::connection::Connection;
use super::error::Place;
use super::options::ConnectOptions;
use super::transport::Endpoint;

/// What a server gives a session at login so that it can be cancelled.
#[derive(Clone, Copy)]
pub(super) struct BackendKey {
    pub(super) process_id: i32,
    pub(super) secret: i32,
}

/// Cancels whatever statement one session is running.
#[derive(Clone)]
pub(crate) struct CancelHandle {
    key: Option<BackendKey>,
    endpoint: Endpoint,
    host: Arc<str>,
    encrypted: bool,
    options: Arc<ConnectOptions>,
    place: Place,
}

impl CancelHandle {
    pub(super) fn new(connection: &Connection) -> Self {
        Self {
            key: connection.key,
            endpoint: connection.endpoint.clone(),
            host: Arc::clone(&connection.host),
            encrypted: connection.encryption().is_some(),
            options: Arc::clone(&connection.options),
            place: connection.place().clone(),
        }
    }

    /// Sends the request over a connection of its own, encrypted if the session is, and returns
    /// once the server has closed it: the signal has been sent then, so a statement that the
    /// session begins afterwards, after its ReadyForQuery, is not hit. Has no deadline of its own.
    ///
    /// # Errors
    /// `SourceUnavailable` if the request could not be delivered.
    pub(crate) async fn cancel(&self) -> Result<()> {
        let Some(key) = self.key else {
            return Err(self.place.unavailable("gave no key to cancel its statements with"));
        };
        let encryption = if self.encrypted { Encryption::Always } else { Encryption::Never };
        let opened = open_transport(&self.endpoint, &self.host, encryption, &self.options.tls, &self.place).await;
        let mut transport = opened.map_err(AttemptError::into_error)?;
        let mut message = BytesMut::new();
        frontend::cancel_request(key.process_id, key.secret, &mut message);
        transport.write_all(&message).await.map_err(|error| self.place.io("did not take the cancel request", error))?;
        // The server answers nothing and closes; a reset means the same.
        let mut nothing = [0; 64];
        while matches!(transport.read(&mut nothing).await, Ok(1..)) {}
        Ok(())
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelHandle({})", self.place.server)
    }
}
