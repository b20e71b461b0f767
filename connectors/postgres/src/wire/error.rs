//! What a PostgreSQL server's errors mean to meesh: fields in, [`Error`] with kind and remedy out.

use meesh_base::{Error, ErrorKind, Result};

use ErrorKind::{
    AlreadyExists, Cancelled, Denied, Exhausted, Internal, InvalidQuery, NotFound, SourceData, SourceUnavailable,
    Timeout, Unsupported,
};

/// One ErrorResponse or NoticeResponse (PostgreSQL manual, section 55.8). DETAIL, HINT and WHERE
/// are left behind: they may quote rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// `ERROR`, `FATAL`, `PANIC`, `NOTICE` …
    pub(crate) severity: String,
    /// The SQLSTATE.
    pub(crate) code: String,
    /// The primary message, in the server's language.
    pub(crate) message: String,
}

impl ServerError {
    /// Reads the fields of a message body. What is not understood is left empty.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut error = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else { continue };
            let text = || String::from_utf8_lossy(text).into_owned();
            match kind {
                // V is S untranslated, since PostgreSQL 9.6.
                b'V' => error.severity = text(),
                b'S' if error.severity.is_empty() => error.severity = text(),
                b'C' => error.code = text(),
                b'M' => error.message = text(),
                _ => {}
            }
        }
        error
    }

    /// Whether the server ends the session after it.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }
}

/// What one SQLSTATE, or every SQLSTATE that starts so, means here.
struct Meaning {
    prefix: &'static str,
    kind: ErrorKind,
    what: &'static str,
    hint: &'static str,
    code: Option<&'static str>,
    /// Whether it has passed with the session or transaction that it ended.
    passes: bool,
}

const fn row(prefix: &'static str, kind: ErrorKind, what: &'static str, hint: &'static str) -> Meaning {
    Meaning { prefix, kind, what, hint, code: None, passes: false }
}

const fn named(prefix: &'static str, kind: ErrorKind, what: &'static str, code: &'static str) -> Meaning {
    Meaning { code: Some(code), ..row(prefix, kind, what, "") }
}

const fn passing(prefix: &'static str, what: &'static str) -> Meaning {
    Meaning { passes: true, ..row(prefix, SourceUnavailable, what, RETRY) }
}

const CHANGED: &str = "its definition may have changed since it was read: run the query again";
const RETRY: &str = "run the query again";

/// SQLSTATEs (PostgreSQL manual, appendix A); the longest prefix counts.
const MEANINGS: &[Meaning] = &[
    passing("08", "lost the connection"),
    row("0A", Unsupported, "does not support what was asked", ""),
    row("21", InvalidQuery, "found several rows where there may be one", ""),
    row("22", InvalidQuery, "could not compute a value", ""),
    named("22003", InvalidQuery, "computed a number that is out of range", "NUMERIC_VALUE_OUT_OF_RANGE"),
    named("22012", InvalidQuery, "divided by zero", "DIVISION_BY_ZERO"),
    named("22023", InvalidQuery, "refused an argument", "INVALID_FUNCTION_ARGUMENT"),
    named("22P02", InvalidQuery, "could not cast a text", "INVALID_CAST_ARGUMENT"),
    row("22021", SourceData, "holds text that is not valid in its encoding", "repair the text in the database"),
    row("22P05", SourceData, "holds text that UTF-8 cannot express", "repair the text in the database"),
    row("23", InvalidQuery, "refused a row by a constraint", ""),
    row("25", Internal, "was in the wrong transaction state", ""),
    row("25006", Denied, "is open for reading only", "set writes-enabled=true in the catalog file to allow writes"),
    row("25P03", Timeout, "closed an idle transaction", "raise idle_in_transaction_session_timeout on the server"),
    row("25P04", Timeout, "ran into its transaction time limit", "raise transaction_timeout on the server"),
    row(
        "28",
        Denied,
        "refused the login",
        "check connection-user, connection-password, sslmode and the server's pg_hba.conf",
    ),
    row("28P01", Denied, "refused the password", "check connection-user and connection-password"),
    row("2B", InvalidQuery, "refused to drop what others depend on", ""),
    row("38", SourceData, "raised an error of its own", ""),
    row("39", SourceData, "raised an error of its own", ""),
    row("3D", SourceUnavailable, "has no such database", "check the database in connection-url"),
    row("3F", NotFound, "has no such schema", CHANGED),
    passing("40", "gave up the transaction"),
    row("42", Internal, "refused the statement", ""),
    row("42501", Denied, "denies access", "grant the right to the role of connection-user"),
    row("42622", InvalidQuery, "refused a name", "it keeps 63 bytes of a name"),
    row("42939", InvalidQuery, "refused a name", "choose a name that does not begin with pg_"),
    row("42601", InvalidQuery, "does not understand the statement", ""),
    row("42701", AlreadyExists, "has this column already", ""),
    row("42809", InvalidQuery, "has another kind of object of that name", ""),
    row("42P01", NotFound, "has no such table", CHANGED),
    row("42703", NotFound, "has no such column", CHANGED),
    row("42804", NotFound, "has the column in another type", CHANGED),
    row("42883", NotFound, "has the column in another type", CHANGED),
    row("42P06", AlreadyExists, "has this schema already", ""),
    row("42P07", AlreadyExists, "has this table already", ""),
    row("42P16", InvalidQuery, "refused the definition", ""),
    row("44", InvalidQuery, "refused a row by the view's WITH CHECK OPTION", ""),
    row("53", Exhausted, "ran out of resources", RETRY),
    row("53300", Exhausted, "has no free connection", "lower connections-max here or raise max_connections there"),
    row("54", Exhausted, "found the statement too large", "narrow the query"),
    row("55", SourceUnavailable, "was not ready for the statement", RETRY),
    row("55000", SourceData, "cannot read the object as it is", ""),
    row("55P03", SourceUnavailable, "waited too long for a lock of another session", RETRY),
    passing("57", "ended the session"),
    row("57014", Cancelled, "cancelled the statement", ""),
    passing("57P03", "is starting up or shutting down"),
    row("58", SourceUnavailable, "had a system error", "look into the server's log"),
    row("F0", SourceUnavailable, "cannot read its configuration", "look into the server's log"),
    row("HV", SourceUnavailable, "could not reach a foreign server of its own", "look into the server's log"),
    row("P0", SourceData, "raised an error of its own", ""),
    row("XX", SourceUnavailable, "had an internal error", "look into the server's log"),
    row("XX001", SourceData, "found corrupted data", "look into the server's log"),
    row("XX002", SourceData, "found a corrupted index", "look into the server's log"),
];

