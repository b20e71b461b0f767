//! Opens sessions: host after host, with or without TLS as `sslmode` says, within one time limit.

use std::sync::Arc;
use std::time::Duration;

use meesh_base::{Error, ErrorKind, Result, format_duration};
use tokio::time::{Instant, timeout};

use super::authenticate::{LoginError, log_in};
use super::connection::Connection;
use super::error::{Place, server_error};
use super::options::{ConnectOptions, Host, SslMode, TlsOptions};
use super::tls;
use super::transaction::READ_ONLY;
use super::transport::{Endpoint, Transport};

/// `connection refused because of pg_hba.conf`, which may depend on whether TLS is used.
const INVALID_AUTHORIZATION: &str = "28000";

/// Opens a session with the first host that is what `options.target` asks for. Every host gets an
/// even share of what is left of `options.connect_timeout`, so that one that swallows packets leaves
/// time for the next.
pub(super) async fn connect(options: &ConnectOptions) -> Result<Connection> {
    let options = Arc::new(options.clone());
    let deadline = Instant::now() + options.connect_timeout;
    let passes = options.target.passes();
    let mut attempts_left = (passes.len() * options.hosts.len()) as u32;
    let mut failures: Vec<Error> = Vec::new();
    for standby_wanted in passes {
        for host in &options.hosts {
            let share = deadline.saturating_duration_since(Instant::now()) / attempts_left.max(1);
            attempts_left = attempts_left.saturating_sub(1);
            match connect_host(&options, host, *standby_wanted, share).await {
                Ok(connection) => return Ok(connection),
                // Another server would say the same of this role and password.
                Err(error) if error.kind() == ErrorKind::Denied => return Err(error),
                Err(error) => failures.push(error),
            }
        }
    }
    let last = failures.pop().unwrap_or_else(|| Error::internal("no host to connect to"));
    if failures.is_empty() {
        return Err(last);
    }
    let before: Vec<&str> = failures.iter().map(Error::message).collect();
    let detail = last.detail().map(|detail| format!("{detail}; ")).unwrap_or_default();
    Err(last.with_detail(format!("{detail}before: {}", before.join("; "))))
}

/// The addresses of a host, in the resolver's order.
///
/// # Errors
/// `SourceUnavailable` if the name is not known.
pub(crate) async fn resolve(host: &Host, place: &Place) -> Result<Vec<Endpoint>> {
    if let Some(path) = host.socket_path() {
        return Ok(vec![Endpoint::Unix(path)]);
    }
    let unknown = || place.unavailable("has no address").with_hint("check the host in connection-url");
    let found = tokio::net::lookup_host((host.name.as_str(), host.port)).await;
    let addresses: Vec<Endpoint> =
        found.map_err(|error| unknown().with_detail(error.to_string()))?.map(Endpoint::Tcp).collect();
    if addresses.is_empty() { Err(unknown()) } else { Ok(addresses) }
}

/// Opens a stream, encrypted as `encryption` says.
///
/// # Errors
/// [`AttemptError::Encryption`] if the TLS handshake fails.
pub(super) async fn open_transport(
    endpoint: &Endpoint,
    host: &str,
    encryption: Encryption,
    options: &TlsOptions,
    place: &Place,
) -> Result<Transport, AttemptError> {
    // What is wrong with the files is told before anything is sent.
    let config = match encryption {
        Encryption::Never => None,
        _ => Some(tls::config(options, place).await?),
    };
    let transport = Transport::open(endpoint).await.map_err(|error| unreachable(place, error))?;
    let (mut stream, config) = match (transport, config) {
        (Transport::Tcp(stream), Some(config)) => (stream, config),
        (transport, _) => return Ok(transport),
    };
    if tls::request(&mut stream).await.map_err(|error| place.io("broke off", error))? {
        return tls::handshake(stream, host, config, place).await.map_err(AttemptError::Encryption);
    }
    if encryption == Encryption::IfOffered { Ok(Transport::Tcp(stream)) } else { Err(no_tls(place).into()) }
}

