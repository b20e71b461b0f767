//! The tables that one statement names, found in their sources before planning begins.
//!
//! Planning is synchronous and sees only this view: no source is asked twice, none in the middle of
//! a plan, and a source that is down is reported as such, never as a missing table.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    SchemaProvider, TableProvider,
};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use futures::future::try_join_all;
use meesh_base::{Error, Result};
use meesh_connector_spi::{TableDescription, from_datafusion};
use meesh_sql::{Query, TableName};

use super::{Catalogs, builtin, with_nearest};
use crate::query::Queries;
use crate::session::Session;

/// Metadata key of a field that `SELECT *` leaves out.
const HIDDEN: &str = "meesh.hidden";

/// A table's name with all three parts, folded to lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FullName {
    pub(crate) catalog: String,
    pub(crate) schema: String,
    pub(crate) table: String,
}

impl std::fmt::Display for FullName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.schema, self.table)
    }
}

/// The tables of one statement, as DataFusion wants to be given them.
pub(crate) type CatalogView = Arc<MemoryCatalogProviderList>;

/// Finds names in the catalogs of the server, starting from a session's catalog and schema.
pub(crate) struct Resolver<'a> {
    pub(crate) catalogs: &'a Catalogs,
    pub(crate) queries: &'a Queries,
    pub(crate) session: &'a Session,
}

impl Resolver<'_> {
    /// The full name of a name as written.
    ///
    /// # Errors
    /// `InvalidQuery` when the session has no catalog or schema to complete it with.
    pub(crate) fn full_name(&self, name: &TableName) -> Result<FullName> {
        let missing = |what: &str, code: &'static str| {
            Error::invalid_query(format!("{what} must be specified when the session has none"))
                .with_hint("write catalog.schema.table, or USE catalog.schema first")
                .with_code(code)
        };
        let fail = |error: Error| match name.position {
            Some(position) => error.with_position(position),
            None => error,
        };
        let schema = match &name.schema {
            Some(schema) => schema.clone(),
            None => self.session.schema.clone().ok_or_else(|| fail(missing("schema", "MISSING_SCHEMA_NAME")))?,
        };
        let catalog = match &name.catalog {
            Some(catalog) => catalog.clone(),
            None => self.session.catalog.clone().ok_or_else(|| fail(missing("catalog", "MISSING_CATALOG_NAME")))?,
        };
        Ok(FullName {
            catalog: catalog.to_lowercase(),
            schema: schema.to_lowercase(),
            table: name.table.to_lowercase(),
        })
    }

    /// Finds every table concurrently, and takes hidden columns out of the query's `*`.
    ///
    /// # Errors
    /// `NotFound` with the position and the nearest names; whatever the source answers.
    pub(crate) async fn view(&self, query: &mut Query) -> Result<CatalogView> {
        let wants_hidden = query.names_hidden();
        let mut wanted: HashMap<FullName, &TableName> = HashMap::new();
        for name in &query.tables {
            wanted.entry(self.full_name(name)?).or_insert(name);
        }
        let lookups = wanted.into_iter().map(|(full, name)| async move {
            let provider = self.provider(&full).await.map_err(|error| match name.position {
                Some(position) if error.position().is_none() => error.with_position(position),
                _ => error,
            })?;
            let provider = folded(&full, provider, wants_hidden).map_err(from_datafusion)?;
            Ok::<_, Error>((full, provider))
        });
        let tables: HashMap<FullName, Arc<dyn TableProvider>> = try_join_all(lookups).await?.into_iter().collect();
        if wants_hidden {
            query.hide(|name| {
                let provider = self.full_name(name).ok().and_then(|full| tables.get(&full));
                provider.map(|provider| hidden_columns(&provider.schema())).unwrap_or_default()
            });
        }
        let view = assemble(tables, self.session).map_err(from_datafusion)?;
        self.add_passed(&view, query).await?;
        Ok(view)
    }

    /// Adds the tables that stand for queries in a source's own language.
    async fn add_passed(&self, view: &CatalogView, query: &Query) -> Result<()> {
        let tables = query.passed.iter().map(|passed| async move {
            let connector = self.catalogs.connector(&passed.catalog)?;
            let provider = connector.query(&passed.text).await?;
            let name = FullName {
                catalog: passed.catalog.clone(),
                schema: "system".to_owned(),
                table: passed.table.to_lowercase(),
            };
            Ok::<_, Error>((passed.table.clone(), folded(&name, provider, false).map_err(from_datafusion)?))
        });
        for (passed, found) in query.passed.iter().zip(futures::future::join_all(tables).await) {
            let (name, provider) = found.map_err(|error| match error.position() {
                None => error.with_position(passed.position),
                Some(_) => error,
            })?;
            let schema = view.catalog(default_catalog(self.session));
            let schema = schema.and_then(|catalog| catalog.schema(default_schema(self.session)));
            let schema = schema.ok_or_else(|| Error::internal("a view without the session's schema"))?;
            schema.register_table(name, provider).map_err(from_datafusion)?;
        }
        Ok(())
    }

    async fn provider(&self, name: &FullName) -> Result<Arc<dyn TableProvider>> {
        let FullName { catalog, schema, table } = name;
        if builtin::is_builtin(catalog, schema) {
            if catalog != builtin::SYSTEM_CATALOG {
                self.catalogs.connector(catalog)?;
            }
            let found = builtin::table(self.catalogs, self.queries, catalog, schema, table).await?;
            return found.ok_or_else(|| {
                let error = Error::not_found(format!("table {:?} does not exist", name.to_string()))
                    .with_code("TABLE_NOT_FOUND");
                with_nearest(error, table, builtin::builtin_names(catalog, schema))
            });
        }
        let connector = self.catalogs.connector(catalog)?;
        match connector.table(schema, table).await.map_err(|error| in_catalog(catalog, error))? {
            Some(provider) => Ok(provider),
            None => Err(self.missing(name).await),
        }
    }

    /// The description of a table, for SHOW COLUMNS and SHOW CREATE TABLE.
    ///
    /// # Errors
    /// As [`Self::view`].
    pub(crate) async fn describe(&self, name: &TableName) -> Result<(FullName, TableDescription)> {
        let full = self.full_name(name)?;
        let described = if builtin::is_builtin(&full.catalog, &full.schema) {
            builtin::describe_builtin(&full.catalog, &full.schema, &full.table)
        } else {
            let connector = self.catalogs.connector(&full.catalog)?;
            let described = connector.describe(&full.schema, &full.table).await;
            described.map_err(|error| in_catalog(&full.catalog, error))?
        };
        match described {
            Some(description) => Ok((full, description)),
            None => {
                let error = self.missing(&full).await;
                Err(match name.position {
                    Some(position) => error.with_position(position),
                    None => error,
                })
            }
        }
    }

    /// Why a table was not found: no such schema, or no such table in it.
    pub(crate) async fn missing(&self, name: &FullName) -> Error {
        let Ok(connector) = self.catalogs.connector(&name.catalog) else {
            return Error::not_found(format!("table {:?} does not exist", name.to_string()))
                .with_code("TABLE_NOT_FOUND");
        };
        let schemas = connector.schemas().await.unwrap_or_default();
        if !schemas.is_empty() && !schemas.iter().any(|schema| schema.eq_ignore_ascii_case(&name.schema)) {
            let error = Error::not_found(format!("schema \"{}.{}\" does not exist", name.catalog, name.schema))
                .with_code("SCHEMA_NOT_FOUND");
            return with_nearest(error, &name.schema, schemas.iter().map(String::as_str));
        }
        let tables = connector.tables(&name.schema).await.unwrap_or_default();
        let error =
            Error::not_found(format!("table {:?} does not exist", name.to_string())).with_code("TABLE_NOT_FOUND");
        with_nearest(error, &name.table, tables.iter().map(|info| info.name.as_str()))
    }
}

