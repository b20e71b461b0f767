//! Statements that change something: planned here, done by their source.
//!
//! ```text
//! Write --> target (names, columns, types) --> the query it reads, planned like any other, cast to the target
//!       --> all of it is the target's source's: one statement there      (Rows::Computed)
//!           else: a stream of batches into one transaction there         (Rows::Streamed)
//! ```
//!
//! DataFusion's own planning of writes is never asked: it can lose a WHERE (apache/datafusion#24654).

mod rows;
mod target;
mod types;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use meesh_base::{Error, NewColumn, QueryScope, Result};
use meesh_connector_spi::{self as spi, Connector, RowAction, Rows, SourceWrite, WriteTarget, from_datafusion};
use meesh_sql::{Action, Query, TableName, Write};

use crate::catalog::{FullName, Resolver};
use crate::limits::QueryMemoryPool;
use crate::parameters::Parameters;
use crate::plan::{PlannedQuery, PlannedRows, Planner};
use crate::query::{QueryState, Run, run};
use crate::session::Session;
use rows::Wanted;

pub(crate) use target::writes;

/// What a write is planned with.
pub(crate) struct Writer<'a> {
    pub(crate) resolver: Resolver<'a>,
    pub(crate) planner: &'a Planner,
    pub(crate) session: &'a Session,
    pub(crate) scope: &'a Arc<QueryScope>,
    pub(crate) memory: &'a Arc<QueryMemoryPool>,
}

/// A write that can be run once.
pub(crate) struct PlannedWrite {
    /// The catalog that is written to.
    pub(crate) catalog: String,
    /// `None`: there is nothing to do.
    write: Option<Arc<dyn SourceWrite>>,
    /// The rows, unless the source has them.
    pub(crate) rows: Option<PlannedQuery>,
}

impl PlannedWrite {
    /// What is sent to the source.
    pub(crate) fn remote_text(&self) -> Option<String> {
        self.write.as_ref().map(|write| write.remote_text())
    }

    /// Does it; how many rows it was. Waits for its turn like any query.
    pub(crate) async fn run(self, run_of: Run) -> Result<u64> {
        let Some(write) = self.write else { return Ok(0) };
        let scope = Arc::clone(&run_of.scope);
        if let Some(planned) = self.rows {
            return write.run(Some(run(run_of, planned)), scope).await;
        }
        run_of.record.enter(QueryState::Queued);
        let _permit = run_of.admission.enter(&scope).await?;
        run_of.record.enter(QueryState::Running);
        write.run(None, scope).await
    }
}

/// A table to write to, and whose it is.
struct Place {
    name: FullName,
    connector: Arc<dyn Connector>,
}

