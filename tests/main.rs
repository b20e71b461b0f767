//! The tests of the whole, as one binary: the picture of the house, SQL files, connectors, faults.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod architecture;
mod conformance;
mod environment;
mod postgres_oracle;
mod sql_files;
