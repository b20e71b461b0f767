//! One transaction that writes.

use meesh_base::{Error, ErrorKind, QueryScope, Result};

use crate::connector::PostgresConnector;
use crate::pool::PooledConnection;
use crate::wire::{QueryResult, rows_of_tag};

/// For rows that are read once: a statement sees what was committed before it.
pub(super) const INSERTING: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// For rows that are read first and changed then: a row that another transaction changed meanwhile is an
/// error (SQLSTATE 40001), not passed over.
pub(super) const CHANGING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE";

/// Names in triggers, defaults and functions are found as their owner meant them, but no name of the
/// server's own is taken from it.
pub(crate) const SEARCH_PATH: &str = "SELECT pg_catalog.set_config('search_path', 'pg_catalog, ' || reset_val, true) \
                           FROM pg_catalog.pg_settings WHERE name = 'search_path'";

/// The remedy where nobody knows whether it was done.
pub(super) const UNKNOWN_OUTCOME: &str =
    "the connection broke while it was being done: look whether it was before you run it again";

/// A session in a transaction that writes. Dropped before [`Transaction::commit`], it is rolled back.
pub(super) struct Transaction {
    session: PooledConnection,
}

impl Transaction {
    /// Takes a session and begins, as `begin` says.
    ///
    /// # Errors
    /// Those of the pool, and the server's.
    pub(super) async fn begin(connector: &PostgresConnector, scope: &QueryScope, begin: &str) -> Result<Self> {
        let mut session = connector.pool().get(Some(scope)).await?;
        let name = format!("meesh/{}", scope.id());
        let prelude = session.prelude(begin, &[("application_name", &name)]);
        session.simple_query(&format!("{prelude}; {SEARCH_PATH}")).await?;
        Ok(Self { session })
    }

    /// The session, for a COPY.
    pub(super) fn session(&mut self) -> &mut PooledConnection {
        &mut self.session
    }

    /// Runs one statement; how many rows it was about.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<u64> {
        let results = self.session.simple_query(sql).await?;
        Ok(results.last().map_or(0, |result| rows_of_tag(result.tag.as_bytes())))
    }

    /// Runs one query; its rows as text.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn query(&mut self, sql: &str) -> Result<QueryResult> {
        Ok(self.session.simple_query(sql).await?.pop().unwrap_or_default())
    }

    /// Makes it so.
    ///
    /// # Errors
    /// The server's, after which nothing has changed; its hint says so if that is not known.
    pub(super) async fn commit(mut self) -> Result<()> {
        let committed = self.session.simple_query("COMMIT").await;
        let results = committed.map_err(|error| match self.session.is_broken() {
            true => error.with_hint(UNKNOWN_OUTCOME),
            false => error,
        })?;
        match results.last().map(|result| result.tag.as_str()) {
            Some("COMMIT") => Ok(()),
            _ => Err(Error::new(
                ErrorKind::SourceUnavailable,
                format!("catalog {:?}: PostgreSQL rolled the transaction back", self.session.place().catalog),
            )
            .with_hint("run the statement again")),
        }
    }
}
