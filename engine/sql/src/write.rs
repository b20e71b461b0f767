//! Statements that change something, as the parser hands them over.
//!
//! What such a statement reads is an ordinary query. Where it changes rows that are there, the query
//! reads the target under the name [`TARGET`], which has two more columns: a row's address.
//!
//! ```text
//! UPDATE t SET a = b + 1 WHERE c    ->    SELECT t."$ROW", t."$PART", b + 1 FROM "$TARGET" AS t WHERE c
//! ```
//!
//! The parser folds every name to lower case, so no statement can name any of these.

use meesh_base::{Definition, Position};

use crate::statement::{Query, TableName};

/// The table whose rows are changed, in the query that finds them.
pub const TARGET: &str = "$TARGET";
/// The column with a row's place in the target.
pub const ROW: &str = "$ROW";
/// The column with the part of the target that the row is in.
pub const PART: &str = "$PART";
/// The column with the number of the action that a row is for, where there are several.
pub const CASE: &str = "$CASE";

/// One statement that changes something.
#[derive(Debug, Clone)]
pub enum Write {
    /// `INSERT INTO table [(columns)] query`.
    Insert {
        /// The target.
        table: TableName,
        /// The columns that are given; `None`: all of them.
        columns: Option<Vec<ColumnName>>,
        /// The rows.
        query: Query,
    },
    /// `CREATE TABLE table [(columns)] AS query [WITH [NO] DATA]`.
    CreateTableAs {
        /// The new table.
        table: TableName,
        /// Whether one that is there is no error.
        if_not_exists: bool,
        /// Names for the query's columns.
        columns: Option<Vec<ColumnName>>,
        /// The table's comment.
        comment: Option<String>,
        /// Its rows.
        query: Query,
        /// Whether the rows go in.
        with_data: bool,
    },
    /// DELETE, UPDATE and MERGE.
    Change {
        /// The target.
        table: TableName,
        /// The rows: address, then [`CASE`] for MERGE, then the values of the actions in their order.
        query: Query,
        /// What is done with them.
        actions: Vec<Action>,
        /// Whether it is a DELETE of all rows.
        all: bool,
        /// Whether it is a MERGE, whose rows say which action they are for.
        merges: bool,
    },
    /// `CREATE [OR REPLACE] VIEW view AS query`.
    CreateView {
        /// The new view.
        view: TableName,
        /// Whether it may take the place of another.
        replace: bool,
        /// Its comment.
        comment: Option<String>,
        /// What it shows.
        query: Query,
    },
    /// A definition of a schema.
    DefineSchema {
        /// The schema.
        schema: SchemaName,
        /// What happens to it.
        definition: Definition,
    },
    /// A definition of a table or view.
    Define {
        /// The table.
        table: TableName,
        /// What happens to it.
        definition: Definition,
    },
}

impl Write {
    /// The query whose rows are written, if there is one.
    pub fn query(&self) -> Option<&Query> {
        match self {
            Self::Insert { query, .. }
            | Self::CreateTableAs { query, .. }
            | Self::Change { query, .. }
            | Self::CreateView { query, .. } => Some(query),
            Self::DefineSchema { .. } | Self::Define { .. } => None,
        }
    }
}

/// What is done with one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is deleted.
    Delete,
    /// These of its columns get new values.
    Update(Vec<ColumnName>),
    /// It is a new row: values for these columns, or for all.
    Insert {
        /// The columns; `None`: all of the table's.
        columns: Option<Vec<ColumnName>>,
        /// How many values there are.
        values: usize,
    },
}

/// A column's name as a statement writes it, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnName {
    /// The name.
    pub name: String,
    /// Where it was written.
    pub position: Position,
}

/// A schema's name as a statement writes it, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName {
    /// Its catalog, if it was written.
    pub catalog: Option<String>,
    /// The schema.
    pub schema: String,
    /// Where it was written.
    pub position: Position,
}
