//! What is written to: a table's columns as they are now, and how their values travel.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use meesh_base::{Error, NewColumn, Result, quote_identifier};
use meesh_connector_spi::{TargetColumn, WriteTarget};

use super::define::pg_type;
use super::statement::qualified;
use crate::catalog::{Relation, RemoteColumn};
use crate::connector::PostgresConnector;
use crate::encode::{Carrier, Encoder, carrier, direct};
use crate::pushdown::literal::Reason;
use crate::quote::quote_text;
use crate::types::{Collation, ColumnType, Decoder, Form, TextForm, Wire};
use crate::wire::READ_ONLY;

/// A row's place in its table, as text.
const ROW: &str = "ctid";
/// The table that a row is in: a partition, or a child.
const PART: &str = "tableoid";

/// A table that rows are written to.
#[derive(Debug)]
pub(super) struct PgTarget {
    /// `"schema"."table"`.
    pub(super) name: String,
    /// Catalog and table, for messages.
    pub(super) place: Arc<str>,
    /// Its columns in order.
    pub(super) columns: Vec<PgColumn>,
    /// The question that described it, and the answer; `None` for a table that is made just now.
    pub(super) described: Option<(String, Described)>,
    /// Whether policies say which rows the role may write.
    pub(super) has_row_policies: bool,
}

type Described = Vec<Vec<Option<String>>>;

/// A column that values are written to.
#[derive(Debug, Clone)]
pub(super) struct PgColumn {
    /// Its name as the server has it.
    pub(super) name: String,
    /// What writes values straight into it, if they need no cast.
    pub(super) direct: Option<Encoder>,
    /// What carries them to the cast.
    carrier: Result<Carrier, Reason>,
    /// The type to cast to, where storing alone would not: a text becomes no UUID by itself.
    cast: Option<String>,
    /// Of a `numeric(p, s)`: how many decimals it keeps. Storing rounds what has more.
    decimals: Option<i8>,
}

impl PgColumn {
    /// A column of an existing table.
    fn new(name: &str, arrow: &DataType, row: &ColumnRow<'_>) -> Self {
        // A cast cuts what is too long for a varchar(n); storing it is an error, as it must be.
        let is_text = |oid: u32| matches!(oid, 25 | 1042 | 1043 | 19);
        let needs_cast = match arrow {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => !is_text(row.oid),
            // So it does with every element.
            DataType::List(_) | DataType::FixedSizeList(..) => !is_text(row.element_base),
            _ => false,
        };
        Self {
            name: name.to_owned(),
            direct: direct(arrow, row.oid, row.element, row.is_enum),
            carrier: carrier(arrow),
            cast: needs_cast.then(|| row.type_name.to_owned()),
            decimals: if row.is_bare { None } else { decimals(arrow) },
        }
    }

    /// A column of a table that is made with its rows, whose values are of `arrow`.
    pub(super) fn made(column: &NewColumn, arrow: &DataType) -> Self {
        let (name, oid, element) = pg_type(&column.sql_type);
        let element = element.map(|oid| (oid, false));
        let cast = matches!(oid, 2950 | 3802).then(|| name.clone());
        let direct = direct(arrow, oid, element, false);
        Self { name: column.name.clone(), direct, carrier: carrier(arrow), cast, decimals: decimals(arrow) }
    }

    /// `value` if the column keeps all of its decimals; else the statement fails, and says why.
    pub(super) fn with_all_decimals(&self, value: String) -> String {
        let Some(kept) = self.decimals else { return value };
        let why =
            quote_text(&format!("column {} keeps {kept} decimals, and a value has more", quote_identifier(&self.name)));
        // A text that is no number, and none before there is such a value.
        let fails = format!("({why} || pg_catalog.left({value}::text, 0))::numeric");
        format!("CASE WHEN {value} <> pg_catalog.round({value}, {kept}) THEN {fails} ELSE {value} END")
    }

    /// `value` as it is stored in the column.
    pub(super) fn assigned(&self, value: &str) -> String {
        match &self.cast {
            Some(cast) => format!("{value}::{cast}"),
            None => value.to_owned(),
        }
    }
}

fn decimals(arrow: &DataType) -> Option<i8> {
    match arrow {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    }
}

