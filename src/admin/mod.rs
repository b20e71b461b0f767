//! The admin port: liveness, readiness and metrics, for Kubernetes and Prometheus. No SQL, no login.

mod health;
mod metrics;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use meesh_base::{Error, Result};
use meesh_engine::Engine;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub(crate) use metrics::{Metrics, install as install_metrics};

use crate::config::ReloadStatus;

/// What the pages are made of.
pub(crate) struct Admin {
    engine: Engine,
    reload: Arc<ReloadStatus>,
    metrics: Metrics,
    is_ready: AtomicBool,
    /// The last look at the catalogs: many askers cause one probe of each.
    looked: Mutex<Option<(Instant, serde_json::Value)>>,
}

impl Admin {
    /// The pages of `engine`; not ready yet.
    pub(crate) fn new(engine: Engine, reload: Arc<ReloadStatus>, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { engine, reload, metrics, is_ready: AtomicBool::new(false), looked: Mutex::new(None) })
    }

    /// Says that every door listens.
    pub(crate) fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::Relaxed);
    }

    /// Serves the pages until `shutdown`.
    ///
    /// # Errors
    /// Whatever the operating system says when the listener breaks.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> std::io::Result<()> {
        axum::serve(listener, router(self)).with_graceful_shutdown(shutdown.cancelled_owned()).await
    }
}

fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::page))
        .fallback(not_found)
        .with_state(admin)
}

async fn not_found(uri: Uri) -> (StatusCode, String) {
    let text = format!("there is no {}; /livez, /readyz, /readyz?verbose and /metrics are here\n", uri.path());
    (StatusCode::NOT_FOUND, text)
}

/// Listens on `address`; `key` is the setting to change when somebody else does already.
///
/// # Errors
/// `InvalidQuery` when the port is taken, needs rights, or is not this machine's.
pub(crate) async fn listen(address: SocketAddr, key: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!("stop what listens there, or set another {key}"),
            std::io::ErrorKind::PermissionDenied => format!("set {key} to a port from 1024 on"),
            _ => format!("set {key} to an address of this machine"),
        };
        Error::invalid_query(format!("cannot listen on {address} ({key})"))
            .with_detail(error.to_string())
            .with_hint(hint)
    })
}