/// Tries a host as far as TLS, without a login; yields what encrypts the stream.
pub(crate) async fn probe_tls(options: &ConnectOptions, host: &Host, endpoint: &Endpoint) -> Result<Option<String>> {
    let place = Place::new(Arc::clone(&options.catalog), host.to_string().into());
    let encryption = match options.tls.mode {
        SslMode::Disable => Encryption::Never,
        SslMode::Allow | SslMode::Prefer => Encryption::IfOffered,
        _ => Encryption::Always,
    };
    let opened = open_transport(endpoint, &host.name, encryption, &options.tls, &place).await;
    Ok(opened.map_err(AttemptError::into_error)?.encryption())
}

/// Tries a host as far as TCP.
pub(crate) async fn probe_tcp(options: &ConnectOptions, host: &Host, endpoint: &Endpoint) -> Result<()> {
    let place = Place::new(Arc::clone(&options.catalog), host.to_string().into());
    Transport::open(endpoint).await.map(drop).map_err(|error| unreachable(&place, error))
}

fn unreachable(place: &Place, error: std::io::Error) -> Error {
    place.io("cannot be reached", error).with_hint("check host and port in connection-url and that the server runs")
}

fn no_tls(place: &Place) -> Error {
    place.unavailable("does not offer TLS").with_hint("turn ssl on at the server, or set sslmode=prefer or disable")
}

async fn connect_host(
    options: &Arc<ConnectOptions>,
    host: &Host,
    standby_wanted: Option<bool>,
    share: Duration,
) -> Result<Connection> {
    let place = Place::new(Arc::clone(&options.catalog), host.to_string().into());
    let deadline = Instant::now() + share;
    let late = || {
        place
            .unavailable(format_args!("did not answer within {}", format_duration(share)))
            .with_hint("check host and port in connection-url and the network between, or raise connect-timeout")
    };
    let endpoints = timeout(share, resolve(host, &place)).await.map_err(|_| late())??;
    let mut failure = late();
    for (tried, endpoint) in endpoints.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = left / (endpoints.len() - tried) as u32;
        let opened = async {
            let connection = connect_endpoint(options, host, endpoint, &place).await?;
            as_wanted(connection, standby_wanted).await
        };
        failure = match timeout(limit, opened).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) if error.kind() == ErrorKind::Denied => return Err(error),
            Ok(Err(error)) => error,
            Err(_) => late(),
        };
    }
    Err(failure)
}

/// Whether a stream uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// It does not.
    Never,
    /// It does if the server offers it.
    IfOffered,
    /// It does, or is refused.
    Always,
}

/// What libpq tries for each `sslmode` (manual, table 34.1), in order.
const ATTEMPTS: &[(SslMode, &[Encryption])] = &[
    (SslMode::Disable, &[Encryption::Never]),
    (SslMode::Allow, &[Encryption::Never, Encryption::Always]),
    (SslMode::Prefer, &[Encryption::IfOffered, Encryption::Never]),
];

/// Why an attempt failed, and whether the next one may do better.
pub(super) enum AttemptError {
    /// TLS failed, or the server refused a session so encrypted.
    Encryption(Error),
    /// Whatever else.
    Other(Error),
}

impl AttemptError {
    /// The error itself.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Encryption(error) | Self::Other(error) => error,
        }
    }
}

impl From<Error> for AttemptError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

async fn connect_endpoint(
    options: &Arc<ConnectOptions>,
    host: &Host,
    endpoint: &Endpoint,
    place: &Place,
) -> Result<Connection> {
    let attempts = match endpoint {
        // libpq never encrypts a Unix socket, whatever sslmode says.
        Endpoint::Unix(_) => &[Encryption::Never],
        Endpoint::Tcp(_) => ATTEMPTS
            .iter()
            .find(|(mode, _)| *mode == options.tls.mode)
            .map_or(&[Encryption::Always][..], |(_, attempts)| attempts),
    };
    let mut failure = None;
    for encryption in attempts {
        match attempt(options, host, endpoint, *encryption, place).await {
            Ok(connection) => return Ok(connection),
            // The first refusal says more than that of the fallback.
            Err(AttemptError::Encryption(error)) => drop(failure.get_or_insert(error)),
            Err(AttemptError::Other(error)) if error.kind() == ErrorKind::Denied => return Err(error),
            Err(AttemptError::Other(error)) => return Err(failure.unwrap_or(error)),
        }
    }
    Err(failure.unwrap_or_else(|| place.unavailable("cannot be reached")))
}

