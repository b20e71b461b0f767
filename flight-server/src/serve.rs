//! The server: start, and orderly end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use meesh_engine::{Engine, Error, Result};
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::codegen::http;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::auth::Authenticator;
use crate::coalesce::Coalesced;
use crate::config::FlightServerConfig;
use crate::delivery::Deliveries;
use crate::handle::Signer;
use crate::listen::connections;
use crate::parked::Parked;
use crate::polled::Polls;
use crate::prepared::Bindings;
use crate::reflection;
use crate::routes::FlightRoutes;
use crate::service::Door;
use crate::session::Sessions;
use crate::tls::Tls;

/// Streams one connection may have open.
const STREAMS_MAX: u32 = 100;
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Load balancers cut connections that are silent for some minutes, and dead clients must be noticed.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEP_ALIVE_WAIT: Duration = Duration::from_secs(20);
/// Longest wait for a new connection's first bytes.
const GREETING_WAIT: Duration = Duration::from_secs(10);
const SWEEP_EVERY: Duration = Duration::from_secs(10);
const DRAIN_CHECK_EVERY: Duration = Duration::from_millis(100);

/// Serves until `shutdown` resolves, then until open calls end or the grace is over. `ready` is told the
/// address once connections are accepted.
///
/// While the server drains (the engine's [`Engine::drain`], before `shutdown`), new queries are refused
/// as UNAVAILABLE and running ones go on.
///
/// # Errors
/// `InvalidQuery` when the configuration is unsafe without `insecure`, a file cannot be read, or the
/// address cannot be listened on.
pub async fn serve(
    engine: Engine,
    config: FlightServerConfig,
    shutdown: impl Future<Output = ()> + Send,
    ready: oneshot::Sender<SocketAddr>,
) -> Result<()> {
    config.check()?;
    let tls = config.tls.as_ref().map(Tls::open).transpose()?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| cannot_listen(config.listen, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(config.listen, &error))?;

    let door = Arc::new(open_door(engine.clone(), &config));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<FlightRoutes>().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(sweep(Arc::clone(&door), SWEEP_EVERY.min(config.unread_max)));
    tasks.spawn(tell_drain(engine, health.clone()));

    let router = http2_server()
        .add_service(FlightRoutes::new(door, config.request_wait))
        .add_service(health_service)
        .add_service(reflection::service()?);
    // The receiver is gone if the caller does not care.
    let _ = ready.send(address);
    tracing::info!(%address, tls = config.tls.is_some(), users = config.users.is_some(), "flight server listens");

    let (stopping, stopped) = oneshot::channel();
    let signal = async {
        shutdown.await;
        not_serving(&health).await;
        let _ = stopping.send(());
    };
    let incoming = connections(listener, config.connections, GREETING_WAIT);
    let serving = async {
        match tls {
            Some(tls) => {
                let secured = tls.secure(incoming, config.connections.total_max);
                router.serve_with_incoming_shutdown(secured.map(coalesced), signal).await
            }
            None => router.serve_with_incoming_shutdown(incoming.map(coalesced), signal).await,
        }
    };
    let served = tokio::select! {
        served = serving => served,
        () = grace_over(stopped, config.shutdown_grace) => Ok(()),
    };
    served.map_err(|error| Error::internal(format!("flight server failed: {error}")))
}

/// A connection as HTTP/2 is to write to it.
fn coalesced<S: AsyncWrite + Unpin>(connection: S) -> io::Result<Coalesced<S>> {
    Ok(Coalesced::new(connection))
}

fn http2_server() -> Server {
    Server::builder()
        .trace_fn(request_span)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_WAIT))
}

fn open_door(engine: Engine, config: &FlightServerConfig) -> Door {
    let signer = Arc::new(Signer::new(config.session_secret.as_ref()));
    Door {
        engine,
        authenticator: Authenticator::new(config.users.clone(), Arc::clone(&signer)),
        sessions: Sessions::new(config.session_lifetime).starting_as(config.session.clone()),
        signer,
        bindings: Bindings::default(),
        parked: Parked::default(),
        polls: Polls::default(),
        deliveries: Deliveries::new(config.unread_max),
    }
}

/// Frees what clients left behind.
async fn sweep(door: Arc<Door>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        door.deliveries.sweep();
        door.sessions.sweep();
        door.bindings.sweep();
        door.parked.sweep(&door.engine);
        door.polls.sweep();
    }
}

/// Names the request in the log as the client does.
fn request_span(request: &http::Request<()>) -> tracing::Span {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    tracing::debug_span!(
        "flight",
        method = request.uri().path().rsplit('/').next(),
        request_id = header("x-request-id"),
        traceparent = header("traceparent"),
    )
}

/// Tells health checks of a drain when it begins: new queries are refused from then on, while open calls
/// may go on for long.
async fn tell_drain(engine: Engine, health: HealthReporter) {
    let mut ticks = tokio::time::interval(DRAIN_CHECK_EVERY);
    while !engine.is_draining() {
        ticks.tick().await;
    }
    not_serving(&health).await;
}

async fn not_serving(health: &HealthReporter) {
    health.set_not_serving::<FlightRoutes>().await;
    health.set_service_status("", ServingStatus::NotServing).await;
}

async fn grace_over(stopped: oneshot::Receiver<()>, grace: Duration) {
    if stopped.await.is_err() {
        // The server itself ended first.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(grace).await;
    tracing::warn!(?grace, "flight server stopped with calls still open");
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Error {
    Error::invalid_query(format!("flight server cannot listen on {address}: {error}")).with_hint(
        "stop the program that uses the port, or set another with `flight.listen` in meesh.yaml or --flight-listen",
    )
}
