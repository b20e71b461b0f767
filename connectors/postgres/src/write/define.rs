//! Definitions: schemas, tables, views and columns made, changed and dropped.

use meesh_base::{Definition, Error, NewColumn, QueryScope, Result, SqlType, quote_identifier};

use super::session::{INSERTING, Transaction};
use super::statement::{list, qualified};
use crate::catalog::Relation;
use crate::connector::PostgresConnector;
use crate::quote::quote_text;

/// The statements of a definition; none: there is nothing to do.
pub(super) struct Defined(Vec<String>);

impl Defined {
    /// What is sent, a statement a line.
    pub(super) fn text(&self) -> String {
        self.0.join(";\n    ")
    }

    /// Does it.
    pub(super) async fn run(&self, connector: &PostgresConnector, scope: &QueryScope) -> Result<u64> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let mut transaction = Transaction::begin(connector, scope, INSERTING).await?;
        for sql in &self.0 {
            transaction.execute(sql).await?;
        }
        transaction.commit().await?;
        Ok(0)
    }
}

/// PostgreSQL's name of a type, its oid, and that of an array's elements.
pub(super) fn pg_type(sql_type: &SqlType) -> (String, u32, Option<u32>) {
    // More digits of a second than six it does not keep.
    let micros = |digits: &u8| (*digits).min(6);
    let (name, oid) = match sql_type {
        SqlType::Boolean => ("boolean".to_owned(), 16),
        SqlType::TinyInt | SqlType::SmallInt => ("smallint".to_owned(), 21),
        SqlType::Integer => ("integer".to_owned(), 23),
        SqlType::BigInt => ("bigint".to_owned(), 20),
        SqlType::Real => ("real".to_owned(), 700),
        SqlType::Double => ("double precision".to_owned(), 701),
        SqlType::Decimal { precision, scale } => (format!("numeric({precision},{scale})"), 1700),
        SqlType::Varchar(None) => ("varchar".to_owned(), 1043),
        SqlType::Varchar(Some(length)) => (format!("varchar({length})"), 1043),
        SqlType::Char(length) => (format!("char({length})"), 1042),
        SqlType::Varbinary => ("bytea".to_owned(), 17),
        SqlType::Date => ("date".to_owned(), 1082),
        SqlType::Time(digits) => (format!("time({})", micros(digits)), 1083),
        SqlType::Timestamp { digits, zoned: false } => (format!("timestamp({})", micros(digits)), 1114),
        SqlType::Timestamp { digits, zoned: true } => (format!("timestamp({}) with time zone", micros(digits)), 1184),
        SqlType::Uuid => ("uuid".to_owned(), 2950),
        SqlType::Json => ("jsonb".to_owned(), 3802),
        SqlType::Array(element) => {
            let (name, oid, _) = pg_type(element);
            // The array's own oid is asked for nowhere.
            return (format!("{name}[]"), 0, Some(oid));
        }
    };
    (name, oid, None)
}

/// The schema as the source has it, or as it was written where it has none of that name: then its own
/// error says so.
///
/// # Errors
/// `InvalidQuery` if several schemas have the name without regard to case.
pub(super) async fn exact_schema(connector: &PostgresConnector, schema: &str) -> Result<String> {
    connector.tables_known().refresh(Some(schema), None);
    let all = connector.tables_known().schemas().await?;
    let mut equal = all.into_iter().filter(|name| name.to_lowercase() == schema.to_lowercase());
    match (equal.next(), equal.next()) {
        (Some(one), None) => Ok(one),
        (Some(one), Some(other)) => Err(Error::invalid_query(format!(
            "catalog {:?}: schemas {one:?} and {other:?} have the same name without regard to case",
            connector.catalog_name()
        ))
        .with_code("AMBIGUOUS_NAME")),
        _ => Ok(schema.to_owned()),
    }
}

/// `CREATE TABLE` with its comments.
pub(super) fn create_table(
    name: &str,
    columns: &[NewColumn],
    comment: Option<&str>,
    if_not_exists: bool,
) -> Vec<String> {
    let exists = if if_not_exists { "IF NOT EXISTS " } else { "" };
    let mut statements = vec![format!("CREATE TABLE {exists}{name} {}", list(columns.iter().map(column)))];
    statements.extend(comment.map(|comment| comment_on("TABLE", name, Some(comment))));
    statements.extend(columns.iter().filter_map(|column| column_comment(name, column)));
    statements
}

