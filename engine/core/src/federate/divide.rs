//! Joins that save nothing when their source computes them: those are computed here instead.
//!
//! Two kinds: a join that makes more of its inputs than the inputs are, and one that makes hardly less of
//! them and is grouped into many groups, which is work for one core of the source and for all of ours.

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

/// The least part of its inputs that a join must keep, and the groups that must come of it, to be grouped
/// here. TPC-H's Q13 keeps all and makes 150,000 groups: in PostgreSQL that takes three times as long.
const KEPT_MIN: f64 = 0.5;
const GROUPS_MIN: f64 = 10_000.0;

/// The most that may be fetched so that a join is grouped here: beyond, the network would be what counts.
const GROUPED_BYTES_MAX: f64 = 64.0 * 1024.0 * 1024.0;

const SWELLS: &str = "join: its result is larger than its inputs";
const GROUPED: &str = "join: grouped into many groups, and hardly smaller than its inputs";

/// The plan with those fragments divided at their topmost join that saves nothing. What is above the
/// join in the fragment is computed here, and each side is a fragment of its own.
///
/// # Errors
/// The source's, when it is asked for estimates and does not answer.
pub(super) async fn divide(mut plan: LogicalPlan, scope: &QueryScope) -> Result<LogicalPlan> {
    let mut judged: Vec<(LogicalPlan, Option<&'static str>)> = Vec::new();
    loop {
        let open = unjudged(&plan, &judged)?;
        if open.is_empty() {
            return Ok(plan);
        }
        for (fragment, connector) in open {
            let reason = saves_nothing(&fragment, &connector, scope).await?;
            judged.push((fragment, reason));
        }
        let divided = plan.transform_down_with_subqueries(|node| {
            let fragment = fragment_of(&node);
            let reason = fragment.and_then(|fragment| judged.iter().find(|(known, _)| *known == fragment.plan)?.1);
            match fragment.zip(reason) {
                Some((fragment, reason)) => Ok(Transformed::yes(divided(fragment, reason)?)),
                None => Ok(Transformed::no(node)),
            }
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
fn unjudged(
    plan: &LogicalPlan,
    judged: &[(LogicalPlan, Option<&'static str>)],
) -> Result<Vec<(LogicalPlan, Arc<dyn Connector>)>> {
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

/// The topmost join of a fragment.
struct TopJoin<'a> {
    join: &'a Join,
    /// What groups its rows, if something does: the lowest such node above it.
    grouped: Option<&'a LogicalPlan>,
    /// What has the join's rows: the fragment itself, or the input of what groups them.
    rows: &'a LogicalPlan,
}

fn top_join(fragment: &LogicalPlan) -> Option<TopJoin<'_>> {
    let (mut plan, mut grouped, mut rows) = (fragment, None, fragment);
    loop {
        plan = match plan {
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Filter(filter) => &filter.input,
            // It keeps every row.
            LogicalPlan::Window(window) => &window.input,
            LogicalPlan::Aggregate(aggregate) if !aggregate.group_expr.is_empty() => {
                (grouped, rows) = (Some(plan), &aggregate.input);
                &aggregate.input
            }
            LogicalPlan::Join(join) => match join.join_type {
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                    return Some(TopJoin { join, grouped, rows });
                }
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => &join.left,
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => &join.right,
            },
            _ => return None,
        }
    }
}

/// Why the topmost join of a fragment is better computed here, if it is.
async fn saves_nothing(
    fragment: &LogicalPlan,
    connector: &Arc<dyn Connector>,
    scope: &QueryScope,
) -> Result<Option<&'static str>> {
    let (Some(top), Some(pushdown)) = (top_join(fragment), connector.pushdown()) else { return Ok(None) };
    let estimate = async |plan| pushdown.estimate(plan, scope).await.map_err(into_datafusion);
    let estimates = futures::try_join!(estimate(top.rows), estimate(&top.join.left), estimate(&top.join.right))?;
    let (Some(result), Some(left), Some(right)) = estimates else { return Ok(None) };
    let inputs = left.bytes + right.bytes;
    if result.bytes <= SMALL_BYTES {
        return Ok(None);
    }
    let Some(grouped) = top.grouped else { return Ok((result.bytes > inputs * RATIO_MAX).then_some(SWELLS)) };
    if result.bytes < inputs * KEPT_MIN || inputs > GROUPED_BYTES_MAX {
        return Ok(None);
    }
    let groups = estimate(grouped).await?;
    Ok(groups.is_some_and(|groups| groups.rows >= GROUPS_MIN).then_some(GROUPED))
}

/// The fragment's nodes down to its topmost join, over fragments for the join's sides.
fn divided(fragment: &Fragment, reason: &str) -> Result<LogicalPlan> {
    let leaf = |plan: LogicalPlan| {
        let kept = vec![reason.to_owned()];
        let node = Fragment { plan, connector: Arc::clone(&fragment.connector), kept };
        Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
    };
    open(fragment.plan.clone(), &leaf)
}

fn open(plan: LogicalPlan, leaf: &impl Fn(LogicalPlan) -> Result<Transformed<LogicalPlan>>) -> Result<LogicalPlan> {
    let is_top = match (&plan, top_join(&plan)) {
        (LogicalPlan::Join(join), Some(top)) => std::ptr::eq(join, top.join),
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
