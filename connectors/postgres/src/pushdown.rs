//! What PostgreSQL takes over of a plan, and the SELECT that it becomes.
//!
//! ```text
//! fragment --print--> Select (select.rs) --finish--> text + decoders --> PgScan
//!    |                   ^
//!    `- expressions: expression.rs, compare.rs, function.rs, literal.rs, all by whitelist.rs
//! ```
//!
//! Never a wrong row for a fast one: what PostgreSQL might answer otherwise than the engine stays local.

mod aggregate;
mod compare;
mod expression;
mod function;
mod join;
pub(crate) mod literal;
mod print;
mod select;
mod statement;
mod term;
mod whitelist;
mod window;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::LogicalPlan;
use meesh_base::{Error, QueryScope, Result, quote_identifier};
use meesh_connector_spi::{Estimate, PlannedFragment, Pushdown, Verdict};

use crate::catalog::Relation;
use crate::connector::PostgresConnector;
use crate::scan::PgScan;
pub(crate) use statement::select_text;

#[async_trait]
impl Pushdown for PostgresConnector {
    fn classify(&self, node: &LogicalPlan) -> Verdict {
        match print::select(node, self.source()) {
            Ok(_) => Verdict::Yes,
            Err(reason) => Verdict::No(reason),
        }
    }

    async fn estimate(&self, fragment: &LogicalPlan, _scope: &QueryScope) -> Result<Option<Estimate>> {
        let select = print::select(fragment, self.source());
        match select.and_then(|select| select.finish(&print::types(fragment.schema()))) {
            Ok((text, _)) => self.tables_known().estimate(text).await,
            Err(_refused) => Ok(None),
        }
    }

    async fn plan(&self, fragment: &LogicalPlan, _scope: &QueryScope) -> Result<PlannedFragment> {
        let catalog = self.catalog_name();
        let refused = |reason| {
            Error::internal(format!("catalog {catalog:?}: a fragment cannot be sent to PostgreSQL")).with_detail(reason)
        };
        let select = print::select(fragment, self.source()).map_err(refused)?;
        let (text, decoders) = select.finish(&print::types(fragment.schema())).map_err(refused)?;
        let schema = Arc::clone(fragment.schema().inner());
        let place = match &select.relation {
            Some(relation) => format!(
                "catalog {catalog:?}: table {}.{}",
                quote_identifier(&relation.schema),
                quote_identifier(&relation.name)
            ),
            None => format!("catalog {catalog:?}"),
        };
        let mut statistics = Statistics::new_unknown(&schema);
        let mut rows = select.rows;
        // Of one relation the catalog knows enough.
        if select.relation.is_none() && select.relations.len() > 1 {
            rows = self.tables_known().estimate(text.clone()).await?.map(|estimate| estimate.rows).or(rows);
        }
        if let Some(rows) = rows {
            let row_bytes = Relation::row_bytes(schema.fields().iter().map(|field| field.data_type()));
            statistics.num_rows = Precision::Inexact(rows as usize);
            statistics.total_byte_size = Precision::Inexact((rows * row_bytes as f64) as usize);
        }
        let scan = PgScan::new(self, place.into(), select.relations, text, decoders, schema, statistics);
        Ok(PlannedFragment { scan: Arc::new(scan) })
    }
}

#[cfg(test)]
mod tests;
