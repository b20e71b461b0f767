//! Files as tables: CSV, JSON and Parquet in any S3 or in a directory, without a metastore.
//!
//! ```text
//! names --discover--> a file or folder --listing--> its files --facts, merge--> columns
//!                                                                  |
//! rows <--csv|json|parquet-- bytes <--pinned-- objects <--prune-- LakeTable::scan
//! ```
//!
//! A query reads one version of each object, the one that was listed first, and no byte that it did
//! not ask for. Files are never written.

mod buckets;
mod build;
mod check;
mod chunks;
mod columns;
mod config;
mod connector;
mod csv;
mod discover;
mod error;
mod facts;
mod feed;
mod format;
mod http;
mod infer;
mod json;
mod keys;
mod keys_ignored;
mod listing;
mod local;
mod location;
mod merge;
mod parquet;
mod partition;
mod piece;
mod pinned;
mod prune;
mod queue;
mod sample;
mod scalar;
mod scan;
mod sqltype;
mod store;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod unpack;
mod values;

pub use connector::{LakeConnector, LakeFactory};
