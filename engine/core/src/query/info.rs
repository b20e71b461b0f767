//! What anybody may know of a query, at one moment.

use std::time::SystemTime;

use meesh_base::{Error, QueryId};

/// Where a query stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryState {
    /// Waits for a place among the running ones, or for its client to fetch the first row.
    Queued,
    /// Names are resolved, the plan is made.
    Planning,
    /// Rows flow.
    Running,
    /// The last row has left; sources are being released.
    Finishing,
    /// Ended well.
    Finished,
    /// Ended with an error.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl QueryState {
    /// The name that `system.runtime.queries` shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Planning => "PLANNING",
            Self::Running => "RUNNING",
            Self::Finishing => "FINISHING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether nothing will happen to it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Cancelled)
    }
}

/// How far the reading of one source is.
#[derive(Debug, Clone)]
pub struct SourceInfo {
    /// The catalog's name.
    pub catalog: String,
    /// Rows received.
    pub rows: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Units of work done.
    pub units_done: u64,
    /// Units of work known of.
    pub units_total: u64,
}

/// One query at one moment.
#[derive(Debug, Clone)]
pub struct QueryInfo {
    /// Its name.
    pub id: QueryId,
    /// Who runs it.
    pub user: String,
    /// The client program's name.
    pub source: Option<String>,
    /// The statement as it came.
    pub text: String,
    /// Where it stands.
    pub state: QueryState,
    /// When it was accepted.
    pub created: SystemTime,
    /// When it began to run.
    pub started: Option<SystemTime>,
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// Rows sent to the client.
    pub rows: u64,
    /// Bytes of Arrow memory sent to the client.
    pub bytes: u64,
    /// 0 to 1; never falls, and 1 only at the end.
    pub progress: f64,
    /// What each source has delivered.
    pub sources: Vec<SourceInfo>,
    /// Why it failed.
    pub error: Option<Error>,
    /// The most memory its operators held at once.
    pub memory_peak_bytes: u64,
}
