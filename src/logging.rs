//! Logs on standard error: text on a terminal, one JSON object a line otherwise.
//!
//! `MEESH_LOG` filters as `RUST_LOG` does elsewhere: `debug`, `meesh=debug,h2=warn`.

use std::io::IsTerminal;

use meesh_base::{Error, Result};
use tracing_subscriber::EnvFilter;

/// Crates that say too much at their default level.
const QUIET: &str = "h2=warn,hyper=warn,tonic=warn,rustls=warn,tower=warn,datafusion=warn";

/// Levels of Trino's `log.properties`, and ours.
const LEVELS: &[(&str, &str)] =
    &[("trace", "trace"), ("debug", "debug"), ("info", "info"), ("warn", "warn"), ("error", "error"), ("off", "off")];

/// Starts logging. `MEESH_LOG` beats `configured` (from `log.properties`), which beats `default`.
///
/// # Errors
/// `InvalidQuery` for a filter that is none.
pub(crate) fn start(default: &str, configured: Option<&str>) -> Result<()> {
    let configured = configured.and_then(|level| LEVELS.iter().find(|(name, _)| *name == level)).map(|(_, ours)| *ours);
    let given = std::env::var("MEESH_LOG").ok().filter(|text| !text.trim().is_empty());
    let filter = match &given {
        Some(text) => EnvFilter::try_new(text).map_err(|error| {
            Error::invalid_query("environment variable \"MEESH_LOG\" is no filter")
                .with_detail(error.to_string())
                .with_hint("for example debug, or info,meesh_engine=debug")
        })?,
        None => EnvFilter::new(format!("{},{QUIET}", configured.unwrap_or(default))),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start (a test) keeps the first.
    let _ = if std::io::stderr().is_terminal() {
        builder.with_ansi(std::env::var_os("NO_COLOR").is_none()).with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    Ok(())
}
