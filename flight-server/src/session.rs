//! Sessions: what a client set between its calls, found again by the token it carries.
//!
//! The table holds only sessions in which something was set or whose token is no longer fresh, so that a
//! client that drops its token costs nothing. A session that it does not know is as new: also one that a
//! server before this one began.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use meesh_engine::Session;
use parking_lot::Mutex;

use crate::listen::ConnectionId;

/// Past this many the session that was used longest ago is forgotten.
const SESSIONS_MAX: usize = 100_000;

/// Use is noted once a token has lived this part of a session's lifetime.
const FRESH_PART: u32 = 24;

/// The name of a session.
pub(crate) type SessionId = [u8; 16];

/// What a session sets about this door, beside the engine's own [`Session`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DoorOptions {
    /// `profile`: `grafana` or nothing; `None` leaves it to headers.
    pub(crate) profile: Option<String>,
    /// `timestamptz`: send timestamps with a zone as UTC without one.
    pub(crate) utc_naive: bool,
    /// `max_message_bytes`; 0 is the default.
    pub(crate) message_bytes_max: u64,
}

/// The state of one session.
#[derive(Debug, Clone)]
pub(crate) struct SessionState {
    pub(crate) engine: Session,
    pub(crate) door: DoorOptions,
}

struct Entry {
    user: String,
    /// `None` where nothing is set: the entry is there because the token is old, or refused. Boxed, for most
    /// entries are of closed sessions.
    state: Option<Box<SessionState>>,
    used: Instant,
    closed: bool,
    /// The session ends with this connection.
    connection: Option<Weak<ConnectionId>>,
}

impl Entry {
    fn is_cut_off(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.strong_count() == 0)
    }
}

/// Every session that is not as new.
pub(crate) struct Sessions {
    entries: Mutex<HashMap<SessionId, Entry>>,
    lifetime: Duration,
    template: Session,
}

impl Sessions {
    /// Sessions that end when they were not used for `lifetime`.
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { entries: Mutex::default(), lifetime, template: Session::new("") }
    }

    /// The same, new sessions starting as `template` but for its user.
    pub(crate) fn starting_as(mut self, template: Session) -> Self {
        self.template = template.as_defaults_for("");
        self
    }

    /// How long a token is fresh: it is not worth noting that it is used.
    pub(crate) fn fresh_time(&self) -> Duration {
        self.lifetime / FRESH_PART
    }

    /// How old a token may be that nobody was seen to use: it may have been used while it was fresh.
    pub(crate) fn token_age_max(&self) -> Duration {
        self.lifetime.saturating_add(self.fresh_time())
    }

    /// The state of a session in which nothing was set yet.
    pub(crate) fn fresh(&self, user: &str) -> SessionState {
        let mut engine = self.template.clone();
        user.clone_into(&mut engine.user);
        SessionState { engine, door: DoorOptions::default() }
    }

    /// The state of a session, if any was set. Counts as use.
    pub(crate) fn load(&self, id: &SessionId, user: &str) -> Option<SessionState> {
        let mut entries = self.entries.lock();
        let entry = entries.get_mut(id).filter(|entry| entry.user == user)?;
        entry.used = Instant::now();
        entry.state.as_deref().cloned()
    }

    /// Changes the state of a session, starting from `fresh` if nothing was set yet.
    pub(crate) fn change<R>(
        &self,
        id: &SessionId,
        user: &str,
        fresh: impl FnOnce() -> SessionState,
        change: impl FnOnce(&mut SessionState) -> R,
    ) -> R {
        let mut entries = self.entries.lock();
        let entry = enter(&mut entries, id, user);
        change(entry.state.get_or_insert_with(|| Box::new(fresh())))
    }

    /// Lets a session end with a connection.
    pub(crate) fn tie(&self, id: &SessionId, connection: &Arc<ConnectionId>) {
        if let Some(entry) = self.entries.lock().get_mut(id) {
            entry.connection = Some(Arc::downgrade(connection));
        }
    }

    /// Notes that a session whose token is no longer fresh is in use.
    pub(crate) fn touch(&self, id: &SessionId, user: &str) {
        enter(&mut self.entries.lock(), id, user);
    }

    /// Ends a session: its token is refused from now on.
    pub(crate) fn close(&self, id: &SessionId, user: &str) {
        let mut entries = self.entries.lock();
        let entry = enter(&mut entries, id, user);
        entry.state = None;
        entry.closed = true;
    }

    /// Forgets what was set in a session that has no token to refuse.
    pub(crate) fn reset(&self, id: &SessionId) {
        self.entries.lock().remove(id);
    }

    pub(crate) fn is_closed(&self, id: &[u8]) -> bool {
        SessionId::try_from(id).is_ok_and(|id| self.entries.lock().get(&id).is_some_and(|entry| entry.closed))
    }

    pub(crate) fn is_in_use(&self, id: &SessionId) -> bool {
        self.entries.lock().get(id).is_some_and(|entry| !entry.closed && entry.used.elapsed() <= self.lifetime)
    }

    /// Forgets sessions that were not used for their lifetime, the closed ones once no token of theirs can
    /// be valid, and those whose connection is closed.
    pub(crate) fn sweep(&self) {
        let unused_max = self.token_age_max();
        self.entries.lock().retain(|_, entry| entry.used.elapsed() <= unused_max && !entry.is_cut_off());
    }

    /// As if a session had not been used for a while.
    #[cfg(test)]
    pub(crate) fn rest(&self, id: &SessionId, unused: Duration) {
        self.entries.lock().get_mut(id).unwrap().used = Instant::now().checked_sub(unused).unwrap();
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.entries.lock().len()
    }
}

fn enter<'a>(entries: &'a mut HashMap<SessionId, Entry>, id: &SessionId, user: &str) -> &'a mut Entry {
    if entries.len() >= SESSIONS_MAX && !entries.contains_key(id) {
        let oldest = entries.iter().min_by_key(|(_, entry)| entry.used).map(|(id, _)| *id);
        oldest.map(|id| entries.remove(&id));
    }
    let used = Instant::now();
    let new = || Entry { user: user.to_owned(), state: None, used, closed: false, connection: None };
    let entry = entries.entry(*id).or_insert_with(new);
    entry.used = used;
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_session_of_a_connection_ends_with_it() {
        let sessions = Sessions::new(HOUR);
        let connection = Arc::new([7; 16]);
        sessions.change(&[1; 16], "ann", || sessions.fresh("ann"), |_| ());
        sessions.tie(&[1; 16], &connection);
        sessions.sweep();
        assert_eq!(sessions.count(), 1);
        drop(connection);
        sessions.sweep();
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn state_belongs_to_its_user() {
        let sessions = Sessions::new(HOUR);
        let fresh = || SessionState { engine: Session::new("ann"), door: DoorOptions::default() };
        sessions.change(&[1; 16], "ann", fresh, |state| state.engine.catalog = Some("sales".into()));
        assert_eq!(sessions.load(&[1; 16], "ann").unwrap().engine.catalog.as_deref(), Some("sales"));
        assert!(sessions.load(&[1; 16], "bob").is_none());
        sessions.close(&[1; 16], "ann");
        assert!(sessions.load(&[1; 16], "ann").is_none());
    }
}
