//! The lake as a connector: names in, tables out, and what is remembered in between.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use meesh_base::{ConfigKey, ConfigValues, Error, Result};
use meesh_connector_spi::{
    CheckStep, ColumnInfo, Connector, ConnectorFactory, Health, TableDescription, TableInfo, TableKind,
};
use object_store::ObjectMeta;
use parking_lot::Mutex;

use crate::build::Builder;
use crate::config::{DeclaredTable, LakeConfig, values_of_url};
use crate::discover::{Discovery, same_name};
use crate::facts::FactsCache;
use crate::keys;
use crate::listing::Lister;
use crate::parquet::FooterCache;
use crate::pinned::Staleness;
use crate::sqltype::sql_name;
use crate::store::Stores;
use crate::table::{LakeTable, Shared};

/// Tables remembered; beyond that all are forgotten.
const TABLES_MAX: usize = 10_000;

/// Opens lake catalogs: `connector.name=hive`, as Trino's files have it, or `lake`.
#[derive(Debug, Default, Clone, Copy)]
pub struct LakeFactory;

impl ConnectorFactory for LakeFactory {
    fn names(&self) -> &'static [&'static str] {
        &["hive", "lake"]
    }

    fn keys(&self) -> &'static [&'static [ConfigKey]] {
        keys::KEYS
    }

    fn open(&self, catalog: &str, values: &ConfigValues) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(LakeConnector::open(catalog, values)?))
    }

    fn values_of_url(&self, catalog: &str, url: &str) -> Option<Result<ConfigValues>> {
        values_of_url(catalog, url)
    }
}

/// Files of S3 buckets or directories as tables.
pub struct LakeConnector {
    config: LakeConfig,
    stores: Arc<Stores>,
    lister: Arc<Lister>,
    discovery: Discovery,
    builder: Builder,
    tables: Mutex<HashMap<(String, String), Remembered>>,
}

/// A table and the files it was made of.
struct Remembered {
    url: String,
    files: Vec<ObjectMeta>,
    table: Arc<LakeTable>,
}

impl LakeConnector {
    /// Parses the settings. Connects to nothing.
    ///
    /// # Errors
    /// `InvalidQuery` naming the key whose value cannot be read.
    pub fn open(catalog: &str, values: &ConfigValues) -> Result<Self> {
        let config = LakeConfig::parse(values)?;
        let catalog: Arc<str> = catalog.into();
        let staleness = Arc::new(Staleness::default());
        let footers = Arc::new(FooterCache::new(config.footer_cache_bytes));
        let stores = Arc::new(Stores::new(&catalog, config.s3.clone()));
        let lister = Arc::new(Lister::new(config.list_ttl, Arc::clone(&staleness)));
        let shared = Shared {
            catalog: Arc::clone(&catalog),
            footers: Arc::clone(&footers),
            staleness: Arc::clone(&staleness),
            parquet: config.parquet,
        };
        Ok(Self {
            discovery: Discovery {
                catalog,
                roots: config.roots.clone(),
                stores: Arc::clone(&stores),
                lister: Arc::clone(&lister),
            },
            builder: Builder {
                lister: Arc::clone(&lister),
                facts: FactsCache::new(config.text, footers, staleness),
                text: config.text,
                shared: Arc::new(shared),
            },
            tables: Mutex::default(),
            config,
            stores,
            lister,
        })
    }

    fn declared(&self, schema: &str, table: &str) -> Option<&DeclaredTable> {
        self.config.tables.iter().find(|d| same_name(&d.schema, schema) && same_name(&d.name, table))
    }

    /// The table, made anew only when its files are others than last time.
    async fn find(&self, schema: &str, table: &str) -> Result<Option<Arc<LakeTable>>> {
        let declared = self.declared(schema, table);
        let candidate = match declared {
            Some(declared) => self.discovery.declared(&declared.name, &declared.location).await?,
            None => match self.discovery.table(schema, table).await? {
                Some(candidate) => candidate,
                None => return Ok(None),
            },
        };
        let files = self.builder.files(&candidate, declared).await?;
        let key = (schema.to_lowercase(), table.to_lowercase());
        if let Some(known) = self.tables.lock().get(&key)
            && known.url == candidate.url()
            && files.same_as(&known.files)
        {
            return Ok(Some(Arc::clone(&known.table)));
        }
        let table = Arc::new(self.builder.build(schema, &candidate, &files, declared).await?);
        let mut tables = self.tables.lock();
        if tables.len() >= TABLES_MAX {
            tables.clear();
        }
        let remembered = Remembered { url: candidate.url(), files: files.metas().to_vec(), table: Arc::clone(&table) };
        tables.insert(key, remembered);
        Ok(Some(table))
    }

