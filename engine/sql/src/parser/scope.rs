//! The CTEs that a name may mean, innermost WITH first.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::Ident;

use crate::labels::OutputColumn;
use crate::limits::Cost;

/// One `name AS (query)`.
#[derive(Debug, Clone)]
pub(super) struct Cte {
    /// What the plan calls it: DataFusion allows one CTE of a name, also across nested queries.
    pub(super) internal: Ident,
    pub(super) columns: Vec<OutputColumn>,
    /// What planning one copy of it costs.
    pub(super) cost: Cost,
}

/// All CTEs in sight.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    levels: Vec<HashMap<String, Cte>>,
    /// Internal names in use anywhere in the statement.
    taken: HashMap<String, usize>,
}

impl Scopes {
    pub(super) fn open(&mut self) {
        self.levels.push(HashMap::new());
    }

    pub(super) fn close(&mut self) {
        self.levels.pop();
    }

    /// The CTE of this name, if one is in sight.
    pub(super) fn find(&self, name: &str) -> Option<&Cte> {
        self.levels.iter().rev().find_map(|level| level.get(name))
    }

    /// Whether the innermost WITH has the name already.
    pub(super) fn has_here(&self, name: &str) -> bool {
        self.levels.last().is_some_and(|level| level.contains_key(name))
    }

    pub(super) fn define(&mut self, name: &str, cte: Cte) {
        if let Some(level) = self.levels.last_mut() {
            level.insert(name.to_owned(), cte);
        }
    }

    /// A name for the plan: the CTE's own, unless another one took it or it reads like `schema.table`.
    pub(super) fn internal_name(&mut self, name: &Ident) -> Ident {
        let count = self.taken.entry(name.value.clone()).or_default();
        *count += 1;
        if *count == 1 && !name.value.contains('.') {
            return name.clone();
        }
        let value = format!("{}${count}", name.value.replace('.', "$"));
        Ident { value, quote_style: Some('"'), span: name.span }
    }
}
