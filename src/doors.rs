//! Opens the protocol doors with what the configuration says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use meesh_base::{Error, Result};
use meesh_engine::Engine;
use meesh_flight_server::{FlightServerConfig, PasswordFile, TlsFiles};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;

/// A Flight SQL door that listens.
pub(crate) struct FlightDoor {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whether it speaks TLS.
    pub(crate) is_tls: bool,
    /// `None` once it has ended.
    task: Option<JoinHandle<Result<()>>>,
}

impl FlightDoor {
    /// Opens the door; it closes when `shutdown` is cancelled and the calls under way have ended.
    ///
    /// # Errors
    /// `InvalidQuery` when the port is taken, a file cannot be read or holds no certificate, key or
    /// users; `Denied` when strangers would be served by accident.
    pub(crate) async fn open(engine: &Engine, settings: &Settings, shutdown: CancellationToken) -> Result<Self> {
        settings.check_exposure()?;
        let config = FlightServerConfig {
            listen: settings.flight_listen,
            users: settings.users_file.as_deref().map(PasswordFile::open).transpose()?,
            tls: settings.tls.clone().map(|files| TlsFiles { certificate: files.certificate, key: files.key }),
            insecure: settings.insecure,
            session: settings.session.clone(),
            session_secret: settings.session_secret.clone(),
            session_lifetime: settings.session_lifetime,
            ..FlightServerConfig::default()
        };
        let (ready, listening) = oneshot::channel();
        let engine = engine.clone();
        let task =
            tokio::spawn(
                async move { meesh_flight_server::serve(engine, config, shutdown.cancelled_owned(), ready).await },
            );
        match listening.await {
            Ok(address) => Ok(Self { address, is_tls: settings.tls.is_some(), task: Some(task) }),
            // The door ended before it listened: its error says why.
            Err(_) => Err(match task.await {
                Ok(Err(error)) => error,
                _ => Error::internal("the Flight SQL door ended before it listened"),
            }),
        }
    }

    /// What clients are given.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "grpc+tls" } else { "grpc" };
        format!("{scheme}://{}", reachable(self.address))
    }

    /// Waits until the door has closed.
    ///
    /// # Errors
    /// What it broke with.
    pub(crate) async fn closed(&mut self) -> Result<()> {
        let Some(task) = self.task.as_mut() else { return Ok(()) };
        let done = task.await;
        self.task = None;
        match done {
            Ok(done) => done,
            Err(error) => Err(Error::internal("the Flight SQL door broke").with_detail(error.to_string())),
        }
    }
}

/// The address under which this machine reaches a listener.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_connects_to_no_address() {
        let shown = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(shown("[::]:1"), "[::1]:1");
        assert_eq!(shown("10.0.0.7:1"), "10.0.0.7:1");
    }
}
