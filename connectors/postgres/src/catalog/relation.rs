//! One relation as the server describes it, and how the answers of the catalog queries become it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::scalar::ScalarValue;
use meesh_base::{Error, Result, quote_identifier};
use meesh_connector_spi::{ColumnInfo, ColumnStatistics, TableDescription, TableInfo, TableKind, TableStatistics};

use crate::config::{NumericMapping, PostgresConfig};
use crate::quote::quote_text;
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
    /// Pages of its largest part, roughly, if a range of `ctid` finds rows: not in views and foreign tables.
    pub(crate) pages: Option<u64>,
    /// Names of the columns by which an index finds rows.
    pub(crate) indexed: Vec<String>,
    /// Whether LOCK TABLE takes it: a table whose columns this role may all read.
    pub(crate) lockable: bool,
    /// Whether the server's texts are in UTF-8, so that `COLLATE "C"` is the order of code points.
    pub(crate) utf8: bool,
    /// Whether the server looks a value up in a list that it compares with each (14 and later), instead of going
    /// through the list for every row.
    pub(crate) hashes_lists: bool,
}

/// A column of a relation.
#[derive(Debug, Clone)]
pub(crate) struct RemoteColumn {
    /// Its name as the server has it.
    pub(crate) name: String,
    /// The oid of its type.
    pub(crate) type_oid: u32,
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
    /// What ANALYZE has found in it, if it was asked for.
    pub(crate) values: Option<ColumnValues>,
}

/// What ANALYZE has found in a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnValues {
    /// The share of NULL, 0 to 1.
    pub(crate) null_share: f64,
    /// How many different values there are, if that is known.
    pub(crate) distinct: Option<f64>,
    /// Bytes of a value in the server, on average.
    pub(crate) width: f64,
    /// The least and the greatest value that it came across.
    pub(crate) ends: Option<(ScalarValue, ScalarValue)>,
}

impl Relation {
    /// Its name as it stands in statements.
    pub(crate) fn quoted_name(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }

    /// Its columns that `statement` names, without those that every table has.
    fn named_in(&self, statement: &str) -> impl Iterator<Item = (&Arc<RemoteColumn>, String)> {
        let own = self.columns.iter().filter(|column| !column.is_system());
        own.map(|column| (column, quote_identifier(&column.name))).filter(|(_, name)| statement.contains(name.as_str()))
    }

    /// The oids of the types of the columns that `statement` names, as PostgreSQL prints an array.
    pub(crate) fn types(&self, statement: &str) -> String {
        let oids: Vec<String> = self.named_in(statement).map(|(column, _)| column.type_oid.to_string()).collect();
        format!("{{{}}}", oids.join(","))
    }

    /// An expression for the same as it is now, wherever its name leads.
    pub(crate) fn types_now(&self, statement: &str) -> String {
        let row = self.quoted_name();
        let types = self
            .named_in(statement)
            .map(|(_, column)| format!("pg_catalog.pg_typeof((NULL::{row}).{column})::pg_catalog.oid"));
        format!("ARRAY[{}]::pg_catalog.oid[]::pg_catalog.text", types.collect::<Vec<_>>().join(", "))
    }

