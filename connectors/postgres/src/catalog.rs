//! What is there: schemas, relations and their columns, in one round trip each, remembered for seconds.

mod cache;
mod queries;
mod relation;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use meesh_base::{Error, ErrorKind, Result};
use meesh_connector_spi::{Estimate, TableInfo};

use crate::config::PostgresConfig;
use crate::pool::Pool;
use crate::wire::{QueryResult, READ_ONLY};
use cache::Cache;
use queries::Which;
pub(crate) use relation::{ColumnValues, Relation, RemoteColumn};

/// Above this many relations a schema is not described as a whole.
const SCHEMA_RELATIONS_MAX: usize = 2_000;
/// Schemas of the server's own: found by name, not listed.
const SYSTEM_SCHEMAS: &[&str] = &["pg_catalog", "information_schema"];

/// How long an estimate is good for: statistics change with the data, slowly.
const ESTIMATE_LIFETIME: Duration = Duration::from_secs(60);

/// How long the server may take to answer about itself.
const PATIENCE: &[(&str, &str)] = &[("lock_timeout", "3s"), ("statement_timeout", "20s")];

/// What the server's planner makes of a SELECT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RemotePlan {
    /// How much it yields.
    pub(crate) estimate: Estimate,
    /// What it costs, in the planner's own units.
    pub(crate) cost: f64,
    /// Whether rows are found by an index.
    pub(crate) by_index: bool,
}

type Relations = Arc<Vec<Arc<Relation>>>;
/// The relations of one schema by their folded names.
type SchemaRelations = Arc<HashMap<String, Vec<Arc<Relation>>>>;

/// The catalog of one PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Catalog {
    config: Arc<PostgresConfig>,
    pool: Pool,
    schemas: Cache<(), Arc<Vec<String>>>,
    /// By the schema's exact name.
    tables: Cache<String, Arc<Vec<TableInfo>>>,
    /// By folded schema and table.
    relations: Cache<(String, String), Relations>,
    /// By the schema's exact name.
    whole_schemas: Cache<String, SchemaRelations>,
    /// By the SELECT.
    estimates: Cache<String, Option<RemotePlan>>,
}

impl Catalog {
    /// A catalog read over `pool`. Nothing is asked yet.
    pub(crate) fn new(config: Arc<PostgresConfig>, pool: Pool) -> Self {
        let lifetime = config.metadata_cache_ttl;
        Self {
            config,
            pool,
            schemas: Cache::new(lifetime),
            tables: Cache::new(lifetime),
            relations: Cache::new(lifetime),
            whole_schemas: Cache::new(lifetime),
            estimates: Cache::new(ESTIMATE_LIFETIME),
        }
    }

    /// The schemas that are listed, sorted by name.
    pub(crate) async fn schemas(&self) -> Result<Vec<String>> {
        let shown = |schema: &&String| {
            !SYSTEM_SCHEMAS.contains(&schema.as_str())
                || (self.config.include_system_tables && schema.as_str() == "pg_catalog")
        };
        Ok(self.all_schemas().await?.iter().filter(shown).cloned().collect())
    }

    /// The relations of a schema, sorted by name; empty if there is no such schema.
    pub(crate) async fn tables(&self, schema: &str) -> Result<Vec<TableInfo>> {
        match self.schema_named(schema).await? {
            Some(schema) => Ok(self.tables_of(&schema).await?.to_vec()),
            None => Ok(Vec::new()),
        }
    }

    /// One relation, for planning.
    ///
    /// # Errors
    /// `InvalidQuery` if several relations' names are equal without regard to case, naming them.
    pub(crate) async fn relation(&self, schema: &str, table: &str) -> Result<Option<Arc<Relation>>> {
        let key = (fold(schema), fold(table));
        let found = self.relations.get(key.clone(), self.ask_relation(schema, table)).await?;
        // What is missing may be made at any moment.
        if found.is_empty() {
            self.relations.forget(|known| *known == key);
        }
        self.only_one(&found)
    }

