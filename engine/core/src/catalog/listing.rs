//! Listings over many catalogs at once, for metadata calls and `information_schema`.
//!
//! A source that does not answer within [`SOURCE_BUDGET`] is left out and logged: one dead database
//! must not empty the tree in everybody's client.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use meesh_base::Result;
use meesh_connector_spi::{Connector, TableDescription, TableInfo};

use super::builtin::{self, INFORMATION_SCHEMA, SYSTEM_CATALOG};
use super::{Catalogs, like};

const SOURCE_BUDGET: Duration = Duration::from_secs(2);

/// Table descriptions asked for at once, per schema.
const DESCRIBE_CONCURRENCY: usize = 8;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct MetadataFilter {
    /// Exactly this catalog; `None` is all of them.
    pub catalog: Option<String>,
    /// A LIKE pattern with `\` as escape; `None` is all.
    pub schema: Option<String>,
    /// A LIKE pattern with `\` as escape; `None` is all.
    pub table: Option<String>,
    /// `BASE TABLE`, `VIEW`, `SYSTEM TABLE`; empty is all.
    pub kinds: Vec<String>,
}

impl MetadataFilter {
    fn takes_catalog(&self, name: &str) -> bool {
        self.catalog.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
    }

    fn takes_schema(&self, name: &str) -> bool {
        self.schema.as_ref().is_none_or(|pattern| like(pattern, name))
    }

    fn takes_table(&self, info: &TableInfo) -> bool {
        self.table.as_ref().is_none_or(|pattern| like(pattern, &info.name))
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == info.kind.table_type()))
    }
}

/// One schema of one catalog.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaEntry {
    /// The catalog's name.
    pub catalog: String,
    /// The schema's name.
    pub schema: String,
}

/// One table of one schema.
#[derive(Debug, Clone)]
pub struct TableEntry {
    /// The catalog's name.
    pub catalog: String,
    /// The schema's name.
    pub schema: String,
    /// Name, kind and comment.
    pub info: TableInfo,
    /// Columns and keys, where they were asked for.
    pub description: Option<TableDescription>,
}

/// The schemas that pass the filter, sorted.
pub(crate) async fn list_schemas(catalogs: &Catalogs, filter: &MetadataFilter) -> Vec<SchemaEntry> {
    let mut entries: Vec<SchemaEntry> =
        each_source(catalogs, filter, |name, connector| async move { schemas_of(&name, &connector).await }).await;
    if filter.takes_catalog(SYSTEM_CATALOG) {
        entries.extend(
            builtin::system_schemas()
                .map(|schema| SchemaEntry { catalog: SYSTEM_CATALOG.to_owned(), schema: schema.to_owned() }),
        );
    }
    entries.retain(|entry| filter.takes_schema(&entry.schema));
    entries.sort();
    entries
}

/// The tables that pass the filter, sorted, with their columns if `with_columns`.
pub(crate) async fn list_tables(catalogs: &Catalogs, filter: &MetadataFilter, with_columns: bool) -> Vec<TableEntry> {
    let mut entries: Vec<TableEntry> = each_source(catalogs, filter, |name, connector| async move {
        tables_of(&name, &connector, filter, with_columns).await
    })
    .await;
    if filter.takes_catalog(SYSTEM_CATALOG) {
        entries.extend(builtin::system_entries(with_columns).filter(|entry| filter.takes_schema(&entry.schema)));
    }
    entries.retain(|entry| filter.takes_table(&entry.info));
    entries.sort_by(|a, b| (&a.catalog, &a.schema, &a.info.name).cmp(&(&b.catalog, &b.schema, &b.info.name)));
    entries
}

/// The schemas of one catalog, `information_schema` included.
///
/// # Errors
/// Whatever the source answers: a listing of one catalog must not be short without saying so.
pub(crate) async fn schemas_of(catalog: &str, connector: &Arc<dyn Connector>) -> Result<Vec<SchemaEntry>> {
    let mut schemas = connector.schemas().await?;
    if !schemas.iter().any(|schema| schema == INFORMATION_SCHEMA) {
        schemas.push(INFORMATION_SCHEMA.to_owned());
    }
    Ok(schemas.into_iter().map(|schema| SchemaEntry { catalog: catalog.to_owned(), schema }).collect())
}

/// The tables of one catalog that pass the filter.
///
/// # Errors
/// As [`schemas_of`].
pub(crate) async fn tables_of(
    catalog: &str,
    connector: &Arc<dyn Connector>,
    filter: &MetadataFilter,
    with_columns: bool,
) -> Result<Vec<TableEntry>> {
    let mut entries = Vec::new();
    let schemas = connector.schemas().await?;
    for schema in schemas.iter().filter(|schema| filter.takes_schema(schema)) {
        let infos = connector.tables(schema).await?.into_iter().filter(|info| filter.takes_table(info));
        let entry = |info: TableInfo| async move {
            // A table that cannot be described (a broken file) is listed all the same, without columns.
            let description =
                if with_columns { connector.describe(schema, &info.name).await.ok().flatten() } else { None };
            TableEntry { catalog: catalog.to_owned(), schema: schema.clone(), info, description }
        };
        let described = futures::stream::iter(infos.map(entry)).buffered(DESCRIBE_CONCURRENCY);
        entries.extend(described.collect::<Vec<_>>().await);
    }
    Ok(entries)
}

/// Asks every source that passes the filter at the same time, each within its budget.
async fn each_source<T, F>(
    catalogs: &Catalogs,
    filter: &MetadataFilter,
    ask: impl Fn(String, Arc<dyn Connector>) -> F,
) -> Vec<T>
where
    F: Future<Output = Result<Vec<T>>>,
{
    let asked: FuturesUnordered<_> = catalogs
        .open()
        .into_iter()
        .filter(|(name, _)| filter.takes_catalog(name))
        .map(|(name, connector)| {
            let answer = ask(name.clone(), connector);
            async move { (name, tokio::time::timeout(SOURCE_BUDGET, answer).await) }
        })
        .collect();
    let mut all = Vec::new();
    for (name, answer) in asked.collect::<Vec<_>>().await {
        match answer {
            Ok(Ok(entries)) => all.extend(entries),
            Ok(Err(error)) => tracing::warn!(catalog = name, %error, "catalog is left out of a listing"),
            Err(_) => {
                tracing::warn!(catalog = name, budget = ?SOURCE_BUDGET, "catalog is left out of a listing: no answer")
            }
        }
    }
    all
}
