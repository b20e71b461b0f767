//! Unions of which one side has rows, the others being known to be empty.
//!
//! DataFusion puts a projection in the union's place that has the union's columns, and names the side's by them:
//! `d` for a side's `a.d`. A condition on `d` was then pushed through the projection below, of which `a.d` was the cast
//! to the union's type, as if it were another column, and met the uncast one:
//!
//! ```sql
//! SELECT x FROM (SELECT d FROM a UNION ALL SELECT CAST(1 AS bigint) WHERE false) q(x) WHERE x > 2    -- d: integer
//! ```

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Union};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::Rule;

/// The rule that does away with what is empty, with such unions done by us.
#[derive(Debug)]
pub(super) struct OneSidedUnions(pub(super) Rule);

impl OptimizerRule for OneSidedUnions {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Union(union) => match only_side(&union) {
                Some(side) => in_place_of(&union, side).map(Transformed::yes),
                None => self.0.rewrite(LogicalPlan::Union(union), config),
            },
            plan => self.0.rewrite(plan, config),
        }
    }
}

fn only_side(union: &Union) -> Option<Arc<LogicalPlan>> {
    let is_empty = |side: &LogicalPlan| matches!(side, LogicalPlan::EmptyRelation(none) if !none.produce_one_row);
    let mut sides = union.inputs.iter().filter(|side| !is_empty(side));
    sides.next().filter(|_| sides.next().is_none()).map(Arc::clone)
}

fn in_place_of(union: &Union, side: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    if side.schema() == &union.schema {
        return Ok(Arc::unwrap_or_clone(side));
    }
    let columns = side.schema().iter().zip(union.schema.iter()).map(|(from, (table, field))| {
        let column = Column::from(from);
        match column == Column::from((table, field)) {
            true => Expr::Column(column),
            false => Expr::Column(column).alias_qualified(table.cloned(), field.name()),
        }
    });
    let columns = columns.collect();
    Projection::try_new_with_schema(columns, side, Arc::clone(&union.schema)).map(LogicalPlan::Projection)
}
