//! What a statement asks for. One exhaustive enum: a kind that is not here is refused by its name.

use std::fmt;

use datafusion::sql::sqlparser::ast;
use meesh_base::Position;

use crate::labels::Labels;
use crate::write::Write;

/// One statement.
#[derive(Debug, Clone)]
pub enum Statement {
    /// SELECT, WITH, VALUES, TABLE and their set operations.
    Query(Query),
    /// `EXPLAIN [ANALYZE [VERBOSE]] [(TYPE …, FORMAT …)] statement`.
    Explain {
        /// Whether the statement runs, and what it did is told.
        analyze: bool,
        /// Whether everything is told.
        verbose: bool,
        /// `TYPE`, if one was asked for.
        kind: ExplainKind,
        /// `FORMAT`, if one was asked for.
        format: ExplainFormat,
        /// What is explained.
        statement: Box<Statement>,
    },
    /// `SHOW CATALOGS [LIKE …]`.
    ShowCatalogs {
        /// LIKE pattern with `\` as its escape.
        like: Option<String>,
    },
    /// `SHOW SCHEMAS [FROM catalog] [LIKE …]`.
    ShowSchemas {
        /// Else the session's.
        catalog: Option<String>,
        /// LIKE pattern with `\` as its escape.
        like: Option<String>,
    },
    /// `SHOW TABLES [FROM [catalog.]schema] [LIKE …]`.
    ShowTables {
        /// Else the session's.
        schema: Option<(Option<String>, String)>,
        /// LIKE pattern with `\` as its escape.
        like: Option<String>,
    },
    /// `SHOW COLUMNS FROM table [LIKE …]`, `DESCRIBE table`, `DESC table`.
    ShowColumns {
        /// Whose columns.
        table: TableName,
        /// LIKE pattern with `\` as its escape.
        like: Option<String>,
    },
    /// SHOW STATS FOR table.
    ShowStats {
        /// The table.
        table: TableName,
    },
    /// `SHOW CREATE TABLE table`.
    ShowCreateTable {
        /// Which table.
        table: TableName,
    },
    /// `SHOW SESSION [LIKE …]`.
    ShowSession {
        /// LIKE pattern with `\` as its escape.
        like: Option<String>,
    },
    /// `SHOW FUNCTIONS [LIKE …]`.
    ShowFunctions {
        /// LIKE pattern with `\` as its escape.
        like: Option<String>,
    },
    /// `USE [catalog.]schema`.
    Use {
        /// Else the session's.
        catalog: Option<String>,
        /// The new schema.
        schema: String,
    },
    /// `SET SESSION name = value`.
    SetSession {
        /// The property, with its catalog in front if it has one.
        name: String,
        /// The new value.
        value: Literal,
    },
    /// `RESET SESSION name`.
    ResetSession {
        /// The property, with its catalog in front if it has one.
        name: String,
    },
    /// `SET TIME ZONE 'zone'`, `SET TIME ZONE LOCAL`.
    SetTimeZone {
        /// The zone's name or offset; `None` is the server's own.
        zone: Option<String>,
    },
    /// `KILL QUERY 'id'`.
    KillQuery {
        /// The query's id.
        id: String,
    },
    /// INSERT, UPDATE, DELETE, MERGE, TRUNCATE, CREATE, DROP, ALTER and COMMENT.
    Write(Box<Write>),
    /// `CALL catalog.schema.procedure(…)`.
    Call {
        /// The procedure's name in its parts, lower case.
        procedure: Vec<String>,
        /// Values, each with its name if one was written.
        arguments: Vec<(Option<String>, Literal)>,
    },
}

/// What EXPLAIN shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExplainKind {
    /// The plan as it will run; also without `TYPE`.
    #[default]
    Distributed,
    /// The plan before it is divided.
    Logical,
    /// Whether the statement is valid.
    Validate,
    /// What is read and written.
    Io,
}

/// How EXPLAIN shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExplainFormat {
    /// Lines for people; also without `FORMAT`.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// For graphviz.
    Graphviz,
}

/// A constant of a statement that is no query.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `NULL`.
    Null,
    /// `true`, `false`.
    Boolean(bool),
    /// A number as it was written, its sign included.
    Number(String),
    /// A text.
    String(String),
}

/// The bare value: a text without quotes.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Number(text) | Self::String(text) => f.write_str(text),
        }
    }
}

/// The last element of every GROUP BY that is more than grouping sets. What comes after it in a plan nobody wrote.
pub const GROUPS_END: &str = "\u{0}end of GROUP BY";

/// A query, ready for DataFusion's `SqlToRel`: a GROUP BY that is more than grouping sets ends with [`GROUPS_END`].
///
/// Every identifier is in lower case already, and quoted where it was written quoted: plan it with
/// `enable_ident_normalization = false`, `parse_float_as_decimal = true`,
/// `default_null_ordering = nulls_last`, `support_varchar_with_length = true` and
/// [`crate::TrinoTypes`] as the type planner.
#[derive(Debug, Clone)]
pub struct Query {
    /// The tree, rewritten.
    pub ast: Box<ast::Query>,
    /// How the result's columns are called.
    pub labels: Labels,
    /// How many parameters it takes: `$1` to `$n`.
    pub parameters: usize,
    /// Every base table it reads, once per reference.
    pub tables: Vec<TableName>,
    /// Every query that is passed through to a source as it is written.
    pub passed: Vec<PassThrough>,
    pub(crate) names_hidden: bool,
}

/// `TABLE(catalog.system.query(query => 'text'))` in a FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassThrough {
    /// Whose language it is in.
    pub catalog: String,
    /// The query.
    pub text: String,
    /// The table that stands for it in the tree: a name that no statement can write.
    pub table: String,
    /// Where it was written.
    pub position: Position,
}

impl Query {
    /// Whether it names a column that begins with `$`, such as `"$path"`, which `*` leaves out.
    pub fn names_hidden(&self) -> bool {
        self.names_hidden
    }
}

/// A table's name as it was written, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Its catalog, if it was written.
    pub catalog: Option<String>,
    /// Its schema, if it was written.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// Where it was written.
    pub position: Option<Position>,
}

/// As it would be written: `catalog.schema.table`.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.catalog, &self.schema].into_iter().flatten() {
            write!(f, "{part}.")?;
        }
        f.write_str(&self.table)
    }
}
