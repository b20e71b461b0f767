//! The protocol against a real server, and against peers that are none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meesh_base::{ConfigValues, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{
    ConnectOptions, Connection, QueryResult, READ_ONLY, RowOutcome, RowSink, RowsRequest, RowsState, Tuple, ValueFormat,
};
use crate::config::PostgresConfig;
use crate::testing::{Server, shared_server};

pub(crate) fn options(url: &str) -> ConnectOptions {
    let mut values = ConfigValues::new("catalog \"sales\"");
    values.set("connection-url", url, "a test");
    PostgresConfig::parse("sales", &values).unwrap().options
}

async fn connect(login: &str, parameters: &str) -> Result<Connection> {
    let url = format!("{}?{parameters}", shared_server().url(login));
    Connection::connect(&options(&url)).await
}

/// Counts tuples and the bytes of their first field; asks for a pause every `batch` tuples, if that is not 0.
#[derive(Default)]
struct Counter {
    rows: u64,
    bytes: u64,
    batch: u64,
}

impl RowSink for Counter {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<RowOutcome> {
        self.rows += 1;
        self.bytes += tuple.len() as u64;
        Ok(if self.rows.is_multiple_of(self.batch) { RowOutcome::Full } else { RowOutcome::Continue })
    }
}

/// All columns of `select` in binary, after no other statement.
fn rows_of(select: &str) -> RowsRequest<'_> {
    RowsRequest { prelude: None, select, formats: &[ValueFormat::Binary], commits: false }
}

/// The same in a transaction.
fn begun(select: &str) -> RowsRequest<'_> {
    RowsRequest { prelude: Some("BEGIN"), ..rows_of(select) }
}

async fn value(connection: &mut Connection, sql: &str) -> Option<String> {
    connection.simple_query(sql).await.unwrap().remove(0).rows.remove(0).remove(0)
}

#[tokio::test]
async fn every_login_that_the_server_may_ask_for() {
    let dir = shared_server().dir().display().to_string();
    let client = format!("sslmode=require&sslcert={dir}/client.pem&sslkey={dir}/client.key");
    for (login, parameters) in [
        ("trusted", "sslmode=disable"),
        ("scram", "sslmode=disable"),
        ("scram", "sslmode=require&channelBinding=require"),
        ("scram", "sslmode=require&channelBinding=disable"),
        ("md5", "sslmode=disable"),
        ("md5", "sslmode=require"),
        ("clear", "sslmode=disable"),
        ("clear", "sslmode=require"),
        ("cert", &client),
    ] {
        let connection =
            connect(login, parameters).await.unwrap_or_else(|error| panic!("{login} {parameters}: {error}"));
        assert!(connection.is_idle());
        assert_eq!(
            connection.encryption().is_some(),
            !parameters.contains("disable&") && parameters != "sslmode=disable"
        );
    }
}