impl Writer<'_> {
    /// Plans a write. Its source is asked for the target, and changes nothing.
    ///
    /// # Errors
    /// `Denied` and `Unsupported` for catalogs that are not written to; those of planning a query;
    /// `InvalidQuery` (`TYPE_MISMATCH`) for values that their columns do not take.
    pub(crate) async fn plan(&self, write: Write, parameters: Parameters) -> Result<PlannedWrite> {
        match write {
            Write::DefineSchema { schema, definition } => {
                let place = self.schema(&schema)?;
                let write = spi::Write::Define { schema: place.name.schema.clone(), table: None, definition };
                self.without_rows(&place, write).await
            }
            Write::Define { table, definition } => {
                let place = self.table(&table)?;
                let FullName { schema, table, .. } = place.name.clone();
                let write = spi::Write::Define { schema, table: Some(table), definition };
                self.without_rows(&place, write).await
            }
            Write::CreateView { view, replace, comment, query } => {
                self.create_view(&view, replace, comment, query, parameters).await
            }
            Write::CreateTableAs { .. } => self.create_table_as(write, parameters).await,
            Write::Insert { table, columns, mut query } => {
                let place = self.table(&table)?;
                let target = self.target(&place, &table).await?;
                let chosen = match &columns {
                    Some(names) => target::columns(&target, &place.name, names)?,
                    None => target::all_columns(&target),
                };
                let wanted = Wanted::insert(&target, &chosen);
                query.type_parameters(0, &wanted.types());
                let state = self.state(&mut query, None).await?;
                let (rows, streamed) = self.rows(&place, state, query, parameters, wanted).await?;
                let write = spi::Write::Insert { into: spi::Into::Table(target, chosen), rows };
                self.with_rows(&place, write, streamed).await
            }
            Write::Change { table, query, actions, all, merges } => {
                self.change(&table, query, actions, all, merges, parameters).await
            }
        }
    }

    /// The parameters of a write's query, before they have values.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub(crate) async fn parameters(&self, write: &Write) -> Result<SchemaRef> {
        let none = || Arc::new(arrow::datatypes::Schema::empty());
        let Some(query) = write.query().filter(|query| query.parameters > 0) else { return Ok(none()) };
        let mut query = query.clone();
        let state = match write {
            Write::Change { table, actions, merges, .. } => {
                let place = self.table(table)?;
                let target = self.target(&place, table).await?;
                let (_, wanted) = resolved(&target, &place.name, actions, *merges)?;
                query.type_parameters(wanted.first(), &wanted.types());
                self.state(&mut query, Some((&place.name, &target))).await?
            }
            Write::Insert { table, columns, .. } => {
                let place = self.table(table)?;
                let target = self.target(&place, table).await?;
                let chosen = match columns {
                    Some(names) => target::columns(&target, &place.name, names)?,
                    None => target::all_columns(&target),
                };
                query.type_parameters(0, &Wanted::insert(&target, &chosen).types());
                self.state(&mut query, None).await?
            }
            _ => self.state(&mut query, None).await?,
        };
        Ok(self.planner.shape(state, query).await?.parameters)
    }

    async fn change(
        &self,
        table: &TableName,
        mut query: Query,
        actions: Vec<Action>,
        all: bool,
        merges: bool,
        parameters: Parameters,
    ) -> Result<PlannedWrite> {
        let place = self.table(table)?;
        let target = self.target(&place, table).await?;
        if all {
            let write = spi::Write::Change { target, actions: vec![RowAction::Delete], rows: Rows::All, merges };
            return self.with_rows(&place, write, None).await;
        }
        let (actions, wanted) = resolved(&target, &place.name, &actions, merges)?;
        query.type_parameters(wanted.first(), &wanted.types());
        let state = self.state(&mut query, Some((&place.name, &target))).await?;
        let (rows, streamed) = self.rows(&place, state, query, parameters, wanted).await?;
        let write = spi::Write::Change { target, actions, rows, merges };
        self.with_rows(&place, write, streamed).await
    }

    async fn create_table_as(&self, write: Write, parameters: Parameters) -> Result<PlannedWrite> {
        let Write::CreateTableAs { table, if_not_exists, columns, comment, mut query, with_data } = write else {
            return Err(Error::internal("another statement than CREATE TABLE AS"));
        };
        let place = self.table(&table)?;
        let FullName { catalog, schema, table: name } = place.name.clone();
        place.connector.refresh(Some(&schema), Some(&name)).await?;
        if place.connector.describe(&schema, &name).await?.is_some() {
            if if_not_exists {
                return Ok(PlannedWrite { catalog, write: None, rows: None });
            }
            let error = Error::already_exists(format!("table {:?} already exists", place.name.to_string()));
            return Err(target::placed(error.with_code("TABLE_ALREADY_EXISTS"), table.position));
        }
        let state = self.state(&mut query, None).await?;
        let shape = self.planner.shape(state.clone(), query.clone()).await?.schema;
        let given = columns.map(|columns| columns.into_iter().map(|column| column.name).collect::<Vec<_>>());
        let columns = types::new_columns(&shape, given)?;
        let wanted = Wanted::made(&columns);
        let (rows, streamed) = match with_data {
            true => self.rows(&place, state, query, parameters, wanted).await?,
            false => (Rows::None, None),
        };
        let write = spi::Write::Insert { into: spi::Into::New { schema, table: name, columns, comment }, rows };
        self.with_rows(&place, write, streamed).await
    }

    async fn create_view(
        &self,
        view: &TableName,
        replace: bool,
        comment: Option<String>,
        mut query: Query,
        parameters: Parameters,
    ) -> Result<PlannedWrite> {
        let place = self.table(view)?;
        let refused = |why: &str| {
            let error = Error::unsupported(format!("view {:?} cannot be created: {why}", place.name.to_string()));
            target::placed(error.with_code("NOT_SUPPORTED"), view.position)
        };
        if query.parameters > 0 {
            return Err(refused("its query has parameters"));
        }
        let state = self.state(&mut query, None).await?;
        let shape = self.planner.shape(state.clone(), query.clone()).await?.schema;
        let columns: Vec<NewColumn> = types::new_columns(&shape, None)?;
        let columns = columns.into_iter().map(|column| column.name).collect();
        let source = place.connector.source_key();
        let checked = |plan: LogicalPlan| match depends_on_the_moment(&plan)? {
            Some(function) => Err(Error::unsupported(format!("{function} would be computed once, when it is created"))
                .with_code("NOT_SUPPORTED")),
            None => Ok(plan),
        };
        match self.planner.plan_rows(state, query, parameters, source, Box::new(checked)).await? {
            PlannedRows::Computed(query) => {
                let FullName { schema, table: view, .. } = place.name.clone();
                let write = spi::Write::CreateView { schema, view, replace, comment, columns, query };
                self.with_rows(&place, write, None).await
            }
            PlannedRows::Streamed(planned) => {
                let error = refused(&format!("catalog {:?} cannot compute all of its query", place.name.catalog));
                let kept = rows::kept(&planned.physical());
                Err(if kept.is_empty() { error } else { error.with_detail(format!("not pushed: {}", kept.join("; "))) })
            }
        }
    }

    /// The state that a write's query is planned in; with the target in it where its rows are changed.
    async fn state(&self, query: &mut Query, target: Option<(&FullName, &WriteTarget)>) -> Result<SessionState> {
        let view = self.resolver.view(query).await?;
        if let Some((name, target)) = target {
            target::register(&view, self.session, name, target)?;
        }
        self.planner.state(self.session, self.scope, self.memory, view)
    }

    async fn rows(
        &self,
        place: &Place,
        state: SessionState,
        query: Query,
        parameters: Parameters,
        wanted: Wanted,
    ) -> Result<(Rows, Option<PlannedQuery>)> {
        let source = place.connector.source_key();
        let shape = Box::new(move |plan: LogicalPlan| wanted.cast(plan));
        Ok(match self.planner.plan_rows(state, query, parameters, source, shape).await? {
            PlannedRows::Computed(plan) => (Rows::Computed(plan), None),
            PlannedRows::Streamed(planned) => (Rows::Streamed(Arc::clone(&planned.schema)), Some(planned)),
        })
    }

    async fn without_rows(&self, place: &Place, write: spi::Write) -> Result<PlannedWrite> {
        self.with_rows(place, write, None).await
    }

    async fn with_rows(&self, place: &Place, write: spi::Write, rows: Option<PlannedQuery>) -> Result<PlannedWrite> {
        let catalog = place.name.catalog.clone();
        let write = writes(&place.connector, &catalog)?.plan(write).await?;
        Ok(PlannedWrite { catalog, write: Some(write), rows })
    }
}

