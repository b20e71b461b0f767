//! The answers to "what can you take?" and "give me the rows".

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::common::Statistics;
use datafusion::logical_expr::LogicalPlan;
use futures::stream::BoxStream;
use meesh_base::{QueryScope, Result};
use parking_lot::Mutex;

use crate::RowFilters;

/// Whether a source takes one node of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the node, given that it takes the node's inputs.
    Yes,
    /// It does not; the reason is shown by EXPLAIN: `lower(x): collation`.
    No(String),
}

/// A fragment as the source will run it.
#[derive(Debug)]
pub struct PlannedFragment {
    /// Yields the rows of the part that was taken.
    pub scan: Arc<dyn SourceScan>,
}

/// How much a fragment yields, as its source estimates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Rows.
    pub rows: f64,
    /// Bytes of all rows on their way.
    pub bytes: f64,
}

/// What a source can take over of a plan. Asked from the leaves up.
#[async_trait]
pub trait Pushdown: Send + Sync {
    /// Whether the source takes `node`, whose inputs it has already taken. Looks at this node only.
    ///
    /// The engine asks about a filter one conjunct at a time, so a `Filter` given here holds one.
    /// Synchronous and without I/O.
    fn classify(&self, node: &LogicalPlan) -> Verdict;

    /// Turns a fragment, every node of which was taken by [`Self::classify`], into a scan whose
    /// schema equals the fragment's, of at most `streams_max` streams. May ask the source for
    /// estimates; starts nothing.
    ///
    /// # Errors
    /// `SourceUnavailable` when the source was asked and did not answer.
    async fn plan(&self, fragment: &LogicalPlan, scope: &QueryScope, streams_max: usize) -> Result<PlannedFragment>;

    /// How much a fragment would yield; `None` if the source cannot say. One round trip at most, and
    /// none for a question that was asked some seconds ago.
    ///
    /// # Errors
    /// `SourceUnavailable` when the source did not answer.
    async fn estimate(&self, _fragment: &LogicalPlan, _scope: &QueryScope) -> Result<Option<Estimate>> {
        Ok(None)
    }
}

/// The rows of one fragment. Holds no result and no connection: each [`SourceScan::open`] does.
pub trait SourceScan: Debug + Send + Sync {
    /// The catalog it reads, for EXPLAIN, progress and messages.
    fn catalog(&self) -> &str;

    /// What is sent to the source, as text that can be pasted into the source's own client.
    fn remote_text(&self) -> String;

    /// The columns of the rows, exactly as the fragment's plan declares them.
    fn schema(&self) -> SchemaRef;

    /// The same scan with its texts as plain arrays (Utf8) instead of views: cheaper to make, for rows that
    /// nothing looks into before they leave. `None` if it makes views as cheaply.
    fn with_plain_texts(&self) -> Option<Arc<dyn SourceScan>> {
        None
    }

    /// How many streams may be opened. Their union is the result; no order holds between or within
    /// them unless the remote text says so.
    fn partitions(&self) -> usize {
        1
    }

    /// What is known of the result before it is read.
    fn statistics(&self) -> Statistics {
        Statistics::new_unknown(&self.schema())
    }

    /// Opens all [`Self::partitions`] streams of one reading of the result. Nothing starts before the
    /// first poll; dropping a stream stops its part of the source's work.
    ///
    /// The streams may share the work: one that is never polled leaves its share to the others, so
    /// those of two readings must not be mixed.
    fn open(&self, request: ScanRequest) -> Vec<BoxStream<'static, Result<RecordBatch>>>;
}

/// What a reading is given.
#[derive(Debug, Clone)]
pub struct ScanRequest {
    /// The query.
    pub scope: Arc<QueryScope>,
    /// What operators above need of the rows. Leaving out others is allowed, never required.
    pub filters: RowFilters,
    /// The most rows of a batch.
    pub batch_rows: usize,
    /// Where to say what was done.
    pub report: Arc<ScanReport>,
}

impl ScanRequest {
    /// A reading of all rows that nobody watches.
    pub fn all(scope: Arc<QueryScope>, schema: SchemaRef, batch_rows: usize) -> Self {
        Self { scope, filters: RowFilters::none(schema), batch_rows, report: Arc::default() }
    }
}

/// What a reading did, for EXPLAIN ANALYZE.
#[derive(Debug, Default)]
pub struct ScanReport {
    /// Rows that came from the source.
    pub rows: AtomicU64,
    /// Bytes that came over the wire.
    pub bytes: AtomicU64,
    /// Streams that read something.
    pub streams: AtomicU64,
    /// What was done with the filters of operators above, one line each: `k: 100 values, sent`.
    filters: Mutex<Vec<String>>,
    times: Mutex<Option<(Instant, Instant)>>,
}

impl ScanReport {
    /// Counts a batch that has come.
    pub fn received(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.touch();
    }

    /// Says that the source is being read, or was until now.
    pub fn touch(&self) {
        let now = Instant::now();
        let mut times = self.times.lock();
        *times = Some((times.map_or(now, |(start, _)| start), now));
    }

    /// From the first statement to the last row; `None` before it.
    pub fn elapsed(&self) -> Option<Duration> {
        self.times.lock().map(|(start, end)| end.duration_since(start))
    }

    /// Says what was done with a filter.
    pub fn filtered(&self, what: String) {
        self.filters.lock().push(what);
    }

    /// What was done with the filters.
    pub fn filters(&self) -> Vec<String> {
        self.filters.lock().clone()
    }
}
