//! The one leaf of physical plans that reads a remote source.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs, apply_expression_roots,
};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use meesh_base::QueryScope;
use parking_lot::Mutex;

use crate::{RowFilters, ScanReport, ScanRequest, SourceScan, into_datafusion};

/// The scope of the query that a session configuration belongs to.
///
/// # Errors
/// `Internal` outside a query: the engine puts a scope into every query's configuration.
pub fn query_scope(config: &SessionConfig) -> Result<Arc<QueryScope>> {
    config
        .get_extension::<QueryScope>()
        .ok_or_else(|| DataFusionError::Internal("no query scope in the session".into()))
}

/// A leaf around one [`SourceScan`], so that the engine treats every source alike.
///
/// It keeps the dynamic filters that joins above hand down and passes them to the scan, which may
/// use them at its first poll.
pub struct SourceScanExec {
    scan: Arc<dyn SourceScan>,
    kept: Vec<String>,
    /// Whether filters of operators above are used at all.
    takes_filters: bool,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// The filters that a join will complete, by id.
    awaited: Arc<HashSet<u64>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    report: Arc<ScanReport>,
    /// The streams of the reading that has begun, until they are taken.
    opened: Mutex<Vec<Option<Rows>>>,
}

type Rows = BoxStream<'static, meesh_base::Result<RecordBatch>>;

impl SourceScanExec {
    /// The leaf of `scan`, without filters yet.
    pub fn new(scan: Arc<dyn SourceScan>) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(scan.schema()),
            Partitioning::UnknownPartitioning(scan.partitions()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self::with(scan, properties)
    }

    fn with(scan: Arc<dyn SourceScan>, properties: Arc<PlanProperties>) -> Self {
        Self {
            scan,
            kept: Vec::new(),
            takes_filters: true,
            filters: Vec::new(),
            awaited: Arc::default(),
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
            report: Arc::default(),
            opened: Mutex::default(),
        }
    }

    /// The same leaf with the reasons why the source did not take what stands above it.
    #[must_use]
    pub fn with_kept(mut self, reasons: Vec<String>) -> Self {
        self.kept = reasons;
        self
    }

    /// The same leaf, that reads every row whatever operators above need.
    #[must_use]
    pub fn without_filters(mut self) -> Self {
        self.takes_filters = false;
        self
    }

    /// The same leaf with texts as plain arrays, before its first reading, without filters; `None` if its scan
    /// has no such form.
    pub fn with_plain_texts(&self) -> Option<Self> {
        let plain = Self::new(self.scan.with_plain_texts()?).with_kept(self.kept.clone());
        Some(if self.takes_filters { plain } else { plain.without_filters() })
    }

    /// Why the source did not take what stands above this leaf: `lower(x): collation`.
    pub fn kept(&self) -> &[String] {
        &self.kept
    }

    /// The scan it reads.
    pub fn scan(&self) -> &Arc<dyn SourceScan> {
        &self.scan
    }

    /// What the last reading did.
    pub fn report(&self) -> &ScanReport {
        &self.report
    }

    /// Whether operators above have handed filters down.
    pub fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }

    /// The ids of the filters that operators above have handed down.
    pub fn filter_ids(&self) -> Vec<u64> {
        let mut ids = Vec::new();
        for filter in &self.filters {
            // The closure fails never.
            let _walked = filter.apply(|expr| {
                ids.extend(expr.expression_id());
                Ok(TreeNodeRecursion::Continue)
            });
        }
        ids
    }

    /// The same leaf, that waits for the filters with these ids: a join completes them before it asks
    /// for the first row, or while it reads its other side.
    #[must_use]
    pub fn awaiting(&self, joins: &Arc<HashSet<u64>>) -> Self {
        Self { awaited: Arc::clone(joins), filters: self.filters.clone(), ..self.fresh() }
    }

    /// The same leaf before its first reading, without filters.
    fn fresh(&self) -> Self {
        let (kept, takes_filters) = (self.kept.clone(), self.takes_filters);
        Self { kept, takes_filters, ..Self::with(Arc::clone(&self.scan), Arc::clone(&self.properties)) }
    }

    /// One stream of a reading; the first to ask begins it.
    fn take(&self, partition: usize, context: &TaskContext) -> Result<Rows> {
        let mut opened = self.opened.lock();
        if opened.iter().all(Option::is_none) {
            let filters = RowFilters::new(self.schema(), self.filters.clone(), Arc::clone(&self.awaited));
            let request = ScanRequest {
                scope: query_scope(context.session_config())?,
                filters,
                batch_rows: context.session_config().batch_size(),
                report: Arc::clone(&self.report),
            };
            *opened = self.scan.open(request).into_iter().map(Some).collect();
        }
        // Streams share their work: those of two readings must not be mixed.
        opened.get_mut(partition).and_then(Option::take).ok_or_else(|| {
            DataFusionError::Internal(format!(
                "partition {partition} of a scan of {} is read twice",
                self.scan.catalog()
            ))
        })
    }
}

impl fmt::Debug for SourceScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceScanExec({:?})", self.scan)
    }
}

impl DisplayAs for SourceScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match format {
            DisplayFormatType::TreeRender => write!(f, "catalog={}", self.scan.catalog()),
            _ => {
                write!(f, "SourceScanExec: catalog={}, remote=[{}]", self.scan.catalog(), self.scan.remote_text())?;
                if !self.kept.is_empty() {
                    write!(f, ", not pushed=[{}]", self.kept.join("; "))?;
                }
                if !self.filters.is_empty() {
                    write!(f, ", dynamic_filters={}", self.filters.len())?;
                }
                Ok(())
            }
        }
    }
}

impl ExecutionPlan for SourceScanExec {
    fn name(&self) -> &str {
        "SourceScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    // A join looks its filter up here and never computes one that it does not find.
    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(&self.filters, f)
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        child_pushdown_result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let parents = child_pushdown_result.parent_filters;
        if phase != FilterPushdownPhase::Post || parents.is_empty() || !self.takes_filters {
            return Ok(FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; parents.len()]));
        }
        let answers = vec![PushedDown::No; parents.len()];
        let mut filters = self.filters.clone();
        filters.extend(parents.into_iter().map(|parent| parent.filter));
        let node: Arc<dyn ExecutionPlan> = Arc::new(Self { filters, ..self.fresh() });
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(answers).with_updated_node(node))
    }

    // A join that is reset makes new filters: the old ones would keep rows of its new keys away.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.fresh()))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let stream = self.take(partition, &context)?.map_err(into_datafusion);
        let stream = stream.map_ok(move |batch| batch.record_output(&baseline));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _input_stats: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let whole = self.scan.statistics();
        let partitions = self.scan.partitions();
        if args.partition().is_none() || partitions == 1 {
            return Ok(Arc::new(whole));
        }
        Ok(Arc::new(Statistics::new_unknown(&self.schema())))
    }
}
