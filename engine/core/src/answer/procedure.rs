//! CALL and KILL QUERY.

use std::sync::Arc;

use meesh_base::{Error, QueryId, Result, nearest};
use meesh_connector_spi::Write;
use meesh_sql::Literal;

use super::Asked;
use crate::write::writes;

/// Procedures of the catalog `system`, and those that every other catalog has.
const SYSTEM: &[&str] = &["runtime.kill_query"];
const CATALOG: &[&str] =
    &["system.refresh", "system.flush_metadata_cache", "system.sync_partition_metadata", "system.execute"];

type Arguments = [(Option<String>, Literal)];

/// Runs a procedure.
///
/// # Errors
/// `NotFound` for an unknown one, `InvalidQuery` for arguments that do not fit.
pub(super) async fn call(asked: &Asked<'_>, name: &[String], arguments: &Arguments) -> Result<()> {
    let [catalog, rest @ ..] = name else { return Err(unknown(name, SYSTEM)) };
    let procedure = rest.join(".").to_lowercase();
    if catalog.eq_ignore_ascii_case("system") {
        if procedure != "runtime.kill_query" {
            return Err(unknown(name, SYSTEM));
        }
        let id = argument(arguments, 0, &["query_id"])?
            .ok_or_else(|| Error::invalid_query("procedure kill_query needs the argument query_id"))?;
        return kill(asked, &id);
    }
    if !CATALOG.contains(&procedure.as_str()) {
        return Err(unknown(name, CATALOG));
    }
    let connector = asked.catalogs.connector(catalog)?;
    if procedure == "system.execute" {
        let text = argument(arguments, 0, &["query"])?
            .ok_or_else(|| Error::invalid_query("procedure execute needs the argument query"))?;
        let write = writes(&connector, catalog)?.plan(Write::Execute(text)).await?;
        return write.run(None, Arc::clone(asked.scope)).await.map(drop);
    }
    let schema = argument(arguments, 0, &["schema", "schema_name"])?.map(|name| name.to_lowercase());
    let table = argument(arguments, 1, &["table", "table_name"])?.map(|name| name.to_lowercase());
    connector.refresh(schema.as_deref(), table.as_deref()).await
}

/// Stops one of the user's queries.
pub(super) fn kill(asked: &Asked<'_>, id: &str) -> Result<()> {
    asked.engine.cancel(&QueryId::parse(id), &asked.session.user)
}

/// The text of an argument, given by name or at `position`.
fn argument(arguments: &Arguments, position: usize, names: &[&str]) -> Result<Option<String>> {
    let named = |(name, _): &&(Option<String>, Literal)| {
        name.as_ref().is_some_and(|name| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
    };
    let found = arguments.iter().find(named).or_else(|| arguments.get(position).filter(|(name, _)| name.is_none()));
    match found {
        None | Some((_, Literal::Null)) => Ok(None),
        Some((_, Literal::String(text))) => Ok(Some(text.clone())),
        Some((_, other)) => Err(Error::invalid_query(format!("argument {} must be a varchar, not {other}", names[0]))
            .with_code("INVALID_PROCEDURE_ARGUMENT")),
    }
}

fn unknown(name: &[String], known: &[&str]) -> Error {
    let full = name.join(".");
    let procedure = name.get(1..).unwrap_or_default().join(".");
    let error = Error::not_found(format!("procedure {full:?} does not exist")).with_code("PROCEDURE_NOT_FOUND");
    match nearest(&procedure, known.iter().copied()).first() {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(format!("there are {}", known.join(", "))),
    }
}
