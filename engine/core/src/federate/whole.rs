//! A plan that one source computes from its first node to its last.

use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;

use super::cut::{PushdownSwitch, cut};
use super::fragment::Fragment;

/// The plan as the fragment that the source `source_key` takes of it; `None` if it leaves something.
///
/// A join that saves nothing stays in the fragment: its rows go nowhere.
///
/// # Errors
/// Those of rebuilding a plan.
pub(crate) fn whole(
    plan: &LogicalPlan,
    source_key: &str,
    switch: Option<&PushdownSwitch>,
) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Extension(extension) = cut(plan.clone(), switch)? else { return Ok(None) };
    let fragment = extension.node.as_any().downcast_ref::<Fragment>();
    let own = fragment.filter(|fragment| fragment.connector.source_key() == source_key);
    Ok(own.map(|fragment| fragment.plan.clone()))
}
