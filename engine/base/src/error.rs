//! The one error type of meesh: a kind named by what the caller should do, a message for people, and
//! where it happened. Doors translate kinds into their protocol's statuses, each in its `error.rs`.

use std::fmt;
use std::sync::Arc;

/// `Result` with meesh's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Fix the SQL; [`Error::position`] says where.
    InvalidQuery,
    /// Fix the name; the hint holds the nearest names.
    NotFound,
    /// Choose another name.
    AlreadyExists,
    /// Rewrite: meesh does not do this.
    Unsupported,
    /// Log in, or ask for rights.
    Denied,
    /// Nothing: somebody asked for it.
    Cancelled,
    /// Narrow the query or raise the limit that the message names.
    Timeout,
    /// Wait or narrow the query: memory, disk, queue or connections ran out.
    Exhausted,
    /// Wait: a source did not answer; the message names catalog and host.
    SourceUnavailable,
    /// Fix the file, column or value that the message names.
    SourceData,
    /// Report the query id: this is a defect of meesh.
    Internal,
}

impl ErrorKind {
    /// Whether the same statement may succeed if it is sent again later.
    pub fn retry_helps(self) -> bool {
        matches!(self, Self::Timeout | Self::Exhausted | Self::SourceUnavailable)
    }

    /// The stable name of the kind, as it stands in logs and in `x-meesh-error-kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidQuery => "INVALID_QUERY",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Unsupported => "UNSUPPORTED",
            Self::Denied => "DENIED",
            Self::Cancelled => "CANCELLED",
            Self::Timeout => "TIMEOUT",
            Self::Exhausted => "EXHAUSTED",
            Self::SourceUnavailable => "SOURCE_UNAVAILABLE",
            Self::SourceData => "SOURCE_DATA",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A place in the statement's text, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line of the statement.
    pub line: u64,
    /// Character of that line.
    pub column: u64,
}

/// An error of meesh. Cheap to clone: partitions of one plan may all report the same one.
///
/// Messages are lower case without a full stop, name the kind of object and its quoted name, and
/// never hold a secret or a Rust type.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<Position>,
    code: Option<&'static str>,
    passing: bool,
    query: Option<crate::QueryId>,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {$(
        #[doc = concat!("An error of kind [`ErrorKind::", stringify!($kind), "`].")]
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(ErrorKind::$kind, message)
        }
    )*};
}

impl Error {
    /// An error of `kind` with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            code: None,
            passing: false,
            query: None,
            cause: None,
        }))
    }

    constructors! {
        invalid_query => InvalidQuery,
        not_found => NotFound,
        already_exists => AlreadyExists,
        unsupported => Unsupported,
        denied => Denied,
        cancelled => Cancelled,
        timeout => Timeout,
        exhausted => Exhausted,
        source_unavailable => SourceUnavailable,
        source_data => SourceData,
        internal => Internal,
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Adds what a person may need beside the message, such as the source's own words.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        self.change(|e| e.detail = Some(detail.into()))
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        self.change(|e| e.hint = Some(hint.into()))
    }

    /// Adds the place in the statement.
    #[must_use]
    pub fn with_position(self, position: Position) -> Self {
        self.change(|e| e.position = Some(position))
    }

    /// Adds the name that Trino gives this error, such as `COLUMN_NOT_FOUND`.
    #[must_use]
    pub fn with_code(self, code: &'static str) -> Self {
        self.change(|e| e.code = Some(code))
    }

    /// Says that it comes from an event that has passed: a query of which no row has left may run again at
    /// once.
    #[must_use]
    pub fn passing(self) -> Self {
        self.change(|e| e.passing = true)
    }

    /// Adds the query that failed with it.
    #[must_use]
    pub fn with_query(self, id: &crate::QueryId) -> Self {
        self.change(|e| e.query = Some(id.clone()))
    }

    /// Keeps the error that led to this one, for the log.
    #[must_use]
    pub fn with_cause(self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.change(|e| e.cause = Some(Arc::new(cause)))
    }

    /// Puts where it happened in front of the message: `catalog "sales": …`.
    #[must_use]
    pub fn in_context(self, context: impl fmt::Display) -> Self {
        self.change(|e| e.message = format!("{context}: {}", e.message))
    }

    /// The same error with its message changed.
    #[must_use]
    pub fn reworded(self, change: impl FnOnce(&str) -> String) -> Self {
        self.change(|e| e.message = change(&e.message))
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without position, detail and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// More about it, if there is more.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What to do, if that is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where in the statement, if it is the statement's fault.
    pub fn position(&self) -> Option<Position> {
        self.0.position
    }

    /// Whether it comes from an event that has passed, such as a session that was lost.
    pub fn is_passing(&self) -> bool {
        self.0.passing
    }

    /// The query that failed, once it had a name.
    pub fn query(&self) -> Option<&crate::QueryId> {
        self.0.query.as_ref()
    }

    /// Trino's name for the error, if a special one applies.
    pub fn code(&self) -> Option<&'static str> {
        self.0.code
    }
}

/// One line: message, place, detail, hint.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.0.position {
            write!(f, "line {line}:{column}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind.name())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|c| c.as_ref() as _)
    }
}
