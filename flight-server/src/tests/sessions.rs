//! Logins, tokens and session options.

use std::collections::HashMap;

use arrow_flight::{BasicAuth, HandshakeRequest};
use futures::StreamExt;
use prost::Message;
use tonic::{Code, Status};

use super::client::Client;
use super::{Server, on_runtime, with_server, with_users};
use crate::proto::{
    CloseSessionResult, GetSessionOptionsResult, OptionValue, SessionOptionValue, SetSessionOptionsRequest,
    SetSessionOptionsResult,
};

/// The `authorization` header that a handshake answers with.
async fn handshake(client: &mut Client, payload: Option<Vec<u8>>) -> Result<String, Status> {
    let messages = payload.map(|payload| HandshakeRequest { protocol_version: 0, payload: payload.into() });
    let request = client.request(futures::stream::iter(messages));
    let response = client.flight.handshake(request).await?;
    let header = response.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    // The payload is for older clients.
    response.into_inner().next().await.unwrap()?;
    Ok(header.unwrap_or_default())
}

async fn set(client: &mut Client, name: &str, value: OptionValue) -> HashMap<String, i32> {
    let session_options = HashMap::from([(name.to_owned(), SessionOptionValue { option_value: Some(value) })]);
    let body = SetSessionOptionsRequest { session_options }.encode_to_vec();
    let result = client.act("SetSessionOptions", body).await.unwrap().unwrap();
    let errors = SetSessionOptionsResult::decode(result).unwrap().errors;
    errors.into_iter().map(|(name, error)| (name, error.value)).collect()
}

async fn get(client: &mut Client, name: &str) -> Option<OptionValue> {
    let result = client.act("GetSessionOptions", Vec::new()).await.unwrap().unwrap();
    let mut options = GetSessionOptionsResult::decode(result).unwrap().session_options;
    options.remove(name).and_then(|value| value.option_value)
}

fn text(value: &str) -> OptionValue {
    OptionValue::Text(value.to_owned())
}

#[test]
fn a_password_buys_a_token_and_the_token_a_session() {
    on_runtime(async {
        let (_folder, config) = with_users();
        let server = Server::start(config).await;
        let refused = server.client().await.rows("select 1").await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        let mut wrong = server.client().await.with("authorization", "Basic YW5uOnh4");
        let refused = handshake(&mut wrong, None).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert!(refused.message().contains("wrong user name or password"), "{refused}");

        // arrow-go sends unpadded base64 and closes its side without a message.
        let token =
            handshake(&mut server.client().await.with("authorization", "Basic YW5uOm5uYQ"), None).await.unwrap();
        let mut ann = server.client().await.with("authorization", token.clone());
        assert_eq!(ann.rows("select 1").await.unwrap(), ["1"]);
        assert!(set(&mut ann, "catalog", text("shop")).await.is_empty());
        let mut elsewhere = server.client().await.with("authorization", token.clone());
        assert_eq!(get(&mut elsewhere, "catalog").await, Some(text("shop")));
        // A token is good for another handshake (JDBC and ODBC send theirs so).
        handshake(&mut elsewhere, Some(Vec::new())).await.unwrap();

        let closed = elsewhere.act("CloseSession", Vec::new()).await.unwrap().unwrap();
        assert_eq!(CloseSessionResult::decode(closed).unwrap().status, 1);
        assert_eq!(ann.rows("select 1").await.unwrap_err().code(), Code::Unauthenticated);
    });
}

#[test]
fn the_first_handshake_of_flight_is_spoken_too() {
    on_runtime(async {
        let (_folder, config) = with_users();
        let server = Server::start(config).await;
        let login = BasicAuth { username: "ann".into(), password: "nna".into() };
        let token = handshake(&mut server.client().await, Some(login.encode_to_vec())).await.unwrap();
        assert_eq!(server.client().await.with("authorization", token).rows("select 1").await.unwrap(), ["1"]);
        let wrong = BasicAuth { username: "ann".into(), password: "x".into() };
        let refused = handshake(&mut server.client().await, Some(wrong.encode_to_vec())).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    });
}

#[test]
fn without_users_anybody_has_a_session_from_the_first_answer_on() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let request = client.request(arrow_flight::Empty {});
        let response = client.flight.list_actions(request).await.unwrap();
        let token = response.metadata().get("authorization").unwrap().to_str().unwrap().to_owned();
        let cookie = response.metadata().get("set-cookie").unwrap().to_str().unwrap().to_owned();
        let mut client = client.with("authorization", token);
        assert_eq!(client.rows("use shop.public").await.unwrap(), ["0"]);
        assert_eq!(client.rows("select count(*) from orders").await.unwrap(), ["2"]);
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut by_cookie = server.client().await.with("cookie", cookie);
        assert_eq!(get(&mut by_cookie, "schema").await, Some(text("public")));
        // Any token is welcome where nobody has to log in.
        let mut stranger = server.client().await.with("authorization", "Bearer something");
        assert_eq!(stranger.rows("select 1").await.unwrap(), ["1"]);
        assert!(handshake(&mut server.client().await, None).await.unwrap().starts_with("Bearer "));
    });
}

#[test]
fn options_change_what_is_sent() {
    with_server(|server| async move {
        let mut client = server.client().await.with("authorization", "Basic YW5uOg==");
        let sql = "select region from shop.public.orders";
        let kind = |info: arrow_flight::FlightInfo| info.try_decode_schema().unwrap().field(0).data_type().clone();
        assert_eq!(kind(client.plan(sql).await.unwrap()), arrow::datatypes::DataType::Utf8);
        assert!(set(&mut client, "arrow_views", OptionValue::Bool(true)).await.is_empty());
        let info = client.plan(sql).await.unwrap();
        assert_eq!(super::client::lines(&client.fetch(&info).await.unwrap()), ["north", "a region with a long name"]);
        assert_eq!(kind(info), arrow::datatypes::DataType::Utf8View);
        assert_eq!(set(&mut client, "no_such", text("1")).await, HashMap::from([("no_such".to_owned(), 1)]));
        assert_eq!(set(&mut client, "timezone", text("Mars/X")).await, HashMap::from([("timezone".to_owned(), 2)]));
    });
}

#[test]
fn sessions_are_for_reading() {
    with_server(|server| async move {
        let mut client = server.client().await.with("authorization", "Basic YW5uOg==");
        assert!(set(&mut client, "read_only", OptionValue::Bool(true)).await.is_empty());
        let refused = HashMap::from([("read_only".to_owned(), 2)]);
        assert_eq!(set(&mut client, "read_only", OptionValue::Bool(false)).await, refused);
        assert_eq!(get(&mut client, "read_only").await, Some(OptionValue::Bool(true)));
    });
}
