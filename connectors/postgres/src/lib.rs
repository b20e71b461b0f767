//! PostgreSQL as a source of meesh.
//!
//! ```text
//! PostgresFactory -> PostgresConnector (connector.rs)
//!   what is there?       catalog.rs  -> types.rs
//!   what can you take?   pushdown.rs -> a SELECT
//!   give me the rows     scan.rs     -> snapshot.rs -> pool.rs -> wire/ (COPY BINARY) -> decode.rs -> record batches
//!   how are you?         check.rs
//! ```

mod catalog;
mod check;
mod config;
mod connector;
mod decode;
mod pool;
mod pushdown;
mod scan;
mod snapshot;
#[cfg(test)]
mod testing;
mod types;
mod wire;

pub use connector::PostgresFactory;
