//! Joins that would make more of their inputs than the inputs are: those are computed here instead.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Extension, Join, JoinType, LogicalPlan};
use meesh_base::QueryScope;
use meesh_connector_spi::{Connector, into_datafusion};

use super::fragment::Fragment;

/// How much larger than its inputs a join's result may be, as in Trino
/// (`join-pushdown.automatic.max-join-to-tables-ratio`).
const RATIO_MAX: f64 = 1.25;

/// A result that is smaller is worth no second thought.
const SMALL_BYTES: f64 = 1024.0 * 1024.0;

/// The plan with those fragments divided at their topmost join whose result swells. What is above the
/// join in the fragment is computed here, and each side is a fragment of its own.
///
/// # Errors
/// The source's, when it is asked for estimates and does not answer.
pub(super) async fn divide(mut plan: LogicalPlan, scope: &QueryScope) -> Result<LogicalPlan> {
    let mut judged: Vec<(LogicalPlan, bool)> = Vec::new();
    loop {
        let open = unjudged(&plan, &judged)?;
        if open.is_empty() {
            return Ok(plan);
        }
        for (fragment, connector) in open {
            let swells = swells(&fragment, &connector, scope).await?;
            judged.push((fragment, swells));
        }
        let divided = plan.transform_down_with_subqueries(|node| match fragment_of(&node) {
            Some(fragment) if judged.iter().any(|(known, swells)| *swells && *known == fragment.plan) => {
                Ok(Transformed::yes(divided(fragment)?))
            }
            _ => Ok(Transformed::no(node)),
        })?;
        plan = divided.data;
    }
}

fn fragment_of(node: &LogicalPlan) -> Option<&Fragment> {
    match node {
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<Fragment>(),
        _ => None,
    }
}

/// The fragments with a join at their top that nobody has asked about.
fn unjudged(plan: &LogicalPlan, judged: &[(LogicalPlan, bool)]) -> Result<Vec<(LogicalPlan, Arc<dyn Connector>)>> {
    let mut open = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let Some(fragment) = fragment_of(node)
            && top_join(&fragment.plan).is_some()
            && !judged.iter().any(|(known, _)| *known == fragment.plan)
        {
            open.push((fragment.plan.clone(), Arc::clone(&fragment.connector)));
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    Ok(open)
}

/// The join whose rows are the result's.
fn top_join(plan: &LogicalPlan) -> Option<&Join> {
    match plan {
        LogicalPlan::Projection(projection) => top_join(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => top_join(&alias.input),
        LogicalPlan::Filter(filter) => top_join(&filter.input),
        // It keeps every row.
        LogicalPlan::Window(window) => top_join(&window.input),
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => Some(join),
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => top_join(&join.left),
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => top_join(&join.right),
        },
        _ => None,
    }
}

async fn swells(fragment: &LogicalPlan, connector: &Arc<dyn Connector>, scope: &QueryScope) -> Result<bool> {
    let (Some(join), Some(pushdown)) = (top_join(fragment), connector.pushdown()) else { return Ok(false) };
    let estimate = async |plan| pushdown.estimate(plan, scope).await.map_err(into_datafusion);
    let estimates = futures::try_join!(estimate(fragment), estimate(&join.left), estimate(&join.right))?;
    let (Some(result), Some(left), Some(right)) = estimates else { return Ok(false) };
    Ok(result.bytes > SMALL_BYTES && result.bytes > (left.bytes + right.bytes) * RATIO_MAX)
}

/// The fragment's nodes down to its topmost join, over fragments for the join's sides.
fn divided(fragment: &Fragment) -> Result<LogicalPlan> {
    let leaf = |plan: LogicalPlan| {
        let kept = vec!["join: its result is larger than its inputs".to_owned()];
        let node = Fragment { plan, connector: Arc::clone(&fragment.connector), kept };
        Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
    };
    open(fragment.plan.clone(), &leaf)
}

fn open(plan: LogicalPlan, leaf: &impl Fn(LogicalPlan) -> Result<Transformed<LogicalPlan>>) -> Result<LogicalPlan> {
    let is_top = match (&plan, top_join(&plan)) {
        (LogicalPlan::Join(join), Some(top)) => std::ptr::eq(join, top),
        _ => false,
    };
    if is_top {
        return Ok(plan.map_children(leaf)?.data);
    }
    let opened = plan.map_children(|child| match top_join(&child) {
        Some(_) => Ok(Transformed::yes(open(child, leaf)?)),
        None => leaf(child),
    })?;
    Ok(opened.data)
}
