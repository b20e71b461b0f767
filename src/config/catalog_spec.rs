//! One catalog as it was configured, and how it is opened.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use meesh_base::{ConfigKey, ConfigValues, Error, Result, Secret, ValueKind, nearest};
use meesh_connector_spi::{Connector, ConnectorFactory};

/// Connectors of Trino 476 that meesh may not have. A catalog of one of them is named in an error
/// when a query asks for it, so that a folder of Trino's starts as it is.
const TRINO_CONNECTORS: &[&str] = &[
    "bigquery",
    "blackhole",
    "cassandra",
    "clickhouse",
    "delta_lake",
    "delta-lake",
    "druid",
    "duckdb",
    "elasticsearch",
    "exasol",
    "faker",
    "gsheets",
    "hive",
    "hudi",
    "iceberg",
    "ignite",
    "jmx",
    "kafka",
    "lakehouse",
    "loki",
    "mariadb",
    "memory",
    "mongodb",
    "mysql",
    "opensearch",
    "oracle",
    "pinot",
    "postgresql",
    "prometheus",
    "redis",
    "redshift",
    "singlestore",
    "snowflake",
    "sqlserver",
    "thrift",
    "tpcds",
    "tpch",
    "vertica",
];

/// The connectors that can be opened.
pub(crate) type Factories = Vec<Box<dyn ConnectorFactory>>;

/// One catalog as it was configured, not opened yet.
#[derive(Debug, Clone)]
pub(crate) struct CatalogSpec {
    /// Where it was configured: a file or a flag.
    pub(crate) origin: String,
    /// Its connector's name, or the URL that implies one.
    pub(crate) kind: Kind,
}

/// How a catalog says what it is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// By `connector.name` and keys.
    Keys {
        /// `connector.name`.
        connector: String,
        /// Everything else.
        values: ConfigValues,
    },
    /// By a URL whose scheme names the connector.
    Url(Secret),
}

impl CatalogSpec {
    /// What tells this configuration from another: secrets and the content of files that it names
    /// included, places not.
    pub(crate) fn digest(&self, factories: &Factories) -> u64 {
        let mut hasher = DefaultHasher::new();
        match &self.kind {
            Kind::Url(url) => url.expose().hash(&mut hasher),
            Kind::Keys { connector, values } => {
                connector.hash(&mut hasher);
                for name in values.names() {
                    (name, values.raw(name)).hash(&mut hasher);
                }
                let keys = by_name(factories, connector).into_iter().flat_map(keys_of);
                for key in keys.filter(|key| key.kind == ValueKind::File) {
                    let content = values.text(key).map(|path| std::fs::read(path).ok());
                    content.hash(&mut hasher);
                }
            }
        }
        hasher.finish()
    }

    /// The connector's name, or the scheme of the URL, for people.
    pub(crate) fn connector(&self) -> &str {
        match &self.kind {
            Kind::Keys { connector, .. } => connector,
            Kind::Url(url) => url.expose().split(':').next().unwrap_or_default(),
        }
    }

    /// Whether this is a connector of Trino's that meesh does not have.
    pub(crate) fn is_foreign(&self, factories: &Factories) -> bool {
        matches!(&self.kind, Kind::Keys { connector, .. }
            if by_name(factories, connector).is_none() && TRINO_CONNECTORS.contains(&connector.as_str()))
    }

    /// Opens the catalog, which connects to nothing yet, and returns it with its warnings.
    ///
    /// # Errors
    /// `Unsupported` for a connector that meesh does not have; `InvalidQuery` for an unknown key, a
    /// wrong value, and what the connector itself finds wrong.
    pub(crate) fn open(&self, name: &str, factories: &Factories) -> Result<(Arc<dyn Connector>, Vec<String>)> {
        match &self.kind {
            Kind::Keys { connector, values } => {
                let factory = by_name(factories, connector).ok_or_else(|| self.unknown(name, connector, factories))?;
                let warnings = values.check(factory.keys())?;
                Ok((factory.open(name, values)?, warnings))
            }
            Kind::Url(url) => {
                let url = url.expose();
                let found = factories.iter().find_map(|factory| Some((factory, factory.values_of_url(name, url)?)));
                let (factory, values) = found.ok_or_else(|| unknown_scheme(name, url))?;
                let values = values?;
                let warnings = values.check(factory.keys())?;
                Ok((factory.open(name, &values)?, warnings))
            }
        }
    }

    fn unknown(&self, catalog: &str, connector: &str, factories: &Factories) -> Error {
        let known: Vec<&str> = factories.iter().flat_map(|factory| factory.names().iter().copied()).collect();
        let hint = match nearest(connector, known.iter().copied()).first() {
            Some(near) if !self.is_foreign(factories) => format!("did you mean {near:?}?"),
            _ => format!("meesh has {}", known.join(", ")),
        };
        Error::unsupported(format!("catalog {catalog:?}: there is no connector {connector:?} ({})", self.origin))
            .with_hint(hint)
    }
}

/// The factory that answers to a `connector.name`.
fn by_name<'a>(factories: &'a Factories, connector: &str) -> Option<&'a dyn ConnectorFactory> {
    factories.iter().find(|factory| factory.names().contains(&connector)).map(AsRef::as_ref)
}

fn unknown_scheme(catalog: &str, url: &str) -> Error {
    let scheme = url.split(':').next().unwrap_or_default();
    Error::unsupported(format!("catalog {catalog:?}: no connector reads URLs that start with {scheme:?}"))
        .with_hint("postgres://user@host/database, s3://bucket/prefix and file:///folder are known")
}

/// The keys of all connectors, for the reference page.
pub(crate) fn keys_of(factory: &dyn ConnectorFactory) -> impl Iterator<Item = &'static ConfigKey> {
    factory.keys().iter().flat_map(|table| table.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_connector_is_told_from_one_of_trinos() {
        let spec = |connector: &str| CatalogSpec {
            origin: "f".into(),
            kind: Kind::Keys { connector: connector.into(), values: ConfigValues::new("catalog") },
        };
        let none = Factories::new();
        assert!(spec("jmx").is_foreign(&none) && !spec("postgre").is_foreign(&none));
        assert!(spec("jmx").open("a", &none).unwrap_err().to_string().contains("\"jmx\""));
    }
}