/// What differs where the text is a user's own: that it is refused is no fault of meesh's, and nothing that
/// was read before has changed.
const IN_USERS_TEXT: &[Meaning] = &[
    Meaning {
        hint: "a text that is passed through has no parameters",
        ..named("08P01", InvalidQuery, "cannot run the statement", "INVALID_PARAMETER_USAGE")
    },
    row("22021", InvalidQuery, "could not compute a value", ""),
    row("22P05", InvalidQuery, "could not compute a value", ""),
    row("3F", NotFound, "has no such schema", ""),
    named("42", InvalidQuery, "refused the statement", "SYNTAX_ERROR"),
    row("42501", Denied, "denies access", "grant the right to the role of connection-user"),
    row("42701", AlreadyExists, "has this column already", ""),
    row("42710", AlreadyExists, "has this object already", ""),
    row("42P06", AlreadyExists, "has this schema already", ""),
    row("42P07", AlreadyExists, "has this table already", ""),
    row("54000", InvalidQuery, "could not compute a value", ""),
];

const UNKNOWN: Meaning = row("", SourceUnavailable, "reported an error", "");
const STATEMENT_TIMEOUT: Meaning = row(
    "57014",
    Timeout,
    "ran into its statement time limit",
    "raise statement-timeout or the server's statement_timeout",
);

/// A standby that has to apply what the statement still needs to see.
const RECOVERY: Meaning = passing("57014", "gave up the statement to follow its primary");

/// The error that a server's ErrorResponse becomes. `server` is `db.example:5432`.
pub(crate) fn server_error(catalog: &str, server: &str, error: &ServerError) -> Error {
    built(catalog, server, error, meaning(error))
}

fn built(catalog: &str, server: &str, error: &ServerError, meaning: &Meaning) -> Error {
    let mut built =
        Error::new(meaning.kind, format!("catalog {catalog:?}: PostgreSQL server {server} {}", meaning.what))
            .with_detail(format!("{} (SQLSTATE {})", error.message, error.code));
    if !meaning.hint.is_empty() {
        built = built.with_hint(meaning.hint);
    }
    if let Some(code) = meaning.code {
        built = built.with_code(code);
    }
    if meaning.passes { built.passing() } else { built }
}

fn meaning(error: &ServerError) -> &'static Meaning {
    // One SQLSTATE stands for a user's cancel, for the time limit and for a standby's troubles; only the
    // words differ.
    if error.code == "57014" && error.message.contains("timeout") {
        return &STATEMENT_TIMEOUT;
    }
    if error.code == "57014" && error.message.contains("recovery") {
        return &RECOVERY;
    }
    longest(MEANINGS, error).unwrap_or(&UNKNOWN)
}

