//! From a statement's tree to a plan that means what the statement says.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlan, Union};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement as AstStatement;
use meesh_base::{Error, Result};
use meesh_connector_spi::from_datafusion;
use meesh_sql::{FirstOperands, OperandColumn, TrinoOperators, common_type, first_operand, mark_first_operands};

use crate::exact::{check_recursion, groups_as_written};
use crate::plan_error::{DUPLICATE_NAME, duplicate_name, plan_error};

/// Expressions and plan nodes that a plan may have before it is optimized. The parser's limits stop what
/// is slow to plan; this stops what views and wildcards make of a short text.
const PLAN_NODES_MAX: usize = 500_000;

/// How often a statement is read again for the types of its set operations: one round settles those that stand on
/// settled ones.
const ROUNDS_MAX: usize = 40;

/// The plan of a statement as it means it, unless it is too large to be planned further.
pub(crate) async fn as_written(state: &SessionState, statement: AstStatement) -> Result<LogicalPlan> {
    let plan = with_any_names(state, statement.clone()).await?;
    if narrower_unions(&plan).is_empty() {
        return Ok(plan);
    }
    let mut known = FirstOperands::new();
    for _ in 0..ROUNDS_MAX {
        let mut marked = statement.clone();
        mark_first_operands(&mut marked, &known);
        // What cannot be read in this way stays as it is: every side is cast to the common type later.
        let Ok(marked) = with_any_names(state, marked).await else { break };
        let mut learned = narrower_unions(&marked);
        learned.retain(|number, _| !known.contains_key(number));
        if learned.is_empty() {
            return Ok(marked);
        }
        known.extend(learned);
    }
    Ok(plan)
}

/// The columns of the first sides of unions whose types others widen, by the numbers of their aliases; those of
/// unions that stand on such ones are not known yet. What has no alias has the number of none.
fn narrower_unions(plan: &LogicalPlan) -> FirstOperands {
    let mut found = FirstOperands::new();
    walk(plan, &mut |node| {
        if let LogicalPlan::Union(union) = node
            && let Some(columns) = widened_columns(union)
        {
            let mut is_settled = true;
            let mut look = |node: &LogicalPlan| {
                is_settled &= !matches!(node, LogicalPlan::Union(union) if widened_columns(union).is_some());
            };
            union.inputs.iter().for_each(|side| walk(side, &mut look));
            if is_settled {
                found.insert(number_of(&union.inputs).unwrap_or(usize::MAX), columns);
            }
        }
    });
    found
}

fn walk(plan: &LogicalPlan, look: &mut impl FnMut(&LogicalPlan)) {
    // Nothing in it fails.
    let _ = plan.apply_with_subqueries(|node| {
        look(node);
        Ok(TreeNodeRecursion::Continue)
    });
}

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

/// The columns of a union's first side with the types that they are to have, if one of them is to have another.
fn widened_columns(union: &Union) -> Option<Vec<OperandColumn>> {
    let fields = union.inputs.first()?.schema().fields();
    let columns = fields.iter().enumerate().map(|(index, first)| {
        let types: Vec<DataType> = union
            .inputs
            .iter()
            .filter_map(|side| side.schema().fields().get(index))
            .map(|field| field.data_type().clone())
            .collect();
        let known = || types.iter().find(|data_type| !data_type.is_null()).cloned();
        let wanted = match first.data_type() {
            // Or a parameter, which has the type of its value.
            DataType::Null if has_parameter(&union.inputs) => None,
            DataType::Null => common_type(&types).or_else(known),
            own => common_type(&types).filter(|common| common != own),
        };
        (first.name().clone(), wanted)
    });
    let columns: Vec<OperandColumn> = columns.collect();
    columns.iter().any(|(_, to)| to.is_some()).then_some(columns)
}

fn has_parameter(sides: &[Arc<LogicalPlan>]) -> bool {
    sides.first().is_none_or(|side| side.get_parameter_names().map_or(true, |names| !names.is_empty()))
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