/// One row of the answer to [`columns_query`].
struct ColumnRow<'a> {
    name: &'a str,
    type_name: &'a str,
    oid: u32,
    is_enum: bool,
    /// Of an array: the type of its elements, and whether that is an enum.
    element: Option<(u32, bool)>,
    /// What the type of its elements is built on; 0 without elements.
    element_base: u32,
    /// Whether it is a `numeric` without precision and scale.
    is_bare: bool,
    refused: Option<&'static str>,
}

impl<'a> ColumnRow<'a> {
    fn new(row: &'a [Option<String>]) -> Self {
        let text = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or_default();
        let element: Option<u32> = text(6).parse().ok();
        Self {
            name: text(0),
            type_name: text(3),
            oid: text(4).parse().unwrap_or(0),
            is_enum: text(5) == "t",
            element: element.map(|oid| (oid, text(7) == "t")),
            element_base: text(11).parse().unwrap_or(0),
            is_bare: text(9) == "1700" && text(10) == "-1",
            refused: match (text(1), text(2)) {
                ("a", _) => Some("it is an identity column, GENERATED ALWAYS"),
                (_, "s" | "v") => Some("it is computed, GENERATED ALWAYS AS"),
                _ => None,
            },
        }
    }
}

/// The columns of a table in order: name, identity, generated, type's name, type's oid (of domains: what
/// they are built on) and whether that is an enum; of a true array the same of its elements; the table's kind; its
/// own type and modifier; what its elements are built on; and whether the table has policies for rows that hold.
fn columns_query(schema: &str, table: &str) -> String {
    // -1: the type without any length, and without the length that its name alone would mean.
    format!(
        "SELECT a.attname, a.attidentity, a.attgenerated, pg_catalog.format_type(a.atttypid, -1), base.oid, \
         base.typtype = 'e', el.oid, el.typtype = 'e', c.relkind, a.atttypid, a.atttypmod, \
         (WITH RECURSIVE e(oid, typtype) AS (SELECT el.oid, el.typtype UNION ALL SELECT t.oid, t.typtype FROM e \
         JOIN pg_catalog.pg_type d ON d.oid = e.oid JOIN pg_catalog.pg_type t ON t.oid = d.typbasetype \
         WHERE e.typtype = 'd') SELECT e.oid FROM e WHERE e.typtype <> 'd'), pg_catalog.row_security_active(c.oid) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         CROSS JOIN LATERAL (WITH RECURSIVE d(oid) AS (SELECT a.atttypid UNION ALL SELECT t.typbasetype FROM d \
         JOIN pg_catalog.pg_type t ON t.oid = d.oid WHERE t.typtype = 'd') \
         SELECT t.oid, t.typtype, t.typelem FROM d JOIN pg_catalog.pg_type t ON t.oid = d.oid WHERE t.typtype <> 'd') base \
         LEFT JOIN pg_catalog.pg_type el ON el.oid = base.typelem AND el.typarray = base.oid \
         WHERE n.nspname = {} AND c.relname = {} ORDER BY a.attnum",
        quote_text(schema),
        quote_text(table)
    )
}

