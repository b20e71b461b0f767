//! What clients carry from one start of the server to the next.

use arrow_flight::sql::{ActionClosePreparedStatementRequest, CommandStatementQuery, ProstMessageExt};
use meesh_base::Secret;
use prost::Message;
use tonic::Code;

use super::client::{Client, descriptor, ticket_of};
use super::{Server, on_runtime, with_users};
use crate::FlightServerConfig;

const LOGIN: &str = "Basic YW5uOm5uYQ==";

/// The token that a login as ann buys.
async fn token(client: Client) -> String {
    let mut client = client.with("authorization", LOGIN);
    let request = client.request(futures::stream::empty());
    let response = client.flight.handshake(request).await.unwrap();
    response.metadata().get("authorization").unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_token_outlives_the_server_and_what_the_server_held_does_not() {
    on_runtime(async {
        let (_folder, config) = with_users();
        let config = FlightServerConfig { session_secret: Some(Secret::new("one secret")), ..config };
        let before = Server::start(config.clone()).await;
        let token = token(before.client().await).await;
        let mut client = before.client().await.with("authorization", token.clone());
        client.update("use shop.public").await.unwrap();
        let handle = client.prepare("select count(*) from orders").await.unwrap().prepared_statement_handle;
        let info = client.plan("select 1").await.unwrap();
        before.stop().await.unwrap();

        let after = Server::start(config.clone()).await;
        let mut client = after.client().await.with("authorization", token.clone());
        assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
        let user = "select \"user\" from system.runtime.queries limit 1";
        assert_eq!(client.rows(user).await.unwrap(), ["ann"]);
        // The session begins anew.
        assert!(client.rows("select count(*) from orders").await.is_err());
        for refused in [client.execute(&handle).await.unwrap_err(), client.fetch(&info).await.unwrap_err()] {
            assert_eq!(refused.code(), Code::NotFound);
            assert!(refused.message().contains("earlier start of the server"), "{refused}");
        }
        let close = ActionClosePreparedStatementRequest { prepared_statement_handle: handle };
        assert_eq!(client.act("ClosePreparedStatement", close.as_any().encode_to_vec()).await.unwrap(), None);

        let other = FlightServerConfig { session_secret: Some(Secret::new("another")), ..config };
        let other = Server::start(other).await;
        let mut client = other.client().await.with("authorization", token);
        assert_eq!(client.rows("select 1").await.unwrap_err().code(), Code::Unauthenticated);
    });
}

#[test]
fn a_poll_of_an_earlier_start_is_unknown() {
    on_runtime(async {
        let (_folder, config) = with_users();
        let before = Server::start(config.clone()).await;
        let mut client = before.client().await.with("authorization", LOGIN);
        let command = CommandStatementQuery { query: "select 1".into(), transaction_id: None };
        let request = client.request(descriptor(&command));
        client.flight.poll_flight_info(request).await.unwrap();
        let ticket = ticket_of(&client.plan("select 1").await.unwrap());

        let after = Server::start(config).await;
        let mut client = after.client().await.with("authorization", LOGIN);
        let request = client.request(arrow_flight::FlightDescriptor::new_cmd(ticket.ticket));
        assert_eq!(client.flight.poll_flight_info(request).await.unwrap_err().code(), Code::NotFound);
    });
}
