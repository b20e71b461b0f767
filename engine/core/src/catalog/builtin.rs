//! What every server has beside its sources: the catalog `system`, and `information_schema` in every
//! catalog. Their tables are made anew for each query that names them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use meesh_base::{Error, Result};
use meesh_connector_spi::{ColumnInfo, TableDescription, TableInfo, TableKind, from_arrow, from_datafusion};

use super::listing::{schemas_of, tables_of};
use super::{Catalogs, MetadataFilter, TableEntry};
use crate::query::{Queries, QueryInfo};

/// The catalog that is always there.
pub(crate) const SYSTEM_CATALOG: &str = "system";
/// The schema that every catalog has.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

type Column = (&'static str, DataType);

fn text(name: &'static str) -> Column {
    (name, DataType::Utf8)
}

fn instant(name: &'static str) -> Column {
    (name, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())))
}

/// Schema, table and columns of the catalog `system`.
fn system_tables() -> Vec<(&'static str, &'static str, Vec<Column>)> {
    vec![
        ("metadata", "catalogs", vec![text("catalog_name"), text("connector_id"), text("connector_name")]),
        (
            "runtime",
            "queries",
            vec![
                text("query_id"),
                text("state"),
                text("user"),
                text("source"),
                text("query"),
                ("queued_time_ms", DataType::Int64),
                instant("created"),
                instant("started"),
                instant("end"),
                text("error_type"),
                text("error_code"),
                ("rows", DataType::Int64),
                ("bytes", DataType::Int64),
                ("progress_percent", DataType::Int64),
                ("peak_memory_bytes", DataType::Int64),
                text("sources"),
            ],
        ),
        (
            "runtime",
            "nodes",
            vec![text("node_id"), text("http_uri"), text("node_version"), text("coordinator"), text("state")],
        ),
    ]
}

/// The tables of `information_schema`, the same in every catalog.
fn information_tables() -> Vec<(&'static str, Vec<Column>)> {
    vec![
        ("schemata", vec![text("catalog_name"), text("schema_name")]),
        ("tables", vec![text("table_catalog"), text("table_schema"), text("table_name"), text("table_type")]),
        (
            "columns",
            vec![
                text("table_catalog"),
                text("table_schema"),
                text("table_name"),
                text("column_name"),
                ("ordinal_position", DataType::Int64),
                text("column_default"),
                text("is_nullable"),
                text("data_type"),
            ],
        ),
        ("views", vec![text("table_catalog"), text("table_schema"), text("table_name"), text("view_definition")]),
    ]
}

fn schema_of(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>()))
}

pub(crate) fn system_schemas() -> impl Iterator<Item = &'static str> {
    let mut schemas: Vec<&str> = system_tables().into_iter().map(|(schema, _, _)| schema).collect();
    schemas.push(INFORMATION_SCHEMA);
    schemas.sort_unstable();
    schemas.dedup();
    schemas.into_iter()
}

fn describe(name: &str, columns: &[Column]) -> TableDescription {
    let info = TableInfo { name: name.to_owned(), kind: TableKind::SystemTable, comment: None };
    let columns_info = columns
        .iter()
        .map(|(name, kind)| ColumnInfo {
            name: (*name).to_owned(),
            native_type: meesh_sql::type_name(kind),
            nullable: true,
            comment: None,
        })
        .collect();
    TableDescription {
        info,
        schema: schema_of(columns),
        columns: columns_info,
        primary_key: Vec::new(),
        row_estimate: None,
        properties: Vec::new(),
    }
}

/// The listing of the catalog `system`.
pub(crate) fn system_entries(with_columns: bool) -> impl Iterator<Item = TableEntry> {
    system_tables().into_iter().map(move |(schema, name, columns)| {
        let description = describe(name, &columns);
        TableEntry {
            catalog: SYSTEM_CATALOG.to_owned(),
            schema: schema.to_owned(),
            info: description.info.clone(),
            description: with_columns.then_some(description),
        }
    })
}

/// The description of a built-in table, or `None` if there is none of that name.
pub(crate) fn describe_builtin(catalog: &str, schema: &str, table: &str) -> Option<TableDescription> {
    if schema == INFORMATION_SCHEMA {
        let (name, columns) = information_tables().into_iter().find(|(name, _)| *name == table)?;
        return Some(describe(name, &columns));
    }
    if catalog != SYSTEM_CATALOG {
        return None;
    }
    let (_, name, columns) = system_tables().into_iter().find(|(s, name, _)| *s == schema && *name == table)?;
    Some(describe(name, &columns))
}

