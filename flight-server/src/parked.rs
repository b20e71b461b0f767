//! How many planned queries one session may leave waiting: past the limit the oldest is dropped.

use std::collections::{HashMap, VecDeque};

use meesh_engine::{Engine, QueryId};
use parking_lot::Mutex;

use crate::call::Call;

/// Enough for any program that reads what it asks for.
const PARKED_MAX: usize = 256;
/// Clients that keep no token share one owner.
const PARKED_SHARED_MAX: usize = 2048;

/// Whose a waiting query is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) user: String,
    /// Empty for a client that keeps no token.
    pub(crate) session: Vec<u8>,
}

impl Owner {
    /// Whether all of the user's clients that keep no token are this one owner.
    pub(crate) fn is_shared(&self) -> bool {
        self.session.is_empty()
    }
}

/// The waiting queries of every session, oldest first.
#[derive(Default)]
pub(crate) struct Parked(Mutex<HashMap<Owner, VecDeque<QueryId>>>);

impl Parked {
    /// Notes a query that was just parked.
    pub(crate) fn add(&self, engine: &Engine, call: &Call, id: &QueryId) {
        let owner = call.owner();
        let limit = if owner.is_shared() { PARKED_SHARED_MAX } else { PARKED_MAX };
        let mut owners = self.0.lock();
        let waiting = owners.entry(owner).or_default();
        waiting.push_back(id.clone());
        if waiting.len() > limit {
            waiting.retain(|id| engine.is_parked(id, &call.user));
        }
        while waiting.len() > limit {
            if let Some(oldest) = waiting.pop_front() {
                tracing::warn!(query = %oldest, user = call.user, "query dropped: too many wait to be read");
                drop(engine.claim(&oldest, &call.user));
            }
        }
    }

    /// Notes a query that was claimed.
    pub(crate) fn forget(&self, user: &str, session: &[u8], id: &QueryId) {
        let owner = Owner { user: user.to_owned(), session: session.to_vec() };
        let mut owners = self.0.lock();
        if let Some(waiting) = owners.get_mut(&owner) {
            waiting.retain(|waiting| waiting != id);
            if waiting.is_empty() {
                owners.remove(&owner);
            }
        }
    }

    /// Forgets queries that the engine has freed.
    pub(crate) fn sweep(&self, engine: &Engine) {
        self.0.lock().retain(|owner, waiting| {
            waiting.retain(|id| engine.is_parked(id, &owner.user));
            !waiting.is_empty()
        });
    }
}
