//! `/livez` and `/readyz`.
//!
//! A source that is down makes nothing unready: the other catalogs answer. It is shown by
//! `/readyz?verbose`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use meesh_engine::{CatalogState, Engine};
use serde_json::{Value, json};

use super::Admin;

/// A source that takes longer to answer counts as down.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a look at the catalogs holds.
const LOOK_LASTS: Duration = Duration::from_secs(1);

/// The process runs and its threads answer.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// 200 if new queries are taken, else 503; with `?verbose` the state of each catalog as JSON.
pub(super) async fn readyz(State(admin): State<Arc<Admin>>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let (code, status) = status(&admin);
    if !asked.contains_key("verbose") {
        return (code, format!("{status}\n")).into_response();
    }
    let catalogs = catalogs(&admin).await;
    let page = json!({
        "status": status,
        "version": Engine::version(),
        "catalogs": catalogs,
        "reload_errors": admin.reload.errors(),
    });
    (code, [(CONTENT_TYPE, "application/json")], format!("{page:#}\n")).into_response()
}

fn status(admin: &Admin) -> (StatusCode, &'static str) {
    if admin.engine.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if admin.is_ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    }
}

async fn catalogs(admin: &Admin) -> Value {
    let mut looked = admin.looked.lock().await;
    if let Some((at, value)) = looked.as_ref()
        && at.elapsed() < LOOK_LASTS
    {
        return value.clone();
    }
    let names = admin.engine.catalogs().names();
    let states = join_all(names.iter().map(|name| catalog(&admin.engine, name))).await;
    let value = Value::Array(states.into_iter().flatten().collect());
    *looked = Some((Instant::now(), value.clone()));
    value
}

/// The state of one catalog: `up`, `down` or `broken` (its configuration could not be read).
async fn catalog(engine: &Engine, name: &str) -> Option<Value> {
    let connector = match engine.catalogs().get(name)? {
        CatalogState::Open(connector) => connector,
        CatalogState::Broken(error) => {
            return Some(json!({"name": name, "state": "broken", "error": error.to_string()}));
        }
    };
    let kind = connector.kind();
    let state = match tokio::time::timeout(PROBE_TIMEOUT, connector.probe()).await {
        Ok(Ok(health)) => json!({
            "name": name,
            "state": "up",
            "connector": kind,
            "version": health.version,
            "latency_ms": health.latency.as_secs_f64() * 1000.0,
        }),
        Ok(Err(error)) => json!({"name": name, "state": "down", "connector": kind, "error": error.to_string()}),
        Err(_) => {
            let error = format!("no answer within {} s", PROBE_TIMEOUT.as_secs());
            json!({"name": name, "state": "down", "connector": kind, "error": error})
        }
    };
    Some(state)
}
