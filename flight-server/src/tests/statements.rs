//! Statements, prepared and not, as queries and as updates.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_flight::sql::{CommandStatementIngest, CommandStatementQuery, DoPutPreparedStatementResult, ProstMessageExt};
use arrow_flight::{CancelFlightInfoRequest, CancelFlightInfoResult, FlightData, IpcMessage};
use bytes::Bytes;
use meesh_engine::{QueryId, QueryState};
use prost::Message;
use tonic::Code;

use super::client::{Client, ticket_of};
use super::{Server, with_server, with_users};

/// A query of 10 ** `digits` rows.
pub(super) fn many_rows(digits: usize) -> String {
    let tables: Vec<_> = (0..digits)
        .map(|table| format!("(values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as t{table}(n{table})"))
        .collect();
    format!("select n0 as n from {}", tables.join(", "))
}

fn endless() -> String {
    many_rows(14)
}

fn rows(columns: Vec<Arc<dyn Array>>) -> RecordBatch {
    let named = columns.into_iter().enumerate().map(|(index, column)| (index.to_string(), column));
    RecordBatch::try_from_iter(named).unwrap()
}

fn numbers(values: Vec<i64>) -> RecordBatch {
    rows(vec![Arc::new(Int64Array::from(values))])
}

#[test]
fn a_query_is_planned_streamed_once_and_then_gone() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let command = CommandStatementQuery {
            query: "select region, id from shop.public.orders order by id".into(),
            transaction_id: None,
        };
        let response = client.info(command).await.unwrap();
        let id = response.metadata().get("x-meesh-query-id").unwrap().to_str().unwrap().to_owned();
        let info = response.into_inner();
        assert_eq!(info.app_metadata, id.as_bytes());
        let batches = client.fetch(&info).await.unwrap();
        assert_eq!(super::client::lines(&batches), ["north,1", "a region with a long name,2"]);
        let again = client.fetch(&info).await.unwrap_err();
        assert_eq!(again.code(), Code::NotFound, "{again}");
    });
}

#[test]
fn faults_have_their_status_and_name() {
    with_server(|server| async move {
        let mut client = server.client().await;
        for (sql, code) in [
            ("selec 1", Code::InvalidArgument),
            ("select * from shop.public.ordrs", Code::NotFound),
            ("select * from nowhere.public.orders", Code::NotFound),
        ] {
            let fault = client.plan(sql).await.unwrap_err();
            assert_eq!(fault.code(), code, "{sql}: {fault}");
            assert!(fault.metadata().get("x-meesh-error-code").is_some(), "{sql}: {fault:?}");
            assert!(!fault.message().contains('\n'), "{sql}: {fault}");
        }
        let late = client.rows("select 1 / (id - 1) from shop.public.orders").await.unwrap_err();
        assert_eq!(late.code(), Code::InvalidArgument, "{late}");
        assert!(late.message().contains("[query 2"), "{late}");
    });
}

#[test]
fn updates_run_once_on_either_way() {
    with_server(|server| async move {
        let mut client = server.client().await.with("authorization", "Basic YW5uOg==");
        assert_eq!(client.update("use shop.public").await.unwrap(), 0);
        assert_eq!(client.rows("select count(*) from orders").await.unwrap(), ["2"]);
        assert_eq!(client.rows("use system.runtime").await.unwrap(), ["0"]);
        client.rows("select count(*) from queries").await.unwrap();
        let refused = client.update("select 1").await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("returns rows"), "{refused}");
    });
}

