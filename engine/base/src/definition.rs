//! What a statement defines: tables, their columns, and what becomes of them.

use std::fmt;

/// A column's type as a statement declares it, in Trino's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlType {
    /// `boolean`
    Boolean,
    /// `tinyint`
    TinyInt,
    /// `smallint`
    SmallInt,
    /// `integer`
    Integer,
    /// `bigint`
    BigInt,
    /// `real`
    Real,
    /// `double`
    Double,
    /// `decimal(precision, scale)`
    Decimal {
        /// Digits, at most 38.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// `varchar`, `varchar(characters)`
    Varchar(Option<u32>),
    /// `char(characters)`
    Char(u32),
    /// `varbinary`
    Varbinary,
    /// `date`
    Date,
    /// `time(digits of a second)`
    Time(u8),
    /// `timestamp(digits of a second) [with time zone]`
    Timestamp {
        /// Digits of a second.
        digits: u8,
        /// Whether it is an instant.
        zoned: bool,
    },
    /// `uuid`
    Uuid,
    /// `json`
    Json,
    /// `array(element)`
    Array(Box<SqlType>),
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Varchar(None) => f.write_str("varchar"),
            Self::Varchar(Some(length)) => write!(f, "varchar({length})"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::Varbinary => f.write_str("varbinary"),
            Self::Date => f.write_str("date"),
            Self::Time(digits) => write!(f, "time({digits})"),
            Self::Timestamp { digits, zoned: false } => write!(f, "timestamp({digits})"),
            Self::Timestamp { digits, zoned: true } => write!(f, "timestamp({digits}) with time zone"),
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
            Self::Array(element) => write!(f, "array({element})"),
        }
    }
}

/// A column that a statement makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Its name, in lower case.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// Its comment.
    pub comment: Option<String>,
}

/// What happens to a schema, table, view or column. Whose it is stands beside it; names in it are in
/// lower case, as all names of statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// `CREATE SCHEMA`.
    CreateSchema {
        /// Whether one that is there is no error.
        if_not_exists: bool,
    },
    /// `DROP SCHEMA`.
    DropSchema {
        /// Whether one that is not there is no error.
        if_exists: bool,
        /// Whether everything in it goes, too.
        cascade: bool,
    },
    /// `CREATE TABLE`.
    CreateTable {
        /// Its columns in order, one at least.
        columns: Vec<NewColumn>,
        /// Its comment.
        comment: Option<String>,
        /// Whether one that is there is no error.
        if_not_exists: bool,
    },
    /// `DROP TABLE`.
    DropTable {
        /// Whether one that is not there is no error.
        if_exists: bool,
    },
    /// `DROP VIEW`.
    DropView {
        /// Whether one that is not there is no error.
        if_exists: bool,
    },
    /// `TRUNCATE TABLE`.
    Truncate,
    /// `ALTER TABLE … RENAME TO`.
    RenameTable {
        /// The schema it moves to, if it does.
        schema: Option<String>,
        /// Its new name.
        table: String,
        /// Whether a table that is not there is no error.
        if_exists: bool,
    },
    /// `ALTER TABLE … ADD COLUMN`.
    AddColumn {
        /// The column.
        column: NewColumn,
        /// Whether a column that is there is no error.
        if_not_exists: bool,
        /// Whether a table that is not there is no error.
        if_exists: bool,
    },
    /// `ALTER TABLE … DROP COLUMN`.
    DropColumn {
        /// The column.
        column: String,
        /// Whether a column that is not there is no error.
        if_column_exists: bool,
        /// Whether a table that is not there is no error.
        if_exists: bool,
    },
    /// `ALTER TABLE … RENAME COLUMN … TO`.
    RenameColumn {
        /// The column.
        column: String,
        /// Its new name.
        to: String,
        /// Whether a column that is not there is no error.
        if_column_exists: bool,
        /// Whether a table that is not there is no error.
        if_exists: bool,
    },
    /// `COMMENT ON TABLE … IS`.
    CommentTable(Option<String>),
    /// `COMMENT ON VIEW … IS`.
    CommentView(Option<String>),
    /// `COMMENT ON COLUMN … IS`.
    CommentColumn {
        /// The column.
        column: String,
        /// Its comment; `None` takes it away.
        comment: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_called_as_trino_calls_them() {
        for (sql_type, name) in [
            (SqlType::Decimal { precision: 12, scale: 2 }, "decimal(12,2)"),
            (SqlType::Timestamp { digits: 6, zoned: true }, "timestamp(6) with time zone"),
            (SqlType::Array(Box::new(SqlType::Varchar(Some(3)))), "array(varchar(3))"),
        ] {
            assert_eq!(sql_type.to_string(), name);
        }
    }
}
