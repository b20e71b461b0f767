//! The one leaf of physical plans that reads a remote source.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs, apply_expression_roots,
};
use futures::{StreamExt, TryStreamExt};
use meesh_base::QueryScope;

use crate::{SourceScan, into_datafusion};

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
#[derive(Debug)]
pub struct SourceScanExec {
    scan: Arc<dyn SourceScan>,
    kept: Vec<String>,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SourceScanExec {
    /// The leaf of `scan`, without filters yet.
    pub fn new(scan: Arc<dyn SourceScan>) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(scan.schema()),
            Partitioning::UnknownPartitioning(scan.partitions()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { scan, kept: Vec::new(), filters: Vec::new(), properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The same leaf with the reasons why the source did not take what stands above it.
    #[must_use]
    pub fn with_kept(mut self, reasons: Vec<String>) -> Self {
        self.kept = reasons;
        self
    }

    /// Why the source did not take what stands above this leaf: `lower(x): collation`.
    pub fn kept(&self) -> &[String] {
        &self.kept
    }

    /// The scan it reads.
    pub fn scan(&self) -> &Arc<dyn SourceScan> {
        &self.scan
    }

    fn with_filters(&self, filters: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        Self {
            scan: Arc::clone(&self.scan),
            kept: self.kept.clone(),
            filters,
            properties: Arc::clone(&self.properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
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
        if phase != FilterPushdownPhase::Post || parents.is_empty() {
            return Ok(FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; parents.len()]));
        }
        let answers = vec![PushedDown::No; parents.len()];
        let mut filters = self.filters.clone();
        filters.extend(parents.into_iter().map(|parent| parent.filter));
        let node: Arc<dyn ExecutionPlan> = Arc::new(self.with_filters(filters));
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(answers).with_updated_node(node))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let scope = query_scope(context.session_config())?;
        let batch_rows = context.session_config().batch_size();
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let stream = self.scan.open(partition, scope, &self.filters, batch_rows);
        let stream = stream.map_err(into_datafusion).inspect(move |batch| {
            if let Ok(batch) = batch {
                baseline.record_output(batch.num_rows());
            }
        });
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