#[test]
fn prepared_statements_take_parameters() {
    with_server(|server| async move {
        let mut client = server.client().await.with("authorization", "Basic YW5uOg==");
        let prepared = client.prepare("select cast(? as bigint) + 1, cast(? as varchar)").await.unwrap();
        assert_eq!(prepared.is_update, Some(false));
        let schema = |bytes: Bytes| arrow::datatypes::Schema::try_from(IpcMessage(bytes)).unwrap();
        assert_eq!(schema(prepared.parameter_schema.clone()).fields().len(), 2);
        assert_eq!(schema(prepared.dataset_schema.clone()).fields().len(), 2);
        let handle = prepared.prepared_statement_handle;
        let missing = client.execute(&handle).await.unwrap_err();
        assert_eq!(missing.code(), Code::InvalidArgument, "{missing}");
        for value in [41, 1] {
            let columns: Vec<Arc<dyn Array>> =
                vec![Arc::new(Int64Array::from(vec![value])), Arc::new(StringArray::from(vec!["x"]))];
            let bound = client.bind(&handle, rows(columns)).await.unwrap();
            let result = DoPutPreparedStatementResult::decode(bound.app_metadata).unwrap();
            assert_eq!(result.prepared_statement_handle.unwrap(), handle);
            assert_eq!(client.execute(&handle).await.unwrap(), [format!("{},x", value + 1)]);
        }
        let two = rows(vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(StringArray::from(vec!["x", "y"]))]);
        client.bind(&handle, two).await.unwrap();
        let refused = client.execute(&handle).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
    });
}

#[test]
fn prepared_updates_say_so_and_run_when_executed() {
    with_server(|server| async move {
        let mut client = server.client().await.with("authorization", "Basic YW5uOg==");
        let prepared = client.prepare("use shop.public").await.unwrap();
        assert_eq!((prepared.is_update, prepared.dataset_schema.len()), (Some(true), 0));
        client.rows("select count(*) from orders").await.unwrap_err();
        let nothing = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
        assert_eq!(client.execute_update(&prepared.prepared_statement_handle, nothing).await.unwrap(), 0);
        assert_eq!(client.rows("select count(*) from orders").await.unwrap(), ["2"]);
        let query = client.prepare("select cast(? as bigint)").await.unwrap().prepared_statement_handle;
        let refused = client.execute_update(&query, numbers(vec![1, 2])).await.unwrap_err();
        assert!(refused.message().contains("returns rows"), "{refused}");
    });
}

#[test]
fn handles_belong_to_their_user() {
    super::on_runtime(async {
        let (_folder, config) = with_users();
        let server = Server::start(config).await;
        let mut ann = server.client().await.with("authorization", "Basic YW5uOm5uYQ==");
        let mut bob = server.client().await.with("authorization", "Basic Ym9iOmJvYg");
        let handle = ann.prepare("select 1").await.unwrap().prepared_statement_handle;
        assert_eq!(bob.execute(&handle).await.unwrap_err().code(), Code::NotFound);
        let info = ann.plan("select 1").await.unwrap();
        assert_eq!(bob.get(ticket_of(&info)).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(cancel(&mut bob, info.clone()).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(super::client::lines(&ann.fetch(&info).await.unwrap()), ["1"]);
    });
}

async fn cancel(client: &mut Client, info: arrow_flight::FlightInfo) -> Result<CancelFlightInfoResult, tonic::Status> {
    let body = client.act("CancelFlightInfo", CancelFlightInfoRequest::new(info).encode_to_vec()).await?;
    Ok(CancelFlightInfoResult::decode(body.unwrap()).unwrap())
}

async fn wait_for(server: &Server, id: &QueryId, state: QueryState, within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        let now = server.engine.query_info(id).unwrap().state;
        if now == state {
            return;
        }
        assert!(Instant::now() < deadline, "still {now:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_client_that_goes_away_ends_its_query() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let info = client.plan(&endless()).await.unwrap();
        let id = QueryId::parse(std::str::from_utf8(&info.app_metadata).unwrap());
        let mut stream = client.get(ticket_of(&info)).await.unwrap().into_inner();
        for _ in 0..3 {
            stream.message().await.unwrap().unwrap();
        }
        assert_eq!(server.engine.query_info(&id).unwrap().state, QueryState::Running);
        drop(stream);
        wait_for(&server, &id, QueryState::Cancelled, Duration::from_millis(500)).await;
    });
}

#[test]
fn a_query_is_cancelled_by_its_flight_info() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let info = client.plan(&endless()).await.unwrap();
        let mut stream = client.get(ticket_of(&info)).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        assert_eq!(cancel(&mut client, info.clone()).await.unwrap().status, 1);
        let ended = loop {
            match stream.message().await {
                Ok(message) => assert!(message.is_some(), "ended without a status"),
                Err(status) => break status,
            }
        };
        assert_eq!(ended.code(), Code::Cancelled, "{ended}");
        let parked = client.plan(&endless()).await.unwrap();
        cancel(&mut client, parked.clone()).await.unwrap();
        assert!(client.get(ticket_of(&parked)).await.is_err());
    });
}