/// Whether two answers tell of the same columns. The name of a type depends on the search path, its oid
/// does not.
pub(super) fn same_columns(one: &[Vec<Option<String>>], other: &[Vec<Option<String>>]) -> bool {
    const TYPE_NAME: usize = 3;
    let same = |(a, b): (&Vec<Option<String>>, &Vec<Option<String>>)| {
        a.len() == b.len() && a.iter().zip(b).enumerate().all(|(index, (a, b))| index == TYPE_NAME || a == b)
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// The table of that name.
///
/// # Errors
/// `Unsupported` for a view and the like, and the server's.
pub(super) async fn target(connector: &PostgresConnector, schema: &str, table: &str) -> Result<Option<WriteTarget>> {
    let known = connector.tables_known();
    known.refresh(Some(schema), Some(table));
    let Some(relation) = known.relation(schema, table).await? else { return Ok(None) };
    let question = columns_query(&relation.schema, &relation.name);
    let mut session = connector.pool().get(None).await?;
    let answer = session.transaction(READ_ONLY, &[], &question).await?.pop().unwrap_or_default();
    drop(session);
    let catalog = connector.catalog_name();
    let name = qualified(&relation.schema, &relation.name);
    let place: Arc<str> = format!("catalog {catalog:?}: table {name}").into();
    let kind = answer.rows.first().and_then(|row| row.get(8).cloned().flatten()).unwrap_or_default();
    if !matches!(kind.as_str(), "r" | "p" | "f" | "") {
        return Err(Error::unsupported(format!("{place} is a view and cannot be written to"))
            .with_hint("write to the table that it shows")
            .with_code("NOT_SUPPORTED"));
    }
    let rows: Vec<ColumnRow<'_>> = answer.rows.iter().map(|row| ColumnRow::new(row)).collect();
    let (mut columns, mut targets) = (Vec::new(), Vec::new());
    for column in &relation.columns {
        let arrow = &column.column_type.arrow;
        let Some(row) = rows.iter().find(|row| row.name == column.name) else {
            return Err(Error::source_unavailable(format!("{place}: its definition is being changed"))
                .with_hint("run the statement again"));
        };
        columns.push(PgColumn::new(&column.name, arrow, row));
        targets.push(TargetColumn {
            name: column.name.clone(),
            data_type: arrow.clone(),
            refused: row.refused.map(str::to_owned),
        });
    }
    let addressed = if matches!(kind.as_str(), "r" | "p") { addressed(connector, &relation) } else { None };
    let has_row_policies = answer.rows.first().and_then(|row| row.get(12)?.as_deref()) == Some("t");
    let described = Some((question, answer.rows));
    Ok(Some(WriteTarget {
        schema_name: relation.schema.clone(),
        table_name: relation.name.clone(),
        columns: targets,
        addressed,
        handle: Arc::new(PgTarget { name, place, columns, described, has_row_policies }),
    }))
}

/// The relation with its two system columns; `None` if it has no others.
fn addressed(connector: &PostgresConnector, relation: &Arc<Relation>) -> Option<Arc<dyn TableProvider>> {
    let like = relation.columns.first()?;
    let system =
        |name: &str, type_oid: u32, arrow: DataType, cast: Option<&'static str>, decoder: Decoder, form: Form| {
            let wire = Wire { cast: cast.map(Into::into), decoder };
            let column_type = ColumnType { arrow, wire, form };
            let (name, native_type, comment) = (name.to_owned(), name.to_owned(), None);
            let column =
                RemoteColumn { name, column_type, nullable: false, native_type, comment, ..like.as_ref().clone() };
            Arc::new(RemoteColumn { collation: Collation::NONE, type_oid, values: None, ..column })
        };
    let text = Decoder::Text(TextForm::Plain);
    let mut columns = relation.columns.clone();
    columns.push(system(ROW, 27, DataType::Utf8View, Some("text"), text, Form::AsText));
    columns.push(system(PART, 26, DataType::UInt32, None, Decoder::UInt32, Form::Plain));
    let relation = Arc::new(Relation { columns, ..relation.as_ref().clone() });
    Some(Arc::new(connector.provider(relation)))
}

impl PgTarget {
    /// That of a target which this connector has made.
    ///
    /// # Errors
    /// `Internal` for any other.
    pub(super) fn of(target: &WriteTarget) -> Result<&Self> {
        let found = target.handle.downcast_ref();
        found.ok_or_else(|| Error::internal(format!("{target:?} is no table of PostgreSQL's")))
    }

    /// Some of its columns.
    ///
    /// # Errors
    /// `Internal` for a column that is not there.
    pub(super) fn some(&self, columns: &[usize]) -> Result<Vec<&PgColumn>> {
        let some: Option<Vec<&PgColumn>> = columns.iter().map(|index| self.columns.get(*index)).collect();
        some.ok_or_else(|| Error::internal(format!("{}: more columns are written than it has", self.place)))
    }

    /// What carries a column's values.
    ///
    /// # Errors
    /// `Unsupported`, naming the column, if nothing does.
    pub(super) fn carrier<'a>(&self, column: &'a PgColumn) -> Result<&'a Carrier> {
        column.carrier.as_ref().map_err(|reason| {
            Error::unsupported(format!("{}: column {}: {reason}", self.place, quote_identifier(&column.name)))
                .with_code("NOT_SUPPORTED")
        })
    }
}

impl RemoteColumn {
    /// Whether it is one that every table has and nobody names: no other can have its name.
    pub(crate) fn is_system(&self) -> bool {
        matches!(self.name.as_str(), ROW | PART)
    }
}