    /// [`Self::types_now`], and something else if its rows have moved since the transaction's snapshot was
    /// taken, so that it would not see them.
    pub(crate) fn types_now_unless_moved(&self, statement: &str) -> String {
        let types = self.types_now(statement);
        if matches!(self.kind, TableKind::View | TableKind::ForeignTable) {
            return types;
        }
        let relation = format!("pg_catalog.to_regclass({})", quote_text(&self.quoted_name()));
        format!(
            "{types} || CASE WHEN (SELECT c.relfilenode FROM pg_catalog.pg_class c \
             WHERE c.oid = {relation} AND c.relfilenode <> 0) <> pg_catalog.pg_relation_filenode({relation}) \
             THEN ' rewritten' ELSE '' END"
        )
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

    /// What the last ANALYZE has found, for people.
    pub(crate) fn statistics(&self) -> TableStatistics {
        let rows = self.rows.map(|rows| rows as f64);
        let column = |column: &Arc<RemoteColumn>| {
            let name = column.name.clone();
            let Some(values) = &column.values else { return ColumnStatistics { name, ..Default::default() } };
            ColumnStatistics {
                name,
                bytes: rows.map(|rows| rows * (1.0 - values.null_share) * values.width),
                distinct: values.distinct,
                null_share: Some(values.null_share),
                ends: values.ends.clone(),
            }
        };
        TableStatistics { rows, columns: self.columns.iter().map(column).collect() }
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

/// Builds relations from the eight answers to [`super::queries::details`].
///
/// # Errors
/// `SourceUnavailable` if an answer is missing.
pub(super) fn relations(answers: &[QueryResult], config: &PostgresConfig) -> Result<Vec<Arc<Relation>>> {
    let [relations, columns, types, attributes, keys, indexes, values, database] = answers else {
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
    let hashes_lists = database.as_ref().is_some_and(|row| row.text(2) == "t");
    let default_bytewise = database.as_ref().is_some_and(|row| is_bytewise(row.text(1)));
    let numeric: NumericMapping = config.numeric;
    let resolver = TypeResolver { types: &types, numeric, as_text: &config.types_as_text };

    // Of a parent the later row, which counts its children, too.
    let mut values: HashMap<(u32, &str), Row<'_>> =
        values.rows.iter().map(|row| Row(row)).map(|row| ((row.number(0), row.text(1)), row)).collect();
    let mut columns_of: HashMap<u32, Vec<(RemoteColumn, Option<Row<'_>>)>> = HashMap::new();
    for row in &columns.rows {
        let row = Row(row);
        let column = column(&row, &resolver, default_bytewise);
        let values = values.remove(&(row.number(0), row.text(1)));
        columns_of.entry(row.number(0)).or_default().push((column, values));
    }
    let (mut keys, mut indexed) = (names_by_relation(keys), names_by_relation(indexes));
    let relation = |row: &Vec<Option<String>>| {
        let row = Row(row);
        let oid = row.number(0);
        let relation = Relation {
            primary_key: keys.remove(&oid).unwrap_or_default(),
            indexed: indexed.remove(&oid).unwrap_or_default(),
            utf8,
            hashes_lists,
            ..relation(&row, columns_of.remove(&oid).unwrap_or_default())
        };
        Arc::new(relation)
    };
    Ok(relations.rows.iter().map(relation).collect())
}

/// Rows of an oid and a name.
fn names_by_relation(answer: &QueryResult) -> HashMap<u32, Vec<String>> {
    let mut names: HashMap<u32, Vec<String>> = HashMap::new();
    for row in &answer.rows {
        let row = Row(row);
        names.entry(row.number(0)).or_default().push(row.text(1).to_owned());
    }
    names
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
        type_oid: row.number(2),
        column_type: resolver.column(row.number(2), row.number(3), row.number(4)),
        collation,
        nullable: !row.is_true(5),
        native_type: row.text(6).to_owned(),
        comment: row.optional(7).map(str::to_owned),
        values: None,
    }
}

/// What a row of `pg_stats` says of a column of `arrow` in a relation of so many rows.
fn column_values(row: &Row<'_>, arrow: &DataType, rows: Option<u64>) -> ColumnValues {
    let distinct: f64 = row.number(3);
    let value = |text: &str| ScalarValue::try_from_string(text.to_owned(), arrow).ok().filter(|value| !value.is_null());
    let common = row.text(7).trim_matches(['{', '}']).split(',').map(|text| text.trim_matches('"'));
    let seen: Vec<ScalarValue> =
        common.chain([row.text(5), row.text(6)]).filter(|text| !text.is_empty()).filter_map(value).collect();
    let end =
        |wanted: Ordering| seen.iter().cloned().reduce(|a, b| if b.partial_cmp(&a) == Some(wanted) { b } else { a });
    // Of a text the commas are its own.
    let ordered = !arrow.is_string() && !arrow.is_nested() && !arrow.is_floating();
    ColumnValues {
        null_share: row.number(2),
        distinct: match (distinct, rows) {
            (distinct, _) if distinct > 0.0 => Some(distinct),
            // A share of the rows.
            (distinct, Some(rows)) if distinct < 0.0 => Some(-distinct * rows as f64),
            _ => None,
        },
        width: row.number(4),
        ends: end(Ordering::Less).zip(end(Ordering::Greater)).filter(|_| ordered),
    }
}

/// Collations whose order is that of the bytes, in any server.
fn is_bytewise(name: &str) -> bool {
    matches!(name, "C" | "POSIX" | "ucs_basic")
}

/// A relation, but for its keys and indexes.
fn relation(row: &Row<'_>, columns: Vec<(RemoteColumn, Option<Row<'_>>)>) -> Relation {
    let schema = row.text(1).to_owned();
    let relkind = row.text(3);
    let estimated: Option<f64> = row.optional(5).and_then(|rows| rows.parse().ok());
    let bytes: Option<u64> = row.optional(6).and_then(|bytes| bytes.parse().ok());
    let stored = matches!(relkind, "r" | "p" | "m");
    let rows = match (estimated, bytes) {
        _ if !stored && relkind != "f" => None,
        // Never analyzed, as the planner does: what would fill its pages.
        (_, Some(bytes)) => {
            let row_bytes = Relation::row_bytes(columns.iter().map(|(column, _)| &column.column_type.arrow));
            Some(bytes / (row_bytes + ROW_OVERHEAD_BYTES))
        }
        (Some(rows), None) if rows >= 0.0 => Some(rows as u64),
        _ => None,
    };
    let column = |(column, values): (RemoteColumn, Option<Row<'_>>)| {
        let values = values.map(|row| column_values(&row, &column.column_type.arrow, rows));
        // A foreign table's NOT NULL is a promise that nobody keeps watch over.
        Arc::new(RemoteColumn { nullable: column.nullable || !stored, values, ..column })
    };
    let columns = columns.into_iter().map(column).collect();
    Relation {
        kind: table_kind(relkind, &schema),
        name: row.text(2).to_owned(),
        schema,
        comment: row.optional(4).map(str::to_owned),
        columns,
        primary_key: Vec::new(),
        rows,
        pages: row.optional(7).and_then(|pages| pages.parse().ok()),
        lockable: row.is_true(8),
        indexed: Vec::new(),
        utf8: false,
        hashes_lists: false,
    }
}
