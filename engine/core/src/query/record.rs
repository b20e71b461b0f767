//! The registry: every query that runs, and the last ones that ended.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use meesh_base::{Error, ErrorKind, QueryId, QueryScope, Result, SourceProgress};
use parking_lot::Mutex;

use super::{QueryInfo, QueryState, SourceInfo};
use crate::limits::QueryMemoryPool;

/// Ended queries that are remembered.
const HISTORY: usize = 200;

/// How much of a statement's text is remembered.
const TEXT_BYTES: usize = 32 << 10;

/// Sources' progress is shown up to here; the rest is the engine's own work.
const PROGRESS_BEFORE_END: f64 = 0.99;

#[derive(Debug)]
struct Times {
    state: QueryState,
    started: Option<SystemTime>,
    ended: Option<SystemTime>,
    error: Option<Error>,
    sources: Vec<SourceInfo>,
    progress: f64,
}

/// One query. Its scope is held weakly: the record outlives what the query held at its sources.
#[derive(Debug)]
pub(crate) struct QueryRecord {
    id: QueryId,
    user: String,
    source: Option<String>,
    text: String,
    created: SystemTime,
    began: Instant,
    rows: AtomicU64,
    bytes: AtomicU64,
    times: Mutex<Times>,
    scope: std::sync::Weak<QueryScope>,
    cancel: tokio_util::sync::CancellationToken,
    memory: Arc<QueryMemoryPool>,
}

