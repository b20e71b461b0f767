//! PostgreSQL as a source of meesh.
//!
//! ```text
//! PostgresFactory -> PostgresConnector (connector.rs)
//!   what is there?       catalog.rs  -> types.rs
//!   what can you take?   scan/plan.rs -> pushdown.rs -> a SELECT
//!   give me the rows     scan.rs     -> snapshot.rs -> pool.rs -> wire/ (rows) -> decode.rs -> record batches
//!   write this           write.rs    -> encode.rs -> pool.rs -> wire/ (COPY BINARY)
//!   how are you?         check.rs
//! ```

mod catalog;
mod check;
mod config;
mod connector;
mod decode;
mod encode;
mod passed;
mod pool;
mod pushdown;
mod quote;
mod scan;
mod snapshot;
#[cfg(test)]
mod testing;
mod types;
mod wire;
mod write;

pub use connector::PostgresFactory;
