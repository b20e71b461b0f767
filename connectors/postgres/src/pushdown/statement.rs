//! A fragment as a SELECT within another statement: an INSERT, a DELETE, a view.

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;

use super::literal::Reason;
use super::print::{self, Printing};
use crate::catalog::Relation;

/// The SELECT of a fragment, every column in the type that PostgreSQL has for its Arrow type, or in its
/// own; and what it reads.
///
/// # Errors
/// The reason, if it is no fragment of `source_key`'s.
pub(crate) fn select_text(fragment: &LogicalPlan, source_key: &str) -> Result<(String, Vec<Arc<Relation>>), Reason> {
    let select = print::select(fragment, &Printing { source_key: source_key.into(), correlated: false })?;
    let (text, _) = select.finish(&print::types(fragment.schema()), None)?;
    Ok((text, select.relations))
}
