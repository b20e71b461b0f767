//! One relation as the server describes it, and how the answers of the catalog queries become it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use meesh_base::{Error, Result, quote_identifier};
use meesh_connector_spi::{ColumnInfo, TableDescription, TableInfo, TableKind};

use super::queries;
use crate::config::{NumericMapping, PostgresConfig};
use crate::pushdown::literal::quote_text;
use crate::types::{Attribute, Collation, ColumnType, TypeResolver, TypeRow};
use crate::wire::QueryResult;

/// What a row takes beside its values: header and line pointer.
const ROW_OVERHEAD_BYTES: u64 = 28;

/// A table, view or the like, with everything that planning a scan of it needs.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// The schema's name as the server has it.
    pub(crate) schema: String,
    /// Its name as the server has it.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: TableKind,
    /// Its comment.
    pub(crate) comment: Option<String>,
    /// Its columns in order.
    pub(crate) columns: Vec<Arc<RemoteColumn>>,
    /// Names of the primary key's columns, in key order.
    pub(crate) primary_key: Vec<String>,
    /// Rows as the server estimates them; `None` for views and the like.
    pub(crate) rows: Option<u64>,
    /// Whether the server's texts are in UTF-8, so that `COLLATE "C"` is the order of code points.
    pub(crate) utf8: bool,
    /// Its columns when it was described, as [`super::fingerprint`] of it.
    pub(crate) fingerprint: String,
}

/// A column of a relation.
#[derive(Debug, Clone)]
pub(crate) struct RemoteColumn {
    /// Its name as the server has it.
    pub(crate) name: String,
    /// What it becomes, how it travels, what can be pushed about it.
    pub(crate) column_type: ColumnType,
    /// Its collation; of no meaning for what is no text.
    pub(crate) collation: Collation,
    /// Whether NULL may come.
    pub(crate) nullable: bool,
    /// The server's name of its type.
    pub(crate) native_type: String,
    /// Its comment.
    pub(crate) comment: Option<String>,
}

impl Relation {
    /// An expression for the fingerprint that it has now, wherever its name leads.
    pub(crate) fn fingerprint_now(&self) -> String {
        let name = format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name));
        queries::fingerprint(&format!("pg_catalog.to_regclass({})", quote_text(&name)))
    }

    /// The columns as Arrow fields.
    pub(crate) fn schema(&self) -> SchemaRef {
        let field =
            |column: &Arc<RemoteColumn>| Field::new(&column.name, column.column_type.arrow.clone(), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// Everything for people.
    pub(crate) fn describe(&self) -> TableDescription {
        let column = |column: &Arc<RemoteColumn>| ColumnInfo {
            name: column.name.clone(),
            native_type: column.native_type.clone(),
            nullable: column.nullable,
            comment: column.comment.clone(),
        };
        TableDescription {
            info: TableInfo { name: self.name.clone(), kind: self.kind, comment: self.comment.clone() },
            schema: self.schema(),
            columns: self.columns.iter().map(column).collect(),
            primary_key: self.primary_key.clone(),
            row_estimate: self.rows,
            properties: Vec::new(),
        }
    }

    /// Bytes of a row in Arrow, roughly.
    pub(crate) fn row_bytes<'a>(types: impl IntoIterator<Item = &'a DataType>) -> u64 {
        // Texts and the like: a view and some characters.
        const VARIABLE: usize = 32;
        types.into_iter().map(|data_type| data_type.primitive_width().unwrap_or(VARIABLE) as u64).sum()
    }
}

/// What a relation's `relkind` is called here.
pub(super) fn table_kind(relkind: &str, schema: &str) -> TableKind {
    match (schema, relkind) {
        ("pg_catalog" | "information_schema", _) => TableKind::SystemTable,
        (_, "v") => TableKind::View,
        (_, "m") => TableKind::MaterializedView,
        (_, "f") => TableKind::ForeignTable,
        _ => TableKind::Table,
    }
}

/// Builds relations from the six answers to [`super::queries::details`].
///
/// # Errors
/// `SourceUnavailable` if an answer is missing.
pub(super) fn relations(answers: &[QueryResult], config: &PostgresConfig) -> Result<Vec<Arc<Relation>>> {
    let [relations, columns, types, attributes, keys, database] = answers else {
        return Err(Error::source_unavailable(format!(
            "catalog {:?}: the server did not answer every metadata query",
            config.options.catalog
        )));
    };
    let mut types: HashMap<u32, TypeRow> = types.rows.iter().map(|row| type_row(&Row(row))).collect();
    for row in &attributes.rows {
        let row = Row(row);
        if let Some(composite) = types.get_mut(&row.number(0)) {
            composite.attributes.push(attribute(&row));
        }
    }
    let database = database.rows.first().map(|row| Row(row));
    let utf8 = database.as_ref().is_some_and(|row| row.text(0) == "UTF8");
    let default_bytewise = database.as_ref().is_some_and(|row| is_bytewise(row.text(1)));
    let numeric: NumericMapping = config.numeric;
    let resolver = TypeResolver { types: &types, numeric, as_text: &config.types_as_text };

    let mut by_relation: HashMap<u32, Vec<Arc<RemoteColumn>>> = HashMap::new();
    for row in &columns.rows {
        let row = Row(row);
        by_relation.entry(row.number(0)).or_default().push(Arc::new(column(&row, &resolver, default_bytewise)));
    }
    let mut keys_by_relation: HashMap<u32, Vec<String>> = HashMap::new();
    for row in &keys.rows {
        let row = Row(row);
        keys_by_relation.entry(row.number(0)).or_default().push(row.text(1).to_owned());
    }
    Ok(relations
        .rows
        .iter()
        .map(|row| {
            let row = Row(row);
            let oid = row.number(0);
            let columns = by_relation.remove(&oid).unwrap_or_default();
            Arc::new(relation(&row, columns, keys_by_relation.remove(&oid).unwrap_or_default(), utf8))
        })
        .collect())
}