    /// As [`Self::relation`], for listings: if the schema's tables were just listed, the first
    /// question is answered for all of them at once.
    pub(crate) async fn describe(&self, schema: &str, table: &str) -> Result<Option<Arc<Relation>>> {
        let exact = self.schemas.peek(&()).and_then(|schemas| {
            let mut equal = schemas.iter().filter(|name| fold(name) == fold(schema));
            equal.next().filter(|_| equal.next().is_none()).cloned()
        });
        let listed = exact.as_ref().and_then(|exact| self.tables.peek(exact));
        let (Some(exact), Some(listed)) = (exact, listed) else { return self.relation(schema, table).await };
        if listed.len() > SCHEMA_RELATIONS_MAX {
            return self.relation(schema, table).await;
        }
        let all = self.whole_schemas.get(exact.clone(), self.ask_schema(&exact)).await?;
        match all.get(&fold(table)) {
            Some(found) => self.only_one(found),
            None => Ok(None),
        }
    }

    /// Forgets a table, a schema, or everything.
    pub(crate) fn refresh(&self, schema: Option<&str>, table: Option<&str>) {
        let schema = schema.map(fold);
        let table = table.map(fold);
        let fits = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| *wanted == fold(name));
        self.schemas.forget(|()| true);
        self.tables.forget(|name| fits(&schema, name));
        self.whole_schemas.forget(|name| fits(&schema, name));
        self.relations.forget(|(in_schema, name)| fits(&schema, in_schema) && fits(&table, name));
    }

    /// What the server's own planner makes of a SELECT; `None` if it would not say.
    pub(crate) async fn estimate(&self, select: String) -> Result<Option<RemotePlan>> {
        let ask = async {
            match self.ask(|_| format!("EXPLAIN (FORMAT JSON) {select}")).await {
                Ok(answers) => Ok(estimated(&answers)),
                Err(error) if error.kind() == ErrorKind::SourceUnavailable => Err(error),
                // The scan will say what is wrong, if it is still wrong then.
                Err(_refused) => Ok(None),
            }
        };
        self.estimates.get(select.clone(), ask).await
    }

    async fn all_schemas(&self) -> Result<Arc<Vec<String>>> {
        let ask = async {
            let answers = self.ask(|_| queries::schemas()).await?;
            Ok(Arc::new(names(&answers)))
        };
        self.schemas.get((), ask).await
    }

    async fn tables_of(&self, schema: &str) -> Result<Arc<Vec<TableInfo>>> {
        let ask = async {
            let answers = self.ask(|_| queries::tables(schema)).await?;
            let info = |row: &Vec<Option<String>>| {
                let text = |index: usize| row.get(index).cloned().flatten();
                let kind = relation::table_kind(&text(1).unwrap_or_default(), schema);
                TableInfo { name: text(0).unwrap_or_default(), kind, comment: text(2) }
            };
            Ok(Arc::new(answers.iter().flat_map(|answer| &answer.rows).map(info).collect()))
        };
        self.tables.get(schema.to_owned(), ask).await
    }

    /// The exact name of a schema.
    async fn schema_named(&self, schema: &str) -> Result<Option<String>> {
        let all = self.all_schemas().await?;
        let equal: Vec<&String> = all.iter().filter(|name| fold(name) == fold(schema)).collect();
        match equal.as_slice() {
            [] => {
                self.schemas.forget(|()| true);
                Ok(None)
            }
            [one] => Ok(Some((*one).clone())),
            several => Err(self.ambiguous("schemas", several.iter().map(|name| format!("{name:?}")))),
        }
    }

    async fn ask_relation(&self, schema: &str, table: &str) -> Result<Relations> {
        let which = if schema.is_ascii() && table.is_ascii() {
            Which::Folded(schema.to_owned(), table.to_owned())
        } else {
            Which::Exact(self.exact_names(schema, table).await?)
        };
        let answers = self.ask(|version| queries::details(&which, version)).await?;
        Ok(Arc::new(relation::relations(&answers, &self.config)?))
    }

    /// The names equal to these without regard to case, where the server's `lower` may differ from ours.
    async fn exact_names(&self, schema: &str, table: &str) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for name in self.all_schemas().await?.iter().filter(|name| fold(name) == fold(schema)) {
            let tables = self.tables_of(name).await?;
            let equal = tables.iter().filter(|info| fold(&info.name) == fold(table));
            found.extend(equal.map(|info| (name.clone(), info.name.clone())));
        }
        Ok(found)
    }

    async fn ask_schema(&self, schema: &str) -> Result<SchemaRelations> {
        let which = Which::Schema(schema.to_owned());
        let answers = self.ask(|version| queries::details(&which, version)).await?;
        let mut by_name: HashMap<String, Vec<Arc<Relation>>> = HashMap::new();
        for relation in relation::relations(&answers, &self.config)? {
            by_name.entry(fold(&relation.name)).or_default().push(relation);
        }
        Ok(Arc::new(by_name))
    }

    /// Once more where a session was lost with the question: nothing depends on it yet.
    async fn ask(&self, sql: impl Fn(u32) -> String) -> Result<Vec<QueryResult>> {
        let once = async || -> Result<_> {
            let mut connection = self.pool.get(None).await?;
            let sql = sql(connection.server_version());
            let answer = connection.transaction(READ_ONLY, PATIENCE, &sql).await;
            Ok((answer, connection.is_broken()))
        };
        match once().await? {
            (Err(_), true) => once().await?.0,
            (answer, _) => answer,
        }
    }

    fn only_one(&self, found: &[Arc<Relation>]) -> Result<Option<Arc<Relation>>> {
        match found {
            [] => Ok(None),
            [one] => Ok(Some(Arc::clone(one))),
            several => {
                let names = several.iter().map(|relation| format!("{:?}.{:?}", relation.schema, relation.name));
                Err(self.ambiguous("tables", names))
            }
        }
    }

    fn ambiguous(&self, what: &str, names: impl Iterator<Item = String>) -> Error {
        let names: Vec<String> = names.collect();
        Error::invalid_query(format!(
            "catalog {:?}: {what} {} have the same name without regard to case",
            self.config.options.catalog,
            names.join(" and ")
        ))
        .with_hint("rename one of them, or read it through a view with another name")
        .with_code("AMBIGUOUS_NAME")
    }
}

