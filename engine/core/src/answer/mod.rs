//! Statements that the engine answers itself: SHOW, EXPLAIN, USE, SET SESSION, KILL QUERY, CALL.

mod create_table;
mod explain;
mod procedure;
mod show;
mod statistics;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use meesh_base::{Error, QueryScope, Result};
use meesh_connector_spi::from_arrow;
use meesh_sql::Statement;

use crate::catalog::{Catalogs, Resolver};
use crate::engine::{Engine, StatementKind};
use crate::query::Queries;
use crate::session::{self, Session, SessionChange};

pub(crate) use explain::{explain, explain_schema, explain_write};

/// What an answer is made from.
pub(crate) struct Asked<'a> {
    pub(crate) catalogs: &'a Catalogs,
    pub(crate) queries: &'a Queries,
    pub(crate) session: &'a Session,
    pub(crate) engine: &'a Engine,
    pub(crate) scope: &'a Arc<QueryScope>,
}

impl Asked<'_> {
    fn resolver(&self) -> Resolver<'_> {
        Resolver { catalogs: self.catalogs, queries: self.queries, session: self.session }
    }
}

/// A complete answer: these statements return a handful of rows.
pub(crate) struct Answer {
    pub(crate) kind: StatementKind,
    pub(crate) batch: RecordBatch,
    pub(crate) changes: Vec<SessionChange>,
}

/// The columns of a statement that returns rows, or `None` for one that only does something.
pub(crate) fn schema(statement: &Statement) -> Option<SchemaRef> {
    let names: &[&str] = match statement {
        Statement::ShowCatalogs { .. } => &["Catalog"],
        Statement::ShowSchemas { .. } => &["Schema"],
        Statement::ShowTables { .. } => &["Table"],
        Statement::ShowColumns { .. } => &["Column", "Type", "Extra", "Comment"],
        Statement::ShowCreateTable { .. } => &["Create Table"],
        Statement::ShowSession { .. } => &["Name", "Value", "Default", "Type", "Description"],
        Statement::ShowFunctions { .. } => &["Function"],
        Statement::ShowStats { .. } => return Some(statistics::schema()),
        _ => return None,
    };
    Some(text_schema(names))
}

fn text_schema(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>()))
}

/// Does the statement and returns its answer.
///
/// # Errors
/// Whatever the statement can run into; `Unsupported` for a kind that is planned elsewhere.
pub(crate) async fn answer(asked: Asked<'_>, statement: Statement) -> Result<Answer> {
    if let Statement::ShowStats { table } = &statement {
        let batch = statistics::rows(&asked, table).await?;
        return Ok(Answer { kind: StatementKind::Query, batch, changes: Vec::new() });
    }
    if let Some(schema) = schema(&statement) {
        let rows = show::rows(&asked, statement).await?;
        return rows_answer(schema, &rows);
    }
    let changes = match statement {
        Statement::Use { catalog, schema } => vec![use_schema(&asked, catalog, schema).await?],
        Statement::SetSession { name, value } => vec![session::check_property(&name, &value.to_string())?],
        Statement::ResetSession { name } => vec![session::check_reset(&name)?],
        Statement::SetTimeZone { zone } => {
            let zone = zone.as_deref().unwrap_or(asked.session.default_time_zone());
            vec![SessionChange::TimeZone(session::check_time_zone(zone)?)]
        }
        Statement::KillQuery { id } => {
            procedure::kill(&asked, &id)?;
            Vec::new()
        }
        Statement::Call { procedure, arguments } => {
            procedure::call(&asked, &procedure, &arguments).await?;
            Vec::new()
        }
        _ => return Err(Error::unsupported("this statement is not supported here").with_code("NOT_SUPPORTED")),
    };
    counted(0, changes)
}

/// The one row of a statement that only did something, with the number of rows that it was about.
pub(crate) fn counted(rows: u64, changes: Vec<SessionChange>) -> Result<Answer> {
    let schema = Arc::new(Schema::new(vec![Field::new("rows", DataType::Int64, true)]));
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![rows]))]).map_err(from_arrow)?;
    Ok(Answer { kind: StatementKind::Update, batch, changes })
}

fn rows_answer(schema: SchemaRef, rows: &[Vec<Option<String>>]) -> Result<Answer> {
    let columns = (0..schema.fields().len())
        .map(|i| Arc::new(StringArray::from_iter(rows.iter().map(|row| row.get(i).cloned().flatten()))) as ArrayRef)
        .collect();
    let batch = RecordBatch::try_new(schema, columns).map_err(from_arrow)?;
    Ok(Answer { kind: StatementKind::Query, batch, changes: Vec::new() })
}

/// USE: both names must exist, as in Trino.
async fn use_schema(asked: &Asked<'_>, catalog: Option<String>, schema: String) -> Result<SessionChange> {
    let name = catalog.clone().or_else(|| asked.session.catalog.clone()).ok_or_else(|| {
        Error::invalid_query("catalog must be specified when the session has none")
            .with_hint("write USE catalog.schema")
            .with_code("MISSING_CATALOG_NAME")
    })?;
    show::check_schema(asked, &name, &schema).await?;
    Ok(SessionChange::Use { catalog: catalog.map(|name| name.to_lowercase()), schema: schema.to_lowercase() })
}
