//! Filters that DataFusion would push where they mean something else.
//!
//! It pushes the filters of a physical plan down by the *names* of their columns, through every
//! node that only passes rows on. Above a join of two tables that both have a column `name`, the filter
//! on one of them may reach the other table: rows are lost, or kept that should not be.
//!
//! ```text
//! FilterExec name@3 = 'x'           the right table's name
//!   RepartitionExec                 by name: name@1, the left table's
//!     HashJoinExec (Left)           which may be filtered before the join
//! ```
//!
//! What the logical optimizer pushes knows whose column is whose, and is not affected.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::simplify_expressions::simplify_predicates;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

/// Filters one of whose conditions is never true become no rows at once.
///
/// DataFusion pushes a condition without columns below everything, below an aggregation without groups as
/// well: that makes one row of none, so `WHERE NULL` above `count(*)` kept it.
#[derive(Debug)]
pub(crate) struct ImpossibleFilters;

impl OptimizerRule for ImpossibleFilters {
    fn name(&self) -> &str {
        "impossible_filters"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        let never = |condition: &Expr| {
            matches!(condition, Expr::Literal(ScalarValue::Boolean(Some(false) | None) | ScalarValue::Null, _))
        };
        // Conditions that contradict each other are found only while they are pushed, if not here.
        let conditions = simplify_predicates(split_conjunction_owned(filter.predicate.clone()))?;
        if !conditions.iter().any(never) {
            return Ok(Transformed::no(plan));
        }
        let schema = Arc::clone(filter.input.schema());
        Ok(Transformed::yes(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema })))
    }
}

/// DataFusion's rules, with those that push filters kept to where every name is one column's.
pub(crate) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let guard = |rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>| -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
        if rule.name().starts_with("FilterPushdown") { Arc::new(FiltersByName { rule }) } else { rule }
    };
    PhysicalOptimizer::new().rules.into_iter().map(guard).collect()
}

#[derive(Debug)]
struct FiltersByName {
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
}

impl PhysicalOptimizerRule for FiltersByName {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if !has_equal_names(&plan) {
            return self.rule.optimize(plan, config);
        }
        let children = plan.children().into_iter().map(|child| self.optimize(Arc::clone(child), config));
        let children = children.collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, children)
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

/// Whether two columns of some node in the plan have the same name.
fn has_equal_names(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = plan.schema();
    let mut names = HashSet::new();
    !schema.fields().iter().all(|field| names.insert(field.name().as_str()))
        || plan.children().into_iter().any(has_equal_names)
}