fn column(column: &NewColumn) -> String {
    let (type_name, ..) = pg_type(&column.sql_type);
    let not_null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {type_name}{not_null}", quote_identifier(&column.name))
}

fn column_comment(table: &str, column: &NewColumn) -> Option<String> {
    let comment = column.comment.as_deref()?;
    Some(comment_on("COLUMN", &format!("{table}.{}", quote_identifier(&column.name)), Some(comment)))
}

fn comment_on(what: &str, name: &str, comment: Option<&str>) -> String {
    format!("COMMENT ON {what} {name} IS {}", comment.map_or_else(|| "NULL".to_owned(), quote_text))
}

/// `CREATE VIEW` with its comment.
pub(super) fn create_view(
    name: &str,
    replace: bool,
    comment: Option<&str>,
    columns: &[String],
    query: &str,
) -> Defined {
    let replace = if replace { "OR REPLACE " } else { "" };
    let names = list(columns.iter().map(|column| quote_identifier(column)));
    let mut statements = vec![format!("CREATE {replace}VIEW {name} {names} AS {query}")];
    statements.extend(comment.map(|comment| comment_on("VIEW", name, Some(comment))));
    Defined(statements)
}

/// Prints a definition.
///
/// # Errors
/// `NotFound` for a table or column that must be there and is not.
pub(super) async fn define(
    connector: &PostgresConnector,
    schema: &str,
    table: Option<&str>,
    definition: Definition,
) -> Result<Defined> {
    let statements = match table {
        None => schema_definition(connector, schema, &definition).await?,
        Some(table) => match definition {
            Definition::CreateTable { columns, comment, if_not_exists } => {
                let found = find(connector, schema, table).await?;
                if found.is_some() && if_not_exists {
                    return Ok(Defined(Vec::new()));
                }
                if found.is_some() {
                    return Err(Error::already_exists(format!(
                        "table \"{}.{schema}.{table}\" already exists",
                        connector.catalog_name()
                    ))
                    .with_code("TABLE_ALREADY_EXISTS"));
                }
                let name = qualified(&exact_schema(connector, schema).await?, table);
                create_table(&name, &columns, comment.as_deref(), if_not_exists)
            }
            definition => match find(connector, schema, table).await? {
                Some(relation) => table_definition(connector, &relation, definition).await?,
                None if may_be_missing(&definition) => Vec::new(),
                None => {
                    let what = if matches!(definition, Definition::DropView { .. }) { "view" } else { "table" };
                    return Err(Error::not_found(format!(
                        "{what} \"{}.{schema}.{table}\" does not exist",
                        connector.catalog_name()
                    ))
                    .with_code("TABLE_NOT_FOUND"));
                }
            },
        },
    };
    Ok(Defined(statements))
}

async fn find(connector: &PostgresConnector, schema: &str, table: &str) -> Result<Option<std::sync::Arc<Relation>>> {
    connector.tables_known().refresh(Some(schema), Some(table));
    connector.tables_known().relation(schema, table).await
}

fn may_be_missing(definition: &Definition) -> bool {
    match definition {
        Definition::DropTable { if_exists }
        | Definition::DropView { if_exists }
        | Definition::RenameTable { if_exists, .. }
        | Definition::AddColumn { if_exists, .. }
        | Definition::DropColumn { if_exists, .. }
        | Definition::RenameColumn { if_exists, .. } => *if_exists,
        _ => false,
    }
}

async fn schema_definition(
    connector: &PostgresConnector,
    schema: &str,
    definition: &Definition,
) -> Result<Vec<String>> {
    let exact = exact_schema(connector, schema).await?;
    let name = quote_identifier(&exact);
    Ok(vec![match definition {
        Definition::CreateSchema { if_not_exists: true } => format!("CREATE SCHEMA IF NOT EXISTS {name}"),
        Definition::CreateSchema { if_not_exists: false } => format!("CREATE SCHEMA {name}"),
        Definition::DropSchema { if_exists, cascade } => {
            let exists = if *if_exists { "IF EXISTS " } else { "" };
            let cascade = if *cascade { " CASCADE" } else { "" };
            format!("DROP SCHEMA {exists}{name}{cascade}")
        }
        _ => return Err(Error::internal("a definition of a table without its name")),
    }])
}