/// Whether names in this schema are answered here.
pub(crate) fn is_builtin(catalog: &str, schema: &str) -> bool {
    catalog == SYSTEM_CATALOG || schema == INFORMATION_SCHEMA
}

/// The names of the tables of a built-in schema.
pub(crate) fn builtin_names(catalog: &str, schema: &str) -> Vec<&'static str> {
    if schema == INFORMATION_SCHEMA {
        return information_tables().into_iter().map(|(name, _)| name).collect();
    }
    system_tables()
        .into_iter()
        .filter(|(s, _, _)| catalog == SYSTEM_CATALOG && *s == schema)
        .map(|(_, n, _)| n)
        .collect()
}

/// A built-in table with its rows of this moment, or `None` if there is none of that name.
///
/// # Errors
/// `Internal` when the rows do not fit the declared columns.
pub(crate) async fn table(
    catalogs: &Catalogs,
    queries: &Queries,
    catalog: &str,
    schema: &str,
    table: &str,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(description) = describe_builtin(catalog, schema, table) else { return Ok(None) };
    let columns = match (schema, table) {
        (INFORMATION_SCHEMA, "schemata") => schemata(catalogs, catalog).await?,
        (INFORMATION_SCHEMA, "tables") => tables(catalogs, catalog).await?,
        (INFORMATION_SCHEMA, "columns") => columns(catalogs, catalog).await?,
        (INFORMATION_SCHEMA, "views") => no_rows(&description.schema),
        ("metadata", "catalogs") => catalog_rows(catalogs),
        ("runtime", "queries") => query_rows(&queries.infos()),
        ("runtime", "nodes") => texts(
            vec![vec![
                "meesh".to_owned(),
                String::new(),
                env!("CARGO_PKG_VERSION").to_owned(),
                "true".to_owned(),
                "active".to_owned(),
            ]],
            5,
        ),
        _ => return Err(Error::internal(format!("no rows for {catalog}.{schema}.{table}"))),
    };
    let batch = RecordBatch::try_new(Arc::clone(&description.schema), columns).map_err(from_arrow)?;
    let provider = MemTable::try_new(description.schema, vec![vec![batch]]).map_err(from_datafusion)?;
    Ok(Some(Arc::new(provider)))
}

fn no_rows(schema: &SchemaRef) -> Vec<ArrayRef> {
    schema.fields().iter().map(|field| arrow::array::new_empty_array(field.data_type())).collect()
}

/// Rows of texts as columns.
fn texts(rows: Vec<Vec<String>>, width: usize) -> Vec<ArrayRef> {
    (0..width)
        .map(|i| Arc::new(StringArray::from_iter(rows.iter().map(|row| row.get(i).cloned()))) as ArrayRef)
        .collect()
}

async fn schemata(catalogs: &Catalogs, catalog: &str) -> Result<Vec<ArrayRef>> {
    let schemas: Vec<String> = if catalog == SYSTEM_CATALOG {
        system_schemas().map(str::to_owned).collect()
    } else {
        schemas_of(catalog, &catalogs.connector(catalog)?).await?.into_iter().map(|entry| entry.schema).collect()
    };
    // As in the other tables, so that they can be joined.
    let schemas = schemas.into_iter().map(|schema| schema.to_lowercase());
    Ok(texts(schemas.map(|schema| vec![catalog.to_owned(), schema]).collect(), 2))
}

/// The catalog's tables, those of `information_schema` included.
async fn entries(catalogs: &Catalogs, catalog: &str, with_columns: bool) -> Result<Vec<TableEntry>> {
    let mut entries: Vec<TableEntry> = if catalog == SYSTEM_CATALOG {
        system_entries(with_columns).collect()
    } else {
        tables_of(catalog, &catalogs.connector(catalog)?, &MetadataFilter::default(), with_columns).await?
    };
    entries.extend(information_tables().into_iter().map(|(name, columns)| {
        let description = describe(name, &columns);
        TableEntry {
            catalog: catalog.to_owned(),
            schema: INFORMATION_SCHEMA.to_owned(),
            info: description.info.clone(),
            description: with_columns.then_some(description),
        }
    }));
    Ok(entries)
}

