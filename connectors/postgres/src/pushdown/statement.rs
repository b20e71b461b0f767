//! A fragment as a SELECT within another statement: an INSERT, a DELETE, a view.

use datafusion::logical_expr::LogicalPlan;

use super::literal::Reason;
use super::print::{self, Printing};

/// The SELECT of a fragment, every column in the type that PostgreSQL has for its Arrow type, or in its
/// own.
///
/// # Errors
/// The reason, if it is no fragment of `source_key`'s.
pub(crate) fn select_text(fragment: &LogicalPlan, source_key: &str) -> Result<String, Reason> {
    let select = print::select(fragment, &Printing { source_key: source_key.into(), correlated: false })?;
    let (text, _) = select.finish(&print::types(fragment.schema()), None)?;
    Ok(text)
}
