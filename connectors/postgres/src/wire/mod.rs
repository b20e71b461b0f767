//! Our own reader of PostgreSQL's protocol (manual, chapter 55): from the socket's receive buffer
//! straight to a decoder.
//!
//! ```text
//! ConnectOptions --connect--> Connection --start_rows--> read_rows --(payload in the buffer)--> RowSink
//!   options         tls, login   one session, no task of its own        pace: few wake-ups
//! ```
//!
//! A session is driven by whoever holds it: nothing runs between the calls, and dropping a call
//! leaves the session in a state that says what is owed to the server (see [`Connection`]).
//! There is no channel, no task and no allocation between a row and its sink.

mod authenticate;
mod cancel;
mod certificate;
mod connect;
mod connection;
mod copy_in;
mod error;
mod message;
mod options;
mod pace;
mod query;
mod receive;
mod rows;
mod socket_options;
mod tls;
mod transaction;
mod transport;

#[cfg(test)]
mod tests;

pub(crate) use connect::{probe_tcp, probe_tls, resolve};
pub(crate) use connection::Connection;
pub(crate) use copy_in::{Frame, rows_of_tag};
pub(crate) use error::Place;
pub(crate) use message::DescribedColumn;
pub(crate) use options::{ChannelBinding, ConnectOptions, Host, SslMode, TargetServer, TlsOptions, TrustedRoots};
pub(crate) use query::QueryResult;
pub(crate) use rows::{RowOutcome, RowSink, RowsRequest, RowsState, Tuple, ValueFormat};
pub(crate) use transaction::READ_ONLY;
pub(crate) use transport::Endpoint;
