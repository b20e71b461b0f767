//! Tables that others alter while a scan waits for them.

use tokio::task::{JoinHandle, spawn_blocking};

use super::split::{fill, ids, wide_table};
use super::*;

/// Has a table's rows written anew by a transaction that then stays open for a while; returns once it holds the
/// table.
async fn rewriting(table: &'static str) -> JoinHandle<String> {
    let rewrite = format!(
        "BEGIN; ALTER TABLE public.{table} ADD IF NOT EXISTS extra float; \
         ALTER TABLE public.{table} ALTER extra TYPE float USING random(); SELECT pg_sleep(0.7); COMMIT"
    );
    let rewritten = spawn_blocking(move || shared_server().psql(&rewrite));
    let held = format!(
        "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
         WHERE c.relname = '{table}' AND l.mode = 'AccessExclusiveLock' AND l.granted"
    );
    while shared_server().psql(&held) == "0" {
        assert!(!rewritten.is_finished(), "the lock was not seen");
    }
    rewritten
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_moved_while_the_scan_waited_are_read() {
    wide_table("moved", "");
    fill("moved", 1, 9000);
    shared_server().psql("ANALYZE public.moved");
    let connector = connector(&[("metadata.cache-ttl", "1h")]);
    for streams_max in [1, 8] {
        let all = (1..=9000).collect::<Vec<_>>();
        let (streams, rows) = ids(&connector, "moved", streams_max).await;
        assert!((streams > 1) == (streams_max > 1) && rows == all);
        let rewritten = rewriting("moved").await;
        assert_eq!(ids(&connector, "moved", streams_max).await, (streams, all));
        rewritten.await.unwrap();
    }
}

/// LOCK TABLE asks for more than a right to one column.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_table_that_cannot_be_locked_are_never_missing() {
    shared_server().psql(
        "CREATE TABLE public.partly_open (i int, hidden int); GRANT SELECT (i) ON public.partly_open TO PUBLIC; \
         INSERT INTO public.partly_open SELECT g, g FROM generate_series(1, 3) g; ANALYZE public.partly_open",
    );
    let connector = connector(&[("metadata.cache-ttl", "1h")]);
    let all = [["1"], ["2"], ["3"]];
    let open_column = async || {
        let whole = whole_table(&connector, "partly_open").await;
        LogicalPlanBuilder::from(whole).project([col("i")]).unwrap().build().unwrap()
    };
    let plan = open_column().await;
    assert_eq!(cells(&read(&connector, &plan, 8192).await.unwrap()), all);
    let rewritten = rewriting("partly_open").await;
    let error = read(&connector, &plan, 8192).await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("\"partly_open\" has changed"), "{error}");
    rewritten.await.unwrap();
    assert_eq!(cells(&read(&connector, &plan, 8192).await.unwrap()), all);
    // A right that is gone is no error twice.
    shared_server().psql("GRANT SELECT ON public.partly_open TO PUBLIC");
    connector.tables_known().refresh(None, None);
    let plan = open_column().await;
    shared_server()
        .psql("REVOKE SELECT ON public.partly_open FROM PUBLIC; GRANT SELECT (i) ON public.partly_open TO PUBLIC");
    let error = read(&connector, &plan, 8192).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let plan = open_column().await;
    assert_eq!(cells(&read(&connector, &plan, 8192).await.unwrap()), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_for_a_table_ends_with_the_time_limit_of_a_statement() {
    wide_table("held", "");
    fill("held", 1, 1);
    let connector = connector(&[("statement-timeout", "200ms"), ("metadata.cache-ttl", "1h")]);
    let (_, rows) = ids(&connector, "held", 1).await;
    assert_eq!(rows, [1]);
    let plan = whole_table(&connector, "held").await;
    let rewritten = rewriting("held").await;
    let error = read(&connector, &plan, 8192).await.unwrap_err();
    assert!(!rewritten.is_finished());
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    rewritten.await.unwrap();
    assert_eq!(ids(&connector, "held", 1).await.1, [1]);
}
