//! The pool against a real server. Each test has settings of its own, and so a pool of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meesh_base::{ConfigValues, ErrorKind, QueryId, QueryScope, Result};

use super::{Pool, PoolSettings};
use crate::config::PostgresConfig;
use crate::testing::{Server, shared_server};
use crate::wire::{ConnectOptions, RowOutcome, RowSink, RowsRequest, Tuple, ValueFormat};

const LONG: RowsRequest<'_> = RowsRequest {
    prelude: Some("BEGIN"),
    select: "SELECT generate_series(1, 1000000000)",
    formats: &[ValueFormat::Text],
    commits: false,
};

struct Few(u32);

impl RowSink for Few {
    fn row(&mut self, _tuple: Tuple<'_>) -> Result<RowOutcome> {
        self.0 += 1;
        Ok(if self.0.is_multiple_of(1000) { RowOutcome::Full } else { RowOutcome::Continue })
    }
}

fn options(url: &str, name: &str) -> ConnectOptions {
    let mut values = ConfigValues::new("catalog \"sales\"");
    values.set("connection-url", format!("{url}?application_name={name}"), "a test");
    PostgresConfig::parse("sales", &values).unwrap().options
}

fn settings(max: usize) -> PoolSettings {
    PoolSettings { max, wait_max: Duration::from_secs(20), idle_lifetime: Duration::from_secs(60) }
}

/// A pool named after its test.
fn pool(name: &str, max: usize) -> Pool {
    Pool::open(options(&shared_server().url("trusted"), name), settings(max))
}

/// Waits until the pool is whole: nothing is in use or being settled.
async fn whole(pool: &Pool) {
    let end = Instant::now() + Duration::from_secs(5);
    while pool.status().size > pool.status().idle {
        assert!(Instant::now() < end, "{pool:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn sessions(name: &str, state: &str) -> String {
    let sql =
        format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND state LIKE '{state}'");
    tokio::task::spawn_blocking(move || shared_server().psql(&sql)).await.unwrap()
}

#[tokio::test]
async fn a_session_is_used_again() {
    let pool = pool("again", 3);
    let pid = |result: Vec<crate::wire::QueryResult>| result[0].rows[0][0].clone();
    let first = pid(pool.get(None).await.unwrap().simple_query("SELECT pg_backend_pid()").await.unwrap());
    let second = pid(pool.get(None).await.unwrap().simple_query("SELECT pg_backend_pid()").await.unwrap());
    assert_eq!(first, second);
    assert_eq!((pool.status().size, pool.status().idle), (1, 1));
}

#[tokio::test]
async fn abandoned_statements_are_cancelled_and_the_pool_stays_whole() {
    let pool = pool("abandoned", 2);
    for _ in 0..20 {
        let mut connection = pool.get(None).await.unwrap();
        connection.start_rows(LONG).await.unwrap();
        connection.read_rows(&mut Few(0)).await.unwrap();
        drop(connection);
        let started = Instant::now();
        // The next query works at once, on the same limit.
        let mut next = pool.get(None).await.unwrap();
        assert!(next.is_idle());
        next.simple_query("SELECT 1").await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    whole(&pool).await;
    assert_eq!(sessions("abandoned", "active").await, "0");
    assert!(pool.status().idle >= 1 && pool.status().size <= 2, "{pool:?}");
}

#[tokio::test]
async fn an_abandoned_transaction_is_rolled_back() {
    let pool = pool("transaction", 1);
    let mut connection = pool.get(None).await.unwrap();
    connection.simple_query("BEGIN").await.unwrap();
    drop(connection);
    assert!(pool.get(None).await.unwrap().is_idle());
    whole(&pool).await;
    assert_eq!(sessions("transaction", "idle in transaction%").await, "0");
}

#[tokio::test]
async fn a_sleeping_statement_is_cancelled_too() {
    let pool = pool("sleeping", 1);
    let mut connection = pool.get(None).await.unwrap();
    let asleep = connection.simple_query("SELECT pg_sleep(30)");
    assert!(tokio::time::timeout(Duration::from_millis(50), asleep).await.is_err());
    drop(connection);
    let started = Instant::now();
    pool.get(None).await.unwrap().simple_query("SELECT 1").await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn waiting_ends_with_the_wait_limit_the_deadline_or_the_cancel() {
    let options = options(&shared_server().url("trusted"), "waiting");
    let pool = Pool::open(options, PoolSettings { wait_max: Duration::from_millis(100), ..settings(1) });
    let held = pool.get(None).await.unwrap();
    let error = pool.get(None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.to_string().contains("connections-max") && error.to_string().contains("\"sales\""), "{error}");
    let scope = QueryScope::new(QueryId::generate(), "ann", Some(Duration::from_millis(20)));
    assert_eq!(pool.get(Some(&scope)).await.err().unwrap().kind(), ErrorKind::Timeout);
    let scope = QueryScope::new(QueryId::generate(), "ann", None);
    let cancel = scope.cancel_token().clone();
    let (waited, ()) = tokio::join!(pool.get(Some(&scope)), async { cancel.cancel() });
    assert_eq!(waited.err().unwrap().kind(), ErrorKind::Cancelled);
    drop(held);
    assert!(pool.get(None).await.is_ok());
}

#[tokio::test]
async fn queries_leave_one_session_to_metadata() {
    let pool = pool("reserve", 4);
    let scope = QueryScope::new(QueryId::generate(), "ann", Some(Duration::from_secs(10)));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(pool.get(Some(&scope)).await.unwrap());
    }
    let fourth = tokio::time::timeout(Duration::from_millis(50), pool.get(Some(&scope))).await;
    assert!(fourth.is_err(), "a query took the reserve");
    assert!(pool.get(None).await.is_ok());
}

#[tokio::test]
async fn a_full_server_is_waited_for() {
    let pool = Pool::open(options(&shared_server().url("limited"), "full"), settings(10));
    let queries = (0..30).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.get(None).await?.simple_query("SELECT pg_sleep(0.01)").await })
    });
    for query in queries.collect::<Vec<_>>() {
        query.await.unwrap().unwrap();
    }
    assert!(pool.status().size <= 2, "{pool:?}");
}

