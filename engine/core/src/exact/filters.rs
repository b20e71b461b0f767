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

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

/// Comparisons with a literal have it on their right.
///
/// DataFusion takes `'A' = x` and `x = 'A'` for two values of one column, which it then never has, and of
/// `5 <= x` and `5 < x` keeps the first. It mends the conditions of filters itself, not those of joins.
#[derive(Debug)]
pub(super) struct LiteralsLast;

impl OptimizerRule for LiteralsLast {
    fn name(&self) -> &str {
        "literals_last"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(_) | LogicalPlan::Join(_) => {
                plan.map_expressions(|expr| expr.transform_up(|expr| Ok(literal_last(expr))))
            }
            plan => Ok(Transformed::no(plan)),
        }
    }
}

fn is_comparison(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}

fn literal_last(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(*left, Expr::Literal(..)) && !matches!(*right, Expr::Literal(..)) =>
        {
            match op.swap().filter(|_| is_comparison(op)) {
                Some(swapped) => Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(right, swapped, left))),
                None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
            }
        }
        expr => Transformed::no(expr),
    }
}

/// A rule that pushes projections, which sees filters that hand on all of their columns.
///
/// A filter that hands on some of them knows its condition by its input's columns, and a projection above it
/// its own by what is handed on. DataFusion looks for the ones among the others, by name and place: with two
/// columns of one name it may find the wrong one.
#[derive(Debug)]
pub(super) struct WholeFilters(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for WholeFilters {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let whole = plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(node)) };
            let Some(handed_on) = filter.projection().as_ref() else { return Ok(Transformed::no(node)) };
            let input = filter.input().schema();
            let columns = handed_on.iter().map(|index| {
                let name = input.field(*index).name();
                (Arc::new(Column::new(name, *index)) as Arc<dyn PhysicalExpr>, name.clone())
            });
            let columns: Vec<_> = columns.collect();
            let whole = FilterExecBuilder::from(filter).apply_projection(None)?.build()?;
            Ok(Transformed::yes(Arc::new(ProjectionExec::try_new(columns, Arc::new(whole))?) as Arc<dyn ExecutionPlan>))
        })?;
        self.0.optimize(whole.data, config)
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// A rule that pushes filters, kept to where every name is one column's.
#[derive(Debug)]
pub(super) struct FiltersByName {
    pub(super) rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
}

impl PhysicalOptimizerRule for FiltersByName {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // The topmost node has no filters from above, and hands its own down by the columns of its inputs.
        if !plan.children().into_iter().any(has_equal_names) {
            if !has_keys_without_bounds(&plan) {
                return self.rule.optimize(plan, config);
            }
            let mut without_keys = config.clone();
            without_keys.optimizer.enable_join_dynamic_filter_pushdown = false;
            return self.rule.optimize(plan, &without_keys);
        }
        let children = plan.children().into_iter().map(|child| self.optimize(Arc::clone(child), config));
        let children = children.collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, children)
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

/// Whether some join of the plan has keys that are lists of lists: DataFusion finds no least one among them, and the
/// query would fail.
fn has_keys_without_bounds(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let is_nested = |data_type: DataType| match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_nested()
        }
        _ => false,
    };
    let of_join = plan.downcast_ref::<HashJoinExec>().is_some_and(|join| {
        let schema = join.left().schema();
        join.on().iter().any(|(key, _)| key.data_type(&schema).is_ok_and(is_nested))
    });
    of_join || plan.children().into_iter().any(has_keys_without_bounds)
}

/// Whether two columns of some node in the plan have the same name. A semi join counts both its sides:
/// filters of the one go to the other, too.
fn has_equal_names(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let is_semi = plan
        .downcast_ref::<HashJoinExec>()
        .is_some_and(|join| matches!(join.join_type(), JoinType::LeftSemi | JoinType::RightSemi));
    let schemas = match is_semi {
        true => plan.children().into_iter().map(|child| child.schema()).collect(),
        false => vec![plan.schema()],
    };
    let mut names = HashSet::new();
    !schemas.iter().flat_map(|schema| schema.fields()).all(|field| names.insert(field.name().as_str()))
        || plan.children().into_iter().any(has_equal_names)
}
