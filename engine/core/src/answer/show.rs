//! SHOW and DESCRIBE: the rows, in Trino's columns and order.

use meesh_base::{Error, Result};
use meesh_sql::{Statement, type_name};

use super::{Asked, create_table};
use crate::catalog::{MetadataFilter, SYSTEM_CATALOG, like, with_nearest};

type Row = Vec<Option<String>>;

/// The rows of a statement for which [`super::schema`] knows columns.
pub(super) async fn rows(asked: &Asked<'_>, statement: Statement) -> Result<Vec<Row>> {
    match statement {
        Statement::ShowCatalogs { like } => Ok(names(asked.catalogs.names(), like.as_deref())),
        Statement::ShowSchemas { catalog, like } => {
            let catalog = catalog_of(asked, catalog)?;
            Ok(names(schemas_of(asked, &catalog).await?, like.as_deref()))
        }
        Statement::ShowTables { schema, like } => {
            let (catalog, schema) = schema_of(asked, schema)?;
            check_schema(asked, &catalog, &schema).await?;
            Ok(names(tables_of(asked, &catalog, &schema).await?, like.as_deref()))
        }
        Statement::ShowColumns { table, like } => {
            let (_, description) = asked.resolver().describe(&table).await?;
            let columns = description.schema.fields().iter().zip(&description.columns);
            let columns = columns.filter(|(field, _)| passes(field.name(), like.as_deref()));
            Ok(columns
                .map(|(field, column)| {
                    vec![
                        Some(field.name().to_lowercase()),
                        Some(type_name(field.data_type())),
                        Some(String::new()),
                        Some(column.comment.clone().unwrap_or_default()),
                    ]
                })
                .collect())
        }
        Statement::ShowCreateTable { table } => {
            let (name, description) = asked.resolver().describe(&table).await?;
            Ok(vec![vec![Some(create_table::text(&name, &description))]])
        }
        Statement::ShowSession { like } => {
            let properties = asked.session.properties().into_iter();
            let properties = properties.filter(|property| passes(&property.name, like.as_deref()));
            Ok(properties
                .map(|p| {
                    vec![Some(p.name), Some(p.value), Some(p.default), Some(p.kind.to_owned()), Some(p.doc.to_owned())]
                })
                .collect())
        }
        Statement::ShowFunctions { like } => {
            let mut all = asked.engine.function_names();
            all.sort();
            Ok(names(all, like.as_deref()))
        }
        _ => Err(Error::unsupported("this SHOW is not supported").with_code("NOT_SUPPORTED")),
    }
}

fn passes(name: &str, pattern: Option<&str>) -> bool {
    pattern.is_none_or(|pattern| like(pattern, name))
}

fn names(all: Vec<String>, pattern: Option<&str>) -> Vec<Row> {
    all.into_iter().filter(|name| passes(name, pattern)).map(|name| vec![Some(name)]).collect()
}

fn catalog_of(asked: &Asked<'_>, catalog: Option<String>) -> Result<String> {
    catalog.or_else(|| asked.session.catalog.clone()).map(|name| name.to_lowercase()).ok_or_else(|| {
        Error::invalid_query("catalog must be specified when the session has none")
            .with_hint("write SHOW SCHEMAS FROM catalog; SHOW CATALOGS lists them")
            .with_code("MISSING_CATALOG_NAME")
    })
}

fn schema_of(asked: &Asked<'_>, schema: Option<(Option<String>, String)>) -> Result<(String, String)> {
    match schema {
        Some((catalog, schema)) => Ok((catalog_of(asked, catalog)?, schema.to_lowercase())),
        None => {
            let schema = asked.session.schema.clone().ok_or_else(|| {
                Error::invalid_query("schema must be specified when the session has none")
                    .with_hint("write SHOW TABLES FROM catalog.schema")
                    .with_code("MISSING_SCHEMA_NAME")
            })?;
            Ok((catalog_of(asked, None)?, schema))
        }
    }
}

/// The schemas of one catalog. Unlike in listings over all of them, a dead source is an error here.
async fn schemas_of(asked: &Asked<'_>, catalog: &str) -> Result<Vec<String>> {
    if catalog == SYSTEM_CATALOG {
        let filter = MetadataFilter { catalog: Some(catalog.to_owned()), ..MetadataFilter::default() };
        let entries = asked.engine.list_schemas(&filter).await;
        return Ok(entries.into_iter().map(|entry| entry.schema).collect());
    }
    let connector = asked.catalogs.connector(catalog)?;
    let mut schemas = connector.schemas().await.map_err(|error| in_catalog(catalog, error))?;
    if !schemas.iter().any(|schema| schema == "information_schema") {
        schemas.push("information_schema".to_owned());
    }
    let mut schemas: Vec<String> = schemas.into_iter().map(|schema| schema.to_lowercase()).collect();
    schemas.sort();
    Ok(schemas)
}

async fn tables_of(asked: &Asked<'_>, catalog: &str, schema: &str) -> Result<Vec<String>> {
    let mut tables: Vec<String> = if crate::catalog::is_builtin(catalog, schema) {
        crate::catalog::builtin_names(catalog, schema).into_iter().map(str::to_owned).collect()
    } else {
        let connector = asked.catalogs.connector(catalog)?;
        let infos = connector.tables(schema).await.map_err(|error| in_catalog(catalog, error))?;
        infos.into_iter().map(|info| info.name.to_lowercase()).collect()
    };
    tables.sort();
    Ok(tables)
}

fn in_catalog(catalog: &str, error: Error) -> Error {
    if error.message().contains(&format!("catalog {catalog:?}")) {
        return error;
    }
    error.in_context(format!("catalog {catalog:?}"))
}

/// `NotFound` with the nearest names unless the schema exists.
pub(super) async fn check_schema(asked: &Asked<'_>, catalog: &str, schema: &str) -> Result<()> {
    let schemas = schemas_of(asked, &catalog.to_lowercase()).await?;
    if schemas.iter().any(|name| name.eq_ignore_ascii_case(schema)) {
        return Ok(());
    }
    let error = Error::not_found(format!("schema \"{catalog}.{schema}\" does not exist")).with_code("SCHEMA_NOT_FOUND");
    Err(with_nearest(error, schema, schemas.iter().map(String::as_str)))
}
