//! `CALL catalog.system.execute(query => 'text')`: a statement in PostgreSQL's own words.

use meesh_base::{Error, ErrorKind, QueryScope, Result};

use crate::connector::PostgresConnector;

/// Runs the text as it is, by the simple-query protocol: several statements are one transaction unless
/// they say otherwise. The session may have been given any settings by it, so it is not used again.
///
/// # Errors
/// The server's; `InvalidQuery` for a transaction that was begun and not ended, which is rolled back.
pub(super) async fn execute(connector: &PostgresConnector, text: &str, scope: &QueryScope) -> Result<u64> {
    let mut session = connector.pool().get(Some(scope)).await?;
    let done = session.simple_query(text).await;
    if session.is_broken() || session.is_idle() {
        drop(session.take());
        return done.map(|_| 0).map_err(users_own);
    }
    // Left to the pool it is rolled back; but what was set in it before would stay.
    let left_open = done.is_ok();
    drop(session.take());
    done.map_err(users_own)?;
    match left_open {
        true => Err(Error::invalid_query(format!(
            "catalog {:?}: the statement left a transaction open, which was rolled back",
            connector.catalog_name()
        ))
        .with_hint("end it with COMMIT, or leave BEGIN out: several statements are one transaction anyway")),
        false => Ok(0),
    }
}

/// What the server refuses of a user's own text is the user's, not meesh's.
pub(crate) fn users_own(error: Error) -> Error {
    if error.kind() != ErrorKind::Internal {
        return error;
    }
    let own = Error::invalid_query(error.message()).with_code("SYNTAX_ERROR");
    match error.detail() {
        Some(detail) => own.with_detail(detail),
        None => own,
    }
}