fn longest(meanings: &'static [Meaning], error: &ServerError) -> Option<&'static Meaning> {
    let fitting = meanings.iter().filter(|meaning| error.code.starts_with(meaning.prefix));
    fitting.max_by_key(|meaning| meaning.prefix.len())
}

/// Where an error happened: catalog and server, for messages.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) catalog: std::sync::Arc<str>,
    pub(crate) server: std::sync::Arc<str>,
    /// Whether what runs is a text of the user's own.
    pub(crate) users_text: bool,
}

impl Place {
    /// A place where meesh's own statements run.
    pub(crate) fn new(catalog: std::sync::Arc<str>, server: std::sync::Arc<str>) -> Self {
        Self { catalog, server, users_text: false }
    }

    /// The error of a server that did not answer as it should have; `what` goes on from its name.
    pub(crate) fn unavailable(&self, what: impl std::fmt::Display) -> Error {
        Error::source_unavailable(format!("catalog {:?}: PostgreSQL server {} {what}", self.catalog, self.server))
    }

    /// The error of a broken socket.
    pub(crate) fn io(&self, what: &str, error: std::io::Error) -> Error {
        let unavailable = self.unavailable(what);
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => unavailable.with_detail("the server closed the connection"),
            _ => unavailable.with_detail(error.to_string()).with_cause(error),
        }
    }

    /// The error of a server that broke the protocol.
    pub(crate) fn protocol(&self, what: impl std::fmt::Display) -> Error {
        self.unavailable(format_args!("broke the protocol: {what}"))
            .with_hint("check that connection-url names a PostgreSQL server, version 10 or newer")
    }

    /// The error that an ErrorResponse becomes.
    pub(crate) fn server<T>(&self, error: &ServerError) -> Result<T> {
        let users = if self.users_text { longest(IN_USERS_TEXT, error) } else { None };
        Err(built(&self.catalog, &self.server, error, users.unwrap_or_else(|| meaning(error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides() {
        for (code, kind) in [
            ("28P01", Denied),
            ("28000", Denied),
            ("53300", Exhausted),
            ("57P01", SourceUnavailable),
            ("57014", Cancelled),
            ("42501", Denied),
            ("42P01", NotFound),
            ("42601", InvalidQuery),
            ("22012", InvalidQuery),
            ("21000", InvalidQuery),
            ("22021", SourceData),
            ("2BP01", InvalidQuery),
            ("38001", SourceData),
            ("39004", SourceData),
            ("42622", InvalidQuery),
            ("42939", InvalidQuery),
            ("42P07", AlreadyExists),
            ("42P16", InvalidQuery),
            ("44000", InvalidQuery),
            ("40001", SourceUnavailable),
            ("ZZ999", SourceUnavailable),
            ("", SourceUnavailable),
        ] {
            let error = ServerError { code: code.into(), message: "no".into(), ..Default::default() };
            assert_eq!(server_error("sales", "db:5432", &error).kind(), kind, "{code}");
        }
    }

    #[test]
    fn what_a_users_own_text_does_wrong_is_not_meeshs_fault() {
        let ours = Place::new("sales".into(), "db:5432".into());
        let users = Place { users_text: true, ..ours.clone() };
        for (code, in_ours, in_users) in [
            ("08P01", SourceUnavailable, InvalidQuery),
            ("22021", SourceData, InvalidQuery),
            ("42P01", NotFound, InvalidQuery),
            ("42P07", AlreadyExists, AlreadyExists),
            ("42501", Denied, Denied),
            ("42846", Internal, InvalidQuery),
            ("57P01", SourceUnavailable, SourceUnavailable),
        ] {
            let error = ServerError { code: code.into(), message: "no".into(), ..Default::default() };
            let kinds = [&ours, &users].map(|place| place.server::<()>(&error).unwrap_err().kind());
            assert_eq!(kinds, [in_ours, in_users], "{code}");
        }
    }

    #[test]
    fn a_time_limit_is_no_cancel() {
        let body = b"SERROR\0VERROR\0C57014\0Mcanceling statement due to statement timeout\0Dsecret row\0\0";
        let error = server_error("sales", "db:5432", &ServerError::parse(body));
        assert_eq!(error.kind(), Timeout);
        assert!(!error.to_string().contains("secret row"), "{error}");
        assert!(error.to_string().starts_with("catalog \"sales\": PostgreSQL server db:5432 "), "{error}");
    }

    #[test]
    fn garbage_is_no_panic() {
        assert_eq!(ServerError::parse(&[0xff, 0, 0, 7]), ServerError::default());
    }
}
