//! What changes the database: rows by INSERT, UPDATE, DELETE and MERGE, tables by definitions.
//!
//! ```text
//! Write --plan--> PgWrite                     target.rs (what is written to), statement.rs, define.rs (SQL)
//! rows computed there:   BEGIN; one statement; COMMIT
//! rows from elsewhere:   BEGIN; COPY BINARY into the table, or into a temporary one; statements; COMMIT
//! ```
//!
//! Every write is one transaction on one session. Dropped at any moment it is rolled back by the pool:
//! the table is as before, or complete.

mod change;
mod computed;
mod define;
mod execute;
mod load;
mod session;
mod statement;
mod target;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::logical_expr::LogicalPlan;
use meesh_base::{Definition, Error, QueryScope, Result};
use meesh_connector_spi::{Into, RowStream, SourceWrite, Write, WriteTarget, Writes};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::Rounding;
use crate::connector::PostgresConnector;
use computed::Computed;
pub(crate) use session::SEARCH_PATH;

/// What is kept of a name (NAMEDATALEN, less the zero at its end).
const NAME_BYTES_MAX: usize = 63;

/// How many statements may write to a source at once. A writer may hold a session while scans of the
/// same statement wait for theirs, so half of the sessions are kept from writers.
pub(crate) struct WritersMax(Semaphore);

impl WritersMax {
    /// For a pool of so many sessions.
    pub(crate) fn new(sessions_max: usize) -> Self {
        Self(Semaphore::new((sessions_max / 2).max(1)))
    }

    /// A place among the writers; waits for one.
    async fn enter(&self) -> Result<SemaphorePermit<'_>> {
        self.0.acquire().await.map_err(|_closed| Error::internal("the writers of a catalog are gone"))
    }
}

/// One write, printed.
struct PgWrite {
    connector: PostgresConnector,
    work: Work,
}

enum Work {
    /// Statements without rows from elsewhere.
    Define(define::Defined),
    /// New rows.
    Load(load::Load),
    /// Rows that are there.
    Change(change::Change),
    /// The user's own statement.
    Execute(String),
}

#[async_trait]
impl Writes for PostgresConnector {
    fn allowed(&self) -> Result<()> {
        if !self.config().options.read_only {
            return Ok(());
        }
        let catalog = self.catalog_name();
        Err(Error::denied(format!("catalog {catalog:?} is read-only: set writes-enabled=true in its catalog file"))
            .with_code("PERMISSION_DENIED"))
    }

    async fn target(&self, schema: &str, table: &str) -> Result<Option<WriteTarget>> {
        target::target(self, schema, table).await
    }

    async fn plan(&self, write: Write) -> Result<Arc<dyn SourceWrite>> {
        self.names_fit(&write)?;
        let work = match write {
            Write::Define { schema, table, definition } => {
                Work::Define(define::define(self, &schema, table.as_deref(), definition).await?)
            }
            Write::CreateView { schema, view, replace, comment, columns, query } => {
                let schema = define::exact_schema(self, &schema).await?;
                let name = statement::qualified(&schema, &view);
                let text = self.view_text(&query)?;
                Work::Define(define::create_view(&name, replace, comment.as_deref(), &columns, &text))
            }
            Write::Insert { into, rows } => Work::Load(load::plan(self, into, rows).await?),
            Write::Change { target, actions, rows, merges } => {
                Work::Change(change::plan(self, &target, &actions, rows, merges)?)
            }
            Write::Execute(text) => Work::Execute(text),
        };
        Ok(Arc::new(PgWrite { connector: self.clone(), work }))
    }
}

impl PostgresConnector {
    /// A fragment as the query of a view, whose decimals have the precision that the engine knows: what is
    /// computed has none in PostgreSQL.
    fn view_text(&self, query: &LogicalPlan) -> Result<String> {
        let bare = DataType::Decimal128(38, self.config().numeric.scale);
        let columns = query.schema().fields().iter().enumerate().map(|(index, field)| match field.data_type() {
            DataType::Decimal128(precision, scale) if *field.data_type() != bare => {
                format!("q.c{index}::numeric({precision},{scale})")
            }
            _ => format!("q.c{index}"),
        });
        let list = columns.collect::<Vec<_>>().join(", ");
        let names = statement::list(statement::numbered(query.schema().fields().len()));
        Ok(format!("SELECT {list} FROM ({}) AS q{names}", self.computed(query)?.select))
    }

