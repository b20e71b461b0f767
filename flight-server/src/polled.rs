//! Queries that a poll started and nobody reads yet: how many there may be, and how many of their rows
//! are kept for them.
//!
//! Rows that wait here are in no query's memory pool any more, so all of them together have a budget.
//! When it is used up, queries read no further ahead: their rows stay where they are until they are
//! fetched, and polls say that they can be.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use futures::stream::BoxStream;
use meesh_engine::{Error, QueryId, QueryStream};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::parked::Owner;

/// A query that nobody polls or reads ends after this.
pub(crate) const LIFETIME: Duration = Duration::from_secs(300);

/// Rows that are kept for one query.
const AHEAD_BYTES_MAX: usize = 8 << 20;
/// Rows that are kept for all of them; a batch more for each query that is running.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// Queries of one session; past the limit the one that was polled longest ago ends. Each of them may run.
const POLLED_MAX: usize = 64;
/// Queries of all sessions, or of the clients that keep no token, who share one.
const POLLED_TOTAL_MAX: usize = 1024;

/// How far a query has come.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Nothing to read yet, or not enough.
    Running,
    /// As many rows as may be kept are here; the rest comes as it is read.
    Readable,
    /// Every row is here.
    Ended,
    /// The query ended with an error.
    Failed(Error),
}

/// Queries that were started by a poll and not yet read.
#[derive(Default)]
pub(crate) struct Polls {
    queries: Mutex<HashMap<QueryId, Polled>>,
    kept: Kept,
}

struct Polled {
    owner: Owner,
    schema: SchemaRef,
    news: watch::Receiver<State>,
    claimed: Arc<Notify>,
    task: JoinHandle<Ahead>,
    used: Instant,
}

impl Drop for Polled {
    // The task owns the query: it ends with it.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The rows that were read ahead, and the stream of the others.
struct Ahead {
    batches: Vec<KeptBatch>,
    rest: Option<QueryStream>,
    error: Option<Error>,
}

type Rows = BoxStream<'static, meesh_engine::Result<RecordBatch>>;

impl Polls {
    /// Starts a query.
    pub(crate) fn start(&self, stream: QueryStream, owner: Owner) -> watch::Receiver<State> {
        let (id, schema) = (stream.id().clone(), stream.schema());
        let (tell, news) = watch::channel(State::Running);
        let claimed = Arc::new(Notify::new());
        let task = tokio::spawn(read_ahead(stream, tell, Arc::clone(&claimed), self.kept.clone()));
        let mut queries = self.queries.lock();
        make_room(&mut queries, &owner);
        let polled = Polled { owner, schema, news: news.clone(), claimed, task, used: Instant::now() };
        queries.insert(id, polled);
        news
    }

    /// What there is to tell of a query, and its schema; `None` if there is no such query. Counts as use.
    pub(crate) fn news(&self, id: &QueryId) -> Option<(SchemaRef, watch::Receiver<State>)> {
        let mut queries = self.queries.lock();
        let polled = queries.get_mut(id)?;
        polled.used = Instant::now();
        Some((Arc::clone(&polled.schema), polled.news.clone()))
    }

    /// Takes a query that a poll started: what was read ahead, then the rest. `None` if there is none.
    pub(crate) async fn claim(&self, id: &QueryId) -> Option<(SchemaRef, Rows)> {
        let mut polled = self.queries.lock().remove(id)?;
        polled.claimed.notify_one();
        let ahead = (&mut polled.task).await.ok()?;
        let read = ahead.batches.into_iter().map(|kept| Ok(kept.batch.clone())).chain(ahead.error.map(Err));
        let rest = futures::stream::iter(ahead.rest).flatten();
        Some((Arc::clone(&polled.schema), futures::stream::iter(read).chain(rest).boxed()))
    }

    /// Drops a query and with it what it holds at its sources.
    pub(crate) fn remove(&self, id: &QueryId) {
        self.queries.lock().remove(id);
    }

    /// Drops queries that nobody came back for.
    pub(crate) fn sweep(&self) {
        self.queries.lock().retain(|_, polled| polled.used.elapsed() < LIFETIME);
    }

    #[cfg(test)]
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept.0.load(Ordering::Relaxed)
    }
}

/// Makes room for one more query of `owner`.
fn make_room(queries: &mut HashMap<QueryId, Polled>, owner: &Owner) {
    if !owner.is_shared() {
        drop_oldest(queries, POLLED_MAX, |polled| polled.owner == *owner);
    }
    drop_oldest(queries, POLLED_TOTAL_MAX, |_| true);
}

/// Leaves fewer than `limit` of those that `counts`.
fn drop_oldest(queries: &mut HashMap<QueryId, Polled>, limit: usize, counts: impl Fn(&Polled) -> bool) {
    let mut counted: Vec<_> = queries.iter().filter(|(_, polled)| counts(polled)).collect();
    let surplus = (counted.len() + 1).saturating_sub(limit);
    counted.sort_unstable_by_key(|(_, polled)| polled.used);
    let oldest: Vec<QueryId> = counted.into_iter().take(surplus).map(|(id, _)| id.clone()).collect();
    for id in oldest {
        tracing::warn!(query = %id, "polled query dropped: too many wait to be read");
        queries.remove(&id);
    }
}

/// The bytes of all rows that are kept.
#[derive(Clone, Default)]
struct Kept(Arc<AtomicUsize>);

impl Kept {
    fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= KEPT_BYTES_MAX
    }

    fn add(&self, batch: RecordBatch) -> KeptBatch {
        let bytes = batch.get_array_memory_size();
        self.0.fetch_add(bytes, Ordering::Relaxed);
        KeptBatch { batch, bytes, kept: self.clone() }
    }
}

/// A batch that is counted until dropped.
struct KeptBatch {
    batch: RecordBatch,
    bytes: usize,
    kept: Kept,
}

impl Drop for KeptBatch {
    fn drop(&mut self) {
        self.kept.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

async fn read_ahead(mut stream: QueryStream, tell: watch::Sender<State>, claimed: Arc<Notify>, kept: Kept) -> Ahead {
    let mut batches: Vec<KeptBatch> = Vec::new();
    let mut bytes = 0;
    loop {
        let is_full = bytes >= AHEAD_BYTES_MAX || kept.is_full();
        if is_full {
            tell.send_replace(State::Readable);
        }
        let next = tokio::select! {
            biased;
            () = claimed.notified() => return Ahead { batches, rest: Some(stream), error: None },
            next = stream.next(), if !is_full => next,
        };
        match next {
            Some(Ok(batch)) => {
                let batch = kept.add(batch);
                bytes += batch.bytes;
                batches.push(batch);
            }
            Some(Err(error)) => {
                tell.send_replace(State::Failed(error.clone()));
                return Ahead { batches, rest: None, error: Some(error) };
            }
            None => {
                tell.send_replace(State::Ended);
                return Ahead { batches, rest: None, error: None };
            }
        }
    }
}
