//! Statements that are known and refused by name, so that none is half understood.

use meesh_base::Error;

use super::Parser;

/// First words of a statement -> its name in the refusal. The first row that fits is taken.
const REFUSED: &[(&[&str], &str)] = &[
    (&["CREATE", "OR", "REPLACE", "TABLE"], "CREATE OR REPLACE TABLE"),
    (&["CREATE", "OR", "REPLACE", "MATERIALIZED", "VIEW"], "CREATE OR REPLACE MATERIALIZED VIEW"),
    (&["CREATE", "OR", "REPLACE", "FUNCTION"], "CREATE OR REPLACE FUNCTION"),
    (&["CREATE", "TEMPORARY", "TABLE"], "CREATE TEMPORARY TABLE"),
    (&["CREATE", "TEMP", "TABLE"], "CREATE TEMPORARY TABLE"),
    (&["CREATE", "EXTERNAL", "TABLE"], "CREATE EXTERNAL TABLE"),
    (&["CREATE", "MATERIALIZED", "VIEW"], "CREATE MATERIALIZED VIEW"),
    (&["CREATE", "CATALOG"], "CREATE CATALOG"),
    (&["CREATE", "ROLE"], "CREATE ROLE"),
    (&["CREATE", "FUNCTION"], "CREATE FUNCTION"),
    (&["CREATE", "BRANCH"], "CREATE BRANCH"),
    (&["CREATE", "INDEX"], "CREATE INDEX"),
    (&["CREATE"], "CREATE"),
    (&["DROP", "MATERIALIZED", "VIEW"], "DROP MATERIALIZED VIEW"),
    (&["DROP", "CATALOG"], "DROP CATALOG"),
    (&["DROP", "ROLE"], "DROP ROLE"),
    (&["DROP", "FUNCTION"], "DROP FUNCTION"),
    (&["DROP", "BRANCH"], "DROP BRANCH"),
    (&["DROP"], "DROP"),
    (&["ALTER", "VIEW"], "ALTER VIEW"),
    (&["ALTER", "MATERIALIZED", "VIEW"], "ALTER MATERIALIZED VIEW"),
    (&["ALTER", "SCHEMA"], "ALTER SCHEMA"),
    (&["ALTER", "BRANCH"], "ALTER BRANCH"),
    (&["ALTER"], "ALTER"),
    (&["COPY"], "COPY"),
    (&["REFRESH", "MATERIALIZED", "VIEW"], "REFRESH MATERIALIZED VIEW"),
    (&["ANALYZE"], "ANALYZE"),
    (&["GRANT"], "GRANT"),
    (&["REVOKE"], "REVOKE"),
    (&["DENY"], "DENY"),
    (&["PREPARE"], "PREPARE"),
    (&["EXECUTE", "IMMEDIATE"], "EXECUTE IMMEDIATE"),
    (&["EXECUTE"], "EXECUTE"),
    (&["DEALLOCATE"], "DEALLOCATE PREPARE"),
    (&["START", "TRANSACTION"], "START TRANSACTION"),
    (&["BEGIN"], "BEGIN"),
    (&["COMMIT"], "COMMIT"),
    (&["ROLLBACK"], "ROLLBACK"),
    (&["SAVEPOINT"], "SAVEPOINT"),
    (&["DESCRIBE", "INPUT"], "DESCRIBE INPUT"),
    (&["DESCRIBE", "OUTPUT"], "DESCRIBE OUTPUT"),
    (&["SET", "ROLE"], "SET ROLE"),
    (&["SET", "PATH"], "SET PATH"),
    (&["SET", "SESSION", "AUTHORIZATION"], "SET SESSION AUTHORIZATION"),
    (&["RESET", "SESSION", "AUTHORIZATION"], "RESET SESSION AUTHORIZATION"),
    (&["SHOW", "CREATE", "VIEW"], "SHOW CREATE VIEW"),
    (&["SHOW", "CREATE", "MATERIALIZED", "VIEW"], "SHOW CREATE MATERIALIZED VIEW"),
    (&["SHOW", "CREATE", "SCHEMA"], "SHOW CREATE SCHEMA"),
    (&["SHOW", "CREATE", "FUNCTION"], "SHOW CREATE FUNCTION"),
    (&["SHOW", "GRANTS"], "SHOW GRANTS"),
    (&["SHOW", "ROLES"], "SHOW ROLES"),
    (&["SHOW", "CURRENT", "ROLES"], "SHOW CURRENT ROLES"),
    (&["SHOW", "ROLE", "GRANTS"], "SHOW ROLE GRANTS"),
    (&["SHOW", "BRANCHES"], "SHOW BRANCHES"),
    (&["WITH", "FUNCTION"], "WITH FUNCTION"),
    (&["WITH", "SESSION"], "WITH SESSION"),
    (&["LISTEN"], "LISTEN"),
    (&["NOTIFY"], "NOTIFY"),
    (&["LOCK"], "LOCK"),
    (&["VACUUM"], "VACUUM"),
    (&["ATTACH"], "ATTACH"),
    (&["DETACH"], "DETACH"),
    (&["LOAD"], "LOAD"),
    (&["INSTALL"], "INSTALL"),
    (&["PRAGMA"], "PRAGMA"),
    (&["DECLARE"], "DECLARE"),
    (&["DO"], "DO"),
];

impl Parser<'_> {
    /// The refusal of the statement that begins here, if it is a known one.
    pub(super) fn refused_statement(&self) -> Option<Error> {
        let (_, name) = REFUSED.iter().find(|(words, _)| self.are_words(words))?;
        // `WITH function AS (…)` and `DESCRIBE input` name a CTE and a table.
        let is_name = match *name {
            "WITH FUNCTION" | "WITH SESSION" => self.is_word_at(2, "AS") || self.is_symbol_at(2, "("),
            "DESCRIBE INPUT" | "DESCRIBE OUTPUT" => !self.is_name_at(2),
            _ => false,
        };
        (!is_name).then(|| self.unsupported(&self.peek(), name))
    }
}
