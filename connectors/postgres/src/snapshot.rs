//! One state of the database for all that a query reads of a source.
//!
//! ```text
//! stream 0   BEGIN, export -- SELECT -- SELECT -- parked -- SELECT of stream 2 -- ROLLBACK
//! stream 1          BEGIN, import -- SELECT -- SELECT -- ROLLBACK
//! ```
//!
//! The first session that a query begins on a source exports its snapshot, and the others import it. An
//! exported snapshot can be imported as long as the transaction that exported it is open, so its session
//! waits for the streams that are still to come, and the next of them takes it over: a query never waits
//! for a session that it holds itself. A query that reads one stream exports nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use meesh_base::{Error, ErrorKind, QueryScope, Result};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedMutexGuard};

use crate::pool::{Pool, PooledConnection};
use crate::quote::quote_text;
use crate::wire::{Endpoint, Place, READ_ONLY};

const AGAIN: &str = "run the query again";

/// What a query sees of one source.
#[derive(Default)]
pub(crate) struct QuerySnapshot {
    state: Mutex<State>,
    /// Held by the stream that exports, until it has.
    turn: Arc<tokio::sync::Mutex<()>>,
    parked: Notify,
}

#[derive(Default)]
struct State {
    /// Streams that were planned and have not ended.
    expected: usize,
    /// Scans of which no stream has a session yet.
    unserved: usize,
    exported: Option<Exported>,
    /// How many snapshots there have been: one is lost with the session that exported it.
    generation: u64,
    /// The session that exported it, while no stream uses it.
    parked: Option<PooledConnection>,
}

#[derive(Clone)]
struct Exported {
    id: String,
    /// Where; `None`: wherever this source is.
    endpoint: Option<Endpoint>,
}

impl Exported {
    /// Begins a transaction that sees the same, and asks for what was `wanted`; the last row is the answer.
    ///
    /// The locks are taken before the stream undertakes to read anything: whoever alters a table waits for
    /// the other streams, which must not wait for this one.
    async fn import(
        &self,
        mut session: PooledConnection,
        wanted: &Wanted<'_>,
    ) -> Result<(PooledConnection, Vec<Option<String>>)> {
        if self.endpoint.as_ref().is_some_and(|endpoint| endpoint != session.endpoint()) {
            let place = session.place();
            return Err(place.unavailable("is another one than the query reads from").with_hint(AGAIN).passing());
        }
        // It must come before any query.
        let begin = format!("{READ_ONLY}; SET TRANSACTION SNAPSHOT {}", quote_text(&self.id));
        let sql = format!("{}; {}", session.prelude(&begin, wanted.settings), wanted.checks);
        let begun = session.simple_query(&sql).await;
        let answers = begun.map_err(|error| snapshot_gone(session.place(), error))?;
        let checked = answers.into_iter().next_back().and_then(|answer| answer.rows.into_iter().next_back());
        Ok((session, checked.unwrap_or_default()))
    }
}

/// The error of a session that cannot import: the one that exported the snapshot has ended.
fn snapshot_gone(place: &Place, error: Error) -> Error {
    if error.kind() == ErrorKind::SourceUnavailable || !error.to_string().contains("snapshot") {
        return error;
    }
    place.unavailable("has ended the transaction that the query reads in").with_hint(AGAIN).with_cause(error).passing()
}

/// The snapshot that the next plan of a query takes.
#[derive(Default)]
struct Current(Mutex<Option<Arc<QuerySnapshot>>>);

impl QuerySnapshot {
    /// That of the query `scope` in the source behind `pool`.
    pub(crate) fn of(scope: &QueryScope, pool: &Pool) -> Arc<Self> {
        let current = scope.slot::<Current>(&pool.key());
        let mut current = current.0.lock();
        Arc::clone(current.get_or_insert_default())
    }

