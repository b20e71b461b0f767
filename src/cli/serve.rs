//! `meesh serve`: reads the configuration, opens catalogs and doors, and drains on SIGTERM.
//!
//! ```text
//! configuration -> engine -> catalogs -> admin port -> Flight SQL door -> ready
//! SIGTERM -> /readyz 503, new queries refused -> running ones end, at most the grace period -> doors close -> exit 0
//! ```

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use meesh_engine::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::ready::Ready;
use crate::admin::{self, Admin};
use crate::config::{self, CatalogWatch, Config, ConfigFlags};
use crate::doors::{FlightDoor, reachable};
use crate::logging;

/// After the queries have ended, the time that connections have to close.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// Those of a wrong configuration or catalog file, and of a port that is taken; a source that is
/// down is none.
pub(super) async fn run(flags: &ConfigFlags) -> anyhow::Result<ExitCode> {
    let config = config::load(flags)?;
    logging::start("info", config.log_level.as_deref())?;
    config.settings.check_exposure()?;
    for warning in config.warnings.iter().chain(&config.settings.exposure_warnings()) {
        tracing::warn!("{warning}");
    }
    let mut stop = StopSignals::new()?;
    let Config { settings, catalogs, folder, .. } = config;
    tracing::info!(
        version = super::version::VERSION,
        folder = folder.map_or_else(|| "none".to_owned(), |folder| folder.display().to_string()),
        "starting"
    );
    let metrics = admin::install_metrics()?;
    let engine = Engine::new(settings.engine.clone())?;
    let watch = CatalogWatch::open(engine.clone(), catalogs, meesh_connector_registry::factories())?;
    let admin = Admin::new(engine.clone(), watch.status(), metrics);
    let shutdown = CancellationToken::new();
    let listener = admin::listen(settings.admin_listen, "admin.listen").await?;
    let admin_address = listener.local_addr().context("cannot tell where the admin port listens")?;
    let admin_task = tokio::spawn(Arc::clone(&admin).serve(listener, shutdown.clone()));
    let mut door = FlightDoor::open(&engine, &settings, shutdown.clone()).await?;
    let watching = watch.run();
    admin.set_ready(true);
    announce(&Ready {
        flight_url: door.url(),
        admin_url: format!("http://{}", reachable(admin_address)),
        catalogs: engine.catalogs().names(),
        has_users: settings.users_file.is_some(),
    });
    let exit = tokio::select! {
        () = stop.next() => drain(&engine, settings.grace, &mut stop).await,
        broken = door.closed() => {
            broken?;
            Exit::Failed
        }
    };
    watching.abort();
    shutdown.cancel();
    let closing = async {
        let _ = door.closed().await;
        let _ = admin_task.await;
    };
    let _ = tokio::time::timeout(CLOSING_MAX, closing).await;
    tracing::info!("stopped");
    Ok(exit.into())
}

/// Lets running queries end. A second signal ends them at once.
async fn drain(engine: &Engine, grace: Duration, stop: &mut StopSignals) -> Exit {
    tracing::info!(grace = meesh_base::format_duration(grace), "draining: new queries are refused");
    tokio::select! {
        () = engine.drain(grace) => Exit::Done,
        () = stop.next() => {
            tracing::warn!("stopped by a second signal: running queries are cancelled");
            engine.drain(Duration::ZERO).await;
            Exit::Interrupted
        }
    }
}

/// A box for a person, a line of the log for a machine.
fn announce(ready: &Ready) {
    if std::io::stdout().is_terminal() {
        print!("\n{}", ready.text());
    }
    tracing::info!(
        flight = ready.flight_url,
        admin = ready.admin_url,
        catalogs = ready.catalogs.join(","),
        "meesh is ready"
    );
}

/// SIGTERM and SIGINT, which mean the same here.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
