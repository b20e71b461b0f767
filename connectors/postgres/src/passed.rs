//! `TABLE(catalog.system.query(query => 'text'))`: a query in PostgreSQL's own words, read only.
//!
//! The server parses the text as one statement and says which columns it yields, so no text can end the
//! parentheses that it is put in:
//!
//! ```text
//! SELECT q.c0::integer, q.c1::text FROM (
//! text
//! ) AS q(c0, c1)
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use meesh_base::{Error, QueryScope, Result};
use meesh_connector_spi::{ScanReport, ScanRequest, SourceScan, SourceScanExec};

use crate::connector::PostgresConnector;
use crate::decode::BatchDecoder;
use crate::pool::PooledConnection;
use crate::types::{Decoder, TypeResolver, TypeRow};
use crate::wire::{DescribedColumn, READ_ONLY, RowsRequest, RowsState};
use crate::write::SEARCH_PATH;

/// The rows of the text.
///
/// # Errors
/// `InvalidQuery` in the server's words, and for a statement without rows.
pub(crate) async fn table(connector: &PostgresConnector, text: &str) -> Result<Arc<dyn TableProvider>> {
    let catalog = connector.catalog_name();
    // A comment at its end must not swallow what follows it.
    let text = text.trim().trim_end_matches(';').trim_end();
    let mut session = connector.pool().get(None).await?;
    session.runs_users_text();
    let described = session.describe(text).await?;
    if described.is_empty() {
        return Err(Error::invalid_query(format!("catalog {catalog:?}: the query returns no columns"))
            .with_hint("statements that return none are for CALL catalog.system.execute(query => 'text')"));
    }
    session.serve(&connector.config().options.catalog);
    let (types, names) = types_of(&mut session, &described).await?;
    drop(session);
    let config = connector.config();
    let resolver = TypeResolver { types: &types, numeric: config.numeric, as_text: &config.types_as_text };
    let (mut columns, mut fields) = (Vec::new(), Vec::new());
    for (index, column) in described.iter().enumerate() {
        let column_type = resolver.column(column.type_oid, column.modifier, 0);
        let own = names.get(&column.type_oid).map_or("text", String::as_str);
        // With its type in the text no other can arrive.
        let cast = column_type.wire.cast.as_deref().unwrap_or(own);
        columns.push((format!("q.c{index}::{cast}"), column_type.wire.decoder));
        fields.push(Field::new(&column.name, column_type.arrow, true));
    }
    let schema = Arc::new(Schema::new(fields));
    Ok(Arc::new(Passed { connector: connector.clone(), text: text.into(), columns: columns.into(), schema }))
}

/// What the catalog says of the types, and their names.
async fn types_of(
    session: &mut PooledConnection,
    columns: &[DescribedColumn],
) -> Result<(HashMap<u32, TypeRow>, HashMap<u32, String>)> {
    let oids: Vec<String> = columns.iter().map(|column| column.type_oid.to_string()).collect();
    let sql = format!(
        "WITH RECURSIVE reached(oid) AS (SELECT unnest('{{{}}}'::oid[]) UNION \
         SELECT x.oid FROM reached r JOIN pg_type t ON t.oid = r.oid CROSS JOIN LATERAL \
         (SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END AS oid) x WHERE x.oid <> 0) \
         SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typtypmod, t.typndims, coalesce(e.oid, 0), \
         format_type(t.oid, -1) FROM reached r JOIN pg_type t ON t.oid = r.oid \
         LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid",
        oids.join(",")
    );
    let answer = session.transaction(READ_ONLY, &[], &sql).await?.pop().unwrap_or_default();
    let (mut types, mut names) = (HashMap::new(), HashMap::new());
    for row in &answer.rows {
        let text = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or_default();
        let number = |index: usize| text(index).parse::<u32>().unwrap_or(0);
        let of = TypeRow {
            name: text(1).to_owned(),
            kind: text(2).to_owned(),
            base: number(3),
            base_typmod: text(4).parse().unwrap_or(-1),
            base_dimensions: number(5) as usize,
            element: number(6),
            attributes: Vec::new(),
        };
        types.insert(number(0), of);
        names.insert(number(0), text(7).to_owned());
    }
    Ok((types, names))
}

