//! The rows of one fragment: a COPY BINARY on a session of the pool, decoded beside the query.
//!
//! ```text
//! open: nothing          first poll: spawn --> pool.get --> BEGIN; COPY; COMMIT in one message
//!                                      |                         | tuples
//!   the query  <-- 2 batches at most --+--------- BatchDecoder <-+
//! ```
//!
//! Dropping the stream ends the task at its next step, and with it the session's statement: a session
//! that is dropped mid-COPY is cancelled by the pool. A stream that ended without an error has seen the
//! end of the COPY.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Statistics;
use datafusion::physical_expr::PhysicalExpr;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use meesh_base::{Error, ErrorKind, QueryScope, Result, SourceProgress};
use meesh_connector_spi::SourceScan;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::catalog::Relation;
use crate::connector::PostgresConnector;
use crate::decode::BatchDecoder;
use crate::types::Decoder;
use crate::wire::{CopyState, READ_ONLY};

/// Decoded batches that may wait for the query.
const BATCHES_AHEAD: usize = 2;

/// One fragment, printed.
#[derive(Debug, Clone)]
pub(crate) struct PgScan {
    connector: PostgresConnector,
    /// Catalog and table, for messages.
    place: Arc<str>,
    /// What the SELECT reads.
    relations: Arc<[Arc<Relation>]>,
    select: Arc<str>,
    decoders: Arc<[Decoder]>,
    schema: SchemaRef,
    statistics: Statistics,
}

impl PgScan {
    /// A scan of `select`, whose columns are decoded by `decoders` into `schema`.
    pub(crate) fn new(
        connector: &PostgresConnector,
        place: Arc<str>,
        relations: Vec<Arc<Relation>>,
        select: String,
        decoders: Vec<Decoder>,
        schema: SchemaRef,
        statistics: Statistics,
    ) -> Self {
        Self {
            connector: connector.clone(),
            place,
            relations: relations.into(),
            select: select.into(),
            decoders: decoders.into(),
            schema,
            statistics,
        }
    }

    /// Whether the relations still have the columns that the SELECT was made for: binary values carry
    /// no types.
    fn check_unchanged(&self, values: &[Option<String>]) -> Result<()> {
        let now = values.get(values.len().saturating_sub(self.relations.len())..).unwrap_or_default();
        let changed =
            self.relations.iter().zip(now).find(|(relation, now)| now.as_ref() != Some(&relation.fingerprint));
        match changed {
            None if now.len() == self.relations.len() => Ok(()),
            _ => {
                self.connector.tables_known().refresh(None, None);
                let relation = changed.map_or("a table", |(relation, _)| relation.name.as_str());
                Err(Error::source_unavailable(format!("{}: the definition of {relation:?} has changed", self.place))
                    .with_hint("run the query again"))
            }
        }
    }
}

impl SourceScan for PgScan {
    fn catalog(&self) -> &str {
        self.connector.catalog_name()
    }

    fn remote_text(&self) -> String {
        self.select.to_string()
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn statistics(&self) -> Statistics {
        self.statistics.clone()
    }

    fn open(
        &self,
        _partition: usize,
        scope: Arc<QueryScope>,
        _filters: &[Arc<dyn PhysicalExpr>],
        batch_rows: usize,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let scan = self.clone();
        let started = stream::once(async move {
            let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
            let progress = scope.progress(scan.connector.catalog_name());
            progress.units_total.fetch_add(1, Relaxed);
            let reader = Reader { scan, scope, progress, sender };
            batches(receiver, tokio::spawn(reader.run(batch_rows)))
        });
        started.flatten().boxed()
    }
}

/// The batches, and at their end how the task ended: a channel that closes proves nothing.
fn batches(
    receiver: mpsc::Receiver<RecordBatch>,
    task: JoinHandle<Result<()>>,
) -> impl futures::Stream<Item = Result<RecordBatch>> {
    stream::unfold(Some((receiver, task)), |state| async move {
        let (mut receiver, task) = state?;
        if let Some(batch) = receiver.recv().await {
            return Some((Ok(batch), Some((receiver, task))));
        }
        match task.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some((Err(error), None)),
            Err(crash) => {
                Some((Err(Error::internal("the reading of a PostgreSQL scan crashed").with_cause(crash)), None))
            }
        }
    })
}

/// The task that reads.
struct Reader {
    scan: PgScan,
    scope: Arc<QueryScope>,
    progress: Arc<SourceProgress>,
    sender: mpsc::Sender<RecordBatch>,
}

impl Reader {
    /// Reads to the end, or until nobody wants more.
    async fn run(self, batch_rows: usize) -> Result<()> {
        let read = self.read(batch_rows).await;
        match read {
            Err(error) => Err(self.explain(error)),
            Ok(_) => Ok(()),
        }
    }

    /// `None`: the query has gone.
    async fn read(&self, batch_rows: usize) -> Result<Option<()>> {
        let place = Arc::clone(&self.scan.place);
        let mut decoder = BatchDecoder::new(place, self.scan.schema(), &self.scan.decoders, batch_rows)?;
        let Some(mut session) = self.wanted(self.scan.connector.pool().get(Some(&self.scope))).await? else {
            return Ok(None);
        };
        let name = format!("meesh/{}", self.scope.id());
        let fingerprints: Vec<String> = self.scan.relations.iter().map(|relation| relation.fingerprint_now()).collect();
        let prelude = session.prelude(READ_ONLY, &[("application_name", &name)], &fingerprints);
        let copy = format!("COPY ({}) TO STDOUT (FORMAT BINARY); COMMIT", self.scan.select);
        let Some(begun) = self.wanted(session.start_copy_out(Some(&prelude), &copy)).await? else { return Ok(None) };
        self.scan.check_unchanged(begun.last().map(Vec::as_slice).unwrap_or_default())?;
        loop {
            let Some(state) = self.wanted(session.read_copy(&mut decoder)).await? else { return Ok(None) };
            let done = state == CopyState::Done;
            if !decoder.is_empty() {
                self.progress.bytes.fetch_add(decoder.bytes() as u64, Relaxed);
                let batch = decoder.finish()?;
                self.progress.rows.fetch_add(batch.num_rows() as u64, Relaxed);
                if done {
                    // The next query need not wait for this one's last batch to be taken.
                    drop(session);
                    self.progress.units_done.fetch_add(1, Relaxed);
                    return self.wanted(self.send(batch)).await;
                }
                if self.wanted(self.send(batch)).await?.is_none() {
                    return Ok(None);
                }
            } else if done {
                self.progress.units_done.fetch_add(1, Relaxed);
                return Ok(Some(()));
            }
        }
    }

    async fn send(&self, batch: RecordBatch) -> Result<()> {
        // That nobody takes it is noticed by `wanted`.
        let _gone = self.sender.send(batch).await;
        Ok(())
    }

    /// Runs one step; `None` if the query has gone meanwhile.
    ///
    /// # Errors
    /// The step's, and the scope's when the query was cancelled or has reached its deadline.
    async fn wanted<T>(&self, step: impl Future<Output = Result<T>>) -> Result<Option<T>> {
        tokio::select! {
            biased;
            () = self.sender.closed() => Ok(None),
            error = self.scope.stopped() => Err(error),
            result = step => result.map(Some),
        }
    }

    /// The error for the query: its own end explains a statement that was cancelled; a table or column
    /// that is gone is looked up anew by the next query.
    fn explain(&self, error: Error) -> Error {
        if let Err(ended) = self.scope.check() {
            return ended;
        }
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SourceData) {
            self.scan.connector.tables_known().refresh(None, None);
        }
        error
    }
}

#[cfg(test)]
mod tests;
