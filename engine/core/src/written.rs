//! From a statement's tree to a plan that means what the statement says.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement as AstStatement;
use meesh_base::{Error, Result};
use meesh_connector_spi::from_datafusion;
use meesh_sql::TrinoOperators;

use crate::exact::{check_recursion, groups_as_written};
use crate::plan_error::{DUPLICATE_NAME, duplicate_name, plan_error};

/// Expressions and plan nodes that a plan may have before it is optimized. The parser's limits stop what
/// is slow to plan; this stops what views and wildcards make of a short text.
const PLAN_NODES_MAX: usize = 500_000;

/// The plan of a statement as it means it, unless it is too large to be planned further.
pub(crate) async fn as_written(state: &SessionState, statement: AstStatement) -> Result<LogicalPlan> {
    match with_unique_names(state, statement.clone()).await {
        Err(error) if error.code() == Some(DUPLICATE_NAME) => {
            let planners = state.expr_planners().iter().cloned();
            let planners = [Arc::new(TrinoOperators::naming_casts()) as _].into_iter().chain(planners).collect();
            let naming = SessionStateBuilder::new_from_existing(state.clone()).with_expr_planners(planners).build();
            with_unique_names(&naming, statement).await
        }
        planned => planned,
    }
}

async fn with_unique_names(state: &SessionState, statement: AstStatement) -> Result<LogicalPlan> {
    let statement = DataFusionStatement::Statement(Box::new(statement));
    let plan = state.statement_to_plan(statement).await.map_err(plan_error)?;
    check_size(&plan)?;
    check_recursion(&plan).and_then(|()| groups_as_written(plan)).map_err(plan_error).and_then(check_names)
}

/// Refuses several groups of one name: the projection above them would have it twice.
fn check_names(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut twice = None;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            let mut named = HashMap::new();
            for group in &aggregate.group_expr {
                let name = group.schema_name().to_string();
                match named.get(&name) {
                    Some(first) if *first != group => twice = Some(name),
                    _ => drop(named.insert(name, group)),
                }
            }
        }
        Ok(if twice.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(from_datafusion)?;
    twice.map_or(Ok(plan), |name| Err(duplicate_name(&name)))
}

/// Refuses a plan that would keep the optimizer busy for minutes.
fn check_size(plan: &LogicalPlan) -> Result<()> {
    let mut nodes = 0usize;
    let counted = plan.apply_with_subqueries(|node| {
        nodes += 1;
        node.apply_expressions(|expression| {
            expression.apply(|_| {
                nodes += 1;
                Ok(if nodes > PLAN_NODES_MAX { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })?;
        Ok(if nodes > PLAN_NODES_MAX { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    counted.map_err(from_datafusion)?;
    if nodes > PLAN_NODES_MAX {
        return Err(Error::invalid_query(format!(
            "statement is too complex: its plan has more than {PLAN_NODES_MAX} nodes"
        ))
        .with_hint("put intermediate results into a table")
        .with_code("QUERY_HAS_TOO_MANY_STAGES"));
    }
    Ok(())
}
