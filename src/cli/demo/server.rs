//! meesh itself inside the demo: the configuration a user would write, the engine, the doors.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use meesh_engine::{Engine, Session};
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin};
use crate::config::{self, CatalogWatch, ConfigFlags};
use crate::doors::FlightDoor;

/// Ports that people know; the next free one is taken when another program has them.
const FLIGHT_PORT: u16 = 32010;
const ADMIN_PORT: u16 = 9090;

/// How long connections may take to close.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// A running engine with its doors.
pub(super) struct Server {
    /// The engine.
    pub(super) engine: Engine,
    /// What a new session starts with.
    pub(super) session: Session,
    /// Where the admin port listens.
    pub(super) admin: SocketAddr,
    /// The Flight SQL door.
    pub(super) door: FlightDoor,
    shutdown: CancellationToken,
}

impl Server {
    /// Starts meesh on the configuration folder `etc`. Addresses and more catalogs may come by flags.
    ///
    /// # Errors
    /// Those of `meesh serve`.
    pub(super) async fn start(etc: &Path, flags: &ConfigFlags) -> Result<Self> {
        let flags = ConfigFlags {
            etc: Some(etc.to_owned()),
            flight_listen: flags.flight_listen.clone().or_else(|| Some(free_address(FLIGHT_PORT))),
            admin_listen: flags.admin_listen.clone().or_else(|| Some(free_address(ADMIN_PORT))),
            ..flags.clone()
        };
        let config = config::load(&flags)?;
        let settings = config.settings;
        let engine = Engine::new(settings.engine.clone())?;
        let watch = CatalogWatch::open(engine.clone(), config.catalogs, meesh_connector_registry::factories())?;
        let admin = Admin::new(engine.clone(), watch.status(), admin::install_metrics()?);
        let shutdown = CancellationToken::new();
        let listener = admin::listen(settings.admin_listen, "admin.listen").await?;
        let admin_address = listener.local_addr().context("cannot tell where the admin port listens")?;
        tokio::spawn(Arc::clone(&admin).serve(listener, shutdown.clone()));
        let door = FlightDoor::open(&engine, &settings, shutdown.clone()).await?;
        admin.set_ready(true);
        let mut session = settings.session.as_defaults_for("demo");
        session.source = Some("meesh demo".to_owned());
        Ok(Self { engine, session, admin: admin_address, door, shutdown })
    }

    /// Cancels what runs and closes the doors.
    pub(super) async fn stop(mut self) {
        self.engine.drain(Duration::ZERO).await;
        self.shutdown.cancel();
        let _ = tokio::time::timeout(CLOSING_MAX, self.door.closed()).await;
    }
}

/// The loopback address with this port, or with any free one when it is taken.
fn free_address(port: u16) -> String {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let port = if TcpListener::bind(wanted).is_ok() { port } else { 0 };
    format!("127.0.0.1:{port}")
}
