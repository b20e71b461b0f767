//! The answers to "what is there?".

use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;

/// What kind of relation a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// A table that holds its rows.
    Table,
    /// A stored query.
    View,
    /// A stored query with stored rows.
    MaterializedView,
    /// A table of the source's that lives elsewhere.
    ForeignTable,
    /// A table of meesh's or the source's own bookkeeping.
    SystemTable,
}

impl TableKind {
    /// The `table_type` that Flight SQL and `information_schema` speak in.
    pub fn table_type(self) -> &'static str {
        match self {
            Self::Table | Self::ForeignTable => "BASE TABLE",
            Self::View | Self::MaterializedView => "VIEW",
            Self::SystemTable => "SYSTEM TABLE",
        }
    }
}

/// One line of a table listing.
#[derive(Debug, Clone)]
pub struct TableInfo {
    /// The name as the source has it.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// The source's comment on it.
    pub comment: Option<String>,
}

/// What a person may want to know of one column beside its Arrow field.
#[derive(Debug, Clone)]
pub struct ColumnInfo {
    /// The name as the source has it.
    pub name: String,
    /// The source's own name of its type, such as `numeric(12,2)`.
    pub native_type: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// The source's comment on it.
    pub comment: Option<String>,
}

/// One table in full, for DESCRIBE, SHOW CREATE TABLE, GetTables and the optimizer.
#[derive(Debug, Clone)]
pub struct TableDescription {
    /// Name, kind and comment.
    pub info: TableInfo,
    /// Its columns' Arrow types, in order.
    pub schema: SchemaRef,
    /// The same columns in the source's words, in the same order.
    pub columns: Vec<ColumnInfo>,
    /// Names of the primary key's columns, in key order; empty if there is none.
    pub primary_key: Vec<String>,
    /// The source's estimate of its rows.
    pub row_estimate: Option<u64>,
    /// What SHOW CREATE TABLE adds in `WITH (…)`, such as `format = 'PARQUET'`.
    pub properties: Vec<(String, String)>,
}

/// The answer to "how are you?".
#[derive(Debug, Clone)]
pub struct Health {
    /// What the source calls itself, with its version.
    pub version: String,
    /// How long the probe took.
    pub latency: std::time::Duration,
}

/// What a source knows of a table's values without reading it, as of some time ago.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableStatistics {
    /// Rows.
    pub rows: Option<f64>,
    /// Its columns, in their order.
    pub columns: Vec<ColumnStatistics>,
}

/// What a source knows of a column's values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnStatistics {
    /// The column's name as the source has it.
    pub name: String,
    /// Bytes of all values together.
    pub bytes: Option<f64>,
    /// Different values.
    pub distinct: Option<f64>,
    /// The share of NULL, 0 to 1.
    pub null_share: Option<f64>,
    /// The least and the greatest value.
    pub ends: Option<(ScalarValue, ScalarValue)>,
}