/// One row of an answer; a value that is missing reads as empty, or as the type's default.
struct Row<'a>(&'a [Option<String>]);

impl<'a> Row<'a> {
    fn optional(&self, index: usize) -> Option<&'a str> {
        self.0.get(index).and_then(Option::as_deref)
    }

    fn text(&self, index: usize) -> &'a str {
        self.optional(index).unwrap_or_default()
    }

    fn number<T: std::str::FromStr + Default>(&self, index: usize) -> T {
        self.text(index).parse().unwrap_or_default()
    }

    fn is_true(&self, index: usize) -> bool {
        self.text(index) == "t"
    }
}

fn type_row(row: &Row<'_>) -> (u32, TypeRow) {
    let parsed = TypeRow {
        name: row.text(1).to_owned(),
        kind: row.text(2).to_owned(),
        base: row.number(3),
        base_typmod: row.number(4),
        base_dimensions: row.number(5),
        element: row.number(6),
        attributes: Vec::new(),
    };
    (row.number(0), parsed)
}

fn attribute(row: &Row<'_>) -> Attribute {
    Attribute { name: row.text(1).to_owned(), oid: row.number(2), typmod: row.number(3), dimensions: row.number(4) }
}

fn column(row: &Row<'_>, resolver: &TypeResolver<'_>, default_bytewise: bool) -> RemoteColumn {
    let oid: u32 = row.number(8);
    let collation = match oid {
        0 | Collation::DEFAULT_OID => {
            Collation { oid: Collation::DEFAULT_OID, deterministic: true, bytewise: default_bytewise }
        }
        _ => Collation {
            oid,
            deterministic: row.is_true(9),
            // An ICU collation may be called anything.
            bytewise: row.text(11) != "i" && is_bytewise(row.text(10)),
        },
    };
    RemoteColumn {
        name: row.text(1).to_owned(),
        column_type: resolver.column(row.number(2), row.number(3), row.number(4)),
        collation,
        nullable: !row.is_true(5),
        native_type: row.text(6).to_owned(),
        comment: row.optional(7).map(str::to_owned),
    }
}

/// Collations whose order is that of the bytes, in any server.
fn is_bytewise(name: &str) -> bool {
    matches!(name, "C" | "POSIX" | "ucs_basic")
}

fn relation(row: &Row<'_>, columns: Vec<Arc<RemoteColumn>>, primary_key: Vec<String>, utf8: bool) -> Relation {
    let schema = row.text(1).to_owned();
    let relkind = row.text(3);
    let estimated: Option<f64> = row.optional(5).and_then(|rows| rows.parse().ok());
    let bytes: Option<u64> = row.optional(6).and_then(|bytes| bytes.parse().ok());
    let stored = matches!(relkind, "r" | "p" | "m");
    let rows = match (estimated, bytes) {
        _ if !stored && relkind != "f" => None,
        // Never analyzed, as the planner does: what would fill its pages.
        (_, Some(bytes)) => {
            let row_bytes = Relation::row_bytes(columns.iter().map(|column| &column.column_type.arrow));
            Some(bytes / (row_bytes + ROW_OVERHEAD_BYTES))
        }
        (Some(rows), None) if rows >= 0.0 => Some(rows as u64),
        _ => None,
    };
    // A foreign table's NOT NULL is a promise that nobody keeps watch over.
    let columns = if stored { columns } else { columns.into_iter().map(nullable).collect() };
    Relation {
        kind: table_kind(relkind, &schema),
        name: row.text(2).to_owned(),
        schema,
        comment: row.optional(4).map(str::to_owned),
        columns,
        primary_key,
        rows,
        utf8,
        fingerprint: row.text(7).to_owned(),
    }
}

fn nullable(column: Arc<RemoteColumn>) -> Arc<RemoteColumn> {
    match Arc::try_unwrap(column) {
        Ok(column) => Arc::new(RemoteColumn { nullable: true, ..column }),
        Err(shared) => shared,
    }
}