async fn tables(catalogs: &Catalogs, catalog: &str) -> Result<Vec<ArrayRef>> {
    let row = |entry: TableEntry| {
        // Trino knows base tables and views here.
        let kind = if entry.info.kind.table_type() == "VIEW" { "VIEW" } else { "BASE TABLE" };
        vec![entry.catalog, entry.schema.to_lowercase(), entry.info.name.to_lowercase(), kind.to_owned()]
    };
    Ok(texts(entries(catalogs, catalog, false).await?.into_iter().map(row).collect(), 4))
}

async fn columns(catalogs: &Catalogs, catalog: &str) -> Result<Vec<ArrayRef>> {
    let mut rows: Vec<[Option<String>; 7]> = Vec::new();
    let mut ordinals = Vec::new();
    for entry in entries(catalogs, catalog, true).await? {
        let Some(description) = entry.description else { continue };
        for (i, (field, column)) in description.schema.fields().iter().zip(&description.columns).enumerate() {
            ordinals.push(i as i64 + 1);
            rows.push([
                Some(entry.catalog.clone()),
                Some(entry.schema.to_lowercase()),
                Some(entry.info.name.to_lowercase()),
                Some(field.name().to_lowercase()),
                None,
                Some(if column.nullable { "YES" } else { "NO" }.to_owned()),
                Some(meesh_sql::type_name(field.data_type())),
            ]);
        }
    }
    let text = |i: usize| Arc::new(StringArray::from_iter(rows.iter().map(|row| row[i].clone()))) as ArrayRef;
    Ok(vec![text(0), text(1), text(2), text(3), Arc::new(Int64Array::from(ordinals)), text(4), text(5), text(6)])
}

fn catalog_rows(catalogs: &Catalogs) -> Vec<ArrayRef> {
    let mut rows: Vec<Vec<String>> = catalogs
        .open()
        .into_iter()
        .map(|(name, connector)| vec![name.clone(), name, connector.kind().to_owned()])
        .collect();
    rows.push(vec![SYSTEM_CATALOG.to_owned(), SYSTEM_CATALOG.to_owned(), SYSTEM_CATALOG.to_owned()]);
    rows.sort();
    texts(rows, 3)
}

fn query_rows(queries: &[QueryInfo]) -> Vec<ArrayRef> {
    let text = |get: &dyn Fn(&QueryInfo) -> Option<String>| {
        Arc::new(StringArray::from_iter(queries.iter().map(get))) as ArrayRef
    };
    let number =
        |get: &dyn Fn(&QueryInfo) -> i64| Arc::new(Int64Array::from_iter_values(queries.iter().map(get))) as ArrayRef;
    let instant = |get: &dyn Fn(&QueryInfo) -> Option<std::time::SystemTime>| {
        let millis =
            |at: std::time::SystemTime| at.duration_since(std::time::UNIX_EPOCH).ok().map(|d| d.as_millis() as i64);
        let values = queries.iter().map(|query| get(query).and_then(millis));
        Arc::new(TimestampMillisecondArray::from_iter(values).with_timezone("UTC")) as ArrayRef
    };
    let queued = |q: &QueryInfo| {
        let until = q.started.or(q.ended).unwrap_or_else(std::time::SystemTime::now);
        until.duration_since(q.created).map_or(0, |d| d.as_millis() as i64)
    };
    let sources = |q: &QueryInfo| {
        let one = |s: &crate::SourceInfo| {
            format!("{}: {} rows, {} bytes, {}/{} units", s.catalog, s.rows, s.bytes, s.units_done, s.units_total)
        };
        (!q.sources.is_empty()).then(|| q.sources.iter().map(one).collect::<Vec<_>>().join("; "))
    };
    vec![
        text(&|q| Some(q.id.to_string())),
        text(&|q| Some(q.state.name().to_owned())),
        text(&|q| Some(q.user.clone())),
        text(&|q| q.source.clone()),
        text(&|q| Some(q.text.clone())),
        number(&queued),
        instant(&|q| Some(q.created)),
        instant(&|q| q.started),
        instant(&|q| q.ended),
        text(&|q| q.error.as_ref().map(|e| e.kind().name().to_owned())),
        text(&|q| q.error.as_ref().and_then(|e| e.code().map(str::to_owned))),
        number(&|q| q.rows as i64),
        number(&|q| q.bytes as i64),
        number(&|q| (q.progress * 100.0) as i64),
        number(&|q| q.memory_peak_bytes as i64),
        text(&sources),
    ]
}
