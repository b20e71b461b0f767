//! The engine: the one door behind which statements become rows.
//!
//! ```text
//! Engine::query -> session -> statement -> catalog view -> logical plan -> federated plan -> QueryStream
//! ```
//!
//! It knows no protocol and no data source: doors call [`Engine`], sources are [`Connector`]s.

mod answer;
mod catalog;
mod cooperate;
mod engine;
mod exact;
mod federate;
mod limits;
mod parameters;
mod plan;
mod plan_error;
mod planning;
mod query;
mod session;
#[cfg(test)]
mod tests;
mod write;
mod written;

pub use catalog::{CatalogState, Catalogs, MetadataFilter, SchemaEntry, TableEntry};
pub use engine::{Engine, EngineConfig, Prepared, StatementKind, runtime};
pub use limits::container_memory_bytes;
pub use parameters::Parameters;
pub use query::{QueryInfo, QueryState, QueryStream, SourceInfo};
pub use session::{Session, SessionChange, SessionProperty};

pub use meesh_base::{Error, ErrorKind, Position, QueryId, QueryScope, Result};
pub use meesh_connector_spi::{
    CheckStep, ColumnInfo, Connector, ConnectorFactory, Health, TableDescription, TableInfo, TableKind,
};
pub use meesh_sql::{RESERVED_WORDS, type_name};
