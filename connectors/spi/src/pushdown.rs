//! The answers to "what can you take?" and "give me the rows".

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::common::Statistics;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use futures::stream::BoxStream;
use meesh_base::{QueryScope, Result};

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
    /// schema equals the fragment's. May ask the source for estimates; starts nothing.
    ///
    /// # Errors
    /// `SourceUnavailable` when the source was asked and did not answer.
    async fn plan(&self, fragment: &LogicalPlan, scope: &QueryScope) -> Result<PlannedFragment>;

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

    /// How many streams may be opened. Their union is the result; no order holds between or within
    /// them unless the remote text says so.
    fn partitions(&self) -> usize {
        1
    }

    /// What is known of the result before it is read.
    fn statistics(&self) -> Statistics {
        Statistics::new_unknown(&self.schema())
    }

    /// Opens one stream. Starts nothing before the first poll; dropping the stream stops the source.
    ///
    /// `filters` hold on every row that the query needs (they come from joins above and may become
    /// known only at the first poll); applying them is allowed, never required. Batches hold at most
    /// `batch_rows` rows.
    fn open(
        &self,
        partition: usize,
        scope: Arc<QueryScope>,
        filters: &[Arc<dyn PhysicalExpr>],
        batch_rows: usize,
    ) -> BoxStream<'static, Result<RecordBatch>>;
}
