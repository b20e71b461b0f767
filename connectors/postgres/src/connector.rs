//! The PostgreSQL connector: a catalog file in, a catalog out.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::TableType;
use meesh_base::{ConfigKey, ConfigValues, Result};
use meesh_connector_spi::{
    CheckStep, Connector, ConnectorFactory, Health, Pushdown, SourceTable, TableDescription, TableInfo, TableKind,
    TableStatistics, Writes,
};

use crate::catalog::{Catalog, Relation};
use crate::config::{KEYS, PostgresConfig};
use crate::pool::Pool;
use crate::write::WritersMax;

const NAME: &str = "postgresql";

/// Makes PostgreSQL catalogs: `connector.name=postgresql`.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostgresFactory;

impl ConnectorFactory for PostgresFactory {
    fn names(&self) -> &'static [&'static str] {
        &[NAME, "postgres"]
    }

    fn keys(&self) -> &'static [&'static [ConfigKey]] {
        &[KEYS]
    }

    fn open(&self, catalog: &str, values: &ConfigValues) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(PostgresConnector::new(catalog, PostgresConfig::parse(catalog, values)?)))
    }

    fn values_of_url(&self, catalog: &str, url: &str) -> Option<Result<ConfigValues>> {
        PostgresConfig::values_of_url(catalog, url)
    }
}

/// One PostgreSQL database as a catalog. Cheap to clone: all clones are the same catalog.
#[derive(Clone)]
pub(crate) struct PostgresConnector {
    inner: Arc<Inner>,
}

struct Inner {
    name: Arc<str>,
    source: Arc<str>,
    config: Arc<PostgresConfig>,
    pool: Pool,
    catalog: Catalog,
    writers: WritersMax,
}

impl PostgresConnector {
    /// The catalog `name` as `config` says. Connects to nothing.
    pub(crate) fn new(name: &str, config: PostgresConfig) -> Self {
        let config = Arc::new(config);
        let pool = Pool::open(config.options.clone(), config.pool);
        let catalog = Catalog::new(Arc::clone(&config), pool.clone());
        let source = config.options.source_key().into();
        let writers = WritersMax::new(config.pool.max);
        Self { inner: Arc::new(Inner { name: name.into(), source, config, pool, catalog, writers }) }
    }

    /// The catalog's name.
    pub(crate) fn catalog_name(&self) -> &Arc<str> {
        &self.inner.name
    }

    /// What makes it the same source as another catalog.
    pub(crate) fn source(&self) -> &Arc<str> {
        &self.inner.source
    }

    /// What its catalog file says.
    pub(crate) fn config(&self) -> &PostgresConfig {
        &self.inner.config
    }

    /// Its sessions.
    pub(crate) fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    /// What it knows of its tables.
    pub(crate) fn tables_known(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// How many may write at once.
    pub(crate) fn writers(&self) -> &WritersMax {
        &self.inner.writers
    }

    /// A relation as the engine plans with it.
    pub(crate) fn provider(&self, relation: Arc<Relation>) -> SourceTable {
        let columns = relation.schema();
        let mut statistics = Statistics::new_unknown(&columns);
        if let Some(rows) = relation.rows {
            statistics.num_rows = Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX));
        }
        SourceTable {
            catalog: self.inner.name.to_string(),
            schema_name: relation.schema.clone(),
            table_name: relation.name.clone(),
            columns,
            connector: Arc::new(self.clone()),
            table_type: match relation.kind {
                TableKind::View | TableKind::MaterializedView => TableType::View,
                TableKind::Table | TableKind::ForeignTable | TableKind::SystemTable => TableType::Base,
            },
            handle: relation,
            statistics,
        }
    }
}

impl fmt::Debug for PostgresConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresConnector({}, {})", self.inner.name, self.inner.source)
    }
}

#[async_trait]
impl Connector for PostgresConnector {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn source_key(&self) -> String {
        self.inner.source.to_string()
    }

    async fn schemas(&self) -> Result<Vec<String>> {
        self.inner.catalog.schemas().await
    }

    async fn tables(&self, schema: &str) -> Result<Vec<TableInfo>> {
        self.inner.catalog.tables(schema).await
    }

    async fn describe(&self, schema: &str, table: &str) -> Result<Option<TableDescription>> {
        let relation = self.inner.catalog.describe(schema, table).await?;
        Ok(relation.map(|relation| relation.describe()))
    }

    async fn statistics(&self, schema: &str, table: &str) -> Result<Option<TableStatistics>> {
        let relation = self.inner.catalog.relation(schema, table).await?;
        Ok(relation.map(|relation| relation.statistics()))
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let relation = self.inner.catalog.relation(schema, table).await?;
        Ok(relation.map(|relation| Arc::new(self.provider(relation)) as Arc<dyn TableProvider>))
    }

    async fn refresh(&self, schema: Option<&str>, table: Option<&str>) -> Result<()> {
        self.inner.catalog.refresh(schema, table);
        Ok(())
    }

    fn pushdown(&self) -> Option<&dyn Pushdown> {
        Some(self)
    }

    fn writes(&self) -> Option<&dyn Writes> {
        Some(self)
    }

    async fn query(&self, text: &str) -> Result<Arc<dyn TableProvider>> {
        crate::passed::table(self, text).await
    }

    async fn probe(&self) -> Result<Health> {
        let started = Instant::now();
        let mut connection = self.inner.pool.get(None).await?;
        connection.simple_query("SELECT 1").await?;
        let version = format!("PostgreSQL {}", connection.parameter("server_version").unwrap_or("of unknown version"));
        Ok(Health { version, latency: started.elapsed() })
    }

    async fn check(&self) -> Vec<CheckStep> {
        crate::check::check(&self.inner.config).await
    }
}