#[test]
fn a_client_that_stops_reading_is_cut_off() {
    super::on_runtime(async {
        let config = crate::FlightServerConfig { unread_max: Duration::from_millis(200), ..super::anywhere() };
        let server = Server::start(config).await;
        let mut client = server.client().await;
        let info = client.plan(&endless()).await.unwrap();
        let id = QueryId::parse(std::str::from_utf8(&info.app_metadata).unwrap());
        let mut stream = client.get(ticket_of(&info)).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        wait_for(&server, &id, QueryState::Cancelled, Duration::from_secs(5)).await;
    });
}

#[test]
fn other_commands_are_refused_by_name_and_nonsense_as_such() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let ingest = CommandStatementIngest { table: "t".into(), ..Default::default() };
        let refused = client.put(ingest, None).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
        assert!(refused.message().contains("ingestion"), "{refused}");
        let refused = client.act("BeginTransaction", Vec::new()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
        let nonsense = client.request(arrow_flight::FlightDescriptor::new_cmd("nonsense"));
        assert_eq!(client.flight.get_flight_info(nonsense).await.unwrap_err().code(), Code::InvalidArgument);
        let mut forged = ticket_of(&client.plan("select 1").await.unwrap()).ticket.to_vec();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        assert_eq!(client.get(arrow_flight::Ticket::new(forged)).await.unwrap_err().code(), Code::NotFound);
    });
}

#[test]
fn corrupted_parameters_are_refused_and_the_server_lives() {
    with_server(|server| async move {
        let mut client = server.client().await.with("authorization", "Basic YW5uOg==");
        let handle = client.prepare("select cast(? as bigint)").await.unwrap().prepared_statement_handle;
        let command = arrow_flight::sql::CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() };
        let batch = numbers((0..1000).collect());
        let sound = arrow_flight::utils::batches_to_flight_data(&batch.schema(), vec![batch]).unwrap();
        for change in 0..4 {
            let mut messages = sound.clone();
            messages[0].flight_descriptor = Some(super::client::descriptor(&command));
            corrupt(&mut messages, change);
            let request = client.request(futures::stream::iter(messages));
            let refused = client.flight.do_put(request).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{change}: {refused}");
        }
        client.bind(&handle, numbers(vec![5])).await.unwrap();
        assert_eq!(client.execute(&handle).await.unwrap(), ["5"]);
        assert_eq!(
            handle.len(),
            client.prepare("select cast(? as bigint)").await.unwrap().prepared_statement_handle.len()
        );
        let _ = command.as_any();
    });
}

fn corrupt(messages: &mut [FlightData], change: usize) {
    match change {
        0 => messages[1].data_body = messages[1].data_body.slice(..100),
        1 => messages[1].data_header = Bytes::from_static(b"\xff\xff\xff\xff no header"),
        2 => messages[0].data_header = messages[1].data_header.clone(),
        _ => messages[1].data_header = messages[1].data_header.slice(..40),
    }
}

#[test]
fn planned_queries_of_one_session_are_bounded() {
    with_server(|server| async move {
        let mut client = server.client().await.with("authorization", "Basic YW5uOg==");
        let first = client.plan("select 1").await.unwrap();
        for _ in 0..256 {
            client.plan("select 1").await.unwrap();
        }
        assert_eq!(client.get(ticket_of(&first)).await.unwrap_err().code(), Code::NotFound);
    });
}
