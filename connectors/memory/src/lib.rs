//! Tables held in this process: the smallest connector, and the one to copy.
//!
//! A connector is a factory (names, keys, `open`) and the open catalog it makes. This one has no
//! keys of its own, no source to reach and nothing to push down, so each method shows its contract
//! and no more. `tests/conformance.rs` hands it to the suite that every connector must pass.
//!
//! ```text
//! MemoryConnector::put(schema, table, batches) --> Connector::table --> DataFusion's own MemTable
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use meesh_base::{ConfigKey, ConfigValues, Error, Result};
use meesh_connector_spi::{
    CheckStep, ColumnInfo, Connector, ConnectorFactory, Health, TableDescription, TableInfo, TableKind, from_datafusion,
};
use parking_lot::RwLock;

/// Keys of Trino's memory connector, accepted with a warning.
const IGNORED: &[ConfigKey] = &[
    ConfigKey::ignored("memory.enable-lazy-dynamic-filtering", "meesh chooses this itself"),
    ConfigKey::ignored("memory.max-data-per-node", "statements write no tables, so that there is nothing to limit"),
    ConfigKey::ignored("memory.splits-per-node", "a table is read as one piece"),
];

/// Opens empty catalogs: `connector.name=memory`.
#[derive(Debug, Default, Clone, Copy)]
pub struct MemoryFactory;

impl ConnectorFactory for MemoryFactory {
    fn names(&self) -> &'static [&'static str] {
        &["memory"]
    }

    fn keys(&self) -> &'static [&'static [ConfigKey]] {
        &[IGNORED]
    }

    fn open(&self, catalog: &str, _values: &ConfigValues) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(MemoryConnector::new(catalog)))
    }

    fn values_of_url(&self, catalog: &str, url: &str) -> Option<Result<ConfigValues>> {
        (url == "memory://").then(|| Ok(ConfigValues::new(format!("catalog {catalog:?}"))))
    }
}

type Schemas = BTreeMap<String, BTreeMap<String, Arc<MemTable>>>;

/// Tables by schema and name.
#[derive(Debug)]
pub struct MemoryConnector {
    catalog: String,
    schemas: RwLock<Schemas>,
}

impl MemoryConnector {
    /// An empty catalog. It has the schema `default`, as Trino's has.
    pub fn new(catalog: impl Into<String>) -> Self {
        let schemas = BTreeMap::from([("default".to_owned(), BTreeMap::new())]);
        Self { catalog: catalog.into(), schemas: RwLock::new(schemas) }
    }

    /// Adds a table or replaces it. Queries that have planned with the old one keep it.
    ///
    /// # Errors
    /// `InvalidQuery` when a batch has other columns than `columns`.
    pub fn put(&self, schema: &str, table: &str, columns: SchemaRef, batches: Vec<RecordBatch>) -> Result<()> {
        let held = MemTable::try_new(columns, vec![batches]).map_err(|error| {
            from_datafusion(error).in_context(format!("catalog {:?}: table {table:?}", self.catalog))
        })?;
        self.schemas.write().entry(schema.to_owned()).or_default().insert(table.to_owned(), Arc::new(held));
        Ok(())
    }

    /// The table and its name as it was put, whatever the case of the names asked for.
    fn find(&self, schema: &str, table: &str) -> Result<Option<(String, Arc<MemTable>)>> {
        let schemas = self.schemas.read();
        let tables = schemas.iter().filter(|(name, _)| same_name(name, schema)).flat_map(|(_, tables)| tables);
        let found: Vec<_> = tables.filter(|(name, _)| same_name(name, table)).collect();
        match found.as_slice() {
            [] => Ok(None),
            [(name, held)] => Ok(Some(((*name).clone(), Arc::clone(held)))),
            [(first, _), (second, _), ..] => Err(Error::invalid_query(format!(
                "catalog {:?}: table {table:?} may be {first:?} or {second:?}: names are compared without regard to case",
                self.catalog
            ))),
        }
    }
}

fn same_name(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

#[async_trait]
impl Connector for MemoryConnector {
    fn kind(&self) -> &'static str {
        "memory"
    }

    // Two catalogs in memory never hold the same tables.
    fn source_key(&self) -> String {
        format!("memory|{}", self.catalog)
    }

    async fn schemas(&self) -> Result<Vec<String>> {
        Ok(self.schemas.read().keys().cloned().collect())
    }

    async fn tables(&self, schema: &str) -> Result<Vec<TableInfo>> {
        let schemas = self.schemas.read();
        let tables = schemas.iter().filter(|(name, _)| same_name(name, schema)).flat_map(|(_, tables)| tables.keys());
        Ok(tables.map(|name| TableInfo { name: name.clone(), kind: TableKind::Table, comment: None }).collect())
    }

    async fn describe(&self, schema: &str, table: &str) -> Result<Option<TableDescription>> {
        let Some((name, held)) = self.find(schema, table)? else { return Ok(None) };
        let columns = held.schema();
        Ok(Some(TableDescription {
            info: TableInfo { name, kind: TableKind::Table, comment: None },
            columns: columns
                .fields()
                .iter()
                .map(|field| ColumnInfo {
                    name: field.name().clone(),
                    native_type: field.data_type().to_string(),
                    nullable: field.is_nullable(),
                    comment: None,
                })
                .collect(),
            schema: columns,
            primary_key: Vec::new(),
            row_estimate: None,
            properties: Vec::new(),
        }))
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.find(schema, table)?.map(|(_, held)| held as Arc<dyn TableProvider>))
    }

    // Nothing is cached: every answer is fresh.
    async fn refresh(&self, _schema: Option<&str>, _table: Option<&str>) -> Result<()> {
        Ok(())
    }

    async fn probe(&self) -> Result<Health> {
        Ok(Health { version: "memory".to_owned(), latency: Duration::ZERO })
    }

    async fn check(&self) -> Vec<CheckStep> {
        let tables: usize = self.schemas.read().values().map(BTreeMap::len).sum();
        vec![CheckStep { what: "memory".to_owned(), outcome: Ok(format!("{tables} tables")) }]
    }
}

#[cfg(test)]
mod tests;