    /// Says that its transaction is lost: the query's next plan gets another.
    pub(crate) fn lost(self: &Arc<Self>, scope: &QueryScope, pool: &Pool) {
        let current = scope.slot::<Current>(&pool.key());
        let mut current = current.0.lock();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, self)) {
            *current = None;
        }
    }

    /// Makes every stream that begins after this read what a transaction sees that has exported its
    /// snapshot as `id`, and stays open until the last of them has ended.
    pub(crate) fn adopt(&self, id: String) {
        self.state.lock().exported = Some(Exported { id, endpoint: None });
    }

    /// Announces a scan of `streams` streams.
    pub(crate) fn expect(self: &Arc<Self>, streams: usize) -> ExpectedScan {
        let mut state = self.state.lock();
        state.expected += streams;
        state.unserved += 1;
        drop(state);
        ExpectedScan {
            snapshot: Arc::clone(self),
            streams: AtomicUsize::new(streams),
            idle: AtomicUsize::new(0),
            unserved: AtomicUsize::new(1),
        }
    }

    /// A session to read with, in this snapshot once its [`Begin`] has been sent. `None`: there is none
    /// now, and this stream is not the one that `must` read.
    ///
    /// Behind a pooler a session may stand without a server until another one's transaction has ended,
    /// perhaps one that waits for this very stream: whoever waits here takes what is parked meanwhile.
    ///
    /// # Errors
    /// [`Pool::get`]'s; `SourceUnavailable` when the snapshot is gone.
    pub(crate) async fn session(&self, pool: &Pool, scope: &QueryScope, wanted: &Wanted<'_>) -> Result<Option<Lease>> {
        if let Some(lease) = self.take_parked() {
            return Ok(Some(lease));
        }
        if wanted.whole && self.is_alone() {
            let (session, generation) = (pool.get(Some(scope)).await?, self.state.lock().generation);
            return Ok(Some(Lease { session, begin: Begin::Alone, exports: false, generation, checked: None }));
        }
        loop {
            let generation = self.state.lock().generation;
            match self.shared(pool, scope, wanted).await {
                // What it was to see was lost meanwhile, as the stream that exported it ended early: it sees what
                // those see that come later.
                Err(error) if error.is_passing() && self.state.lock().generation != generation => {}
                // What only helps may fail: it may have reached another server of the list.
                Err(error) if !wanted.must => {
                    tracing::debug!(query = %scope.id(), "no further session: {error}");
                    return Ok(None);
                }
                got => return got,
            }
        }
    }

    /// A session in the snapshot that the streams share.
    async fn shared(&self, pool: &Pool, scope: &QueryScope, wanted: &Wanted<'_>) -> Result<Option<Lease>> {
        // Whoever comes first exports; the others wait until it has.
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (exported, generation) = {
            let state = self.state.lock();
            (state.exported.clone(), state.generation)
        };
        let lease = |session, begin, exports| Lease { session, begin, exports, generation, checked: None };
        let session = async {
            if wanted.must {
                return pool.get(Some(scope)).await.map(Some);
            }
            let spare = self.state.lock().unserved;
            Ok(pool.get_if_free(spare).await)
        };
        let Some(exported) = exported else {
            let session = session.await?;
            return Ok(session.map(|session| lease(session, Begin::Export(turn), true)));
        };
        drop(turn);
        let imported = async {
            match session.await? {
                Some(session) => {
                    let (session, checked) = exported.import(session, wanted).await?;
                    Ok(Some(Lease { checked: Some(checked), ..lease(session, Begin::Begun, false) }))
                }
                None => Ok(None),
            }
        };
        tokio::select! {
            lease = imported => lease,
            lease = self.next_parked() => Ok(Some(lease)),
        }
    }

    /// Takes a session back whose stream has ended.
    pub(crate) fn give_back(&self, lease: Lease) {
        let mut state = self.state.lock();
        // One that is dropped in its transaction is rolled back by the pool. One that has begun none, because
        // there was nothing left to read, has nothing to hand on.
        let begun = matches!(lease.begin, Begin::Begun);
        if lease.exports && begun && state.expected > 0 && !lease.session.is_broken() {
            state.parked = Some(lease.session);
            drop(state);
            self.parked.notify_one();
        }
    }

    /// Lets a session go whose stream has ended early. What it exported is lost: streams that come later
    /// see another state, but none that reads what this one was reading.
    pub(crate) fn abandon(&self, lease: Lease) {
        if lease.exports {
            let mut state = self.state.lock();
            state.exported = None;
            state.generation += 1;
        }
    }

    /// Whether no other stream can come that would have to see the same.
    fn is_alone(&self) -> bool {
        let state = self.state.lock();
        state.expected <= 1 && state.exported.is_none()
    }

    fn take_parked(&self) -> Option<Lease> {
        let mut state = self.state.lock();
        let (session, generation) = (state.parked.take()?, state.generation);
        Some(Lease { session, begin: Begin::Begun, exports: true, generation, checked: None })
    }

    async fn next_parked(&self) -> Lease {
        loop {
            let parked = self.parked.notified();
            if let Some(lease) = self.take_parked() {
                return lease;
            }
            parked.await;
        }
    }

    fn fewer(&self, streams: usize) {
        let mut state = self.state.lock();
        state.expected = state.expected.saturating_sub(streams);
        if state.expected == 0 {
            let parked = state.parked.take();
            if parked.is_some() {
                state.exported = None;
                state.generation += 1;
            }
            drop(state);
            drop(parked);
        }
    }
}

