//! The engine without sources: the life of queries, limits, sessions.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};

use crate::{Engine, EngineConfig, ErrorKind, Parameters, QueryState, Session, StatementKind, runtime};

fn engine(memory_limit_bytes: u64) -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = EngineConfig {
        memory_limit_bytes: Some(memory_limit_bytes),
        spill_dir: folder.path().to_owned(),
        partitions: Some(2),
        ..EngineConfig::default()
    };
    (Engine::new(config).unwrap(), folder)
}

async fn rows(engine: &Engine, session: &Session, sql: &str) -> crate::Result<usize> {
    let stream = engine.query(session, sql, Parameters::none()).await?;
    stream.try_fold(0, |sum, batch| async move { Ok(sum + batch.num_rows()) }).await
}

#[test]
fn a_query_lives_and_is_remembered() {
    runtime().unwrap().block_on(async {
        let (engine, _folder) = engine(1 << 28);
        let session = Session::new("ann");
        let stream = engine.query(&session, "SELECT 1 AS one", Parameters::none()).await.unwrap();
        let id = stream.id().clone();
        assert_eq!(stream.kind(), StatementKind::Query);
        assert_eq!(stream.schema().field(0).name(), "one");
        let batches: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(batches[0].num_rows(), 1);
        let info = engine.query_info(&id).unwrap();
        assert_eq!((info.state, info.rows, info.progress), (QueryState::Finished, 1, 1.0));
        assert_eq!(
            rows(&engine, &session, "SELECT * FROM system.runtime.queries WHERE state = 'FINISHED'").await.unwrap(),
            1
        );
    });
}

#[test]
fn a_parked_query_is_claimed_once_and_by_its_user() {
    runtime().unwrap().block_on(async {
        let (engine, _folder) = engine(1 << 28);
        let stream = engine.query(&Session::new("ann"), "SELECT 1", Parameters::none()).await.unwrap();
        let id = stream.id().clone();
        engine.park(stream);
        assert_eq!(engine.claim(&id, "bob").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(engine.cancel(&id, "bob").unwrap_err().kind(), ErrorKind::NotFound);
        let mut stream = engine.claim(&id, "ann").unwrap();
        assert!(engine.claim(&id, "ann").is_err());
        stream.next().await.unwrap().unwrap();
        drop(stream);
        assert_eq!(engine.query_info(&id).unwrap().state, QueryState::Cancelled);
    });
}

#[test]
fn a_claimed_query_leaves_no_task() {
    runtime().unwrap().block_on(async {
        let (engine, _folder) = engine(1 << 28);
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        for _ in 0..100 {
            let stream = engine.query(&Session::new("ann"), "SELECT 1", Parameters::none()).await.unwrap();
            let id = stream.id().clone();
            engine.park(stream);
            let claimed = engine.claim(&id, "ann").unwrap();
            assert_eq!(claimed.try_collect::<Vec<_>>().await.unwrap().len(), 1);
        }
        // What was told to end does so when it is next polled.
        let deadline = Instant::now() + Duration::from_secs(10);
        while tasks() > before && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(tasks(), before);
    });
}

/// A FROM clause of 10 ^ `count` rows with the columns `a.d`, `b.d` …
fn digits(count: usize) -> String {
    let table = |name: char| format!("(VALUES 0, 1, 2, 3, 4, 5, 6, 7, 8, 9) {name}(d)");
    ('a'..).take(count).map(table).collect::<Vec<_>>().join(", ")
}

/// A query that no machine ends.
fn endless() -> String {
    format!("SELECT sum(a.d * b.d + c.d) FROM {}", digits(14))
}

#[test]
fn a_running_query_stops_at_its_deadline_and_when_told() {
    runtime().unwrap().block_on(async {
        let (engine, _folder) = engine(1 << 28);
        let mut session = Session::new("ann");
        session.set_property("query_max_run_time", "200ms").unwrap();
        let start = Instant::now();
        assert_eq!(rows(&engine, &session, &endless()).await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(start.elapsed() < Duration::from_secs(5));

        let session = Session::new("ann");
        let stream = engine.query(&session, &endless(), Parameters::none()).await.unwrap();
        let id = stream.id().clone();
        let running = tokio::spawn(stream.try_collect::<Vec<_>>());
        while engine.query_info(&id).unwrap().state != QueryState::Running {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        engine.cancel(&id, "ann").unwrap();
        assert_eq!(running.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    });
}

#[test]
fn a_condition_that_is_never_true_leaves_no_row() {
    runtime().unwrap().block_on(async {
        let (engine, _folder) = engine(1 << 28);
        let counted = "SELECT count(*) AS c, min(x) AS m FROM (VALUES 1, 2) t(x) WHERE x > 5";
        for condition in
            ["-5 = c AND c <= c AND 1 = c", "c >= 0 AND CAST(NULL AS varchar) <= 'a'", "m NOT IN (NULL, 3, 4)"]
        {
            let sql = format!("SELECT c FROM ({counted}) a CROSS JOIN (VALUES 1) b(y) WHERE y > 0 AND {condition}");
            assert_eq!(rows(&engine, &Session::new("ann"), &sql).await.unwrap(), 0, "{sql}");
        }
    });
}

#[test]
fn a_hash_join_that_does_not_fit_is_run_as_a_sort_merge_join() {
    runtime().unwrap().block_on(async {
        let (engine, _folder) = engine(24 << 20);
        let numbers = format!(
            "SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d AS n FROM {}",
            digits(6)
        );
        let sql = &format!("SELECT count(*) FROM ({numbers}) x JOIN ({numbers}) y ON x.n = y.n");
        assert_eq!(rows(&engine, &Session::new("ann"), sql).await.unwrap(), 1);
        assert_eq!(engine.memory_bytes().0, 0, "memory is given back");
    });
}

#[test]
fn mistakes_are_reported_with_their_place() {
    runtime().unwrap().block_on(async {
        let (engine, _folder) = engine(1 << 28);
        let session = Session::new("ann");
        for (sql, kind, text) in [
            ("SELECT x FROM nowhere.a.b", ErrorKind::NotFound, "catalog \"nowhere\" does not exist"),
            ("SELECT qurey_id FROM system.runtime.queries", ErrorKind::NotFound, "did you mean \"query_id\""),
            ("SELECT nofunc(1)", ErrorKind::NotFound, "function \"nofunc\" does not exist"),
            ("SELECT * FROM system.runtime.querys", ErrorKind::NotFound, "did you mean \"queries\""),
            ("SELECT * FROM t", ErrorKind::InvalidQuery, "schema must be specified"),
        ] {
            let error = rows(&engine, &session, sql).await.unwrap_err();
            assert!(error.kind() == kind && error.to_string().contains(text), "{sql}: {error:?}");
            assert!(error.query().is_some(), "{sql}: no query id");
        }
    });
}

#[test]
fn a_draining_engine_refuses_and_ends() {
    runtime().unwrap().block_on(async {
        let (engine, _folder) = engine(1 << 28);
        let session = Session::new("ann");
        let stream = engine.query(&session, &endless(), Parameters::none()).await.unwrap();
        let running = tokio::spawn(stream.try_collect::<Vec<_>>());
        engine.drain(Duration::from_millis(100)).await;
        assert_eq!(running.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        let refused = engine.query(&session, "SELECT 1", Parameters::none()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Exhausted);
    });
}
