//! PollFlightInfo, from the first poll to the rows.

use arrow_flight::sql::{CommandGetCatalogs, CommandStatementQuery};
use arrow_flight::{FlightDescriptor, PollInfo};
use futures::TryStreamExt;
use meesh_engine::{Parameters, QueryId, QueryState, Session};
use tonic::{Code, Status};

use super::client::{Client, descriptor, lines};
use super::with_server;
use crate::parked::Owner;
use crate::polled::{Polls, State};

fn statement(sql: &str) -> FlightDescriptor {
    descriptor(&CommandStatementQuery { query: sql.to_owned(), transaction_id: None })
}

async fn poll(client: &mut Client, descriptor: FlightDescriptor) -> Result<PollInfo, Status> {
    let request = client.request(descriptor);
    Ok(client.flight.poll_flight_info(request).await?.into_inner())
}

/// Polls until the endpoint is there; returns the last answer and the progress seen on the way.
async fn poll_through(client: &mut Client, sql: &str) -> Result<(PollInfo, Vec<f64>), Status> {
    let mut seen = Vec::new();
    let mut answer = poll(client, statement(sql)).await?;
    while let Some(again) = answer.flight_descriptor.clone() {
        assert!(answer.info.as_ref().unwrap().endpoint.is_empty());
        assert!(answer.expiration_time.is_some());
        seen.push(answer.progress.unwrap());
        answer = poll(client, again).await?;
    }
    Ok((answer, seen))
}

#[test]
fn a_polled_query_starts_and_is_read_afterwards() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let (answer, seen) =
            poll_through(&mut client, "select region from shop.public.orders order by id").await.unwrap();
        assert!(seen.iter().all(|progress| (0.0..=1.0).contains(progress)));
        assert_eq!(answer.progress, Some(1.0));
        let info = answer.info.unwrap();
        let id = QueryId::parse(std::str::from_utf8(&info.app_metadata).unwrap());
        assert_eq!(server.engine.query_info(&id).unwrap().state, QueryState::Finished);
        assert_eq!(lines(&client.fetch(&info).await.unwrap()), ["north", "a region with a long name"]);
        assert_eq!(client.fetch(&info).await.unwrap_err().code(), Code::NotFound);
    });
}

#[test]
fn a_large_result_is_read_ahead_in_part_only() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let sql = super::statements::many_rows(7);
        let (answer, _) = poll_through(&mut client, &sql).await.unwrap();
        let info = answer.info.unwrap();
        let id = QueryId::parse(std::str::from_utf8(&info.app_metadata).unwrap());
        assert_eq!(server.engine.query_info(&id).unwrap().state, QueryState::Running);
        let rows: usize = client.fetch(&info).await.unwrap().iter().map(|batch| batch.num_rows()).sum();
        assert_eq!(rows, 10_000_000);
    });
}

#[test]
fn a_failing_query_fails_its_poll() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let failed = poll_through(&mut client, "select 1 / (id - 1) from shop.public.orders").await.unwrap_err();
        assert_eq!(failed.code(), Code::InvalidArgument, "{failed}");
        let unknown = poll(&mut client, statement("select * from shop.public.nothing")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    });
}

#[test]
fn metadata_and_updates_are_complete_at_once() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let answer = poll(&mut client, descriptor(&CommandGetCatalogs {})).await.unwrap();
        assert!(answer.flight_descriptor.is_none());
        assert_eq!(lines(&client.fetch(&answer.info.unwrap()).await.unwrap()), ["shop", "system"]);
        let (answer, _) = poll_through(&mut client, "use shop.public").await.unwrap();
        assert_eq!(lines(&client.fetch(&answer.info.unwrap()).await.unwrap()), ["0"]);
    });
}

#[test]
fn polled_queries_of_one_session_are_bounded() {
    with_server(|server| async move {
        let mut client = server.client().await.with("authorization", "Basic YW5uOg==");
        let mut other = server.client().await.with("authorization", "Basic Ym9iOg==");
        let (others, _) = poll_through(&mut other, "select 1").await.unwrap();
        let (first, _) = poll_through(&mut client, "select 1").await.unwrap();
        let (second, _) = poll_through(&mut client, "select 1").await.unwrap();
        for _ in 0..63 {
            poll_through(&mut client, "select 1").await.unwrap();
        }
        assert_eq!(client.fetch(&first.info.unwrap()).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(lines(&client.fetch(&second.info.unwrap()).await.unwrap()), ["1"]);
        assert_eq!(lines(&other.fetch(&others.info.unwrap()).await.unwrap()), ["1"]);
    });
}

/// Rows that wait for their clients take 32 MiB, and a batch for each query that runs.
#[test]
fn rows_kept_for_all_polls_are_bounded_and_none_is_lost() {
    with_server(|server| async move {
        let polls = Polls::default();
        let owner = Owner { user: "ann".into(), session: Vec::new() };
        let mut ids = Vec::new();
        for _ in 0..8 {
            let sql = super::statements::many_rows(7);
            let stream = server.engine.query(&Session::new("ann"), &sql, Parameters::none()).await.unwrap();
            ids.push(stream.id().clone());
            let mut news = polls.start(stream, owner.clone());
            news.wait_for(|state| matches!(state, State::Readable)).await.unwrap();
        }
        let kept = polls.kept_bytes();
        assert!((31 << 20..36 << 20).contains(&kept), "{kept}");
        for id in ids.into_iter().rev() {
            let (_, batches) = polls.claim(&id).await.unwrap();
            let rows: Vec<usize> = batches.map_ok(|batch| batch.num_rows()).try_collect().await.unwrap();
            assert_eq!(rows.iter().sum::<usize>(), 10_000_000);
        }
        assert_eq!(polls.kept_bytes(), 0);
    });
}
