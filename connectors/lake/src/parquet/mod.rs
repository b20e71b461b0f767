//! Parquet, read by DataFusion's reader: row groups, pages and bloom filters are skipped by static and
//! dynamic filters. Ours are the bytes (pinned to one version), the footers (kept, and checked before
//! they are believed, but of floats not further than they go), the row group after the one that is decoded,
//! exact widening, and errors that name the object.

mod ahead;
mod exact;
mod footer;
mod nan;
mod nulls;
mod reader;
mod scan;
mod source;
mod statistics;

pub(crate) use footer::FooterCache;
pub(crate) use scan::{ParquetFile, ParquetScan, plan};
