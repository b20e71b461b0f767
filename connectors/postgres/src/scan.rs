//! The rows of one fragment: SELECTs on sessions of the pool, decoded beside the query.
//!
//! ```text
//! open: nothing       first poll: keys of joins --> which statement, how many streams
//!                                  |
//!   stream 0  <-- 2 batches -- session: BEGIN; SELECT piece; SELECT piece <--.
//!   stream 1  <-- 2 batches -- session: BEGIN; SELECT piece ...           <--- pieces (ranges of ctid)
//! ```
//!
//! Dropping a stream ends its task at its next step, and with it the session's statement: a session
//! that is dropped amid its rows is cancelled by the pool. A stream that ended without an error has seen the
//! end of every SELECT that it began.

mod keys;
mod pieces;
mod plan;
mod reader;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::Statistics;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use meesh_base::{Error, Result};
use meesh_connector_spi::{NeededRows, ScanRequest, SourceScan};
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinHandle;

use crate::catalog::Relation;
use crate::connector::PostgresConnector;
use crate::pushdown::Select;
use crate::snapshot::ExpectedScan;
use crate::types::Decoder;
use pieces::Pieces;
use reader::Reader;

/// Decoded batches that may wait for the query.
const BATCHES_AHEAD: usize = 2;

/// One fragment, printed. Clones are the same scan.
#[derive(Clone)]
pub(crate) struct PgScan {
    planned: Arc<Planned>,
    /// The columns that it makes: the planned ones, with texts in one form or the other.
    schema: SchemaRef,
}

/// What a scan was planned to be.
pub(crate) struct Planned {
    pub(crate) connector: PostgresConnector,
    /// Catalog and table, for messages.
    pub(crate) place: Arc<str>,
    /// What is read.
    pub(crate) select: Select,
    /// The same as text.
    pub(crate) text: String,
    pub(crate) decoders: Vec<Decoder>,
    pub(crate) schema: SchemaRef,
    pub(crate) statistics: Statistics,
    /// How many streams there are; more than one only where ranges of `ctid` are its pieces.
    pub(crate) streams: usize,
    /// Its place in the query's snapshot.
    pub(crate) expected: ExpectedScan,
}

impl PgScan {
    /// A scan that has not begun.
    pub(crate) fn new(planned: Planned) -> Self {
        let schema = Arc::clone(&planned.schema);
        Self { planned: Arc::new(planned), schema }
    }
}

impl std::ops::Deref for PgScan {
    type Target = Planned;

    fn deref(&self) -> &Planned {
        &self.planned
    }
}

impl Planned {
    /// The relations that are read, each once.
    fn relations(&self) -> Vec<&Arc<Relation>> {
        let mut relations: Vec<&Arc<Relation>> = Vec::new();
        for relation in &self.select.relations {
            if !relations.iter().any(|known| known.quoted_name() == relation.quoted_name()) {
                relations.push(relation);
            }
        }
        relations
    }

    fn types(&self) -> Vec<&DataType> {
        self.schema.fields().iter().map(|field| field.data_type()).collect()
    }
}

impl fmt::Debug for PgScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgScan({})", self.text)
    }
}

impl SourceScan for PgScan {
    fn catalog(&self) -> &str {
        self.connector.catalog_name()
    }

    fn remote_text(&self) -> String {
        self.text.clone()
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn with_plain_texts(&self) -> Option<Arc<dyn SourceScan>> {
        let schema = plain_texts(&self.schema)?;
        Some(Arc::new(Self { planned: Arc::clone(&self.planned), schema: Arc::new(schema) }))
    }

    fn partitions(&self) -> usize {
        self.streams
    }

    fn statistics(&self) -> Statistics {
        self.statistics.clone()
    }

    fn open(&self, request: ScanRequest) -> Vec<BoxStream<'static, Result<RecordBatch>>> {
        let reading = Arc::new(Reading {
            scan: self.clone(),
            request,
            access: OnceCell::new(),
            begun: AtomicBool::new(false),
            generation: OnceLock::new(),
        });
        self.expected.again(self.streams);
        (0..self.streams).map(|_| Reading::stream(&reading)).collect()
    }
}