async fn table_definition(
    connector: &PostgresConnector,
    relation: &Relation,
    definition: Definition,
) -> Result<Vec<String>> {
    let name = qualified(&relation.schema, &relation.name);
    Ok(vec![match definition {
        Definition::DropTable { .. } => format!("DROP TABLE {name}"),
        Definition::DropView { .. } => format!("DROP VIEW {name}"),
        Definition::Truncate => format!("TRUNCATE TABLE {name}"),
        Definition::RenameTable { schema, table, .. } => {
            let renamed = format!("ALTER TABLE {name} RENAME TO {}", quote_identifier(&table));
            let Some(schema) = schema.filter(|schema| schema.to_lowercase() != relation.schema.to_lowercase()) else {
                return Ok(vec![renamed]);
            };
            let schema = exact_schema(connector, &schema).await?;
            let to = quote_identifier(&schema);
            // Where another table has the new name here, this one leaves before it takes that name.
            return Ok(match connector.tables_known().relation(&relation.schema, &table).await? {
                None => {
                    let name = qualified(&relation.schema, &table);
                    vec![renamed, format!("ALTER TABLE {name} SET SCHEMA {to}")]
                }
                Some(_other) => {
                    let moved = format!("ALTER TABLE {name} SET SCHEMA {to}");
                    let name = qualified(&schema, &relation.name);
                    vec![moved, format!("ALTER TABLE {name} RENAME TO {}", quote_identifier(&table))]
                }
            });
        }
        Definition::AddColumn { column: added, if_not_exists, .. } => {
            if if_not_exists && exact_column(relation, &added.name).is_some() {
                return Ok(Vec::new());
            }
            let mut statements = vec![format!("ALTER TABLE {name} ADD COLUMN {}", column(&added))];
            statements.extend(column_comment(&name, &added));
            return Ok(statements);
        }
        Definition::DropColumn { column, if_column_exists, .. } => match exact_column(relation, &column) {
            Some(column) => format!("ALTER TABLE {name} DROP COLUMN {column}"),
            None if if_column_exists => return Ok(Vec::new()),
            None => return Err(no_column(relation, &column)),
        },
        Definition::RenameColumn { column, to, if_column_exists, .. } => match exact_column(relation, &column) {
            Some(column) => format!("ALTER TABLE {name} RENAME COLUMN {column} TO {}", quote_identifier(&to)),
            None if if_column_exists => return Ok(Vec::new()),
            None => return Err(no_column(relation, &column)),
        },
        Definition::CommentTable(comment) => comment_on("TABLE", &name, comment.as_deref()),
        Definition::CommentView(comment) => comment_on("VIEW", &name, comment.as_deref()),
        Definition::CommentColumn { column, comment } => match exact_column(relation, &column) {
            Some(column) => comment_on("COLUMN", &format!("{name}.{column}"), comment.as_deref()),
            None => return Err(no_column(relation, &column)),
        },
        Definition::CreateSchema { .. } | Definition::DropSchema { .. } | Definition::CreateTable { .. } => {
            return Err(Error::internal("a definition of something else than a table"));
        }
    }])
}

/// A column of that name without regard to case, quoted.
fn exact_column(relation: &Relation, name: &str) -> Option<String> {
    let same = relation.columns.iter().find(|column| column.name.to_lowercase() == name);
    same.map(|column| quote_identifier(&column.name))
}

fn no_column(relation: &Relation, name: &str) -> Error {
    let error = Error::not_found(format!(
        "column {name:?} of table {} does not exist",
        qualified(&relation.schema, &relation.name)
    ))
    .with_code("COLUMN_NOT_FOUND");
    match meesh_base::nearest(name, relation.columns.iter().map(|column| column.name.as_str())).first() {
        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
        None => error,
    }
}
