//! `CALL catalog.system.execute(query => 'text')`: a statement in PostgreSQL's own words.

use std::time::Duration;

use meesh_base::{Error, QueryScope, Result, format_duration};
use tokio::time::timeout;

use super::session::UNKNOWN_OUTCOME;
use crate::connector::PostgresConnector;
use crate::pool::PooledConnection;
use crate::quote::quote_text;
use crate::wire::QueryResult;

/// Runs the text as it is, by the simple-query protocol: several statements are one transaction unless
/// they say otherwise. The session may have been given any settings by it, so it is not used again.
///
/// # Errors
/// The server's; `Timeout` after `statement-timeout`; `InvalidQuery` for a transaction that was begun and not
/// ended, which is rolled back.
pub(super) async fn execute(connector: &PostgresConnector, text: &str, scope: &QueryScope) -> Result<u64> {
    let mut session = connector.pool().get(Some(scope)).await?;
    session.close_after();
    let name = quote_text(&format!("meesh/{}", scope.id()));
    session.simple_query(&format!("SELECT pg_catalog.set_config('application_name', {name}, false)")).await?;
    session.runs_users_text();
    let done = limited(connector, &mut session, text).await;
    let (broken, left_open) = (session.is_broken(), !session.is_broken() && !session.is_idle());
    // A transaction that is open is rolled back by the pool.
    drop(session);
    done.map_err(|error| if broken { error.with_hint(UNKNOWN_OUTCOME) } else { error })?;
    match left_open {
        true => Err(Error::invalid_query(format!(
            "catalog {:?}: the statement left a transaction open, which was rolled back",
            connector.catalog_name()
        ))
        .with_hint("end it with COMMIT, or leave BEGIN out: several statements are one transaction anyway")),
        false => Ok(0),
    }
}

/// The server's own limit would have to be set in the transaction of the text, and some statements want none.
async fn limited(
    connector: &PostgresConnector,
    session: &mut PooledConnection,
    text: &str,
) -> Result<Vec<QueryResult>> {
    let limit = connector.config().options.statement_timeout;
    let done = timeout(limit.unwrap_or(Duration::MAX), session.simple_query(text)).await;
    done.unwrap_or_else(|_elapsed| {
        Err(Error::timeout(format!(
            "catalog {:?}: the statement took longer than {}",
            connector.catalog_name(),
            format_duration(limit.unwrap_or_default())
        ))
        .with_hint("raise statement-timeout in the catalog file"))
    })
}
