//! What travels with one query, from the door down to the sockets of its sources.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{Error, Result};

/// The name of one query, shaped as Trino's: `20261123_141502_00042_k3xq9`. The last part differs
/// from one start of the server to the next.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(Arc<str>);

impl QueryId {
    /// A fresh id, unique within and across starts of the server.
    pub fn generate() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        static START: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
            const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
            let seed: [u8; 5] = rand::random();
            seed.iter().map(|b| LETTERS[usize::from(*b) % LETTERS.len()] as char).collect()
        });
        let number = COUNTER.fetch_add(1, Ordering::Relaxed) % 100_000;
        let now = chrono::Utc::now().format("%Y%m%d_%H%M%S");
        Self(format!("{now}_{number:05}_{}", *START).into())
    }

    /// An id that a client sent back; whether such a query exists is for the registry to say.
    pub fn parse(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far the reading of one source has come. Counters only grow.
#[derive(Debug, Default)]
pub struct SourceProgress {
    /// Rows received from the source.
    pub rows: AtomicU64,
    /// Bytes received from the source, as they came over the wire.
    pub bytes: AtomicU64,
    /// Units of work done (files, byte ranges, page ranges).
    pub units_done: AtomicU64,
    /// Units of work known of.
    pub units_total: AtomicU64,
}

type Hook = Box<dyn FnOnce() + Send>;
type Slot = (String, TypeId);

/// The life of one query: its name, its end (deadline and cancel token), what its sources keep for
/// it (a snapshot, a grant of connections), how far they are, and what is to be done when it ends.
///
/// One `Arc<QueryScope>` is put into the session configuration of the query's task context. The
/// hooks run when the last holder lets go, so a source's resources live as long as any of its streams.
pub struct QueryScope {
    id: QueryId,
    user: String,
    started: Instant,
    deadline: Option<Instant>,
    cancel: CancellationToken,
    slots: Mutex<HashMap<Slot, Arc<dyn Any + Send + Sync>>>,
    progress: Mutex<BTreeMap<String, Arc<SourceProgress>>>,
    hooks: Mutex<Vec<Hook>>,
}

impl QueryScope {
    /// The scope of a query that starts now and may run for `run_time_max`.
    pub fn new(id: QueryId, user: impl Into<String>, run_time_max: Option<Duration>) -> Self {
        let started = Instant::now();
        Self {
            id,
            user: user.into(),
            started,
            deadline: run_time_max.and_then(|limit| started.checked_add(limit)),
            cancel: CancellationToken::new(),
            slots: Mutex::default(),
            progress: Mutex::default(),
            hooks: Mutex::default(),
        }
    }

    /// The query's name.
    pub fn id(&self) -> &QueryId {
        &self.id
    }

    /// Who runs it.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// When it was accepted.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// When it must have ended.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The token that every stream of the query watches.
    pub fn cancel_token(&self) -> &CancellationToken {
        &self.cancel
    }

    /// [`Error`] of kind `Cancelled` or `Timeout` once the query must stop.
    pub fn check(&self) -> Result<()> {
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || self.cancel.is_cancelled() { Err(self.end().error()) } else { Ok(()) }
    }

    /// The error of a query that ran into its deadline.
    pub fn timeout(&self) -> Error {
        self.end().timeout()
    }

    /// Waits until the query must stop, and says why; for ever if it never must. Does not keep the
    /// scope alive.
    pub fn stopped(&self) -> impl Future<Output = Error> + Send + use<> {
        let end = self.end();
        async move {
            let deadline = async {
                match end.deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = end.cancel.cancelled() => {}
                () = deadline => {}
            }
            end.error()
        }
    }

    fn end(&self) -> End {
        End { cancel: self.cancel.clone(), started: self.started, deadline: self.deadline }
    }

    /// What `source` keeps for this query, made on first use; one value per source and type.
    pub fn slot<T: Any + Send + Sync + Default>(&self, source: &str) -> Arc<T> {
        let mut slots = self.slots.lock();
        let slot = slots.entry((source.to_owned(), TypeId::of::<T>())).or_insert_with(|| Arc::new(T::default()));
        // The key holds the type's id, so the downcast cannot miss.
        Arc::clone(slot).downcast::<T>().unwrap_or_default()
    }

    /// The progress of `source` (a catalog's name) in this query.
    pub fn progress(&self, source: &str) -> Arc<SourceProgress> {
        Arc::clone(self.progress.lock().entry(source.to_owned()).or_default())
    }

    /// The progress of every source that has been touched, by catalog name.
    pub fn all_progress(&self) -> Vec<(String, Arc<SourceProgress>)> {
        self.progress.lock().iter().map(|(name, progress)| (name.clone(), Arc::clone(progress))).collect()
    }

    /// Runs `hook` once the query is over, however it ended.
    pub fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        self.hooks.lock().push(Box::new(hook));
    }
}

/// What ends a query before its last row.
struct End {
    cancel: CancellationToken,
    started: Instant,
    deadline: Option<Instant>,
}

impl End {
    fn error(&self) -> Error {
        if self.cancel.is_cancelled() {
            return Error::cancelled("query was cancelled").with_code("USER_CANCELED");
        }
        self.timeout()
    }

    fn timeout(&self) -> Error {
        let limit = self.deadline.map(|deadline| deadline.duration_since(self.started)).unwrap_or_default();
        Error::timeout(format!("query exceeded its maximum run time of {}", crate::format_duration(limit)))
            .with_hint("raise it with SET SESSION query_max_run_time = '…', or narrow the query")
            .with_code("EXCEEDED_TIME_LIMIT")
    }
}

impl Drop for QueryScope {
    fn drop(&mut self) {
        for hook in std::mem::take(self.hooks.get_mut()) {
            hook();
        }
    }
}

impl fmt::Debug for QueryScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryScope({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_made_once_per_source_and_type() {
        let scope = QueryScope::new(QueryId::generate(), "ann", None);
        scope.slot::<AtomicU64>("sales").store(7, Ordering::Relaxed);
        assert_eq!(scope.slot::<AtomicU64>("sales").load(Ordering::Relaxed), 7);
        assert_eq!(scope.slot::<AtomicU64>("marketing").load(Ordering::Relaxed), 0);
    }

    #[test]
    fn hooks_run_when_the_last_holder_lets_go() {
        let done = Arc::new(AtomicU64::new(0));
        let scope = Arc::new(QueryScope::new(QueryId::generate(), "ann", None));
        let seen = Arc::clone(&done);
        scope.on_end(move || seen.store(1, Ordering::Relaxed));
        let second = Arc::clone(&scope);
        drop(scope);
        assert_eq!(done.load(Ordering::Relaxed), 0);
        drop(second);
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_scope_ends_by_cancel_or_deadline() {
        let scope = QueryScope::new(QueryId::generate(), "ann", Some(Duration::ZERO));
        assert_eq!(scope.check().unwrap_err().kind(), crate::ErrorKind::Timeout);
        scope.cancel_token().cancel();
        assert_eq!(scope.check().unwrap_err().kind(), crate::ErrorKind::Cancelled);
    }
}