/// What the plan's topmost node says.
fn estimated(answers: &[QueryResult]) -> Option<RemotePlan> {
    let lines = answers.first()?.rows.iter().filter_map(|row| row.first().cloned().flatten());
    let plan: serde_json::Value = serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).ok()?;
    let node = plan.get(0)?.get("Plan")?;
    let (rows, width) = (node.get("Plan Rows")?.as_f64()?, node.get("Plan Width")?.as_f64()?);
    // Each value has its length in front, each row the number of its values.
    let estimate = Estimate { rows, bytes: rows * (width + 8.0) };
    Some(RemotePlan { estimate, cost: node.get("Total Cost")?.as_f64()?, by_index: uses_index(node) })
}

/// Whether a plan finds rows by an index somewhere.
fn uses_index(node: &serde_json::Value) -> bool {
    let kind = node.get("Node Type").and_then(serde_json::Value::as_str).unwrap_or_default();
    let below = node.get("Plans").and_then(serde_json::Value::as_array);
    kind.contains("Index") || below.is_some_and(|plans| plans.iter().any(uses_index))
}

/// A name without regard to case.
fn fold(name: &str) -> String {
    name.to_lowercase()
}

fn names(answers: &[QueryResult]) -> Vec<String> {
    answers.iter().flat_map(|answer| &answer.rows).filter_map(|row| row.first().cloned().flatten()).collect()
}

#[cfg(test)]
mod tests;
