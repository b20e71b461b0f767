//! Columns that are said to depend on others, and do not.
//!
//! DataFusion knows which columns a key determines: a GROUP BY's keys, and `row_number()`. Of an aggregation whose keys
//! hold such a key of its input it says that this one determines all, though a join has brought other columns beside it:
//!
//! ```sql
//! SELECT n, w FROM (SELECT k, count(*) AS n FROM t GROUP BY k) a JOIN u ON u.k = a.k GROUP BY a.k, n, w   -- k: all
//! ```
//!
//! It left `w` out of an ORDER BY k, w above, and out of a GROUP BY k, w. While it reads a statement it also adds to
//! GROUP BY k what k determines, for those who select it (Trino refuses them); with `w` it would make more groups, and
//! to GROUP BY k, ROLLUP (c) it adds `c`, which leaves the sum of all `c` out.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Dependency, FunctionalDependence, FunctionalDependencies, Result, ScalarValue};
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use meesh_sql::GROUPS_END;

/// The plan of a statement whose aggregations have the groups that were written: no mark of their end, and nothing
/// behind it.
///
/// # Errors
/// `SchemaError` where what was not written is selected.
pub(crate) fn groups_as_written(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut grouped = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            grouped = aggregate.group_expr.iter().any(|group| group.exists(|part| Ok(is_end(part))).unwrap_or(false));
        }
        Ok(if grouped { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !grouped {
        return Ok(plan);
    }
    let written = plan.transform_up_with_subqueries(|plan| {
        let LogicalPlan::Aggregate(mut aggregate) = plan else {
            return plan.recompute_schema().map(Transformed::yes);
        };
        until_the_end(&mut aggregate.group_expr);
        for group in &mut aggregate.group_expr {
            if let Expr::GroupingSet(GroupingSet::GroupingSets(sets)) = group {
                sets.iter_mut().for_each(until_the_end);
            }
        }
        Aggregate::try_new(aggregate.input, aggregate.group_expr, aggregate.aggr_expr)
            .map(|aggregate| Transformed::yes(LogicalPlan::Aggregate(aggregate)))
    });
    written.map(|plan| plan.data)
}

fn until_the_end(groups: &mut Vec<Expr>) {
    if let Some(end) = groups.iter().position(is_end) {
        groups.truncate(end);
    }
}

fn is_end(group: &Expr) -> bool {
    match group {
        Expr::Alias(alias) => is_end(&alias.expr),
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::Utf8View(text), _) => text.as_deref() == Some(GROUPS_END),
        _ => false,
    }
}

/// Aggregations whose groups alone determine the other columns.
#[derive(Debug)]
pub(super) struct KnownDependencies;

impl OptimizerRule for KnownDependencies {
    fn name(&self) -> &str {
        "known_dependencies"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let is_wrong = |node: &LogicalPlan| match node {
            LogicalPlan::Aggregate(aggregate) => *aggregate.schema.functional_dependencies() != known(aggregate),
            _ => false,
        };
        let mut wrong = false;
        plan.apply_with_subqueries(|node| {
            wrong |= is_wrong(node);
            Ok(if wrong { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !wrong {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Aggregate(mut aggregate) = node else {
                return node.recompute_schema().map(Transformed::yes);
            };
            let known = known(&aggregate);
            let schema = aggregate.schema.as_ref().clone().with_functional_dependencies(known)?;
            aggregate.schema = Arc::new(schema);
            Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
        })
    }
}

/// All groups together determine each row, if they are no sets.
fn known(aggregate: &Aggregate) -> FunctionalDependencies {
    let fields = aggregate.schema.fields();
    // A group that is written twice is one field.
    let groups = fields.len() - aggregate.aggr_expr.len();
    if groups == 0 || aggregate.group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_))) {
        return FunctionalDependencies::empty();
    }
    let nullable = fields.iter().take(groups).any(|field| field.is_nullable());
    let all = FunctionalDependence::new((0..groups).collect(), (0..fields.len()).collect(), nullable);
    FunctionalDependencies::new(vec![all.with_mode(Dependency::Single)])
}
