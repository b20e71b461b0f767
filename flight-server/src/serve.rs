//! The server: configuration, start, and orderly end.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use meesh_engine::{Engine, Error, Result, Session};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::codegen::http;
use tonic::server::NamedService;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::auth::Authenticator;
use crate::codec::FlightRoutes;
use crate::delivery::Deliveries;
use crate::handle::Signer;
use crate::listen::{ConnectionLimits, connections};
use crate::parked::Parked;
use crate::password::PasswordFile;
use crate::poll::Polls;
use crate::prepared::Bindings;
use crate::service::Door;
use crate::session::Sessions;

/// Streams one connection may have open.
const STREAMS_MAX: u32 = 100;
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Load balancers cut connections that are silent for some minutes, and dead clients must be noticed.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEP_ALIVE_WAIT: Duration = Duration::from_secs(20);
/// Longest wait for a new connection's first bytes.
const GREETING_WAIT: Duration = Duration::from_secs(10);
const TLS_HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How the door is opened.
#[derive(Debug, Clone)]
pub struct FlightServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may log in; `None` lets everybody in under the name they give.
    pub users: Option<PasswordFile>,
    /// `None` serves without encryption.
    pub tls: Option<TlsFiles>,
    /// Allows an address other than loopback without users or without TLS.
    pub insecure: bool,
    /// What new sessions start with, but for their user.
    pub session: Session,
    /// How long a session lives unused.
    pub session_lifetime: Duration,
    /// A query whose client does not read for this long is cancelled.
    pub unread_max: Duration,
    /// How long streams may go on after the shutdown began.
    pub shutdown_grace: Duration,
    /// How many connections may be open.
    pub connections: ConnectionLimits,
}

impl Default for FlightServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 32010),
            users: None,
            tls: None,
            insecure: false,
            session: Session::new(""),
            session_lifetime: Duration::from_secs(24 * 3600),
            unread_max: Duration::from_secs(300),
            shutdown_grace: Duration::from_secs(10),
            connections: ConnectionLimits::default(),
        }
    }
}

impl FlightServerConfig {
    /// What is unsafe about this configuration, for the log of every start.
    pub fn warnings(&self) -> Vec<String> {
        if self.listen.ip().is_loopback() {
            return Vec::new();
        }
        let open = [
            (self.users.is_none(), "without users: whoever reaches the port can read every catalog"),
            (self.tls.is_none(), "without TLS: passwords and results can be read on the network"),
        ];
        let unsafe_parts = open.iter().filter(|(is_open, _)| *is_open);
        unsafe_parts.map(|(_, what)| format!("flight server listens on {} {what}", self.listen)).collect()
    }

    fn check(&self) -> Result<()> {
        match self.warnings().first() {
            Some(warning) if !self.insecure => Err(Error::invalid_query(format!("refused: {warning}"))
                .with_hint("set users and TLS, listen on 127.0.0.1, or set `insecure: true`")),
            _ => Ok(()),
        }
    }
}

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
    let tls = config.tls.as_ref().map(read_tls).transpose()?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| cannot_listen(config.listen, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(config.listen, &error))?;

    let door = Arc::new(open_door(engine, &config));
    let sweeper = tokio::spawn(sweep(Arc::clone(&door), SWEEP_EVERY.min(config.unread_max)));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<FlightRoutes>().await;

    let mut server = Server::builder()
        .trace_fn(request_span)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_WAIT));
    if let Some(tls) = tls {
        server = server.tls_config(tls).map_err(|error| tls_error(&error))?;
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(<FlightRoutes as NamedService>::NAME)
        .with_service_name("grpc.health.v1.Health")
        .build_v1()
        .map_err(|error| Error::internal(format!("gRPC reflection cannot be served: {error}")))?;
    let router = server.add_service(FlightRoutes::new(door)).add_service(health_service).add_service(reflection);
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
    let served = tokio::select! {
        served = router.serve_with_incoming_shutdown(incoming, signal) => served,
        () = grace_over(stopped, config.shutdown_grace) => Ok(()),
    };
    sweeper.abort();
    served.map_err(|error| Error::internal(format!("flight server failed: {error}")))
}

fn open_door(engine: Engine, config: &FlightServerConfig) -> Door {
    let signer = Arc::new(Signer::new());
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

fn read_tls(files: &TlsFiles) -> Result<ServerTlsConfig> {
    let read = |path: &PathBuf| {
        std::fs::read(path)
            .map_err(|error| Error::invalid_query(format!("TLS file \"{}\" cannot be read: {error}", path.display())))
    };
    let identity = Identity::from_pem(read(&files.certificate)?, read(&files.key)?);
    Ok(ServerTlsConfig::new().identity(identity).timeout(TLS_HANDSHAKE_WAIT))
}

fn tls_error(error: &tonic::transport::Error) -> Error {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    Error::invalid_query(format!("TLS files do not fit: {error} {cause}"))
        .with_hint("the certificate file holds the chain, the key file its private key, both as PEM")
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Error {
    Error::invalid_query(format!("flight server cannot listen on {address}: {error}")).with_hint(
        "stop the program that uses the port, or set another with `flight.listen` in meesh.yaml or --flight-listen",
    )
}
