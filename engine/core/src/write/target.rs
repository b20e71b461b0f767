//! What is written to: the table's name, whether it may be, its columns, and its rows with addresses.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::catalog::{CatalogProviderList, TableProvider};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use meesh_base::{Error, Position, Result, nearest};
use meesh_connector_spi::{Connector, WriteTarget, Writes, from_datafusion};
use meesh_sql::{ColumnName, PART, ROW, SchemaName, TARGET, TableName};

use super::{Place, Writer};
use crate::catalog::{CatalogView, FullName, default_catalog, default_schema, is_builtin};
use crate::session::Session;

/// How a catalog is written to.
///
/// # Errors
/// `Unsupported` if it is not, `Denied` if it may not be.
pub(crate) fn writes<'a>(connector: &'a Arc<dyn Connector>, catalog: &str) -> Result<&'a dyn Writes> {
    let Some(writes) = connector.writes() else {
        return Err(Error::unsupported(format!("catalog {catalog:?} cannot be written to")).with_code("NOT_SUPPORTED"));
    };
    writes.allowed()?;
    Ok(writes)
}

/// The error with a position, unless it has one.
pub(super) fn placed(error: Error, position: Option<Position>) -> Error {
    match position {
        Some(position) if error.position().is_none() => error.with_position(position),
        _ => error,
    }
}

impl Writer<'_> {
    /// Whose a table is, and that it may be written to.
    pub(super) fn table(&self, name: &TableName) -> Result<Place> {
        let full = self.resolver.full_name(name)?;
        self.place(full).map_err(|error| placed(error, name.position))
    }

    /// The same of a schema.
    pub(super) fn schema(&self, name: &SchemaName) -> Result<Place> {
        let catalog = name.catalog.clone().or_else(|| self.session.catalog.clone()).ok_or_else(|| {
            Error::invalid_query("catalog must be specified when the session has none")
                .with_hint("write catalog.schema, or USE catalog.schema first")
                .with_position(name.position)
                .with_code("MISSING_CATALOG_NAME")
        })?;
        let full =
            FullName { catalog: catalog.to_lowercase(), schema: name.schema.to_lowercase(), table: String::new() };
        self.place(full).map_err(|error| placed(error, Some(name.position)))
    }

    fn place(&self, name: FullName) -> Result<Place> {
        if is_builtin(&name.catalog, &name.schema) {
            return Err(Error::unsupported(format!(
                "schema \"{}.{}\" cannot be written to",
                name.catalog, name.schema
            ))
            .with_code("NOT_SUPPORTED"));
        }
        let connector = self.resolver.catalogs.connector(&name.catalog)?;
        writes(&connector, &name.catalog)?;
        Ok(Place { name, connector })
    }

    /// The table as its source has it now.
    pub(super) async fn target(&self, place: &Place, table: &TableName) -> Result<WriteTarget> {
        let FullName { catalog, schema, table: name } = &place.name;
        let found = writes(&place.connector, catalog)?.target(schema, name).await?;
        match found {
            Some(target) => Ok(target),
            None => Err(placed(self.resolver.missing(&place.name).await, table.position)),
        }
    }
}

/// The numbers of the columns of these names.
///
/// # Errors
/// `NotFound` with the nearest names, `Unsupported` for a column that takes no values.
pub(super) fn columns(target: &WriteTarget, table: &FullName, names: &[ColumnName]) -> Result<Vec<usize>> {
    let find = |wanted: &ColumnName| {
        let same = |name: &str| name.to_lowercase() == wanted.name;
        let Some(index) = target.columns.iter().position(|column| same(&column.name)) else {
            let error =
                Error::not_found(format!("column {:?} of table {:?} does not exist", wanted.name, table.to_string()))
                    .with_position(wanted.position)
                    .with_code("COLUMN_NOT_FOUND");
            return Err(
                match nearest(&wanted.name, target.columns.iter().map(|column| column.name.as_str())).first() {
                    Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                    None => error,
                },
            );
        };
        match target.columns.get(index).and_then(|column| column.refused.as_ref()) {
            None => Ok(index),
            Some(reason) => Err(Error::unsupported(format!(
                "column {:?} of table {:?} takes no values: {reason}",
                wanted.name,
                table.to_string()
            ))
            .with_position(wanted.position)
            .with_hint("leave it out")
            .with_code("NOT_SUPPORTED")),
        }
    };
    names.iter().map(find).collect()
}

/// The numbers of all columns that take values.
pub(super) fn all_columns(target: &WriteTarget) -> Vec<usize> {
    let columns = target.columns.iter().enumerate();
    columns.filter(|(_, column)| column.refused.is_none()).map(|(index, _)| index).collect()
}

/// Puts the target with its rows' addresses into a view, where the parser's query looks for it.
pub(super) fn register(view: &CatalogView, session: &Session, name: &FullName, target: &WriteTarget) -> Result<()> {
    let Some(rows) = &target.addressed else { return Err(Error::internal("a target without addresses")) };
    let provider = folded(name, Arc::clone(rows))?;
    let schema = view.catalog(default_catalog(session)).and_then(|catalog| catalog.schema(default_schema(session)));
    let schema = schema.ok_or_else(|| Error::internal("a view without the session's schema"))?;
    schema.register_table(TARGET.to_owned(), provider).map_err(from_datafusion)?;
    Ok(())
}

/// The rows with every column in lower case, and the address under the parser's names for it.
fn folded(name: &FullName, rows: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
    let reference = TableReference::full(name.catalog.as_str(), name.schema.as_str(), name.table.as_str());
    let schema = rows.schema();
    let count = schema.fields().len();
    let mut seen = HashSet::new();
    let mut columns = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        let alias = match count - index {
            2 => ROW.to_owned(),
            1 => PART.to_owned(),
            _ => field.name().to_lowercase(),
        };
        if !seen.insert(alias.clone()) {
            return Err(Error::invalid_query(format!(
                "table {:?} has two columns that are {alias:?} without regard to case",
                name.to_string()
            )));
        }
        columns.push(Expr::Column(Column::new(Some(reference.clone()), field.name())).alias(alias));
    }
    let plan = LogicalPlanBuilder::scan(reference, provider_as_source(rows), None)
        .and_then(|scan| scan.project(columns))
        .and_then(LogicalPlanBuilder::build)
        .map_err(from_datafusion)?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}
