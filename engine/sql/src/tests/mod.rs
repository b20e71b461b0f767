//! Statements in, results of a real planner out.

mod bombs;
mod queries;
mod statements;
mod writes;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast;

use crate::{Query, Statement, TrinoTypes, parse};

/// Runs `work` where the engine would: on a thread with a stack of 64 MiB.
pub(crate) fn on_big_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(64 << 20).spawn(work).unwrap().join().unwrap()
}

/// A session set up as [`Query`] asks for.
pub(crate) fn session() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.default_null_ordering = "nulls_last".to_owned();
    options.execution.time_zone = Some("UTC".to_owned());
    let mut builder =
        SessionStateBuilder::new().with_config(config).with_default_features().with_type_planner(Arc::new(TrinoTypes));
    builder.scalar_functions().get_or_insert_default().extend(crate::functions::scalar_functions());
    builder.aggregate_functions().get_or_insert_default().extend(crate::functions::aggregate_functions());
    builder.window_functions().get_or_insert_default().extend(crate::functions::window_functions());
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(crate::TrinoOperators::default()));
    SessionContext::new_with_state(builder.build())
}

pub(crate) fn query(sql: &str) -> Query {
    match parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")) {
        Statement::Query(query) => query,
        other => panic!("{sql}: {other:?}"),
    }
}

pub(crate) async fn plan(session: &SessionContext, query: &Query) -> datafusion::error::Result<LogicalPlan> {
    let statement = DataFusionStatement::Statement(Box::new(ast::Statement::Query(query.ast.clone())));
    session.state().statement_to_plan(statement).await
}

/// Runs a statement of DataFusion's own.
pub(crate) async fn execute(session: &SessionContext, sql: &str) {
    #[expect(clippy::disallowed_methods, reason = "no rows")]
    session.sql(sql).await.unwrap().collect().await.unwrap();
}

/// Labels and rows of a query, cells as text.
pub(crate) fn run(sql: &str) -> Result<(Vec<String>, Vec<Vec<String>>), String> {
    let sql = sql.to_owned();
    on_big_stack(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let session = session();
            for table in [
                "create table a as select * from (values (1, 10, 'x'), (2, 20, 'Y'), (3, null, 'x')) as a(k, n, s)",
                "create table b as select * from (values (2, 200), (4, 400)) as b(k, m)",
            ] {
                execute(&session, table).await;
            }
            let query = parse(&sql).map_err(|error| error.to_string())?;
            let Statement::Query(query) = query else { return Err("no query".to_owned()) };
            let plan = plan(&session, &query).await.map_err(|error| error.to_string())?;
            let names: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
            let frame = session.execute_logical_plan(plan).await.map_err(|error| error.to_string())?;
            #[expect(clippy::disallowed_methods, reason = "a handful of rows")]
            let batches = frame.collect().await.map_err(|error| error.to_string())?;
            Ok((query.labels.apply(&names), batches.iter().flat_map(cells).collect()))
        })
    })
}

fn cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect()
}

/// Holds the rows of `sql` against `expected`: cells with `|`, rows with `;` between them.
pub(crate) fn check(sql: &str, expected: &str) {
    let (_, rows) = run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let rows: Vec<String> = rows.into_iter().map(|row| row.join("|")).collect();
    assert_eq!(rows.join(";"), expected, "{sql}");
}

/// Holds the labels of `sql` against `expected`, with commas between them.
pub(crate) fn check_labels(sql: &str, expected: &str) {
    let (labels, _) = run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(labels.join(","), expected, "{sql}");
}

/// Holds the refusal of `sql` against its place, code and a part of its message.
pub(crate) fn check_refused(sql: &str, place: (u64, u64), code: &str, part: &str) {
    let error = parse(sql).err().unwrap_or_else(|| panic!("{sql} was accepted"));
    let position = error.position().map(|position| (position.line, position.column));
    assert_eq!((position, error.code()), (Some(place), Some(code)), "{sql}: {error}");
    assert!(error.message().contains(part), "{sql}: {error}");
}
