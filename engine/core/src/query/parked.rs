//! Planned queries whose client has not come for the rows yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};
use std::time::Duration;

use meesh_base::{Error, QueryId, Result};
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::QueryStream;

/// How long a planned query waits for its client.
const LIFETIME: Duration = Duration::from_secs(300);

/// Streams by query id. A parked stream holds no connection, no snapshot and no place among the
/// running: those begin at its first poll.
#[derive(Debug, Default)]
pub(crate) struct Parked(Mutex<HashMap<QueryId, Waiting>>);

#[derive(Debug)]
struct Waiting {
    stream: QueryStream,
    /// Ends with the waiting: sleepers of queries long claimed would add up to megabytes.
    _expiry: AbortOnDropHandle<()>,
}

impl Parked {
    /// Keeps a stream until it is claimed or [`LIFETIME`] is over. Runs on a tokio runtime.
    pub(crate) fn park(self: &Arc<Self>, stream: QueryStream) {
        let id = stream.id().clone();
        let parked: Weak<Self> = Arc::downgrade(self);
        let expiring = id.clone();
        let expiry = tokio::spawn(async move {
            tokio::time::sleep(LIFETIME).await;
            if let Some(parked) = parked.upgrade() {
                drop(parked.0.lock().remove(&expiring));
            }
        });
        self.0.lock().insert(id, Waiting { stream, _expiry: AbortOnDropHandle::new(expiry) });
    }

    pub(crate) fn contains(&self, id: &QueryId, user: &str) -> bool {
        self.0.lock().get(id).is_some_and(|waiting| waiting.stream.user() == user)
    }

    /// Takes a stream back.
    ///
    /// # Errors
    /// `NotFound` when it was never parked, claimed before, expired, or is another user's.
    pub(crate) fn claim(&self, id: &QueryId, user: &str) -> Result<QueryStream> {
        let claimed = match self.0.lock().entry(id.clone()) {
            Entry::Occupied(waiting) if waiting.get().stream.user() == user => Some(waiting.remove().stream),
            _ => None,
        };
        claimed.ok_or_else(|| {
            Error::not_found(format!("query \"{id}\" does not wait for its client"))
                .with_hint("its rows were fetched already, or it waited too long: send the statement again")
        })
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}
