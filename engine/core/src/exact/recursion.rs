//! `WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 0.5 FROM t …)`: DataFusion makes integers of what the
//! recursive side yields, and never ends. It is an error, as a column takes no such value elsewhere.

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan};
use meesh_base::Error;
use meesh_connector_spi::into_datafusion;
use meesh_sql::{assignable, type_name};

/// Looks at a plan as it was written, in which a cast that the statement names is a function.
///
/// # Errors
/// `InvalidQuery` (`TYPE_MISMATCH`) for a recursive side whose types are wider than those of the other one.
pub(crate) fn check_recursion(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let LogicalPlan::RecursiveQuery(query) = node else { return Ok(TreeNodeRecursion::Continue) };
        let LogicalPlan::Projection(step) = query.recursive_term.as_ref() else {
            return Ok(TreeNodeRecursion::Continue);
        };
        for (index, expr) in step.expr.iter().enumerate() {
            let Expr::Cast(Cast { expr, field }) = expr.clone().unalias() else { continue };
            let (from, to) = (expr.get_type(step.input.schema())?, field.data_type());
            if !assignable(&from, to) {
                let message = format!(
                    "recursion step relation output type ({}) is not coercible to recursion base relation output type \
                     ({}) at column {}",
                    type_name(&from),
                    type_name(to),
                    index + 1
                );
                let error = Error::invalid_query(message).with_hint("CAST the first side's column to the wider type");
                return Err(into_datafusion(error.with_code("TYPE_MISMATCH")));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}
