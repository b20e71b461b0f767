//! The two traits that make a connector.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use meesh_base::{ConfigKey, ConfigValues, Error, Result};

use crate::{Health, Pushdown, TableDescription, TableInfo, TableStatistics, Writes};

/// Makes catalogs of one kind. One line in `connectors/registry`.
pub trait ConnectorFactory: Send + Sync {
    /// The values of `connector.name` it answers to, its own name first: `["postgresql"]`.
    fn names(&self) -> &'static [&'static str];

    /// Every key a catalog file of this kind may hold, beside `connector.name`.
    fn keys(&self) -> &'static [&'static [ConfigKey]];

    /// Opens a catalog: parses `values` (already held against [`Self::keys`]) and connects to
    /// nothing yet, so that a source that is down does not keep the server from starting.
    ///
    /// # Errors
    /// `InvalidQuery` for values that contradict each other or cannot be parsed.
    fn open(&self, catalog: &str, values: &ConfigValues) -> Result<Arc<dyn Connector>>;

    /// The values that a URL on the command line stands for (`--catalog sales=postgres://…`), or
    /// `None` if its scheme is not this connector's.
    fn values_of_url(&self, catalog: &str, url: &str) -> Option<Result<ConfigValues>>;
}

/// One open catalog.
///
/// Names are given as the statement or the listing has them; a connector resolves them without
/// regard to case and reports two remote names that are equal after folding as an error naming both.
/// Answers may be some seconds old unless [`Connector::refresh`] was called.
#[async_trait]
pub trait Connector: Debug + Send + Sync {
    /// The connector's name: `postgresql`.
    fn kind(&self) -> &'static str;

    /// What makes two catalogs the same source (server, database and user), so that fragments over
    /// both can be one. Unique across connectors.
    fn source_key(&self) -> String;

    /// The schemas, sorted by name.
    ///
    /// # Errors
    /// `SourceUnavailable`, naming catalog and host, when the source does not answer in time.
    async fn schemas(&self) -> Result<Vec<String>>;

    /// The tables of a schema, sorted by name; empty if there is no such schema.
    async fn tables(&self, schema: &str) -> Result<Vec<TableInfo>>;

    /// Everything about one table, or `None` if there is none.
    async fn describe(&self, schema: &str, table: &str) -> Result<Option<TableDescription>>;

    /// What is known of a table's values; `None` if there is no such table, or nothing is known.
    async fn statistics(&self, _schema: &str, _table: &str) -> Result<Option<TableStatistics>> {
        Ok(None)
    }

    /// The table for planning, or `None` if there is none: a [`crate::SourceTable`] where the source
    /// can take fragments, any provider where the engine reads files itself.
    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn TableProvider>>>;

    /// Forgets what is cached about a schema or table (or all), so that the next answer is fresh.
    async fn refresh(&self, schema: Option<&str>, table: Option<&str>) -> Result<()>;

    /// What the source can take over. `None`: the engine does everything.
    fn pushdown(&self) -> Option<&dyn Pushdown> {
        None
    }

    /// How the source is written to. `None`: not at all.
    fn writes(&self) -> Option<&dyn Writes> {
        None
    }

    /// The rows of a query in the source's own language, read only; what is around it is computed here.
    /// Asks the source for the columns, and runs nothing.
    ///
    /// # Errors
    /// `Unsupported` where the source has no such language; `InvalidQuery` in the source's words for a
    /// text that is no query.
    async fn query(&self, _text: &str) -> Result<Arc<dyn TableProvider>> {
        Err(Error::unsupported(format!("a {} catalog has no queries of its own", self.kind()))
            .with_code("NOT_SUPPORTED"))
    }

    /// One cheap round trip, for readiness and pages.
    async fn probe(&self) -> Result<Health>;

    /// The steps of `meesh check`, in order: DNS, TCP, TLS, login, one row. Ends at the first failure.
    async fn check(&self) -> Vec<CheckStep>;
}

/// One step of `meesh check`.
#[derive(Debug, Clone)]
pub struct CheckStep {
    /// What was tried: `TCP db.example:5432`.
    pub what: String,
    /// What came of it; the error's hint is the remedy.
    pub outcome: Result<String>,
}
