//! The rows of one statement.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::Stream;
use futures::stream::BoxStream;
use meesh_base::{Error, QueryId, Result};
use parking_lot::Mutex;

use super::{Queries, QueryInfo, QueryRecord, QueryState};
use crate::engine::StatementKind;
use crate::session::SessionChange;

/// How often a stopped query is looked at while a batch of it is being made.
const STOP_RETRY: Duration = Duration::from_millis(20);

/// A stream of batches whose schema is known before the first of them, but for one thing: where it says
/// Utf8View, the batches may have Utf8, all of them.
///
/// Nothing runs before the first poll. It holds a bounded number of batches, ends with an error if
/// the query is cancelled or runs into its deadline, and stops the sources when dropped. A query that
/// must stop lets go of its sources and its memory at once, also when nobody polls it.
pub struct QueryStream {
    life: Arc<Life>,
    schema: SchemaRef,
    kind: StatementKind,
    changes: Vec<SessionChange>,
    is_watched: bool,
}

/// What the stream shares with the task that ends it when it must stop.
struct Life {
    record: Arc<QueryRecord>,
    queries: Arc<Queries>,
    rows: Mutex<Rows>,
}

enum Rows {
    Flowing(BoxStream<'static, Result<RecordBatch>>),
    /// The query was stopped; its reader has not been told yet.
    Stopped(Error),
    Over,
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
        let life = Arc::new(Life { record, queries, rows: Mutex::new(Rows::Flowing(rows)) });
        Self { life, schema, kind, changes, is_watched: false }
    }

    /// The query's name.
    pub fn id(&self) -> &QueryId {
        self.life.record.id()
    }

    /// Who runs it.
    pub fn user(&self) -> &str {
        self.life.record.user()
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
        self.life.record.info()
    }

    /// Ends the query when it must stop, whether or not it is polled then.
    fn watch(&mut self) {
        self.is_watched = true;
        let Some(stopped) = self.life.record.scope().map(|scope| scope.stopped()) else { return };
        let life = Arc::downgrade(&self.life);
        tokio::spawn(async move {
            let error = stopped.await;
            while let Some(life) = life.upgrade() {
                // Whoever makes a batch now sees the end by itself, soon.
                let Some(mut rows) = life.rows.try_lock() else {
                    drop(life);
                    tokio::time::sleep(STOP_RETRY).await;
                    continue;
                };
                if matches!(*rows, Rows::Flowing(_)) {
                    life.end(&mut rows, Rows::Stopped(error.clone()), Err(&error));
                }
                return;
            }
        });
    }
}

impl Life {
    /// Lets go of the sources, then says how it ended.
    fn end(&self, rows: &mut Rows, after: Rows, outcome: std::result::Result<(), &Error>) {
        self.record.keep_sources();
        *rows = after;
        self.record.end(outcome);
        self.queries.retire(&self.record);
        // Sends the watching task home.
        self.record.cancel();
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.is_watched {
            self.watch();
        }
        let life = Arc::clone(&self.life);
        let mut rows = life.rows.lock();
        let item = match &mut *rows {
            Rows::Flowing(flowing) => std::task::ready!(flowing.as_mut().poll_next(context)),
            Rows::Stopped(_) => {
                let Rows::Stopped(error) = std::mem::replace(&mut *rows, Rows::Over) else { return Poll::Ready(None) };
                return Poll::Ready(Some(Err(error)));
            }
            Rows::Over => return Poll::Ready(None),
        };
        match &item {
            Some(Ok(batch)) => life.record.add_output(batch.num_rows(), batch.get_array_memory_size()),
            Some(Err(error)) => life.end(&mut rows, Rows::Over, Err(error)),
            None => {
                life.record.enter(QueryState::Finishing);
                life.end(&mut rows, Rows::Over, Ok(()));
            }
        }
        Poll::Ready(item)
    }
}

impl Drop for QueryStream {
    fn drop(&mut self) {
        let mut rows = self.life.rows.lock();
        if matches!(*rows, Rows::Flowing(_)) {
            let gone = Error::cancelled("query was abandoned by its client").with_code("USER_CANCELED");
            self.life.end(&mut rows, Rows::Over, Err(&gone));
        }
    }
}

impl fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryStream({})", self.life.record.id())
    }
}
