//! Rows that flow from a source to the client as they are.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};
use meesh_connector_spi::SourceScanExec;

/// The plan with plain texts, if it does nothing but pass on what a source sends; else the plan.
///
/// Views are made for operators that compare texts or move them about. Making them is a quarter of the
/// work of reading a row, and most clients take plain texts, which they would be turned into again.
pub(crate) fn pass_plain_texts(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
        return Ok(scan.with_plain_texts().map_or_else(|| Arc::clone(&plan), |plain| Arc::new(plain) as _));
    }
    let passes =
        plan.downcast_ref::<CoalescePartitionsExec>().is_some() || plan.downcast_ref::<CooperativeExec>().is_some();
    match plan.children().as_slice() {
        [input] if passes => {
            let input = pass_plain_texts(Arc::clone(input))?;
            replace_children_if_necessary(plan, vec![input])
        }
        _ => Ok(plan),
    }
}
