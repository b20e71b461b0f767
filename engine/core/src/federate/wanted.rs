//! Rows that a join further up does not want, left out where they are read.
//!
//! A join hands the keys of its build side down to the scans of the other. A scan skips row groups by them, or
//! sends them to its source; keys that are spread over a file skip none. Where a grouping or another join stands
//! in between, it would work on every row for nothing, so that each row is tested when it is read:
//!
//! ```text
//! HashJoinExec              keys: 200 parts
//!   ...
//!   AggregateExec           avg(l_quantity) per part: of 200 parts, not of all
//!     RepartitionExec
//!       WantedRowsExec
//!         DataSourceExec
//! ```
//!
//! A join right above needs no such help: it tests its rows itself.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{BatchCoalescer, and, prep_null_mask_filter};
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, apply_expression_roots, replace_children_if_necessary,
};
use futures::{Stream, StreamExt, stream};
use meesh_connector_spi::SourceScanExec;

use super::keys::produced;

/// How many rows a filter is judged by.
const TRIAL_ROWS: usize = 32 << 10;
/// How many batches a filter that lets most rows through is left alone for, the first time; then twice as many.
const PAUSE_BATCHES: usize = 16;

/// The rule that hands the filters of joins down, and what comes of them here.
#[derive(Debug)]
pub(crate) struct WantedRows(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for WantedRows {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.0.optimize(above_scans(plan)?, config)?;
        where_worth(plan, &HashSet::new(), &HashSet::new())
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// The plan with a place for filters above each scan.
fn above_scans(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let is_scan = |plan: &Arc<dyn ExecutionPlan>| plan.is::<DataSourceExec>() || plan.is::<SourceScanExec>();
    let is_filtered_scan = plan.downcast_ref::<FilterExec>().is_some_and(|filter| is_scan(filter.input()));
    if is_scan(&plan) || is_filtered_scan {
        return Ok(Arc::new(WantedRowsExec::new(plan, Vec::new())));
    }
    let children = plan.children().into_iter().map(|child| above_scans(Arc::clone(child)));
    let children = children.collect::<Result<Vec<_>>>()?;
    replace_children_if_necessary(plan, children)
}

/// The plan without the places at which nothing is saved. `joins` are the filters of joins above, `worth`
/// those of them with an operator in between that would work on every row.
fn where_worth(
    plan: Arc<dyn ExecutionPlan>,
    joins: &HashSet<u64>,
    worth: &HashSet<u64>,
) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(place) = plan.downcast_ref::<WantedRowsExec>() {
        let filters: Vec<_> = place.filters.iter().filter(|filter| is_one_of(filter, worth)).cloned().collect();
        let input = where_worth(Arc::clone(&place.input), joins, worth)?;
        return Ok(if filters.is_empty() { input } else { Arc::new(WantedRowsExec::new(input, filters)) });
    }
    let (mut joins, all) = (joins.clone(), worth.union(joins).copied().collect());
    let is_hash_join = plan.is::<HashJoinExec>();
    if is_hash_join {
        joins.extend(produced(&plan));
    }
    let works_on_all = plan.is::<AggregateExec>() || plan.is::<SortMergeJoinExec>() || plan.is::<NestedLoopJoinExec>();
    let children = plan.children().into_iter().enumerate().map(|(side, child)| {
        // The side whose rows a hash join keeps, and whose keys it hands down in turn; the rows of the other
        // it tests one by one, often with the better filter.
        let is_kept = is_hash_join && side == 0;
        where_worth(Arc::clone(child), &joins, if works_on_all || is_kept { &all } else { worth })
    });
    let children = children.collect::<Result<Vec<_>>>()?;
    replace_children_if_necessary(plan, children)
}

fn is_one_of(filter: &Arc<dyn PhysicalExpr>, ids: &HashSet<u64>) -> bool {
    let mut found = false;
    // The closure fails never.
    let _walked = filter.apply(|expr| {
        found |= expr.expression_id().is_some_and(|id| ids.contains(&id));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

/// Leaves out rows that filters from above do not let through, as far as that pays.
#[derive(Debug)]
struct WantedRowsExec {
    input: Arc<dyn ExecutionPlan>,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl WantedRowsExec {
    fn new(input: Arc<dyn ExecutionPlan>, filters: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        let properties = Arc::clone(input.properties());
        Self { input, filters, properties, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for WantedRowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WantedRowsExec: ")?;
        for (index, filter) in self.filters.iter().enumerate() {
            write!(f, "{}{filter}", if index > 0 { " AND " } else { "" })?;
        }
        Ok(())
    }
}

impl ExecutionPlan for WantedRowsExec {
    fn name(&self) -> &str {
        "WantedRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::LowerEqual
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self::new(input, self.filters.clone())))
    }

    // A join that is reset makes new filters: the old ones would keep rows of its new keys away.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(Arc::clone(&self.input), Vec::new())))
    }

    // A join looks its filter up here and never computes one that it does not find.
    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(&self.filters, f)
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters = result.parent_filters.iter().map(|parent| Arc::clone(&parent.filter)).collect();
        let node: Arc<dyn ExecutionPlan> = Arc::new(Self::new(Arc::clone(&self.input), filters));
        Ok(FilterPushdownPropagation::if_all(result).with_updated_node(node))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batch_rows = context.session_config().batch_size();
        let batches = self.input.execute(partition, context)?;
        let schema = batches.schema();
        let wanted = Wanted {
            filters: self.filters.iter().map(|filter| Trial::new(Arc::clone(filter))).collect(),
            kept: BatchCoalescer::new(Arc::clone(&schema), batch_rows),
            unwanted: MetricBuilder::new(&self.metrics).counter("unwanted_rows", partition),
            baseline: BaselineMetrics::new(&self.metrics, partition),
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, wanted.of(batches))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let whole =
            inputs.first().map_or_else(|| Statistics::new_unknown(&self.schema()), |input| input.as_ref().clone());
        Ok(Arc::new(whole.to_inexact()))
    }
}

struct Wanted {
    filters: Vec<Trial>,
    /// What is left of several batches, until it is worth one.
    kept: BatchCoalescer,
    unwanted: Count,
    baseline: BaselineMetrics,
}

impl Wanted {
    fn of(self, batches: SendableRecordBatchStream) -> impl Stream<Item = Result<RecordBatch>> {
        stream::unfold((self, Some(batches)), |(mut wanted, mut batches)| async move {
            loop {
                if let Some(batch) = wanted.kept.next_completed_batch() {
                    let batch = batch.record_output(&wanted.baseline);
                    return Some((Ok(batch), (wanted, batches)));
                }
                let taken = match batches.as_mut()?.next().await {
                    Some(Ok(batch)) => wanted.take(batch),
                    Some(Err(error)) => Err(error),
                    None => {
                        batches = None;
                        wanted.kept.finish_buffered_batch().map(|()| None).map_err(DataFusionError::from)
                    }
                };
                match taken {
                    Ok(None) => {}
                    Ok(Some(batch)) => {
                        let batch = batch.record_output(&wanted.baseline);
                        return Some((Ok(batch), (wanted, batches)));
                    }
                    Err(error) => return Some((Err(error), (wanted, None))),
                }
            }
        })
    }

    /// Takes a batch in, or gives it back whole if all of it is wanted and nothing waits before it.
    fn take(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let _time = self.baseline.elapsed_compute().timer();
        let mut mask: Option<BooleanArray> = None;
        for filter in &mut self.filters {
            let Some(passed) = filter.test(&batch)? else { continue };
            mask = Some(match mask {
                Some(mask) => and(&mask, &passed)?,
                None => passed,
            });
        }
        let kept = mask.as_ref().map_or(batch.num_rows(), BooleanArray::true_count);
        self.unwanted.add(batch.num_rows() - kept);
        match mask.filter(|_| kept < batch.num_rows()) {
            Some(mask) => self.kept.push_batch_with_filter(batch, &mask)?,
            None if self.kept.is_empty() => return Ok(Some(batch)),
            None => self.kept.push_batch(batch)?,
        }
        Ok(None)
    }
}

/// A filter, and whether it is worth its while.
struct Trial {
    filter: Arc<dyn PhysicalExpr>,
    rows: usize,
    passed: usize,
    /// Batches that it is still left alone for, and for how many it was last time.
    pause: usize,
    last_pause: usize,
}

impl Trial {
    fn new(filter: Arc<dyn PhysicalExpr>) -> Self {
        Self { filter, rows: 0, passed: 0, pause: 0, last_pause: PAUSE_BATCHES / 2 }
    }

    /// Which rows pass; `None` if it does not say, or is not asked.
    fn test(&mut self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        if self.pause > 0 {
            self.pause -= 1;
            return Ok(None);
        }
        let passed = match self.filter.evaluate(batch)? {
            // The join has not said yet what it wants.
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => return Ok(None),
            value => value.into_array(batch.num_rows())?,
        };
        let Some(passed) = passed.as_boolean_opt() else { return Ok(None) };
        let passed = match passed.null_count() {
            0 => passed.clone(),
            _ => prep_null_mask_filter(passed),
        };
        self.rows += batch.num_rows();
        self.passed += passed.true_count();
        if self.rows >= TRIAL_ROWS {
            if self.passed > self.rows / 2 {
                self.last_pause = self.last_pause.saturating_mul(2);
                self.pause = self.last_pause;
            }
            (self.rows, self.passed) = (0, 0);
        }
        Ok(Some(passed))
    }
}

/// [`WantedRows`] around the rule that hands down the filters of joins.
pub(crate) fn with_wanted_rows(
    rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let around = |rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>| match rule.name() {
        "FilterPushdown(Post)" => Arc::new(WantedRows(rule)) as _,
        _ => rule,
    };
    rules.into_iter().map(around).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{BinaryExpr, Column, DynamicFilterPhysicalExpr, lit};
    use datafusion::physical_plan::common::collect;

    const ROWS: i64 = 1000;

    /// The values that `column < bound` lets through, of batches of 0 to 999 and a NULL each, and how many it did not.
    async fn below(bound: Option<i64>, batches: usize) -> (Vec<RecordBatch>, usize) {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let values = Int64Array::from_iter((0..ROWS).map(Some).chain([None]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)]).unwrap();
        let input = MemorySourceConfig::try_new_exec(&[vec![batch; batches]], schema, None).unwrap();
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new("n", 0));
        let filter = Arc::new(DynamicFilterPhysicalExpr::new(vec![Arc::clone(&column)], lit(true)));
        if let Some(bound) = bound {
            filter.update(Arc::new(BinaryExpr::new(column, Operator::Lt, lit(bound)))).unwrap();
        }
        let exec = WantedRowsExec::new(input, vec![filter]);
        let rows = collect(exec.execute(0, Arc::default()).unwrap()).await.unwrap();
        let unwanted = exec.metrics().unwrap().sum_by_name("unwanted_rows").map_or(0, |count| count.as_usize());
        (rows, unwanted)
    }

    fn count(batches: &[RecordBatch]) -> usize {
        batches.iter().map(RecordBatch::num_rows).sum()
    }

    #[tokio::test]
    async fn rows_are_left_out_and_the_others_put_together() {
        let (rows, unwanted) = below(Some(10), 100).await;
        assert_eq!((rows.len(), count(&rows), unwanted), (1, 1000, 100 * 991));
        let numbers: Vec<Option<i64>> =
            rows[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().iter().collect();
        assert!(numbers.chunks(10).all(|batch| batch.iter().copied().eq((0..10).map(Some))), "{numbers:?}");
    }

    #[tokio::test]
    async fn before_the_join_has_said_which_all_rows_are_wanted() {
        let (rows, unwanted) = below(None, 3).await;
        assert_eq!((rows.len(), count(&rows), unwanted), (3, 3003, 0));
    }

    #[tokio::test]
    async fn a_filter_that_saves_little_is_left_alone() {
        let (rows, unwanted) = below(Some(990), 200).await;
        // Some batches are tested: 33 for the verdict, then as many between pauses that grow.
        assert!((33 * 11..100 * 11).contains(&unwanted), "{unwanted}");
        assert_eq!(count(&rows), 200 * 1001 - unwanted);
    }
}
