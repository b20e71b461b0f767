//! `/metrics` in Prometheus' text format: what the crates count, and the process's own figures.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use meesh_base::{Error, Result};
use meesh_engine::{CatalogState, Engine};
use metrics::{describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::Admin;

/// How often histograms are folded; without it they grow with every value.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Buckets of everything that is measured in seconds.
const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The states in which a query is live.
const LIVE: &[&str] = &["QUEUED", "PLANNING", "RUNNING", "FINISHING"];

/// What all crates have counted.
#[derive(Clone)]
pub(crate) struct Metrics(PrometheusHandle);

/// Starts counting, for the whole process.
///
/// # Errors
/// `Internal` if something counts already.
pub(crate) fn install() -> Result<Metrics> {
    let failed = |error: metrics_exporter_prometheus::BuildError| {
        Error::internal("metrics cannot be set up").with_detail(error.to_string())
    };
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .map_err(failed)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)
        .map_err(|error| Error::internal("metrics cannot be set up").with_detail(error.to_string()))?;
    describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            upkeep.run_upkeep();
        }
    });
    Ok(Metrics(handle))
}

fn describe() {
    describe_gauge!("meesh_build_info", "1, with the version");
    describe_gauge!("meesh_catalogs", "catalogs by state of their configuration");
    describe_gauge!("meesh_queries", "live queries by state");
    describe_gauge!("meesh_memory_used_bytes", "bytes that queries' operators hold");
    describe_gauge!("meesh_memory_limit_bytes", "bytes that queries' operators may hold");
    describe_counter!("meesh_catalog_reloads_total", "catalogs that were opened again, by result");
    describe_gauge!("process_resident_memory_bytes", "resident memory of the process");
    describe_gauge!("process_start_time_seconds", "when the process started, in seconds since 1970");
    gauge!("meesh_build_info", "version" => Engine::version()).set(1.0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!("process_start_time_seconds").set(now.as_secs_f64());
}

/// The page.
pub(super) async fn page(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    look(&admin.engine);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.0.render())
}

/// Sets what is not counted but looked at.
fn look(engine: &Engine) {
    let states: Vec<Option<CatalogState>> =
        engine.catalogs().names().iter().map(|name| engine.catalogs().get(name)).collect();
    let broken = states.iter().filter(|state| matches!(state, Some(CatalogState::Broken(_)))).count();
    let open = states.iter().filter(|state| matches!(state, Some(CatalogState::Open(_)))).count();
    gauge!("meesh_catalogs", "state" => "open").set(open as f64);
    gauge!("meesh_catalogs", "state" => "broken").set(broken as f64);
    let queries = engine.queries();
    for state in LIVE {
        let count = queries.iter().filter(|query| query.state.name() == *state).count();
        gauge!("meesh_queries", "state" => *state).set(count as f64);
    }
    let (used, limit) = engine.memory_bytes();
    gauge!("meesh_memory_used_bytes").set(used as f64);
    gauge!("meesh_memory_limit_bytes").set(limit as f64);
    if let Some(bytes) = resident_bytes() {
        gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
}

/// From `/proc/self/status`, which gives kilobytes whatever the size of a page.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
