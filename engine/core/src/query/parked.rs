//! Planned queries whose client has not come for the rows yet.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use meesh_base::{Error, QueryId, Result};
use parking_lot::Mutex;

use super::QueryStream;

/// How long a planned query waits for its client.
const LIFETIME: Duration = Duration::from_secs(300);

/// Streams by query id. A parked stream holds no connection, no snapshot and no place among the
/// running: those begin at its first poll.
#[derive(Debug, Default)]
pub(crate) struct Parked(Mutex<HashMap<QueryId, QueryStream>>);

impl Parked {
    /// Keeps a stream until it is claimed or [`LIFETIME`] is over. Runs on a tokio runtime.
    pub(crate) fn park(self: &Arc<Self>, stream: QueryStream) {
        let id = stream.id().clone();
        self.0.lock().insert(id.clone(), stream);
        let parked: Weak<Self> = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(LIFETIME).await;
            if let Some(parked) = parked.upgrade() {
                drop(parked.0.lock().remove(&id));
            }
        });
    }

    pub(crate) fn contains(&self, id: &QueryId, user: &str) -> bool {
        self.0.lock().get(id).is_some_and(|stream| stream.user() == user)
    }

    /// Takes a stream back.
    ///
    /// # Errors
    /// `NotFound` when it was never parked, claimed before, expired, or is another user's.
    pub(crate) fn claim(&self, id: &QueryId, user: &str) -> Result<QueryStream> {
        let mut streams = self.0.lock();
        if streams.get(id).is_none_or(|stream| stream.user() != user) {
            return Err(Error::not_found(format!("query \"{id}\" does not wait for its client"))
                .with_hint("its rows were fetched already, or it waited too long: send the statement again"));
        }
        streams.remove(id).ok_or_else(|| Error::not_found(format!("query \"{id}\" does not wait for its client")))
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}