/// Puts the catalog in front of a source's message, unless the message names it already.
fn in_catalog(catalog: &str, error: Error) -> Error {
    if error.message().contains(&format!("catalog {catalog:?}")) {
        return error;
    }
    error.in_context(format!("catalog {catalog:?}"))
}

/// The provider with every column in lower case and without hidden ones, unless they are wanted.
///
/// Names resolve without regard to case, so a table whose columns are not all lower case is seen
/// through a projection that renames them; the optimizer removes it again.
fn folded(
    name: &FullName,
    provider: Arc<dyn TableProvider>,
    wants_hidden: bool,
) -> datafusion::common::Result<Arc<dyn TableProvider>> {
    let schema = provider.schema();
    let drops_some = !wants_hidden && schema.fields().iter().any(|field| is_hidden(field));
    let renames_some = schema.fields().iter().any(|field| field.name() != &field.name().to_lowercase());
    if !drops_some && !renames_some {
        return Ok(provider);
    }
    let mut seen = BTreeSet::new();
    let reference = TableReference::full(name.catalog.as_str(), name.schema.as_str(), name.table.as_str());
    let mut columns = Vec::new();
    for field in schema.fields().iter().filter(|field| wants_hidden || !is_hidden(field)) {
        let folded = field.name().to_lowercase();
        if !seen.insert(folded.clone()) {
            return Err(meesh_connector_spi::into_datafusion(Error::invalid_query(format!(
                "table {:?} has two columns that are {folded:?} without regard to case",
                name.to_string()
            ))));
        }
        columns.push(Expr::Column(Column::new(Some(reference.clone()), field.name())).alias(folded));
    }
    let plan = LogicalPlanBuilder::scan(reference, provider_as_source(provider), None)?.project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

fn is_hidden(field: &Field) -> bool {
    field.metadata().contains_key(HIDDEN)
}

fn hidden_columns(schema: &Schema) -> Vec<String> {
    schema.fields().iter().filter(|field| is_hidden(field)).map(|field| field.name().to_lowercase()).collect()
}

fn assemble(
    tables: HashMap<FullName, Arc<dyn TableProvider>>,
    session: &Session,
) -> datafusion::common::Result<CatalogView> {
    let list = MemoryCatalogProviderList::new();
    let schema_of = |catalog: &str, schema: &str| -> datafusion::common::Result<Arc<dyn SchemaProvider>> {
        let provider = list.catalog(catalog).unwrap_or_else(|| {
            let fresh: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
            list.register_catalog(catalog.to_owned(), Arc::clone(&fresh));
            fresh
        });
        if let Some(found) = provider.schema(schema) {
            return Ok(found);
        }
        let fresh: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
        provider.register_schema(schema, Arc::clone(&fresh))?;
        Ok(fresh)
    };
    // The planner looks the session's own schema up even when no name needs it.
    schema_of(default_catalog(session), default_schema(session))?;
    for (name, provider) in tables {
        schema_of(&name.catalog, &name.schema)?.register_table(name.table, provider)?;
    }
    Ok(Arc::new(list))
}

/// The session's catalog, or a name that no catalog has.
pub(crate) fn default_catalog(session: &Session) -> &str {
    session.catalog.as_deref().unwrap_or("$none")
}

/// The session's schema, or a name that no schema has.
pub(crate) fn default_schema(session: &Session) -> &str {
    session.schema.as_deref().unwrap_or("$none")
}
