//! DataFusion's file scan, with our errors and our count of rows.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::{DataSource, OpenArgs};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use futures::TryStreamExt;
use meesh_base::{Error, QueryScope, SourceProgress};
use meesh_connector_spi::{into_datafusion, query_scope, unwrap_datafusion};

use super::nan::leaves_nan_out;
use super::reader::OpenFiles;

/// What goes along with a scan through every rewrite of the plan.
#[derive(Debug)]
pub(super) struct ScanTrace {
    pub(super) catalog: String,
    pub(super) open: Arc<OpenFiles>,
    pub(super) progress: Arc<SourceProgress>,
}

/// A [`FileScanConfig`] with a trace.
#[derive(Debug, Clone)]
pub(super) struct TracedScan {
    pub(super) inner: Arc<dyn DataSource>,
    pub(super) trace: Arc<ScanTrace>,
}

impl TracedScan {
    pub(super) fn new(config: FileScanConfig, trace: ScanTrace) -> Self {
        Self { inner: Arc::new(config), trace: Arc::new(trace) }
    }

    fn wrap(&self, inner: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
        Arc::new(Self { inner, trace: Arc::clone(&self.trace) })
    }

    fn follow(
        &self,
        partition: usize,
        scope: Arc<QueryScope>,
        stream: SendableRecordBatchStream,
    ) -> SendableRecordBatchStream {
        let schema = stream.schema();
        let (failed, counted) = (Arc::clone(&self.trace), Arc::clone(&self.trace));
        let stream = stream.map_err(move |error| failed.name(partition, error)).and_then(move |batch| {
            counted.progress.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            futures::future::ready(scope.check().map(|()| batch).map_err(into_datafusion))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, stream))
    }
}

impl ScanTrace {
    /// Gives an error of the decoder the name of the object it was reading.
    fn name(&self, partition: usize, error: DataFusionError) -> DataFusionError {
        let object = self.open.of(partition).unwrap_or_else(|| "a Parquet file".to_owned());
        if let Some(own) = unwrap_datafusion(&error) {
            let named = own.message().contains("object ") || own.kind() != meesh_base::ErrorKind::SourceData;
            return if named {
                error
            } else {
                into_datafusion(own.in_context(format!("catalog {:?}: {object}", self.catalog)))
            };
        }
        match error.find_root() {
            DataFusionError::ParquetError(_) | DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => {
                let detail = error.find_root().strip_backtrace();
                let fault = Error::source_data(format!("catalog {:?}: {object} cannot be read", self.catalog));
                let hint = "the file is damaged, or holds values that the table's types do not";
                into_datafusion(fault.with_detail(detail).with_hint(hint))
            }
            _ => error,
        }
    }
}

impl DataSource for TracedScan {
    fn open(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.open_with_args(OpenArgs::new(partition, context))
    }

    fn open_with_args(&self, args: OpenArgs) -> Result<SendableRecordBatchStream> {
        let partition = args.partition;
        let scope = query_scope(args.context.session_config())?;
        Ok(self.follow(partition, scope, self.inner.open_with_args(args)?))
    }

    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(t, DisplayFormatType::TreeRender) {
            write!(f, "catalog={}, ", self.trace.catalog)?;
        }
        self.inner.fmt_as(t, f)
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        repartition_file_min_size: usize,
        output_ordering: Option<LexOrdering>,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        let split = self.inner.repartitioned(target_partitions, repartition_file_min_size, output_ordering)?;
        Ok(split.map(|inner| self.wrap(inner)))
    }

    fn output_partitioning(&self) -> Partitioning {
        self.inner.output_partitioning()
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        self.inner.eq_properties()
    }

    fn scheduling_type(&self) -> SchedulingType {
        self.inner.scheduling_type()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        self.inner.partition_statistics(partition)
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        self.inner.with_fetch(limit).map(|inner| self.wrap(inner))
    }

    fn fetch(&self) -> Option<usize> {
        self.inner.fetch()
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(self.inner.try_swapping_with_projection(projection)?.map(|inner| self.wrap(inner)))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let schema = Arc::clone(self.inner.eq_properties().schema());
        let usable = filters.iter().map(|filter| leaves_nan_out(filter, &schema)).collect::<Result<Vec<_>>>()?;
        let pushed = filters.into_iter().zip(&usable).filter(|(_, usable)| **usable).map(|(filter, _)| filter);
        let answer = self.inner.try_pushdown_filters(pushed.collect(), config)?;
        let mut of_pushed = answer.filters.into_iter().peekable();
        let answers = usable.iter().map(|usable| of_pushed.next_if(|_| *usable).unwrap_or(PushedDown::No));
        Ok(FilterPushdownPropagation {
            filters: answers.collect(),
            updated_node: answer.updated_node.map(|inner| self.wrap(inner)),
        })
    }

    fn try_pushdown_sort(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Arc<dyn DataSource>>> {
        self.inner.try_pushdown_sort(order)?.try_map(|inner| Ok(self.wrap(inner)))
    }

    fn with_preserve_order(&self, preserve_order: bool) -> Option<Arc<dyn DataSource>> {
        self.inner.with_preserve_order(preserve_order).map(|inner| self.wrap(inner))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }

    fn with_new_state(&self, state: Arc<dyn Any + Send + Sync>) -> Option<Arc<dyn DataSource>> {
        self.inner.with_new_state(state).map(|inner| self.wrap(inner))
    }

    fn create_sibling_state(&self, config: &ConfigOptions) -> Option<Arc<dyn Any + Send + Sync>> {
        self.inner.create_sibling_state(config)
    }
}
