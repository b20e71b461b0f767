//! Rows of a real server.

mod keys;
mod locks;
mod oracle;
mod split;
mod types;

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use arrow::compute::concat_batches;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::col;
use meesh_base::{ErrorKind, QueryId, QueryScope};
use meesh_connector_spi::{Connector, Pushdown};

use super::*;
use crate::config::PostgresConfig;
use crate::testing::shared_server;

fn connector(options: &[(&str, &str)]) -> PostgresConnector {
    let mut values = PostgresConfig::values_of_url("sales", &shared_server().url("trusted")).unwrap().unwrap();
    for (name, text) in options {
        values.set(*name, *text, "test");
    }
    PostgresConnector::new("sales", PostgresConfig::parse("sales", &values).unwrap())
}

fn scope() -> Arc<QueryScope> {
    Arc::new(QueryScope::new(QueryId::generate(), "ann", None))
}

/// A table of its own for the test, with `rows` inserted as superuser, analyzed and readable by all.
fn table(name: &str, columns: &str, rows: &str) {
    let values = if rows.is_empty() { String::new() } else { format!("INSERT INTO public.{name} {rows};") };
    shared_server().psql(&format!(
        "CREATE TABLE public.{name} ({columns}); {values} GRANT SELECT ON public.{name} TO PUBLIC; \
         ANALYZE public.{name}"
    ));
}

async fn provider(connector: &PostgresConnector, name: &str) -> Arc<dyn TableProvider> {
    connector.table("public", name).await.unwrap().unwrap_or_else(|| panic!("no table {name}"))
}

async fn whole_table(connector: &PostgresConnector, name: &str) -> LogicalPlan {
    let source = provider_as_source(provider(connector, name).await);
    LogicalPlanBuilder::scan(name, source, None).unwrap().build().unwrap()
}

async fn read(connector: &PostgresConnector, plan: &LogicalPlan, batch_rows: usize) -> Result<Vec<RecordBatch>> {
    let scope = scope();
    let planned = connector.plan(plan, &scope, 1).await?;
    assert_eq!(&*planned.scan.schema(), plan.schema().as_arrow());
    let batches: Vec<_> = open(&*planned.scan, scope, batch_rows).collect().await;
    batches.into_iter().collect()
}

/// The rows of all streams.
fn open(scan: &dyn SourceScan, scope: Arc<QueryScope>, batch_rows: usize) -> BoxStream<'static, Result<RecordBatch>> {
    stream::select_all(scan.open(ScanRequest::all(scope, scan.schema(), batch_rows))).boxed()
}

fn cells(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()));
    }
    rows
}
#[tokio::test]
async fn columns_and_rows_may_be_none() {
    table("counted", "i int", "SELECT generate_series(1, 20000)");
    let connector = connector(&[]);
    let source = provider_as_source(provider(&connector, "counted").await);
    let none = LogicalPlanBuilder::scan("counted", Arc::clone(&source), Some(vec![])).unwrap().build().unwrap();
    let batches = read(&connector, &none, 8192).await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [8192, 8192, 3616]);
    table("empty_one", "i int", "");
    let empty = whole_table(&connector, "empty_one").await;
    assert!(read(&connector, &empty, 8192).await.unwrap().is_empty());
    let limited =
        LogicalPlanBuilder::scan_with_filters_fetch("counted", source, None, vec![], Some(5)).unwrap().build();
    assert_eq!(cells(&read(&connector, &limited.unwrap(), 8192).await.unwrap()).len(), 5);
}

#[tokio::test]
async fn a_scan_counts_its_progress_and_names_its_query() {
    // More than the sockets between hold: the server is not done when the first rows are here.
    table("progress", "i int, t text", "SELECT i, repeat('x', 300) FROM generate_series(1, 100000) i");
    let connector = connector(&[]);
    let plan = whole_table(&connector, "progress").await;
    let scope = scope();
    let scan = connector.plan(&plan, &scope, 1).await.unwrap().scan;
    assert_eq!(scan.remote_text(), "SELECT \"i\", \"t\" FROM \"public\".\"progress\"");
    assert_eq!(scan.statistics().num_rows.get_value(), Some(&100_000));
    let mut rows = open(&*scan, Arc::clone(&scope), 1000);
    let first = rows.next().await.unwrap().unwrap();
    let named = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'meesh/{}'", scope.id());
    assert_eq!(shared_server().psql(&named), "1");
    let rest: Vec<RecordBatch> = rows.map(|batch| batch.unwrap()).collect().await;
    let all = concat_batches(&first.schema(), std::iter::once(&first).chain(&rest)).unwrap();
    assert_eq!(all.num_rows(), 100_000);
    let progress = scope.progress("sales");
    assert_eq!(progress.rows.load(Relaxed), 100_000);
    assert!(progress.bytes.load(Relaxed) > 1_000_000);
    assert_eq!((progress.units_done.load(Relaxed), progress.units_total.load(Relaxed)), (1, 1));
    assert_eq!(shared_server().psql(&named), "0", "an idle session carries no query's name");
}

