//! The part of a plan that a source computes, as a leaf of the remaining plan.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use meesh_connector_spi::Connector;

/// A sub-plan all of whose nodes its source takes. Two fragments are equal when their plans are.
#[derive(Clone)]
pub(crate) struct Fragment {
    /// What the source computes.
    pub(crate) plan: LogicalPlan,
    /// Who computes it.
    pub(crate) connector: Arc<dyn Connector>,
    /// Why the node above was not taken, one reason each: `lower(x): collation`.
    pub(crate) kept: Vec<String>,
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fragment({})", self.connector.source_key())
    }
}

impl PartialEq for Fragment {
    fn eq(&self, other: &Self) -> bool {
        self.plan == other.plan
    }
}

impl Eq for Fragment {}

impl PartialOrd for Fragment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.plan.partial_cmp(&other.plan)
    }
}

impl Hash for Fragment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plan.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for Fragment {
    fn name(&self) -> &str {
        "Fragment"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        self.plan.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fragment: {}", self.connector.source_key())
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, _inputs: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}
