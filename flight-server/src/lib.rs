//! The Arrow Flight SQL door: the protocol's service over the engine, and nothing else.
//!
//! ```text
//! connection (listen) --> DoGet (codec) or any other method --> service --> who calls (call, auth, session)
//!     --> statement | prepared | update | metadata | action | poll --> Engine
//! ```
//! No SQL is looked at here and no result is kept.

mod action;
mod auth;
mod call;
mod coalesce;
mod codec;
mod delivery;
mod encode;
mod error;
mod handle;
mod handshake;
mod listen;
mod metadata;
mod parked;
mod password;
mod poll;
mod prepared;
mod proto;
mod serve;
mod service;
mod session;
mod session_options;
mod sql_info;
mod sql_words;
mod statement;
mod table_schema;
mod update;
mod wire_types;
mod xdbc_types;

pub use listen::ConnectionLimits;
pub use password::PasswordFile;
pub use serve::{FlightServerConfig, TlsFiles, serve};

#[cfg(test)]
mod tests;
