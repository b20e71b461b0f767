//! Rows that the server computes itself: their SELECT, and what must hold for it to mean what was planned.

use std::sync::Arc;

use meesh_base::{Error, Result};

use super::session::Transaction;
use crate::catalog::Relation;

/// A fragment as a SELECT.
#[derive(Debug, Clone)]
pub(super) struct Computed {
    pub(super) select: String,
    /// What it reads.
    pub(super) relations: Vec<Arc<Relation>>,
    /// Of each column: whether a value may have more decimals than its type here, which would not be read.
    pub(super) loose: Vec<bool>,
}

impl Computed {
    /// Fails if what was read has other columns by now than those that the SELECT was made for, or was rewritten
    /// since the transaction's snapshot. To be asked behind it: its locks keep them as they are.
    ///
    /// # Errors
    /// `SourceUnavailable`, naming the table; the server's.
    pub(super) async fn check_unchanged(&self, transaction: &mut Transaction, place: &str) -> Result<()> {
        if self.relations.is_empty() {
            return Ok(());
        }
        let now = self.relations.iter().map(|relation| relation.types_now_unless_moved(&self.select));
        let answer = transaction.query(&format!("SELECT {}", now.collect::<Vec<_>>().join(", "))).await?;
        let now = answer.rows.into_iter().next().unwrap_or_default();
        let mut pairs = self.relations.iter().zip(now);
        let changed = pairs.find(|(relation, now)| now.as_ref() != Some(&relation.types(&self.select)));
        match changed {
            None => Ok(()),
            Some((relation, _)) => {
                Err(Error::source_unavailable(format!("{place}: the definition of {:?} has changed", relation.name))
                    .with_hint("run the statement again"))
            }
        }
    }
}
