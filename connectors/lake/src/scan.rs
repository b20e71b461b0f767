//! The scan of text files, as a source under DataFusion's leaf.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::source::{DataSource, OpenArgs};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use meesh_base::{QueryScope, SourceProgress};
use meesh_connector_spi::{into_datafusion, query_scope};

use crate::queue::{OpenFile, Work, WorkQueue};
use crate::text::{TextDecoder, TextFile, TextRules};

/// A batch ends with this much text, however few its rows are: eight thousand records may be gigabytes.
const BATCH_TEXT_BYTES: usize = 8 << 20;

/// Where a column of the scan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnOrigin {
    /// The wanted column of the files with this index.
    File(usize),
    /// The constant of each file with this index.
    Constant(usize),
}

/// The rows of text files.
#[derive(Debug, Clone)]
pub(crate) struct TextScan {
    pub(crate) catalog: String,
    pub(crate) files: Arc<[TextFile]>,
    pub(crate) rules: Arc<TextRules>,
    /// Columns of the rows, and where each comes from.
    pub(crate) schema: SchemaRef,
    pub(crate) origins: Arc<[ColumnOrigin]>,
    pub(crate) partitions: usize,
    pub(crate) limit: Option<usize>,
    pub(crate) statistics: Arc<Statistics>,
    pub(crate) progress: Arc<SourceProgress>,
    pub(crate) metrics: ExecutionPlanMetricsSet,
}

impl TextScan {
    fn queue(&self) -> Arc<WorkQueue> {
        Arc::new(WorkQueue::new(Arc::clone(&self.files), Arc::clone(&self.rules), self.limit))
    }
}

impl DataSource for TextScan {
    fn open(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.open_with_args(OpenArgs::new(partition, context).with_shared_state(Some(self.queue())))
    }

    fn open_with_args(&self, args: OpenArgs) -> Result<SendableRecordBatchStream> {
        let shared = args.sibling_state.and_then(|state| state.downcast::<WorkQueue>().ok());
        let config = args.context.session_config();
        let worker = Worker {
            scope: query_scope(config)?,
            queue: shared.unwrap_or_else(|| self.queue()),
            scan: self.clone(),
            batch_rows: config.batch_size().max(1),
            decoder: TextDecoder::new(&self.rules),
            current: None,
            work: None,
            runs: Vec::new(),
            baseline: BaselineMetrics::new(&self.metrics, args.partition),
        };
        let rows = stream::try_unfold(worker, |mut worker| async move {
            let batch = worker.next_batch().await.map_err(into_datafusion)?;
            Ok(batch.map(|batch| (batch, worker)))
        });
        let rows = RecordBatchStreamAdapter::new(Arc::clone(&self.schema), Box::pin(rows));
        Ok(Box::pin(cooperative(rows)))
    }

    /// One queue an execution, so that partitions help each other.
    fn create_sibling_state(&self, _config: &ConfigOptions) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(self.queue())
    }

    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.files.iter().map(|file| file.object.meta().size).sum();
        let (format, files) = (self.rules.records.format.name(), self.files.len());
        let size = meesh_base::format_bytes(bytes);
        if matches!(t, DisplayFormatType::TreeRender) {
            return writeln!(f, "format={format}\nfiles={files}");
        }
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "catalog={}, format={format}, files={files}, size={size}", self.catalog)?;
        write!(f, ", projection=[{}]", columns.join(", "))?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.partitions)
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(Arc::clone(&self.schema))
    }

    fn scheduling_type(&self) -> SchedulingType {
        SchedulingType::Cooperative
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        match partition {
            Some(_) if self.partitions > 1 => Ok(Arc::new(Statistics::new_unknown(&self.schema))),
            _ => Ok(Arc::clone(&self.statistics)),
        }
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        Some(Arc::new(Self { limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.metrics.clone()
    }

    fn try_swapping_with_projection(&self, _projection: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(None)
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

/// One partition at work.
struct Worker {
    scan: TextScan,
    scope: Arc<QueryScope>,
    queue: Arc<WorkQueue>,
    batch_rows: usize,
    decoder: TextDecoder,
    current: Option<Arc<OpenFile>>,
    work: Option<Work>,
    /// Files that the gathered rows come from, in order, with how many rows each.
    runs: Vec<(usize, usize)>,
    baseline: BaselineMetrics,
}

impl Worker {
    async fn next_batch(&mut self) -> meesh_base::Result<Option<RecordBatch>> {
        self.scope.check()?;
        let rows_max = self.batch_rows.min(self.queue.wanted());
        let mut text_bytes = 0;
        while self.decoder.rows() < rows_max && text_bytes < BATCH_TEXT_BYTES && !self.decoder.is_full() {
            let Some(work) = &mut self.work else {
                match self.queue.next(&mut self.current).await? {
                    Some(work) => self.work = Some(work),
                    None => break,
                }
                continue;
            };
            let timer = self.baseline.elapsed_compute().timer();
            let before = (self.decoder.rows(), work.piece.text.len());
            self.decoder.push(&mut work.piece, &work.reading, rows_max)?;
            let gathered = self.decoder.rows() - before.0;
            text_bytes += before.1 - work.piece.text.len();
            match self.runs.last_mut() {
                Some((file, rows)) if *file == work.file => *rows += gathered,
                _ => self.runs.push((work.file, gathered)),
            }
            if work.piece.text.is_empty() {
                self.work = None;
            }
            timer.done();
        }
        let rows = self.decoder.rows();
        if rows == 0 {
            return Ok(None);
        }
        let compute = self.baseline.elapsed_compute().clone();
        let timer = compute.timer();
        let batch = self.batch(rows)?;
        timer.done();
        self.queue.deliver(rows);
        self.baseline.record_output(rows);
        self.scan.progress.rows.fetch_add(rows as u64, Ordering::Relaxed);
        Ok(Some(batch))
    }

    fn batch(&mut self, rows: usize) -> meesh_base::Result<RecordBatch> {
        let runs = std::mem::take(&mut self.runs);
        let in_files = self.decoder.finish()?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.scan.origins.len());
        for origin in self.scan.origins.iter() {
            columns.push(match origin {
                ColumnOrigin::File(at) => in_files.get(*at).cloned().ok_or_else(lost_column)?,
                ColumnOrigin::Constant(at) => self.constant(&runs, *at)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.scan.schema), columns, &options)
            .map_err(meesh_connector_spi::from_arrow)
    }

    /// The constants of the files that the rows come from, each repeated.
    fn constant(&self, runs: &[(usize, usize)], at: usize) -> meesh_base::Result<ArrayRef> {
        let mut parts: Vec<ArrayRef> = Vec::with_capacity(runs.len());
        for (file, rows) in runs {
            let value = self.queue.file(*file).and_then(|file| file.constants.get(at)).ok_or_else(lost_column)?;
            parts.push(value.to_array_of_size(*rows).map_err(meesh_connector_spi::from_datafusion)?);
        }
        match parts.as_slice() {
            [only] => Ok(Arc::clone(only)),
            _ => {
                let parts: Vec<&dyn arrow::array::Array> = parts.iter().map(AsRef::as_ref).collect();
                concat(&parts).map_err(meesh_connector_spi::from_arrow)
            }
        }
    }
}

fn lost_column() -> meesh_base::Error {
    meesh_base::Error::internal("a column of a text scan was lost")
}
