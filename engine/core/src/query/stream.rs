//! The rows of one statement.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::Stream;
use futures::stream::BoxStream;
use meesh_base::{Error, QueryId, Result};

use super::{Queries, QueryInfo, QueryRecord, QueryState};
use crate::engine::StatementKind;
use crate::session::SessionChange;

/// A stream of batches whose schema is known before the first of them.
///
/// Nothing runs before the first poll. It holds a bounded number of batches, ends with an error if
/// the query is cancelled or runs into its deadline, and stops the sources when dropped.
pub struct QueryStream {
    record: Arc<QueryRecord>,
    queries: Arc<Queries>,
    kind: StatementKind,
    schema: SchemaRef,
    changes: Vec<SessionChange>,
    /// `None` once the query is over: dropping it releases the sources before anybody is told.
    rows: Option<BoxStream<'static, Result<RecordBatch>>>,
}

impl QueryStream {
    pub(crate) fn new(
        record: Arc<QueryRecord>,
        queries: Arc<Queries>,
        kind: StatementKind,
        schema: SchemaRef,
        changes: Vec<SessionChange>,
        rows: BoxStream<'static, Result<RecordBatch>>,
    ) -> Self {
        Self { record, queries, kind, schema, changes, rows: Some(rows) }
    }

    /// The query's name.
    pub fn id(&self) -> &QueryId {
        self.record.id()
    }

    /// Who runs it.
    pub fn user(&self) -> &str {
        self.record.user()
    }

    /// Whether it is a query or a statement that has run already.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }

    /// The columns: labels as the statement wrote them, every column nullable.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What the statement changes in its session; the door applies it.
    pub fn changes(&self) -> &[SessionChange] {
        &self.changes
    }

    /// Where the query stands now.
    pub fn info(&self) -> QueryInfo {
        self.record.info()
    }

    fn end(&mut self, outcome: std::result::Result<(), &Error>) {
        self.rows = None;
        self.record.end(outcome);
        self.queries.retire(&self.record);
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rows) = self.rows.as_mut() else { return Poll::Ready(None) };
        let item = std::task::ready!(rows.as_mut().poll_next(context));
        match &item {
            Some(Ok(batch)) => self.record.add_output(batch.num_rows(), batch.get_array_memory_size()),
            Some(Err(error)) => self.end(Err(error)),
            None => {
                self.record.enter(QueryState::Finishing);
                self.end(Ok(()));
            }
        }
        Poll::Ready(item)
    }
}

impl Drop for QueryStream {
    fn drop(&mut self) {
        if self.rows.is_some() {
            self.record.cancel();
            let gone = Error::cancelled("query was abandoned by its client").with_code("USER_CANCELED");
            self.end(Err(&gone));
        }
    }
}

impl fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryStream({})", self.record.id())
    }
}