/// One reading of a scan, which its streams share.
struct Reading {
    scan: PgScan,
    request: ScanRequest,
    access: OnceCell<Access>,
    /// Whether a stream has undertaken to read: the others help if there are sessions.
    begun: AtomicBool,
    /// The snapshot that its first stream reads in.
    generation: OnceLock<u64>,
}

/// How a reading goes about it, once the keys are known.
struct Access {
    select: Select,
    /// How many streams read.
    streams: usize,
    pieces: Pieces,
    /// Whether an index finds the rows of a list of keys.
    looks_up: bool,
}

impl Reading {
    fn stream(reading: &Arc<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let reading = Arc::clone(reading);
        // Counts the stream as ended when it is dropped, also if it is never polled.
        let ended = Ended(reading.scan.clone());
        let started = stream::once(async move {
            let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
            let reader = Reader::new(reading, sender, ended);
            batches(receiver, tokio::spawn(reader.run()))
        });
        started.flatten().boxed()
    }

    /// Waits for the keys of joins and settles what is sent. Holds no session meanwhile.
    async fn access(&self) -> Result<&Access> {
        let settled = async {
            let access = self.settle().await?;
            self.scan.expected.only(access.streams);
            Ok(access)
        };
        self.access.get_or_try_init(|| settled).await
    }

    async fn settle(&self) -> Result<Access> {
        let scan = &self.scan;
        let mut select = scan.select.clone();
        let patience = scan.connector.config().keys_patience.filter(|_| !self.request.filters.is_empty());
        let (mut in_pages, mut looks_up) = (scan.streams > 1, false);
        if let Some(patience) = patience {
            let keys = match self.request.filters.needed(patience).await {
                NeededRows::None => {
                    self.request.report.filtered("no key: nothing is read".to_owned());
                    return Ok(Access { select, streams: 0, pieces: Pieces::none(), looks_up });
                }
                NeededRows::With(keys) => keys,
            };
            let applied = keys::apply(&mut select, &keys);
            applied.report.into_iter().for_each(|line| self.request.report.filtered(line));
            looks_up = applied.looks_up;
            in_pages &= !looks_up;
            if in_pages && applied.bounded {
                let (text, _) = select.finish(&scan.types(), None).map_err(|reason| not_printed(scan, reason))?;
                in_pages &= !scan.connector.tables_known().estimate(text).await?.is_some_and(|plan| plan.by_index);
            }
        }
        let pages = select.relation.as_ref().and_then(|relation| relation.pages).filter(|_| in_pages);
        let (streams, pieces) = match pages {
            Some(pages) => (scan.streams, Pieces::pages(pages, scan.streams)),
            None => (1, Pieces::whole()),
        };
        Ok(Access { select, streams, pieces, looks_up })
    }
}

/// The columns with texts as plain arrays; `None` if no text is a view.
fn plain_texts(schema: &Schema) -> Option<Schema> {
    let is_view = |field: &FieldRef| *field.data_type() == DataType::Utf8View;
    schema.fields().iter().any(is_view).then(|| {
        let plain = |field: &FieldRef| match is_view(field) {
            true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
            false => Arc::clone(field),
        };
        Schema::new_with_metadata(schema.fields().iter().map(plain).collect::<Fields>(), schema.metadata().clone())
    })
}

/// What was printed once is printed again with a condition more.
fn not_printed(scan: &PgScan, reason: String) -> Error {
    Error::internal(format!("{}: a fragment cannot be sent to PostgreSQL", scan.place)).with_detail(reason)
}

/// A stream that has not ended.
struct Ended(PgScan);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.expected.ended();
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

#[cfg(test)]
mod tests;