/// The table that stands for the text.
struct Passed {
    connector: PostgresConnector,
    text: Arc<str>,
    /// Each column with its cast, and what decodes it.
    columns: Arc<[(String, Decoder)]>,
    schema: SchemaRef,
}

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passed({})", self.text)
    }
}

#[async_trait]
impl TableProvider for Passed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let wanted = match projection {
            Some(wanted) => wanted.clone(),
            None => (0..self.columns.len()).collect(),
        };
        let schema = Arc::new(self.schema.project(&wanted)?);
        let columns = wanted.iter().filter_map(|index| self.columns.get(*index));
        let (list, decoders): (Vec<String>, Vec<Decoder>) = columns.cloned().unzip();
        let names: Vec<String> = (0..self.columns.len()).map(|index| format!("c{index}")).collect();
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let select = format!("SELECT {} FROM (\n{}\n) AS q({}){limit}", list.join(", "), self.text, names.join(", "));
        let scan = PassedScan { connector: self.connector.clone(), select: select.into(), decoders, schema };
        Ok(Arc::new(SourceScanExec::new(Arc::new(scan))))
    }
}

/// One reading of it.
#[derive(Debug, Clone)]
struct PassedScan {
    connector: PostgresConnector,
    select: Arc<str>,
    decoders: Vec<Decoder>,
    schema: SchemaRef,
}

struct Reading {
    session: PooledConnection,
    decoder: BatchDecoder,
    scan: PassedScan,
    scope: Arc<QueryScope>,
    report: Arc<ScanReport>,
}

impl SourceScan for PassedScan {
    fn catalog(&self) -> &str {
        self.connector.catalog_name()
    }

    fn remote_text(&self) -> String {
        self.select.to_string()
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn open(&self, request: ScanRequest) -> Vec<BoxStream<'static, Result<RecordBatch>>> {
        let scan = self.clone();
        let begun = async move {
            let reading = scan.begin(request).await;
            match reading {
                Ok(reading) => stream::try_unfold(Some(reading), next).boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        vec![stream::once(begun).flatten().boxed()]
    }
}

impl PassedScan {
    async fn begin(self, request: ScanRequest) -> Result<Reading> {
        let ScanRequest { scope, batch_rows, report, .. } = request;
        let place = format!("catalog {:?}: query", self.connector.catalog_name());
        let decoder = BatchDecoder::new(place.into(), Arc::clone(&self.schema), &self.decoders, batch_rows)?;
        let mut session = self.connector.pool().get(Some(&scope)).await?;
        session.close_after();
        let name = format!("meesh/{}", scope.id());
        let prelude = session.prelude(READ_ONLY, &[("application_name", &name)]);
        let prelude = format!("{prelude}; {SEARCH_PATH}");
        let formats = decoder.formats();
        // Rolled back with the session: a function may write what a transaction for reading lets pass (a large
        // object), and set what holds beyond it.
        let request = RowsRequest { prelude: Some(&prelude), select: &self.select, formats: &formats, commits: false };
        session.runs_users_text();
        session.start_rows(request).await?;
        scope.progress(self.connector.catalog_name()).units_total.fetch_add(1, Relaxed);
        report.streams.fetch_add(1, Relaxed);
        report.touch();
        Ok(Reading { session, decoder, scan: self, scope, report })
    }
}

/// The next batch and what is left; `None` at the end.
async fn next(reading: Option<Reading>) -> Result<Option<(RecordBatch, Option<Reading>)>> {
    let Some(mut reading) = reading else { return Ok(None) };
    let progress = reading.scope.progress(reading.scan.connector.catalog_name());
    loop {
        let state = reading.session.read_rows(&mut reading.decoder).await?;
        let done = state == RowsState::Done;
        if done {
            progress.units_done.fetch_add(1, Relaxed);
        }
        if !reading.decoder.is_empty() {
            let bytes = reading.decoder.bytes() as u64;
            let batch = reading.decoder.finish()?;
            let rows = batch.num_rows() as u64;
            progress.bytes.fetch_add(bytes, Relaxed);
            progress.rows.fetch_add(rows, Relaxed);
            reading.report.received(rows, bytes);
            return Ok(Some((batch, (!done).then_some(reading))));
        }
        if done {
            return Ok(None);
        }
    }
}