/// The actions with their columns found, and the values that they want.
fn resolved(
    target: &WriteTarget,
    name: &FullName,
    actions: &[Action],
    merges: bool,
) -> Result<(Vec<RowAction>, Wanted)> {
    if target.addressed.is_none() {
        return Err(Error::unsupported(format!("rows of table {:?} cannot be changed", name.to_string()))
            .with_hint("its source has no address for them: it may be a table of yet another source")
            .with_code("NOT_SUPPORTED"));
    }
    let mut found = Vec::new();
    for action in actions {
        found.push(match action {
            Action::Delete => RowAction::Delete,
            Action::Update(columns) => RowAction::Update(target::columns(target, name, columns)?),
            Action::Insert { columns, values } => {
                let columns = match columns {
                    Some(names) => target::columns(target, name, names)?,
                    None => target::all_columns(target),
                };
                if columns.len() != *values {
                    return Err(Error::invalid_query(format!(
                        "INSERT of the MERGE has {values} values for {} columns",
                        columns.len()
                    ))
                    .with_code("MISMATCHED_COLUMN_ALIASES"));
                }
                RowAction::Insert(columns)
            }
        });
    }
    let wanted = Wanted::change(target, &found, merges);
    Ok((found, wanted))
}

/// A function in the plan whose result changes from query to query.
fn depends_on_the_moment(plan: &LogicalPlan) -> Result<Option<String>> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                if let Expr::ScalarFunction(call) = expression
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    found = Some(call.func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(from_datafusion)?;
    Ok(found)
}
