//! How a fragment of a plan becomes a scan: printed, with as many streams as it is worth.

use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::LogicalPlan;
use meesh_base::{Error, QueryScope, Result};
use meesh_connector_spi::{Estimate, PlannedFragment, Pushdown, Verdict, in_sql_words};

use super::pieces::PIECE_PAGES_MIN;
use super::{PgScan, Planned};
use crate::catalog::Relation;
use crate::connector::PostgresConnector;
use crate::pushdown::Select;
use crate::pushdown::print::{self, Printing};
use crate::snapshot::QuerySnapshot;

#[async_trait]
impl Pushdown for PostgresConnector {
    fn classify(&self, node: &LogicalPlan) -> Verdict {
        match print::select(node, &self.printing(false)) {
            Ok(_) => Verdict::Yes,
            Err(reason) => Verdict::No(in_sql_words(&reason)),
        }
    }

    async fn estimate(&self, fragment: &LogicalPlan, _scope: &QueryScope) -> Result<Option<Estimate>> {
        let select = print::select(fragment, &self.printing(false));
        match select.and_then(|select| select.finish(&print::types(fragment.schema()), None)) {
            Ok((text, _)) => Ok(self.tables_known().estimate(text).await?.map(|plan| plan.estimate)),
            Err(_refused) => Ok(None),
        }
    }

    async fn plan(&self, fragment: &LogicalPlan, scope: &QueryScope, streams_max: usize) -> Result<PlannedFragment> {
        let catalog = self.catalog_name();
        let refused = |reason| {
            Error::internal(format!("catalog {catalog:?}: a fragment cannot be sent to PostgreSQL")).with_detail(reason)
        };
        let print = |correlated| {
            let select = print::select(fragment, &self.printing(correlated)).map_err(refused)?;
            let (text, decoders) = select.finish(&print::types(fragment.schema()), None).map_err(refused)?;
            Ok((select, text, decoders))
        };
        let (mut select, mut text, decoders) = print(false)?;
        let place = match &select.relation {
            Some(relation) => format!("catalog {catalog:?}: table {}", relation.quoted_name()),
            None => format!("catalog {catalog:?}"),
        };
        let mut pages = select.relation.as_ref().and_then(|relation| relation.pages).unwrap_or(0);
        // Of one relation as a whole the catalog knows enough, and of a small one.
        let asks = match &select.relation {
            Some(_) => select.is_filtered() && pages >= 2 * PIECE_PAGES_MIN,
            None => select.relations.len() > 1,
        };
        if asks && let Some(mut plan) = self.tables_known().estimate(text.clone()).await? {
            let (other, other_text, _) = print(true)?;
            if other_text != text
                && let Some(other_plan) = self.tables_known().estimate(other_text.clone()).await?
                && other_plan.cost < plan.cost
            {
                (select, text, plan) = (other, other_text, other_plan);
            }
            select.rows = Some(plan.estimate.rows);
            if plan.by_index {
                pages = 0;
            }
        }
        let pieces = usize::try_from(pages / PIECE_PAGES_MIN).unwrap_or(usize::MAX);
        let streams = streams_max.min(self.pool().queries_max()).min(pieces).max(1);
        let schema = Arc::clone(fragment.schema().inner());
        let statistics = statistics(&select, &schema);
        let expected = QuerySnapshot::of(scope, self.pool()).expect(streams);
        let scan = Planned {
            connector: self.clone(),
            place: place.into(),
            select,
            text,
            decoders,
            schema,
            statistics,
            streams,
            expected,
        };
        Ok(PlannedFragment { scan: Arc::new(PgScan::new(scan)) })
    }
}

impl PostgresConnector {
    pub(crate) fn printing(&self, correlated: bool) -> Printing {
        Printing { source_key: self.source().clone(), correlated }
    }
}

/// What is known of a SELECT's rows. The ends of columns are left out: the engine's filters take what lies
/// beyond them for an exact nothing, and ours are as old as the last ANALYZE.
fn statistics(select: &Select, schema: &Schema) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    let Some(rows) = select.rows else { return statistics };
    let row_bytes = Relation::row_bytes(schema.fields().iter().map(|field| field.data_type()));
    statistics.num_rows = Precision::Inexact(rows as usize);
    statistics.total_byte_size = Precision::Inexact((rows * row_bytes as f64) as usize);
    for (known, term) in statistics.column_statistics.iter_mut().zip(&select.columns) {
        let Some(values) = term.column.as_ref().and_then(|column| column.values.as_ref()) else { continue };
        known.null_count = Precision::Inexact((values.null_share * rows) as usize);
        if let Some(distinct) = values.distinct {
            known.distinct_count = Precision::Inexact(distinct.min(rows).ceil() as usize);
        }
    }
    statistics
}