#[tokio::test]
async fn unused_sessions_are_closed() {
    let options = options(&shared_server().url("trusted"), "unused");
    let pool = Pool::open(options, PoolSettings { idle_lifetime: Duration::from_millis(50), ..settings(2) });
    drop(pool.get(None).await.unwrap());
    assert_eq!(pool.status().idle, 1);
    let end = Instant::now() + Duration::from_secs(5);
    while pool.status().idle > 0 {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_restart_is_survived() {
    let mut server = tokio::task::spawn_blocking(|| Server::start("")).await.unwrap();
    let pool = Pool::open(options(&server.url("trusted"), "restart"), settings(3));
    let (one, two) = (pool.get(None).await.unwrap(), pool.get(None).await.unwrap());
    drop((one, two));
    assert_eq!(pool.status().idle, 2);
    let server = tokio::task::spawn_blocking(move || {
        server.stop("fast");
        server.start_again();
        server
    });
    let server = server.await.unwrap();
    pool.get(None).await.unwrap().simple_query("SELECT 1").await.unwrap();
    let server = Arc::new(server);
    let stopping = Arc::clone(&server);
    tokio::task::spawn_blocking(move || stopping.stop("immediate")).await.unwrap();
    let started = Instant::now();
    let error = pool.get(None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::SourceUnavailable);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn catalogs_of_one_source_share_sessions() {
    let first = pool("shared", 2);
    let mut other = options(&shared_server().url("trusted"), "shared");
    other.catalog = "sales_copy".into();
    let second = Pool::open(other, settings(2));
    drop(first.get(None).await.unwrap());
    assert_eq!(second.status().idle, 1);
    let error = second.get(None).await.unwrap().simple_query("SELECT nope").await.unwrap_err();
    assert!(error.to_string().contains("\"sales_copy\""), "{error}");
    let mut writer = options(&shared_server().url("trusted"), "shared");
    writer.read_only = false;
    assert_eq!(Pool::open(writer, settings(2)).status().idle, 0);
}