async fn attempt(
    options: &Arc<ConnectOptions>,
    host: &Host,
    endpoint: &Endpoint,
    encryption: Encryption,
    place: &Place,
) -> Result<Connection, AttemptError> {
    let transport = open_transport(endpoint, &host.name, encryption, &options.tls, place).await?;
    let host_name = Arc::from(host.name.as_str());
    let mut connection = Connection::new(transport, endpoint.clone(), host_name, Arc::clone(options), place.clone());
    match log_in(&mut connection).await {
        Ok(()) => Ok(connection),
        Err(LoginError::Failed(error)) => Err(error.into()),
        Err(LoginError::Refused(error)) => {
            let by_encryption = error.code == INVALID_AUTHORIZATION;
            let error = server_error(&place.catalog, &place.server, &error);
            Err(if by_encryption { AttemptError::Encryption(error) } else { error.into() })
        }
    }
}

/// Finds out which settings a fresh session takes, and refuses it if it is not with the server that is
/// wanted.
async fn as_wanted(mut connection: Connection, standby_wanted: Option<bool>) -> Result<Connection> {
    const IN_RECOVERY: &str = "SELECT pg_catalog.pg_is_in_recovery()";
    connection.settings = settings(&connection, true);
    let mut answer = connection.transaction(READ_ONLY, &[], IN_RECOVERY).await;
    if answer.as_ref().is_err_and(|error| error.code() == Some("INVALID_FUNCTION_ARGUMENT")) {
        // Platforms without POLLRDHUP refuse client_connection_check_interval.
        connection.settings = settings(&connection, false);
        answer = connection.transaction(READ_ONLY, &[], IN_RECOVERY).await;
    }
    let results = answer?;
    let in_recovery = results.first().and_then(|result| result.rows.first()?.first()?.as_deref()) == Some("t");
    match standby_wanted {
        Some(wanted) if wanted != in_recovery => {
            let role = if in_recovery { "is a standby" } else { "is no standby" };
            Err(connection.place().unavailable(role).with_hint("check targetServerType in connection-url"))
        }
        _ => Ok(connection),
    }
}

/// What makes a transaction independent of the server's configuration. Set in each transaction and not
/// for the session: behind a pooler the session is others', too.
fn settings(connection: &Connection, check_client: bool) -> Vec<(&'static str, String)> {
    let timeout = connection.options.statement_timeout;
    let timeout = timeout.map(|limit| limit.as_millis().clamp(1, i32::MAX as u128).to_string());
    let settings = [
        ("search_path", Some("pg_catalog".to_owned())),
        ("TimeZone", Some("UTC".to_owned())),
        ("DateStyle", Some("ISO, YMD".to_owned())),
        ("IntervalStyle", Some("postgres".to_owned())),
        ("standard_conforming_strings", Some("on".to_owned())),
        ("bytea_output", Some("hex".to_owned())),
        ("extra_float_digits", Some("3".to_owned())),
        // A fragment is one derived table in another: its joins are planned together all the same.
        ("from_collapse_limit", Some("16".to_owned())),
        ("join_collapse_limit", Some("16".to_owned())),
        ("statement_timeout", timeout),
        // A backend whose client is gone notices while it computes, not only when it next writes.
        (
            "client_connection_check_interval",
            Some("100ms".to_owned()).filter(|_| check_client && connection.server_version() >= 140_000),
        ),
    ];
    settings.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