impl QueryRecord {
    pub(crate) fn id(&self) -> &QueryId {
        &self.id
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Moves on to `state`, unless the query is over.
    pub(crate) fn enter(&self, state: QueryState) {
        let mut times = self.times.lock();
        if times.state.is_over() {
            return;
        }
        if state == QueryState::Running && times.started.is_none() {
            times.started = Some(SystemTime::now());
        }
        times.state = state;
    }

    pub(crate) fn add_output(&self, rows: usize, bytes: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Ends the query once: the first word on how it ended stays. Logs it, and counts it.
    pub(crate) fn end(&self, outcome: std::result::Result<(), &Error>) {
        let state = match outcome {
            Ok(()) => QueryState::Finished,
            Err(error) if error.kind() == ErrorKind::Cancelled => QueryState::Cancelled,
            Err(_) => QueryState::Failed,
        };
        let sources = self.live_sources();
        {
            let mut times = self.times.lock();
            if times.state.is_over() {
                return;
            }
            times.state = state;
            times.ended = Some(SystemTime::now());
            times.error = outcome.err().cloned();
            times.sources = sources;
            if state == QueryState::Finished {
                times.progress = 1.0;
            }
        }
        self.log(state, outcome.err());
    }

    fn log(&self, state: QueryState, error: Option<&Error>) {
        let elapsed = self.began.elapsed();
        metrics::counter!("meesh_queries_total", "state" => state.name()).increment(1);
        metrics::histogram!("meesh_query_seconds").record(elapsed.as_secs_f64());
        metrics::counter!("meesh_rows_sent_total").increment(self.rows.load(Ordering::Relaxed));
        let rows = self.rows.load(Ordering::Relaxed);
        let ms = elapsed.as_millis() as u64;
        let peak = self.memory.peak_bytes();
        match error {
            Some(error) if error.kind() == ErrorKind::Internal => {
                tracing::error!(query = %self.id, user = self.user, state = state.name(), ms, rows, %error, text = self.text, "query ended");
            }
            Some(error) => {
                tracing::info!(query = %self.id, user = self.user, state = state.name(), ms, rows, kind = error.kind().name(), %error, "query ended");
            }
            None => {
                tracing::info!(query = %self.id, user = self.user, state = state.name(), ms, rows, peak_bytes = peak, "query ended")
            }
        }
    }

    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// What travels with the query, while it lives.
    pub(crate) fn scope(&self) -> Option<Arc<QueryScope>> {
        self.scope.upgrade()
    }

    /// Remembers what the sources have delivered, before they are let go.
    pub(crate) fn keep_sources(&self) {
        let sources = self.live_sources();
        self.times.lock().sources = sources;
    }

    fn live_sources(&self) -> Vec<SourceInfo> {
        let Some(scope) = self.scope.upgrade() else { return self.times.lock().sources.clone() };
        let info = |(catalog, progress): (String, Arc<SourceProgress>)| SourceInfo {
            catalog,
            rows: progress.rows.load(Ordering::Relaxed),
            bytes: progress.bytes.load(Ordering::Relaxed),
            units_done: progress.units_done.load(Ordering::Relaxed),
            units_total: progress.units_total.load(Ordering::Relaxed),
        };
        scope.all_progress().into_iter().map(info).collect()
    }

    pub(crate) fn info(&self) -> QueryInfo {
        let sources = self.live_sources();
        let mut times = self.times.lock();
        if !times.state.is_over() {
            let done: u64 = sources.iter().map(|s| s.units_done).sum();
            let total: u64 = sources.iter().map(|s| s.units_total).sum();
            let now = if total == 0 { 0.0 } else { (done as f64 / total as f64).min(PROGRESS_BEFORE_END) };
            times.progress = times.progress.max(now);
        }
        QueryInfo {
            id: self.id.clone(),
            user: self.user.clone(),
            source: self.source.clone(),
            text: self.text.clone(),
            state: times.state,
            created: self.created,
            started: times.started,
            ended: times.ended,
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            progress: times.progress,
            sources,
            error: times.error.clone(),
            memory_peak_bytes: self.memory.peak_bytes() as u64,
        }
    }
}

/// The beginning of a text that is too long to be kept 200 times.
fn shortened(text: &str) -> String {
    if text.len() <= TEXT_BYTES {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{} …", text.get(..end).unwrap_or_default())
}

#[derive(Debug, Default)]
struct Known {
    live: HashMap<QueryId, Arc<QueryRecord>>,
    ended: VecDeque<Arc<QueryRecord>>,
}

/// Every query of the server, by id.
#[derive(Debug, Default)]
pub(crate) struct Queries(Mutex<Known>);

impl Queries {
    /// Takes a new query in.
    pub(crate) fn begin(
        &self,
        scope: &Arc<QueryScope>,
        source: Option<String>,
        text: &str,
        memory: Arc<QueryMemoryPool>,
    ) -> Arc<QueryRecord> {
        let record = Arc::new(QueryRecord {
            id: scope.id().clone(),
            user: scope.user().to_owned(),
            source,
            text: shortened(text),
            created: SystemTime::now(),
            began: Instant::now(),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            times: Mutex::new(Times {
                state: QueryState::Planning,
                started: None,
                ended: None,
                error: None,
                sources: Vec::new(),
                progress: 0.0,
            }),
            scope: Arc::downgrade(scope),
            cancel: scope.cancel_token().clone(),
            memory,
        });
        let mut known = self.0.lock();
        known.live.insert(record.id.clone(), Arc::clone(&record));
        metrics::gauge!("meesh_queries_live").set(known.live.len() as f64);
        record
    }

    /// Moves an ended query to the history.
    pub(crate) fn retire(&self, record: &Arc<QueryRecord>) {
        let mut known = self.0.lock();
        if known.live.remove(&record.id).is_some() {
            if known.ended.len() == HISTORY {
                known.ended.pop_front();
            }
            known.ended.push_back(Arc::clone(record));
        }
        metrics::gauge!("meesh_queries_live").set(known.live.len() as f64);
    }

    /// Takes a statement out that was only looked at.
    pub(crate) fn forget(&self, record: &Arc<QueryRecord>) {
        self.0.lock().live.remove(&record.id);
    }

    pub(crate) fn infos(&self) -> Vec<QueryInfo> {
        let records: Vec<Arc<QueryRecord>> = {
            let known = self.0.lock();
            known.ended.iter().chain(known.live.values()).cloned().collect()
        };
        let mut infos: Vec<QueryInfo> = records.iter().map(|record| record.info()).collect();
        infos.sort_by_key(|info| info.created);
        infos
    }

    pub(crate) fn info(&self, id: &QueryId) -> Option<QueryInfo> {
        let record = {
            let known = self.0.lock();
            known.live.get(id).or_else(|| known.ended.iter().rev().find(|record| record.id == *id)).cloned()
        };
        record.map(|record| record.info())
    }

    pub(crate) fn live_count(&self) -> usize {
        self.0.lock().live.len()
    }

    /// Cancels a live query of `user`.
    ///
    /// # Errors
    /// `NotFound`, also when it is another user's: its existence is nobody else's business.
    pub(crate) fn cancel(&self, id: &QueryId, user: &str) -> Result<()> {
        let record = self.0.lock().live.get(id).filter(|record| record.user == user).cloned();
        match record {
            Some(record) => {
                record.cancel();
                Ok(())
            }
            None => Err(Error::not_found(format!("query \"{id}\" does not exist or has ended"))),
        }
    }

    /// Cancels everything, at the end of a drain.
    pub(crate) fn cancel_all(&self) {
        for record in self.0.lock().live.values() {
            record.cancel();
        }
    }

    /// Waits until no query is live, at most `grace`.
    pub(crate) async fn wait_idle(&self, grace: Duration) {
        let end = Instant::now() + grace;
        while self.live_count() > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