    /// One cheap request.
    async fn touch(&self) -> Result<String> {
        let Some(root) = self.config.roots.first() else {
            let buckets = self.stores.buckets().await?;
            return Ok(format!("{} buckets", buckets.len()));
        };
        let (bucket, path) = self.stores.open(root)?;
        // Not the remembered listing: the question is whether the store answers now.
        let lister = Lister::new(std::time::Duration::ZERO, Arc::default());
        let folder = lister.folder(&bucket, &path).await?;
        Ok(format!("{} folders, {} files", folder.folders.len(), folder.files.len()))
    }

    fn source(&self) -> String {
        if self.config.uses_s3() { self.stores.endpoint() } else { "this machine".to_owned() }
    }
}

impl fmt::Debug for LakeConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeConnector({})", self.discovery.catalog)
    }
}

#[async_trait]
impl Connector for LakeConnector {
    fn kind(&self) -> &'static str {
        "hive"
    }

    fn source_key(&self) -> String {
        let roots: Vec<String> = self.config.roots.iter().map(ToString::to_string).collect();
        format!("lake|{}|{}", self.source(), roots.join(","))
    }

    async fn schemas(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = match self.discovery.schemas().await {
            Ok(found) => found.into_keys().collect(),
            // Without a root and without the right to list buckets, declared tables are still there.
            Err(_) if self.config.roots.is_empty() && !self.config.tables.is_empty() => Vec::new(),
            Err(error) => return Err(error),
        };
        names.extend(self.config.tables.iter().map(|table| table.schema.clone()));
        names.sort();
        names.dedup_by(|a, b| same_name(a, b));
        Ok(names)
    }

    async fn tables(&self, schema: &str) -> Result<Vec<TableInfo>> {
        let declared = self.config.tables.iter().filter(|table| same_name(&table.schema, schema));
        let mut names: Vec<String> = declared.map(|table| table.name.clone()).collect();
        match self.discovery.tables(schema).await {
            Ok(found) => names.extend(found),
            Err(_) if self.config.roots.is_empty() && !names.is_empty() => {}
            Err(error) => return Err(error),
        }
        names.sort();
        names.dedup_by(|a, b| same_name(a, b));
        Ok(names.into_iter().map(|name| TableInfo { name, kind: TableKind::Table, comment: None }).collect())
    }

    async fn describe(&self, schema: &str, table: &str) -> Result<Option<TableDescription>> {
        let Some(table) = self.find(schema, table).await? else { return Ok(None) };
        let visible = table.visible_schema();
        let columns = visible
            .fields()
            .iter()
            .map(|field| ColumnInfo {
                name: field.name().clone(),
                native_type: sql_name(field.data_type()),
                nullable: field.is_nullable(),
                comment: None,
            })
            .collect();
        let mut properties = vec![
            ("format".to_owned(), format!("'{}'", table.format.name())),
            ("external_location".to_owned(), format!("'{}'", table.url.replace('\'', "''"))),
        ];
        if !table.partition_columns.is_empty() {
            let names: Vec<String> =
                table.partition_columns.iter().map(|f| format!("'{}'", f.name().replace('\'', "''"))).collect();
            properties.push(("partitioned_by".to_owned(), format!("ARRAY[{}]", names.join(", "))));
        }
        Ok(Some(TableDescription {
            info: TableInfo { name: table.table_name.clone(), kind: TableKind::Table, comment: None },
            schema: visible,
            columns,
            primary_key: Vec::new(),
            row_estimate: table.rows,
            properties,
        }))
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.find(schema, table).await?.map(|table| table as Arc<dyn TableProvider>))
    }

    async fn refresh(&self, _schema: Option<&str>, _table: Option<&str>) -> Result<()> {
        self.lister.refresh();
        Ok(())
    }

    async fn probe(&self) -> Result<Health> {
        let started = Instant::now();
        self.touch().await?;
        Ok(Health { version: self.source(), latency: started.elapsed() })
    }

    async fn check(&self) -> Vec<CheckStep> {
        let mut steps = Vec::new();
        let mut step = |what: String, outcome: Result<String>| {
            let ended = outcome.is_err();
            steps.push(CheckStep { what, outcome });
            ended
        };
        if self.config.uses_s3() {
            for (what, outcome) in crate::check::reach(&self.stores.endpoint(), &self.discovery.catalog).await {
                if step(what, outcome) {
                    return steps;
                }
            }
        }
        let roots: Vec<String> = self.config.roots.iter().map(ToString::to_string).collect();
        let what = if roots.is_empty() { "list buckets".to_owned() } else { format!("list {}", roots[0]) };
        if step(what, self.touch().await) {
            return steps;
        }
        let found = match self.schemas().await {
            Ok(schemas) if schemas.is_empty() => {
                Err(Error::not_found(format!("catalog {:?}: there is no schema", self.discovery.catalog))
                    .with_hint("put files into folders below lake.root"))
            }
            Ok(schemas) => Ok(schemas.join(", ")),
            Err(error) => Err(error),
        };
        step("find schemas".to_owned(), found);
        steps
    }
}