    /// A fragment as text, and what has to be checked of it.
    ///
    /// # Errors
    /// `Internal`: the engine hands over only what was taken.
    fn computed(&self, query: &LogicalPlan) -> Result<Computed> {
        let (select, relations) = crate::pushdown::select_text(query, self.source()).map_err(|reason| {
            let catalog = self.catalog_name();
            Error::internal(format!("catalog {catalog:?}: a query cannot be sent to PostgreSQL")).with_detail(reason)
        })?;
        let numeric = self.config().numeric;
        let bare = DataType::Decimal128(38, numeric.scale);
        let is_loose = |data_type: &DataType| *data_type == bare && numeric.rounding != Rounding::HalfUp;
        let loose = query.schema().fields().iter().map(|field| is_loose(field.data_type())).collect();
        Ok(Computed { select, relations, loose })
    }

    /// Whether PostgreSQL keeps the new names as they are: it cuts longer ones, and says nothing to us.
    fn names_fit(&self, write: &Write) -> Result<()> {
        let names: Vec<(&str, &str)> = match write {
            Write::Define { schema, table: None, definition: Definition::CreateSchema { .. } } => {
                vec![("schema", schema)]
            }
            Write::Define { table: Some(table), definition, .. } => match definition {
                Definition::CreateTable { columns, .. } => {
                    let columns = columns.iter().map(|column| ("column", column.name.as_str()));
                    columns.chain([("table", table.as_str())]).collect()
                }
                Definition::AddColumn { column, .. } => vec![("column", &column.name)],
                Definition::RenameColumn { to, .. } => vec![("column", to)],
                Definition::RenameTable { table, .. } => vec![("table", table)],
                _ => Vec::new(),
            },
            Write::CreateView { view, columns, .. } => {
                columns.iter().map(|column| ("column", column.as_str())).chain([("view", view.as_str())]).collect()
            }
            Write::Insert { into: Into::New { table, columns, .. }, .. } => {
                let columns = columns.iter().map(|column| ("column", column.name.as_str()));
                columns.chain([("table", table.as_str())]).collect()
            }
            _ => Vec::new(),
        };
        match names.into_iter().find(|(_, name)| name.len() > NAME_BYTES_MAX) {
            None => Ok(()),
            Some((what, name)) => Err(Error::invalid_query(format!(
                "catalog {:?}: the name of {what} {name:?} has {} bytes: PostgreSQL keeps {NAME_BYTES_MAX}",
                self.catalog_name(),
                name.len()
            ))
            .with_hint("choose a shorter name")
            .with_code("NOT_SUPPORTED")),
        }
    }
}

impl fmt::Debug for PgWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgWrite({}, {})", self.connector.catalog_name(), self.remote_text())
    }
}

#[async_trait]
impl SourceWrite for PgWrite {
    fn remote_text(&self) -> String {
        match &self.work {
            Work::Define(defined) => defined.text(),
            Work::Load(load) => load.text(),
            Work::Change(change) => change.text(),
            Work::Execute(text) => text.clone(),
        }
    }

    async fn run(&self, rows: Option<RowStream>, scope: Arc<QueryScope>) -> Result<u64> {
        let _place = tokio::select! {
            place = self.connector.writers().enter() => place?,
            stopped = scope.stopped() => return Err(stopped),
        };
        let done = match &self.work {
            Work::Define(defined) => defined.run(&self.connector, &scope).await,
            Work::Load(load) => load.run(&self.connector, rows, &scope).await,
            Work::Change(change) => change.run(&self.connector, rows, &scope).await,
            Work::Execute(text) => execute::execute(&self.connector, text, &scope).await,
        };
        // What was defined is seen by the next statement; after an error, what was wrong here.
        if done.is_err() || !matches!(self.work, Work::Change(_)) {
            self.connector.tables_known().refresh(None, None);
        }
        done
    }
}
