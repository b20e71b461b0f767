//! The demo's sample data, built into the binary: what `examples/` holds, byte for byte.

use std::path::Path;

use anyhow::{Context, Result};

/// The SQL that fills the database `sales`.
pub(super) const SALES_SQL: &str = include_str!("../../../examples/data/sales.sql");

/// The SQL that fills the database `marketing`.
pub(super) const MARKETING_SQL: &str = include_str!("../../../examples/data/marketing.sql");

/// The bucket that holds [`OBJECTS`].
pub(super) const BUCKET: &str = "lake";

macro_rules! object {
    ($key:literal) => {
        ($key, include_bytes!(concat!("../../../examples/data/lake/", $key)))
    };
}

/// Keys and contents of the objects in [`BUCKET`].
pub(super) const OBJECTS: &[(&str, &[u8])] = &[
    object!("raw/website_traffic/date=2026-03-01/part-0.parquet"),
    object!("raw/website_traffic/date=2026-03-02/part-0.parquet"),
    object!("raw/website_traffic/date=2026-03-03/part-0.parquet"),
    object!("raw/website_traffic/date=2026-03-04/part-0.parquet"),
    object!("raw/website_traffic/date=2026-03-05/part-0.parquet"),
    object!("raw/website_traffic/date=2026-03-06/part-0.parquet"),
    object!("raw/website_traffic/date=2026-03-07/part-0.parquet"),
    object!("raw/regional_targets.csv"),
    object!("raw/support_tickets.ndjson"),
    object!("raw/costs.json"),
];

/// Writes the bucket below `root`, as a folder of files: the layout that the S3 server serves.
pub(super) fn write_bucket(root: &Path) -> Result<()> {
    for (key, bytes) in OBJECTS {
        let file = root.join(BUCKET).join(key);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("could not create folder {folder:?}"))?;
        }
        std::fs::write(&file, bytes).with_context(|| format!("could not write file {file:?}"))?;
    }
    Ok(())
}