#[tokio::test]
async fn sslmode_decides_between_plain_and_tls() {
    for (login, mode, encrypted) in [
        ("scram", "prefer", Some(true)),
        ("scram", "allow", Some(false)),
        ("tlsonly", "allow", Some(true)),
        ("tlsonly", "disable", None),
        ("plain", "prefer", Some(false)),
        ("plain", "require", None),
    ] {
        match (connect(login, &format!("sslmode={mode}")).await, encrypted) {
            (Ok(connection), Some(encrypted)) => {
                assert_eq!(connection.encryption().is_some(), encrypted, "{login} {mode}")
            }
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Denied, "{login} {mode}"),
            (result, _) => panic!("{login} {mode}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn certificates_are_verified_as_asked() {
    let server = shared_server();
    let dir = server.dir().display();
    let (local, number) =
        (format!("postgres://scram:secret@localhost:{}/postgres", server.port()), server.url("scram"));
    for (url, parameters, refusal) in [
        (&local, format!("sslmode=verify-full&sslrootcert={dir}/root.pem"), None),
        (&number, format!("sslmode=verify-ca&sslrootcert={dir}/root.pem"), None),
        (&number, format!("sslmode=require&sslrootcert={dir}/root.pem"), None),
        (&number, format!("sslmode=verify-full&sslrootcert={dir}/root.pem"), Some("subjectAltName")),
        (&local, format!("sslmode=verify-ca&sslrootcert={dir}/other.pem"), Some("set sslrootcert")),
        (&local, format!("sslmode=require&sslrootcert={dir}/other.pem"), Some("set sslrootcert")),
        (&local, "sslmode=verify-full".to_owned(), Some("set sslrootcert")),
        (&local, format!("sslmode=verify-ca&sslrootcert={dir}/none.pem"), Some("check sslrootcert")),
        (&local, format!("sslmode=verify-ca&sslrootcert={dir}/root.key"), Some("holds no PEM certificate")),
    ] {
        let result = Connection::connect(&options(&format!("{url}?{parameters}"))).await;
        match (result, refusal) {
            (Ok(_), None) => {}
            (Err(error), Some(expect)) => assert!(error.to_string().contains(expect), "{parameters}: {error}"),
            (result, _) => panic!("{parameters}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_login_is_said() {
    for (login, expect) in [
        ("scram:wrong", "refused the password"),
        ("md5:wrong", "refused the password"),
        ("nobody", "refused the login"),
    ] {
        let error = connect(login, "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        let text = error.to_string();
        assert!(text.contains(expect) && text.contains("\"sales\"") && text.contains("127.0.0.1"), "{text}");
        assert!(text.contains("connection-user") && !text.contains("wrong"), "{text}");
    }
    let error = Connection::connect(&options(&shared_server().url("scram").replace(":secret", ""))).await.unwrap_err();
    assert!(error.to_string().contains("set connection-password"), "{error}");
    let error = Connection::connect(&options(&shared_server().url("trusted").replace("/postgres", "/nope"))).await;
    let error = error.map(drop).unwrap_err();
    assert!(error.to_string().contains("has no such database"), "{error}");
}

#[tokio::test]
async fn a_session_has_its_settings_whatever_the_server_says() {
    let mut connection = connect("trusted", "").await.unwrap();
    assert!(connection.server_version() >= 130_000);
    assert_eq!(connection.parameter("server_encoding"), Some("UTF8"));
    let settings = ["search_path", "TimeZone", "client_connection_check_interval", "transaction_read_only"];
    let show: Vec<String> = settings.iter().map(|name| format!("SHOW {name}")).collect();
    let results = connection.transaction(READ_ONLY, &[("lock_timeout", "3s")], &show.join("; ")).await.unwrap();
    let values: Vec<_> = results.iter().map(|result| result.rows[0][0].clone().unwrap()).collect();
    assert_eq!(values, ["pg_catalog", "UTC", "100ms", "on"]);
    // Nothing of it stays behind: a pooler may give the server's session to somebody else.
    for (setting, expect) in [("search_path", "\"$user\", public"), ("lock_timeout", "0"), ("client_encoding", "UTF8")]
    {
        assert_eq!(value(&mut connection, &format!("SHOW {setting}")).await.as_deref(), Some(expect), "{setting}");
    }
    let error = connection.transaction(READ_ONLY, &[], "CREATE TABLE public.t ()").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(connection.is_idle(), "the transaction was rolled back");
}

#[tokio::test]
async fn simple_queries() {
    let mut connection = connect("trusted", "").await.unwrap();
    let results = connection.simple_query("SELECT 1 AS a, NULL AS b; BEGIN; SELECT 'é' WHERE false; ").await.unwrap();
    assert_eq!(results.len(), 3);
    assert_eq!(results[0].columns, ["a", "b"]);
    assert_eq!(results[0].rows, [[Some("1".to_owned()), None]]);
    assert_eq!((results[1].tag.as_str(), connection.transaction_status()), ("BEGIN", b'T'));
    assert!(results[2].rows.is_empty() && !connection.is_idle());
    let error = connection.simple_query("SELECT 1/0").await.unwrap_err();
    assert_eq!((error.code(), connection.transaction_status()), (Some("DIVISION_BY_ZERO"), b'E'));
    connection.simple_query("ROLLBACK").await.unwrap();
    assert!(connection.is_idle());
    assert_eq!(connection.simple_query("").await.unwrap(), [QueryResult::default()]);
    let error = connection.simple_query("SELECT '\0'").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidQuery);
    assert!(connection.is_idle());
}

#[tokio::test]
async fn a_description_runs_nothing() {
    let mut connection = connect("trusted", "").await.unwrap();
    let columns = connection.describe("SELECT 1/0 AS a, 'x'::text AS b").await.unwrap();
    let columns: Vec<_> = columns.iter().map(|column| (column.name.as_str(), column.type_oid)).collect();
    assert_eq!(columns, [("a", 23), ("b", 25)]);
    assert!(connection.describe("BEGIN").await.unwrap().is_empty());
    let error = connection.describe("SELECT nope").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(connection.is_idle());
}

#[tokio::test]
async fn a_million_rows_in_batches() {
    for parameters in ["sslmode=disable", "sslmode=require"] {
        let mut connection = connect("trusted", parameters).await.unwrap();
        let request = RowsRequest {
            prelude: Some("BEGIN; SET LOCAL application_name = 'meesh/1'"),
            formats: &[ValueFormat::Binary, ValueFormat::Text],
            ..rows_of("SELECT i, repeat('x', i % 7) FROM generate_series(1, 1000000) AS i")
        };
        assert!(connection.start_rows(request).await.unwrap().is_empty());
        let mut sink = Counter { batch: 8192, ..Default::default() };
        let mut batches = 1;
        while connection.read_rows(&mut sink).await.unwrap() == RowsState::More {
            batches += 1;
        }
        assert_eq!((sink.rows, batches), (1_000_000, 1_000_000 / 8192 + 1));
        let text: u64 = (1..=1_000_000_u64).map(|i| i % 7).sum();
        assert_eq!(sink.bytes, 1_000_000 * (2 + 4 + 4 + 4) + text);
        assert_eq!(connection.transaction_status(), b'T');
        connection.simple_query("COMMIT").await.unwrap();
        assert!(connection.is_idle());
    }
}

#[tokio::test]
async fn results_of_every_shape() {
    let mut connection = connect("trusted", "sslmode=disable").await.unwrap();
    for (select, rows) in [
        ("SELECT 1 WHERE false", 0),
        ("SELECT FROM generate_series(1, 3)", 3),
        ("SELECT repeat('x', 5000000) FROM generate_series(1, 3)", 3),
        ("SELECT NULL::int", 1),
    ] {
        connection.start_rows(rows_of(select)).await.unwrap();
        let mut sink = Counter::default();
        assert_eq!(connection.read_rows(&mut sink).await.unwrap(), RowsState::Done);
        assert_eq!(sink.rows, rows, "{select}");
    }
    let prelude = Some("BEGIN; SELECT 'a', NULL; SELECT 'b'");
    let all = RowsRequest { prelude, commits: true, ..rows_of("SELECT 1") };
    let before = connection.start_rows(all).await.unwrap();
    assert_eq!(before, [vec![Some("a".to_owned()), None], vec![Some("b".to_owned())]]);
    assert_eq!(connection.read_rows(&mut Counter::default()).await.unwrap(), RowsState::Done);
    assert!(connection.is_idle());
}

#[tokio::test]
async fn errors_before_and_amid_the_rows_leave_a_usable_session() {
    let mut connection = connect("trusted", "").await.unwrap();
    let error = connection.start_rows(begun("SELECT nope")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    connection.simple_query("ROLLBACK").await.unwrap();
    connection.start_rows(rows_of("SELECT 1 / (100000 - i) FROM generate_series(1, 200000) AS i")).await.unwrap();
    let mut sink = Counter::default();
    let error = connection.read_rows(&mut sink).await.unwrap_err();
    assert_eq!((error.code(), sink.rows), (Some("DIVISION_BY_ZERO"), 99_999));
    assert!(connection.is_idle());
    // The first error is told, whatever the SELECT behind it does, and none of its rows is taken for another's.
    for (prelude, status) in [("BEGIN; SELECT 1 / 0", b'E'), ("SELECT 1 / 0", b'I')] {
        let error = connection.start_rows(RowsRequest { prelude: Some(prelude), ..rows_of("SELECT 'x'") }).await;
        assert_eq!(error.unwrap_err().code(), Some("DIVISION_BY_ZERO"));
        assert_eq!(connection.transaction_status(), status);
        connection.simple_query("ROLLBACK").await.unwrap();
    }
    for select in ["SELECT 1; SELECT 2", "SELECT 'a\0b'"] {
        assert!(connection.start_rows(rows_of(select)).await.is_err(), "{select:?}");
        connection.drain().await.unwrap();
        assert!(connection.is_idle(), "{select:?}");
    }
    assert_eq!(value(&mut connection, "SELECT 5").await.as_deref(), Some("5"));
}

#[tokio::test]
async fn a_read_that_was_dropped_goes_on() {
    let mut connection = connect("trusted", "sslmode=disable").await.unwrap();
    connection.start_rows(rows_of("SELECT i FROM generate_series(1, 300000) AS i")).await.unwrap();
    let mut sink = Counter::default();
    let mut drops = 0;
    while tokio::time::timeout(Duration::from_micros(300), connection.read_rows(&mut sink)).await.is_err() {
        drops += 1;
        assert!(drops < 100_000);
    }
    assert_eq!(sink.rows, 300_000);
    assert!(connection.is_idle());
}

#[tokio::test]
async fn a_cancel_ends_the_statement_and_nothing_after_it() {
    for parameters in ["sslmode=disable", "sslmode=require"] {
        let mut connection = connect("trusted", parameters).await.unwrap();
        let cancel = connection.cancel_handle();
        connection.start_rows(begun("SELECT generate_series(1, 1000000000)")).await.unwrap();
        let mut sink = Counter { batch: 1000, ..Default::default() };
        assert_eq!(connection.read_rows(&mut sink).await.unwrap(), RowsState::More);
        let started = Instant::now();
        let (cancelled, drained) = tokio::join!(cancel.cancel(), connection.drain());
        cancelled.unwrap();
        drained.unwrap();
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        assert_eq!(connection.transaction_status(), b'E');
        connection.simple_query("ROLLBACK").await.unwrap();
        // The cancel must not hit this one.
        assert_eq!(value(&mut connection, "SELECT pg_sleep(0.1), 2").await.as_deref(), Some(""));
        assert!(connection.is_idle());
    }
}

#[tokio::test]
async fn a_server_killed_amid_the_rows() {
    for (mode, expect) in [("immediate", "broke off"), ("fast", "ended the session")] {
        let server = tokio::task::spawn_blocking(|| Server::start("")).await.unwrap();
        let mut connection = Connection::connect(&options(&server.url("trusted"))).await.unwrap();
        connection.start_rows(rows_of("SELECT generate_series(1, 1000000000)")).await.unwrap();
        let mut sink = Counter { batch: 1, ..Default::default() };
        assert_eq!(connection.read_rows(&mut sink).await.unwrap(), RowsState::More);
        sink.batch = 0;
        let stopping = tokio::task::spawn_blocking(move || server.stop(mode));
        let error = connection.read_rows(&mut sink).await.unwrap_err();
        stopping.await.unwrap();
        assert_eq!(error.kind(), ErrorKind::SourceUnavailable);
        assert!(connection.is_broken() && !connection.is_idle());
        let text = error.to_string();
        // A fast stop ends a session that is blocked in sending without a word.
        assert!(text.contains(expect) || text.contains("broke off"), "{mode}: {text}");
        assert!(text.contains("\"sales\"") && text.contains("127.0.0.1"), "{text}");
    }
}

#[tokio::test]
async fn a_dead_host_costs_the_connect_timeout_and_not_more() {
    // Accepts connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    for url in [format!("postgres://ann@127.0.0.1:{port}/x"), "postgres://ann@192.0.2.1/x".to_owned()] {
        let mut options = options(&url);
        options.connect_timeout = Duration::from_millis(300);
        let started = Instant::now();
        let error = Connection::connect(&options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceUnavailable);
        assert!(started.elapsed() < Duration::from_millis(900), "{url}: {:?}", started.elapsed());
        assert!(error.to_string().contains("\"sales\""), "{error}");
    }
    let error = Connection::connect(&options("postgres://ann@127.0.0.1:1/x")).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached") && error.hint().is_some(), "{error}");
    let error = Connection::connect(&options("postgres://ann@no-such-host.invalid/x")).await.unwrap_err();
    assert!(error.to_string().contains("has no address"), "{error}");
}

#[tokio::test]
async fn the_next_host_is_tried() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dead, live) = (silent.local_addr().unwrap().port(), shared_server().port());
    let hosts = format!("127.0.0.1:1,127.0.0.1:{dead},127.0.0.1:{live}");
    let url = |target: &str| format!("postgres://trusted@{hosts}/postgres?targetServerType={target}");
    for (target, found) in [("any", true), ("primary", true), ("preferSecondary", true), ("secondary", false)] {
        let result = Connection::connect(&options(&url(target))).await;
        assert_eq!(result.is_ok(), found, "{target}: {result:?}");
    }
}

#[tokio::test]
async fn a_unix_socket() {
    let server = shared_server();
    let url = format!(
        "postgres://postgres@/postgres?host={}&port={}&sslmode=verify-full",
        server.dir().display(),
        server.port()
    );
    let connection = Connection::connect(&options(&url)).await.unwrap();
    assert!(connection.is_idle() && connection.encryption().is_none());
}

/// Answers every connection with the same bytes, whatever it hears.
async fn babbler(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut heard = [0; 1024];
                let _heard = stream.read(&mut heard).await;
                let _sent = stream.write_all(&answer).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn peers_that_are_no_server_are_errors() {
    let mut greeting = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];
    let ready = greeting.clone();
    greeting.extend_from_slice(&[b'T', 0x3f, 0xff, 0xff, 0xff, 0, 1]);
    for (what, answer) in [
        ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("nothing", Vec::new()),
        ("zeros", vec![0; 100]),
        ("endless length", vec![b'R', 0x7f, 0xff, 0xff, 0xff]),
        ("half a message", vec![b'R', 0, 0, 0, 8, 0]),
        ("unknown login", vec![b'R', 0, 0, 0, 8, 0, 0, 0, 99]),
        ("final without first", vec![b'R', 0, 0, 0, 8, 0, 0, 0, 12]),
        ("md5 without salt", vec![b'R', 0, 0, 0, 8, 0, 0, 0, 5]),
        ("rows in the login", vec![b'D', 0, 0, 0, 6, 0, 0]),
        ("no answer to the settings", ready),
        ("a gigabyte promised", greeting),
    ] {
        let port = babbler(answer).await;
        let mut options = options(&format!("postgres://ann:pw@127.0.0.1:{port}/x?sslmode=disable"));
        options.connect_timeout = Duration::from_secs(2);
        let started = Instant::now();
        let error = Connection::connect(&options).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::SourceUnavailable | ErrorKind::Denied), "{what}: {error}");
        assert!(started.elapsed() < Duration::from_secs(1), "{what}");
    }
}

#[tokio::test]
async fn an_unused_session_that_the_server_ended_is_noticed() {
    let mut connection = connect("trusted", "").await.unwrap();
    assert!(connection.still_open().await);
    let pid = value(&mut connection, "SELECT pg_backend_pid()").await.unwrap();
    let pid = Arc::new(pid);
    tokio::task::spawn_blocking(move || shared_server().psql(&format!("SELECT pg_terminate_backend({pid})")))
        .await
        .unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while connection.still_open().await {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
