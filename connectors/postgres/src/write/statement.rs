//! The statements that write, as text. Every name is quoted, and values come only from tables.

use meesh_base::quote_identifier;

use super::computed::Computed;
use super::target::PgColumn;

/// The table that rows wait in, gone with the transaction.
pub(super) const STAGE: &str = "pg_temp.meesh_rows";

/// `"schema"."name"`.
pub(super) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(name))
}

/// A list in parentheses.
pub(super) fn list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.as_ref().to_owned()).collect();
    format!("({})", items.join(", "))
}

/// `c0, c1, …`, the names of columns of what is written.
pub(super) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("c{index}")).collect()
}

/// Rows as something to put behind FROM: `q` with the columns `c0, c1, …`.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A SELECT.
    Select(Computed),
    /// [`STAGE`].
    Stage,
}

impl Source {
    fn text(&self) -> String {
        match self {
            Self::Select(computed) => format!("({}) AS q{}", computed.select, list(numbered(computed.loose.len()))),
            Self::Stage => format!("{STAGE} AS q"),
        }
    }

    /// A query of the same, for WITH.
    fn query(&self) -> String {
        match self {
            Self::Select(computed) => computed.select.clone(),
            Self::Stage => format!("SELECT * FROM {STAGE}"),
        }
    }

    /// The value of `c<index>` as it is stored in `column`.
    fn value(&self, column: &PgColumn, index: usize) -> String {
        let value = format!("q.c{index}");
        match self {
            Self::Select(computed) if computed.loose.get(index) == Some(&true) => {
                column.assigned(&column.with_all_decimals(value))
            }
            _ => column.assigned(&value),
        }
    }
}

/// New rows from `source`, whose columns are those of `columns` in order.
pub(super) fn insert(table: &str, columns: &[&PgColumn], source: &Source) -> String {
    let names = list(columns.iter().map(|column| quote_identifier(&column.name)));
    let values: Vec<String> = columns.iter().enumerate().map(|(index, column)| source.value(column, index)).collect();
    format!("INSERT INTO {table} {names} SELECT {} FROM {}", values.join(", "), source.text())
}

/// What is done with rows whose address is in `c0` and `c1`.
pub(super) enum Step<'a> {
    /// They are deleted.
    Delete,
    /// These columns get the values of `c<n>`.
    Update(Vec<(&'a PgColumn, usize)>),
    /// There are none: new ones get the values of `c<n>`.
    Insert(Vec<(&'a PgColumn, usize)>),
}

/// The statement of one step over all of `source`.
pub(super) fn change(table: &str, step: &Step<'_>, source: &Source) -> String {
    step.text(table, source, &source.text(), None)
}

/// The statement of a MERGE: each step for the rows with its number in `c2`. Its one row holds the rows
/// that were changed, and how many of the target were addressed more than once.
pub(super) fn merge(table: &str, steps: &[Step<'_>], columns: usize, source: &Source) -> String {
    let mut with = vec![format!("q{} AS MATERIALIZED ({})", list(numbered(columns)), source.query())];
    let mut counts = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        with.push(format!("m{index} AS ({} RETURNING 1)", step.text(table, source, "q", Some(index))));
        counts.push(format!("(SELECT count(*) FROM m{index})"));
    }
    // A statement must not change a row twice: PostgreSQL would take one of the changes and say nothing.
    format!(
        "WITH {} SELECT {}, (SELECT count(*) - count(DISTINCT (c0, c1)) FROM q WHERE c0 IS NOT NULL)",
        with.join(", "),
        counts.join(" + ")
    )
}

impl Step<'_> {
    /// The statement over the rows of `source`, which are called `from`.
    fn text(&self, table: &str, source: &Source, from: &str, number: Option<usize>) -> String {
        let chosen = number.map(|number| format!("q.c2 = {number}"));
        let address = "t.ctid = q.c0::tid AND t.tableoid = q.c1";
        let addressed = match &chosen {
            Some(chosen) => format!("{chosen} AND {address}"),
            None => address.to_owned(),
        };
        match self {
            Self::Delete => format!("DELETE FROM {table} AS t USING {from} WHERE {addressed}"),
            Self::Update(columns) => {
                let set: Vec<String> = columns
                    .iter()
                    .map(|(column, value)| {
                        format!("{} = {}", quote_identifier(&column.name), source.value(column, *value))
                    })
                    .collect();
                format!("UPDATE {table} AS t SET {} FROM {from} WHERE {addressed}", set.join(", "))
            }
            Self::Insert(columns) => {
                let names = list(columns.iter().map(|(column, _)| quote_identifier(&column.name)));
                let values: Vec<String> = columns.iter().map(|(column, value)| source.value(column, *value)).collect();
                let filter = chosen.map(|chosen| format!(" WHERE {chosen}")).unwrap_or_default();
                format!("INSERT INTO {table} {names} SELECT {} FROM {from}{filter}", values.join(", "))
            }
        }
    }
}

/// The table for rows that wait: columns `c0, c1, …` of these types.
pub(super) fn create_stage(types: &[&str]) -> String {
    let columns = types.iter().enumerate().map(|(index, name)| format!("c{index} {name}"));
    format!("CREATE TEMPORARY TABLE {STAGE} {} ON COMMIT DROP", list(columns))
}

/// `COPY table (columns) FROM STDIN`.
pub(super) fn copy(table: &str, columns: &[String]) -> String {
    format!("COPY {table} {} FROM STDIN (FORMAT BINARY)", list(columns))
}
