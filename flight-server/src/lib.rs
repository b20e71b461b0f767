//! The Arrow Flight SQL door: the protocol's service over the engine, and nothing else.
//!
//! ```text
//! connection (listen, tls) --> routes: who calls? (call, auth, token, session) --> DoGet (codec) or any other method
//!     --> service --> statement | prepared | update | metadata | action | poll --> Engine
//! ```
//! No SQL is looked at here and no result is kept.

mod action;
mod auth;
mod call;
mod coalesce;
mod codec;
mod config;
mod delivery;
mod encode;
mod error;
mod followed;
mod handle;
mod handshake;
mod listen;
mod metadata;
mod parked;
mod password;
mod poll;
mod polled;
mod prepared;
mod proto;
mod reflection;
mod request_body;
mod routes;
mod serve;
mod service;
mod session;
mod session_options;
mod sql_info;
mod sql_words;
mod statement;
mod table_schema;
mod tls;
mod token;
mod update;
mod wire_types;
mod xdbc_types;

pub use config::FlightServerConfig;
pub use listen::ConnectionLimits;
pub use password::PasswordFile;
pub use serve::serve;
pub use tls::TlsFiles;

#[cfg(test)]
mod tests;
