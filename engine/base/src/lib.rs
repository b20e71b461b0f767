//! What every crate of meesh may depend on: errors, identifiers, the scope of one query, secrets and
//! the definition of a configuration key.
//!
//! Nothing here knows a data source, a protocol or a query plan, and nothing here does I/O.

mod config;
mod definition;
mod error;
mod names;
mod scope;
mod secret;
mod units;

pub use config::{ConfigKey, ConfigValues, Effect, ValueKind};
pub use definition::{Definition, NewColumn, SqlType};
pub use error::{Error, ErrorKind, Position, Result};
pub use names::{nearest, quote_identifier};
pub use scope::{QueryId, QueryScope, SourceProgress};
pub use secret::Secret;
pub use units::{format_bytes, format_duration, parse_bytes, parse_duration};
