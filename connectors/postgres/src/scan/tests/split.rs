//! Scans of several streams.

use std::collections::HashSet;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;

use super::*;

/// A table of two columns; [`fill`] makes rows of which four fill a page.
pub(super) fn wide_table(name: &str, declaration: &str) {
    shared_server().psql(&format!(
        "CREATE TABLE public.{name} (id int, filler text) {declaration}; GRANT SELECT ON public.{name} TO PUBLIC; \
         ALTER TABLE public.{name} ALTER filler SET STORAGE PLAIN"
    ));
}

pub(super) fn fill(name: &str, from: i32, to: i32) {
    shared_server()
        .psql(&format!("INSERT INTO public.{name} SELECT i, repeat('x', 2000) FROM generate_series({from}, {to}) i"));
}

pub(super) async fn ids(connector: &PostgresConnector, name: &str, streams_max: usize) -> (usize, Vec<i32>) {
    let source = provider_as_source(provider(connector, name).await);
    let plan = LogicalPlanBuilder::scan(name, source, Some(vec![0])).unwrap().build().unwrap();
    let scope = scope();
    let scan = connector.plan(&plan, &scope, streams_max).await.unwrap().scan;
    let streams = scan.open(ScanRequest::all(scope, scan.schema(), 1000));
    let tasks: Vec<_> = streams.into_iter().map(|rows| tokio::spawn(rows.collect::<Vec<_>>())).collect();
    let mut ids = Vec::new();
    for task in tasks {
        for batch in task.await.unwrap() {
            ids.extend(batch.unwrap().column(0).as_primitive::<Int32Type>().values().iter().copied());
        }
    }
    ids.sort_unstable();
    (scan.partitions(), ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_comes_once() {
    wide_table("split_plain", "");
    fill("split_plain", 1, 9000);
    shared_server().psql("ANALYZE public.split_plain");
    let connector = connector(&[]);
    assert_eq!(ids(&connector, "split_plain", 1).await, (1, (1..=9000).collect()));
    let (streams, rows) = ids(&connector, "split_plain", 8).await;
    assert!(streams > 1, "{streams}");
    assert_eq!(rows, (1..=9000).collect::<Vec<_>>());
    // What came after the pages were counted is behind the last range.
    fill("split_plain", 9001, 12_000);
    assert_eq!(ids(&connector, "split_plain", 8).await.1, (1..=12_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn parents_are_read_with_their_children() {
    wide_table("split_parted", "PARTITION BY RANGE (id)");
    shared_server().psql(
        "CREATE TABLE public.split_low PARTITION OF public.split_parted FOR VALUES FROM (0) TO (2000); \
         CREATE TABLE public.split_high PARTITION OF public.split_parted FOR VALUES FROM (2000) TO (20000)",
    );
    wide_table("split_parent", "");
    shared_server().psql("CREATE TABLE public.split_child () INHERITS (public.split_parent)");
    fill("split_parted", 1, 12_000);
    fill("split_parent", 1, 9000);
    fill("split_child", 9001, 11_000);
    shared_server().psql("ANALYZE public.split_parted, public.split_parent, public.split_child");
    let connector = connector(&[]);
    let (streams, rows) = ids(&connector, "split_parted", 8).await;
    assert!(streams > 1, "{streams}");
    assert_eq!(rows, (1..=12_000).collect::<Vec<_>>());
    let (streams, rows) = ids(&connector, "split_parent", 8).await;
    assert!(streams > 1, "{streams}");
    assert_eq!(rows, (1..=11_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_leaves_its_share_to_the_others() {
    wide_table("split_lonely", "");
    fill("split_lonely", 1, 9000);
    shared_server().psql("ANALYZE public.split_lonely");
    let connector = connector(&[]);
    let source = provider_as_source(provider(&connector, "split_lonely").await);
    let plan = LogicalPlanBuilder::scan("t", source, Some(vec![0])).unwrap().build().unwrap();
    let scope = scope();
    let scan = connector.plan(&plan, &scope, 3).await.unwrap().scan;
    let mut streams = scan.open(ScanRequest::all(Arc::clone(&scope), scan.schema(), 1000));
    assert_eq!(streams.len(), 2);
    let last = streams.pop().unwrap();
    let batches: Vec<RecordBatch> = last.map(Result::unwrap).collect().await;
    let rows: HashSet<i32> =
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().values().to_vec()).collect();
    assert_eq!(rows.len(), 9000);
    drop(streams);
    // The session that exported the snapshot does not wait for streams that are gone.
    let end = Instant::now() + Duration::from_secs(2);
    let open = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'meesh/{}'", scope.id());
    while shared_server().psql(&open) != "0" {
        assert!(Instant::now() < end, "a session stays in its transaction");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_scans_of_a_query_see_one_state() {
    wide_table("split_moving", "");
    fill("split_moving", 1, 9000);
    shared_server().psql("ANALYZE public.split_moving");
    // One session: the second scan takes over the one that exported the snapshot.
    for most in ["1", "8"] {
        let connector = connector(&[("connections-max", most)]);
        let plan = whole_table(&connector, "split_moving").await;
        let scope = scope();
        let first = connector.plan(&plan, &scope, 2).await.unwrap().scan;
        let second = connector.plan(&plan, &scope, 2).await.unwrap().scan;
        let count = async |scan: Arc<dyn SourceScan>| {
            let rows = open(&*scan, Arc::clone(&scope), 1000);
            rows.fold(0, |sum, batch| async move { sum + batch.unwrap().num_rows() }).await
        };
        let before = count(first).await;
        fill("split_moving", 1, 500);
        assert_eq!(count(second).await, before, "with {most} sessions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_ends_early_takes_no_other_with_it() {
    wide_table("split_short", "");
    fill("split_short", 1, 9000);
    shared_server().psql("ANALYZE public.split_short");
    let connector = connector(&[("connections-max", "1")]);
    let plan = whole_table(&connector, "split_short").await;
    let scope = scope();
    let short = connector.plan(&plan, &scope, 1).await.unwrap().scan;
    let whole = connector.plan(&plan, &scope, 1).await.unwrap().scan;
    let mut begun = open(&*short, Arc::clone(&scope), 1000);
    begun.next().await.unwrap().unwrap();
    let rows = open(&*whole, Arc::clone(&scope), 1000);
    let count = tokio::spawn(rows.fold(0, |sum, batch| async move { sum + batch.unwrap().num_rows() }));
    // It waits for the session by now, to see what the first one sees.
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop((begun, short));
    assert_eq!(count.await.unwrap(), 9000);
}