async fn active_is_gone(scope: &QueryScope) {
    let active = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'meesh/{}' AND state <> 'idle'",
        scope.id()
    );
    let end = Instant::now() + Duration::from_secs(1);
    while shared_server().psql(&active) != "0" {
        assert!(Instant::now() < end, "the statement goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_ends_with_its_stream_its_query_or_its_deadline() {
    shared_server().psql(
        "CREATE VIEW public.endless AS SELECT generate_series(1, 1000000000) AS i, repeat('x', 100) AS t; \
         CREATE VIEW public.silent AS SELECT pg_sleep(600)::text AS t; \
         GRANT SELECT ON public.endless, public.silent TO PUBLIC",
    );
    let connector = connector(&[("connections-max", "2")]);
    for view in ["endless", "silent"] {
        let plan = whole_table(&connector, view).await;
        let begin = |scope: &Arc<QueryScope>| {
            let (scope, connector, plan) = (Arc::clone(scope), connector.clone(), plan.clone());
            async move { open(&*connector.plan(&plan, &scope, 1).await.unwrap().scan, scope, 1000) }
        };
        // Dropped: `endless` after a batch, `silent` while the server has said nothing.
        let gone = scope();
        let mut stream = begin(&gone).await;
        drop(tokio::time::timeout(Duration::from_millis(300), stream.next()).await);
        drop(stream);
        active_is_gone(&gone).await;
        // Cancelled.
        let cancelled = scope();
        let stream = begin(&cancelled).await;
        let token = cancelled.cancel_token().clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            token.cancel();
        });
        let last = stream.fold(None, |_, batch| async { Some(batch) }).await;
        assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        active_is_gone(&cancelled).await;
        // Out of time.
        let late = Arc::new(QueryScope::new(QueryId::generate(), "ann", Some(Duration::from_millis(300))));
        let last = begin(&late).await.fold(None, |_, batch| async { Some(batch) }).await;
        assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
        active_is_gone(&late).await;
    }
    // The pool is whole: two sessions at once.
    let plan = whole_table(&connector, "endless").await;
    let scopes = [scope(), scope()];
    let scan = connector.plan(&plan, &scopes[0], 1).await.unwrap().scan;
    let mut streams: Vec<_> = scopes.iter().map(|scope| open(&*scan, Arc::clone(scope), 10)).collect();
    for stream in &mut streams {
        assert!(stream.next().await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_table_that_is_gone_is_looked_up_again() {
    table("vanishing", "i int", "SELECT 1");
    let connector = connector(&[]);
    let plan = whole_table(&connector, "vanishing").await;
    shared_server().psql("DROP TABLE public.vanishing");
    let error = read(&connector, &plan, 8192).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(connector.table("public", "vanishing").await.unwrap().is_none());
}

#[tokio::test]
async fn a_column_that_changed_its_type_is_no_wrong_value() {
    table("changing", "v bigint", "SELECT 5");
    let connector = connector(&[("metadata.cache-ttl", "1h")]);
    let plan = whole_table(&connector, "changing").await;
    shared_server().psql("ALTER TABLE public.changing ALTER v TYPE double precision");
    let error = read(&connector, &plan, 8192).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceUnavailable, "{error}");
    assert!(error.to_string().contains("\"changing\" has changed"), "{error}");
    let again = whole_table(&connector, "changing").await;
    assert_eq!(cells(&read(&connector, &again, 8192).await.unwrap()), [["5.0"]]);
    // A table of the same name and columns is as good.
    shared_server().psql(
        "DROP TABLE public.changing; CREATE TABLE public.changing (v double precision); \
         INSERT INTO public.changing VALUES (6); GRANT SELECT ON public.changing TO PUBLIC",
    );
    assert_eq!(cells(&read(&connector, &again, 8192).await.unwrap()), [["6.0"]]);
}

#[tokio::test]
async fn a_column_that_is_not_read_may_change() {
    table("changing_beside", "v bigint, w int", "SELECT 5, 6");
    let connector = connector(&[("metadata.cache-ttl", "1h")]);
    let whole = whole_table(&connector, "changing_beside").await;
    let narrow = LogicalPlanBuilder::from(whole.clone()).project([col("w")]).unwrap().build().unwrap();
    shared_server().psql("ALTER TABLE public.changing_beside ALTER v TYPE double precision");
    assert_eq!(cells(&read(&connector, &narrow, 8192).await.unwrap()), [["6"]]);
    assert!(read(&connector, &whole, 8192).await.is_err());
}

#[tokio::test]
async fn a_child_that_dropped_not_null_is_seen() {
    table("guarded", "c int NOT NULL", "SELECT 1");
    shared_server().psql(
        "CREATE TABLE public.loose_child () INHERITS (public.guarded); \
         ALTER TABLE public.loose_child ALTER c DROP NOT NULL; INSERT INTO public.loose_child VALUES (NULL)",
    );
    let plan = whole_table(&connector(&[]), "guarded").await;
    let mut rows = cells(&read(&connector(&[]), &plan, 8192).await.unwrap());
    rows.sort();
    assert_eq!(rows, [["1"], ["NULL"]]);
}
