//! How much, and for how long, a client can make the server hold.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, StringArray};
use bytes::Bytes;
use http_body::Frame;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::Channel;

use super::{Server, anywhere, on_runtime, with_server, with_users};
use crate::FlightServerConfig;

/// A body that begins and never ends.
struct Unending(Option<Bytes>);

impl http_body::Body for Unending {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// Sends the beginning of a message of 1 MiB and returns the status that comes all the same.
async fn half_a_request(server: &Server, method: &str) -> Code {
    let mut channel = Channel::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap();
    let request = http::Request::post(format!("/arrow.flight.protocol.FlightService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Unending(Some(Bytes::from_static(b"\0\0\x10\0\0 and so on")))))
        .unwrap();
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
    let response = channel.call(request).await.unwrap();
    Code::from_bytes(response.headers().get("grpc-status").unwrap().as_bytes())
}

#[test]
fn a_stranger_is_refused_before_its_request_is_read() {
    on_runtime(async {
        let (_folder, config) = with_users();
        let server = Server::start(config).await;
        let began = Instant::now();
        for method in ["GetFlightInfo", "DoGet", "DoAction", "PollFlightInfo", "DoPut", "DoExchange"] {
            assert_eq!(half_a_request(&server, method).await, Code::Unauthenticated, "{method}");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
}

#[test]
fn a_request_that_does_not_end_is_given_up() {
    on_runtime(async {
        let config = FlightServerConfig { request_wait: Duration::from_millis(200), ..anywhere() };
        let server = Server::start(config).await;
        for method in ["GetFlightInfo", "DoGet"] {
            assert_eq!(half_a_request(&server, method).await, Code::DeadlineExceeded, "{method}");
        }
    });
}

#[test]
fn one_message_holds_four_mebibytes_and_parameters_more() {
    with_server(|server| async move {
        let mut client = server.client().await.with("authorization", "Basic YW5uOg==");
        let text = "x".repeat(5 << 20);
        let refused = client.plan(&format!("select '{text}'")).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
        let refused = client.get(arrow_flight::Ticket::new(text.clone())).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
        let handle = client.prepare("select length(?)").await.unwrap().prepared_statement_handle;
        let column: std::sync::Arc<dyn arrow::array::Array> = std::sync::Arc::new(StringArray::from(vec![text]));
        client.bind(&handle, RecordBatch::try_from_iter([("p", column)]).unwrap()).await.unwrap();
        assert_eq!(client.execute(&handle).await.unwrap(), [(5 << 20).to_string()]);
    });
}
