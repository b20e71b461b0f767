//! What a connector is.
//!
//! A connector answers four questions: what is there ([`Connector::schemas`] …), what can you take
//! ([`Pushdown`]), give me the rows ([`SourceScan`]), how are you ([`Connector::probe`]); one that can be
//! written to answers a fifth ([`Writes`]); and at the
//! start, what do you need ([`ConnectorFactory::keys`]). It never names a door, and the engine never
//! names a connector: both speak in the types of this crate. No I/O happens here.

mod catalog;
mod connector;
mod error;
mod exec;
mod keys;
mod pushdown;
mod table;
mod words;
mod write;

pub use catalog::{ColumnInfo, ColumnStatistics, Health, TableDescription, TableInfo, TableKind, TableStatistics};
pub use connector::{CheckStep, Connector, ConnectorFactory};
pub use error::{from_arrow, from_datafusion, into_arrow, into_datafusion, unwrap_datafusion};
pub use exec::{SourceScanExec, query_scope};
pub use keys::{ColumnKeys, Keys, NeededRows, RowFilters};
pub use pushdown::{Estimate, PlannedFragment, Pushdown, ScanReport, ScanRequest, SourceScan, Verdict};
pub use table::{SourceTable, source_table};
pub use words::in_sql_words;
pub use write::{Into, RowAction, RowStream, Rows, SourceWrite, TargetColumn, Write, WriteTarget, Writes};

pub use meesh_base as base;