/// A scan that was planned: it counts until each of its streams has ended, or it is dropped.
pub(crate) struct ExpectedScan {
    snapshot: Arc<QuerySnapshot>,
    /// Streams that have not ended, without the idle ones.
    streams: AtomicUsize,
    /// Streams that have not ended and read nothing.
    idle: AtomicUsize,
    /// One until a stream has a session.
    unserved: AtomicUsize,
}

impl ExpectedScan {
    /// What its streams read.
    pub(crate) fn snapshot(&self) -> &Arc<QuerySnapshot> {
        &self.snapshot
    }

    /// Says that one of its streams has a session, or needs none.
    pub(crate) fn served(&self) {
        if self.unserved.swap(0, Ordering::Relaxed) == 1 {
            let mut state = self.snapshot.state.lock();
            state.unserved = state.unserved.saturating_sub(1);
        }
    }

    /// Says that it is read once more, by so many streams.
    pub(crate) fn again(&self, streams: usize) {
        if self.streams.compare_exchange(0, streams, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.snapshot.state.lock().expected += streams;
        }
    }

    /// Says that of its streams so many read, and the others have nothing to do: whoever reads alone exports nothing.
    pub(crate) fn only(&self, reading: usize) {
        let streams = self.streams.fetch_min(reading, Ordering::Relaxed);
        let idle = streams.saturating_sub(reading);
        self.idle.fetch_add(idle, Ordering::Relaxed);
        self.snapshot.fewer(idle);
    }

    /// Says that one of its streams has ended.
    pub(crate) fn ended(&self) {
        let one_less = |streams: usize| streams.checked_sub(1);
        if self.idle.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            return;
        }
        let counted = self.streams.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        if counted.is_ok() {
            self.snapshot.fewer(1);
        }
    }
}

impl Drop for ExpectedScan {
    fn drop(&mut self) {
        self.served();
        self.snapshot.fewer(*self.streams.get_mut());
    }
}

/// What a stream wants of its session.
pub(crate) struct Wanted<'a> {
    /// Whether it is the one that must read, if nobody else does.
    pub(crate) must: bool,
    /// Whether it reads all of its scan by one statement.
    pub(crate) whole: bool,
    /// Settings of its transaction.
    pub(crate) settings: &'a [(&'a str, &'a str)],
    /// Statements that lock what is read, and ask for its definition.
    pub(crate) checks: &'a str,
}

/// A session on loan from the query.
pub(crate) struct Lease {
    /// The session.
    pub(crate) session: PooledConnection,
    /// What puts it into the snapshot.
    pub(crate) begin: Begin,
    /// The answer to [`Wanted::checks`], where it was asked for already.
    pub(crate) checked: Option<Vec<Option<String>>>,
    /// Which snapshot it sees: streams of one reading must see the same.
    pub(crate) generation: u64,
    exports: bool,
}

/// How a session gets to see the snapshot.
pub(crate) enum Begin {
    /// It does.
    Begun,
    /// In a transaction of its own; nobody else reads.
    Alone,
    /// By taking one, which the others import then.
    Export(#[expect(dead_code, reason = "held until it is dropped")] OwnedMutexGuard<()>),
}

impl Begin {
    /// The statements; `None` within the transaction.
    pub(crate) fn sql(&self) -> Option<&'static str> {
        match self {
            Self::Begun => None,
            Self::Alone | Self::Export(_) => Some(READ_ONLY),
        }
    }
}

impl Lease {
    /// Notes that the session has begun, and what it exported, if it did: the others may begin now.
    pub(crate) fn begun(&mut self, snapshot: &QuerySnapshot, exported: Option<String>) {
        if let (Begin::Export(_), Some(id)) = (&self.begin, exported) {
            let endpoint = Some(self.session.endpoint().clone());
            snapshot.state.lock().exported = Some(Exported { id, endpoint });
        }
        self.begin = Begin::Begun;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_reads_alone_exports_nothing() {
        let snapshot = Arc::new(QuerySnapshot::default());
        let lookup = snapshot.expect(4);
        assert!(!snapshot.is_alone(), "four streams must see the same");
        lookup.only(1);
        assert!(snapshot.is_alone());
        let other = snapshot.expect(1);
        assert!(!snapshot.is_alone(), "another scan must see the same");
        (0..4).for_each(|_| lookup.ended());
        assert!(snapshot.is_alone());
        assert_eq!(snapshot.state.lock().expected, 1, "each stream is counted once");
        lookup.again(4);
        assert_eq!(snapshot.state.lock().expected, 5);
        drop(lookup);
        other.ended();
        assert_eq!(snapshot.state.lock().expected, 0);
    }
}
