//! Which way a request takes, and what holds before its body is read.
//!
//! ```text
//! headers --> Handshake: small messages ----------------------------> generated service
//!         \-> who calls? --> DoPut, DoExchange: messages <= 16 MiB --> generated service
//!                        \-> others: one message <= 4 MiB, in time --> generated service, or codec for DoGet
//! ```
//! A stranger is refused by the headers alone: of what else it sends, no more is held than HTTP/2's window.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;

use crate::call::Call;
use crate::listen::Peer;
use crate::service::Door;
use crate::{codec, request_body};

/// A login: a user name and a password, from somebody who is not known yet.
const LOGIN_BYTES_MAX: usize = 64 << 10;
/// A statement, a ticket, a handle.
pub(crate) const REQUEST_BYTES_MAX: usize = 4 << 20;
/// One of the messages that carry bound parameters.
const STREAMED_BYTES_MAX: usize = 16 << 20;

/// The Flight service as a tower service.
#[derive(Clone)]
pub(crate) struct FlightRoutes {
    door: Arc<Door>,
    logins: FlightServiceServer<Door>,
    requests: FlightServiceServer<Door>,
    streams: FlightServiceServer<Door>,
    /// How long the body of a request may take.
    request_wait: Duration,
}

impl FlightRoutes {
    pub(crate) fn new(door: Arc<Door>, request_wait: Duration) -> Self {
        let limited = |bytes| FlightServiceServer::from_arc(Arc::clone(&door)).max_decoding_message_size(bytes);
        Self {
            logins: limited(LOGIN_BYTES_MAX),
            requests: limited(REQUEST_BYTES_MAX),
            streams: limited(STREAMED_BYTES_MAX),
            request_wait,
            door,
        }
    }

    async fn answer(mut self, mut request: http::Request<Body>) -> Result<http::Response<Body>, Infallible> {
        let way = Way::of(request.uri().path());
        if way == Way::Login {
            return self.logins.call(request).await;
        }
        match self.caller(&mut request).await {
            Ok(call) => request.extensions_mut().insert(Arc::new(call)),
            Err(refusal) => return Ok(refusal.into_http()),
        };
        if way == Way::Stream {
            return self.streams.call(request).await;
        }
        let request = request.map(|body| request_body::within(self.request_wait, body));
        match way {
            Way::DoGet => Ok(codec::do_get(self.door, request).await),
            _ => self.requests.call(request).await,
        }
    }

    async fn caller(&self, request: &mut http::Request<Body>) -> Result<Call, Status> {
        // Lent, not copied.
        let headers = MetadataMap::from_headers(std::mem::take(request.headers_mut()));
        let call = Call::begin(&headers, Peer::of(request.extensions()), &self.door.callers()).await;
        *request.headers_mut() = headers.into_headers();
        call
    }
}

/// How a method takes what its client sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As a login, from somebody who is not known yet.
    Login,
    /// As messages in a row.
    Stream,
    /// As one message, answered by `codec.rs`.
    DoGet,
    /// As one message.
    Request,
}

impl Way {
    fn of(path: &str) -> Self {
        match path.rsplit('/').next() {
            Some("Handshake") => Self::Login,
            Some("DoPut" | "DoExchange") => Self::Stream,
            Some("DoGet") => Self::DoGet,
            _ => Self::Request,
        }
    }
}

impl NamedService for FlightRoutes {
    const NAME: &'static str = "arrow.flight.protocol.FlightService";
}

impl Service<http::Request<Body>> for FlightRoutes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}
