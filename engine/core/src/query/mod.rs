//! The life of queries: one registry of them, and the stream of rows of each.

mod info;
mod parked;
mod record;
mod run;
mod stream;

pub use info::{QueryInfo, QueryState, SourceInfo};
pub(crate) use parked::Parked;
pub(crate) use record::{Queries, QueryRecord};
pub(crate) use run::{Run, run};
pub use stream::QueryStream;
