//! From a statement's tree to a plan that means what the statement says.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlan, Union};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement as AstStatement;
use meesh_base::{Error, Result};
use meesh_connector_spi::from_datafusion;
use meesh_sql::{FirstOperands, TrinoOperators, first_operand, mark_first_operands};

use crate::exact::{check_recursion, groups_as_written};
use crate::plan::analyzed;
use crate::plan_error::{DUPLICATE_NAME, duplicate_name, plan_error};

/// Expressions and plan nodes that a plan may have before it is optimized. The parser's limits stop what
/// is slow to plan; this stops what views and wildcards make of a short text.
const PLAN_NODES_MAX: usize = 500_000;

/// How often a statement is read again for the types of its unions: one round settles those that stand on settled
/// ones.
const ROUNDS_MAX: usize = 40;

/// The plan of a statement as it means it, unless it is too large to be planned further.
pub(crate) async fn as_written(state: &SessionState, statement: AstStatement) -> Result<LogicalPlan> {
    let plan = with_any_names(state, statement.clone()).await?;
    let types = union_types(&plan);
    // What has no types yet, or never will, is found out later.
    if types.is_empty() || analyzed(state, plan.clone()).map_or(true, |analyzed| union_types(&analyzed) == types) {
        return Ok(plan);
    }
    let mut known = FirstOperands::new();
    for _ in 0..ROUNDS_MAX {
        let mut marked = statement.clone();
        mark_first_operands(&mut marked, &known);
        // What cannot be read in this way stays as it is: every side is cast to the common type later.
        let Ok(marked) = with_any_names(state, marked).await else { break };
        let Ok(analyzed) = analyzed(state, marked.clone()) else { break };
        let mut learned = widened(&marked, &analyzed);
        learned.retain(|number, _| !known.contains_key(number));
        if learned.is_empty() {
            return Ok(marked);
        }
        known.extend(learned);
    }
    Ok(plan)
}

/// The types of the columns of every union.
fn union_types(plan: &LogicalPlan) -> Vec<Vec<DataType>> {
    let mut found = Vec::new();
    each_union(plan, |union| found.push(types_of(union)));
    found
}

fn types_of(union: &Union) -> Vec<DataType> {
    let types = union.schema.fields().iter().map(|field| field.data_type());
    types.map(|data_type| if data_type.is_string() { DataType::Utf8View } else { data_type.clone() }).collect()
}

/// The columns of the first sides of unions which have other types in `analyzed` than in `plan`, by the numbers of
/// the sides' aliases.
fn widened(plan: &LogicalPlan, analyzed: &LogicalPlan) -> FirstOperands {
    let mut wanted = HashMap::new();
    each_union(analyzed, |union| {
        if let Some(number) = number_of(&union.inputs) {
            wanted.insert(number, types_of(union));
        }
    });
    let mut found = FirstOperands::new();
    each_union(plan, |union| {
        let Some((number, wanted)) = number_of(&union.inputs).and_then(|number| Some((number, wanted.get(&number)?)))
        else {
            return;
        };
        let own = types_of(union);
        if own != *wanted && own.len() == wanted.len() {
            let columns = union.schema.fields().iter().zip(own.iter().zip(wanted));
            let column = |(field, (own, wanted)): (&Arc<Field>, (&DataType, &DataType))| {
                (field.name().clone(), (own != wanted).then(|| wanted.clone()))
            };
            found.insert(number, columns.map(column).collect());
        }
    });
    found
}

fn each_union(plan: &LogicalPlan, mut look: impl FnMut(&Union)) {
    // Nothing in it fails.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            look(union);
        }
        Ok(TreeNodeRecursion::Continue)
    });
}

/// The number in the alias of a union's first side.
fn number_of(sides: &[Arc<LogicalPlan>]) -> Option<usize> {
    let mut plan = sides.first()?.as_ref();
    while let LogicalPlan::Projection(projection) = plan {
        plan = projection.input.as_ref();
    }
    match plan {
        LogicalPlan::SubqueryAlias(alias) => first_operand(alias.alias.table()),
        _ => None,
    }
}

/// The plan with casts in the names of columns where they would be the same without.
async fn with_any_names(state: &SessionState, statement: AstStatement) -> Result<LogicalPlan> {
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
