//! What DataFusion takes for a constant and is none.
//!
//! - A column of the side that an outer join fills with NULLs: below the join a filter `c = 'A'` makes it
//!   constant, above it is 'A' or NULL. DataFusion leaves the sort by it out.
//! - A column of a UNION that is one constant in one branch and another in the next: the sort by it is left out, too.
//! - A column that ROLLUP, CUBE or GROUPING SETS fills with NULLs. Two columns that are equal, rows that are in order or
//!   dealt out by their keys are so no longer above it, either: the aggregation's second half took groups for complete.
//! - The number of distinct values of a literal NULL, which its statistics say is one.
//! - What statistics say of an aggregation below another one that has a FILTER: it was taken for the upper's result.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties, Statistics,
    replace_children_if_necessary,
};

/// Keeps what is constant below the side that an outer join fills, in a branch of a UNION or below grouping sets from
/// being taken for constant above.
#[derive(Debug)]
pub(super) struct SideConstants;

impl PhysicalOptimizerRule for SideConstants {
    fn name(&self) -> &str {
        "side_constants"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let wrapped = plan.transform_up(|plan| {
            if plan.downcast_ref::<AggregateExec>().is_some_and(|aggregate| aggregate.group_expr().has_grouping_set()) {
                return Ok(Transformed::yes(Arc::new(SideExec::undealt(plan)) as Arc<dyn ExecutionPlan>));
            }
            let (left, right) = match join_type(&plan) {
                Some(join_type) => (
                    matches!(join_type, JoinType::Right | JoinType::Full),
                    matches!(join_type, JoinType::Left | JoinType::Full),
                ),
                None if plan.downcast_ref::<UnionExec>().is_some() => (true, true),
                None => return Ok(Transformed::no(plan)),
            };
            let forgets = std::iter::once(left).chain(std::iter::repeat(right));
            let children: Vec<Arc<dyn ExecutionPlan>> = plan
                .children()
                .into_iter()
                .zip(forgets)
                .map(|(child, forgets)| match forgets && !child.equivalence_properties().constants().is_empty() {
                    true => Arc::new(SideExec::new(Arc::clone(child))) as Arc<dyn ExecutionPlan>,
                    false => Arc::clone(child),
                })
                .collect();
            Ok(Transformed::yes(replace_children_if_necessary(plan, children)?))
        });
        Ok(wrapped?.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn join_type(plan: &Arc<dyn ExecutionPlan>) -> Option<JoinType> {
    let hash = plan.downcast_ref::<HashJoinExec>().map(|join| *join.join_type());
    let merge = plan.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type);
    let nested = plan.downcast_ref::<NestedLoopJoinExec>().map(|join| *join.join_type());
    hash.or(merge).or(nested)
}

/// Passes its input on, and says nothing of the values.
#[derive(Debug)]
pub(super) struct SideExec {
    input: Arc<dyn ExecutionPlan>,
    /// Whether the rows are dealt out to the partitions as the input says.
    dealt: bool,
    properties: Arc<PlanProperties>,
}

impl SideExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self::silent(input, true)
    }

    /// One that does not say either which rows are in which partition.
    fn undealt(input: Arc<dyn ExecutionPlan>) -> Self {
        Self::silent(input, false)
    }

    fn silent(input: Arc<dyn ExecutionPlan>, dealt: bool) -> Self {
        let partitioning = match input.output_partitioning() {
            of_the_input if dealt => of_the_input.clone(),
            other => Partitioning::UnknownPartitioning(other.partition_count()),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            partitioning,
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self { input, dealt, properties: Arc::new(properties) }
    }
}

impl DisplayAs for SideExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SideExec")
    }
}

impl ExecutionPlan for SideExec {
    fn name(&self) -> &str {
        "SideExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self::silent(input, self.dealt)))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(inputs.first().cloned().unwrap_or_else(|| Arc::new(Statistics::new_unknown(&self.schema()))))
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
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

/// A rule that leaves plans alone which count distinct values, or filter what they aggregate.
#[derive(Debug)]
pub(super) struct PlainStatistics(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for PlainStatistics {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let special = plan.exists(|node| {
            let Some(aggregate) = node.downcast_ref::<AggregateExec>() else { return Ok(false) };
            let distinct = aggregate.aggr_expr().iter().any(|call| call.is_distinct());
            Ok(distinct || aggregate.filter_expr().iter().any(Option::is_some))
        })?;
        if special { Ok(plan) } else { self.0.optimize(plan, config) }
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}
