//! Transactions: how one is begun, with the settings that everything in it relies on.

use meesh_base::Result;

use super::connection::Connection;
use super::query::QueryResult;
use crate::quote::quote_text;

/// Sees one state of the database, and changes nothing.
pub(crate) const READ_ONLY: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Connection {
    /// The statements that begin a transaction: `begin` (`BEGIN …`, and what must follow it before any
    /// query), then one SELECT that makes the session's settings and those of `more`.
    pub(crate) fn prelude(&self, begin: &str, more: &[(&str, &str)]) -> String {
        let own = self.settings.iter().map(|(name, value)| (*name, value.as_str()));
        let set = |(name, value): (&str, &str)| format!("pg_catalog.set_config('{name}', {}, true)", quote_text(value));
        let list: Vec<String> = own.chain(more.iter().copied()).map(set).collect();
        format!("{begin}; SELECT {}", list.join(", "))
    }

    /// `begin`, and then `lock`, which may wait for others: it must need no snapshot, so that what is seen after
    /// it is not older than what it waited for.
    pub(crate) fn begin_locked(&self, begin: &str, lock: &str) -> String {
        // The other settings are made by a query. This one ends the wait.
        let timeout = self.settings.iter().find(|(name, _)| *name == "statement_timeout");
        let timeout = timeout.map_or_else(String::new, |(name, value)| format!("; SET LOCAL {name} TO {value}"));
        format!("{begin}{timeout}; {lock}")
    }

    /// Runs statements in a transaction of their own and commits it; one result per statement.
    ///
    /// # Errors
    /// What the server said, as [`Connection::simple_query`]; the transaction is rolled back then.
    pub(crate) async fn transaction(
        &mut self,
        begin: &str,
        more: &[(&str, &str)],
        sql: &str,
    ) -> Result<Vec<QueryResult>> {
        let prelude = self.prelude(begin, more);
        let answer = self.simple_query(&format!("{prelude}; {sql}; COMMIT")).await;
        if answer.is_err() && !self.is_broken() && !self.is_idle() {
            self.simple_query("ROLLBACK").await?;
        }
        let mut results = answer?;
        // Those of BEGIN and the settings, and of COMMIT.
        results.pop();
        let begun = begin.split(';').count() + 1;
        Ok(results.split_off(begun.min(results.len())))
    }
}
