//! The server's values as types, with what holds between them.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use meesh_base::{ConfigKey, ConfigValues, Error, Result, Secret, parse_bytes};
use meesh_engine::{EngineConfig, Session, container_memory_bytes};

use super::keys;
use super::references::References;

const SESSION_SECRET_BYTES_MIN: usize = 32;
const SESSION_LIFETIME_MIN: Duration = Duration::from_secs(60);

/// What the server and the shell are told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The Flight SQL door's address.
    pub(crate) flight_listen: SocketAddr,
    /// Its certificate and key.
    pub(crate) tls: Option<TlsFiles>,
    /// What the key of its session tokens is made from; drawn at start if there is none.
    pub(crate) session_secret: Option<Secret>,
    /// How long one of its sessions lives unused.
    pub(crate) session_lifetime: Duration,
    /// The admin port's address.
    pub(crate) admin_listen: SocketAddr,
    /// Who may log in; nobody has to if there is no file.
    pub(crate) users_file: Option<PathBuf>,
    /// Whether strangers may be served.
    pub(crate) insecure: bool,
    /// The engine's limits.
    pub(crate) engine: EngineConfig,
    /// What every new session starts with; its user is empty.
    pub(crate) session: Session,
    /// How long queries may still run after SIGTERM.
    pub(crate) grace: Duration,
}

/// PEM files of a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate chain.
    pub(crate) certificate: PathBuf,
    /// The private key; may be the same file.
    pub(crate) key: PathBuf,
}

impl Settings {
    /// Takes the settings out of values that were checked already.
    ///
    /// # Errors
    /// `InvalidQuery` for addresses that are none and for values that contradict each other.
    pub(super) fn new(values: &ConfigValues, references: &References) -> Result<Self> {
        Ok(Self {
            flight_listen: address(values, &keys::FLIGHT_LISTEN)?,
            tls: tls(values, references)?,
            session_secret: session_secret(values)?,
            session_lifetime: session_lifetime(values)?,
            admin_listen: address(values, &keys::ADMIN_LISTEN)?,
            users_file: users_file(values, references)?,
            insecure: values.bool(&keys::INSECURE),
            engine: engine(values)?,
            session: session(values)?,
            grace: values.duration(&keys::SHUTDOWN_GRACE).unwrap_or(Duration::from_secs(30)),
        })
    }

    /// Refuses to serve strangers by accident.
    ///
    /// # Errors
    /// `Denied` for an address beyond loopback without users, or with users and without TLS, unless
    /// `insecure` says so.
    pub(crate) fn check_exposure(&self) -> Result<()> {
        let address = self.flight_listen;
        if self.insecure || address.ip().is_loopback() {
            return Ok(());
        }
        let missing = match (&self.users_file, &self.tls) {
            (None, _) => "users",
            (Some(_), None) => "TLS",
            (Some(_), Some(_)) => return Ok(()),
        };
        Err(Error::denied(format!("flight.listen {address} is open to other machines without {missing}"))
            .with_hint("set users.file and flight.tls.*, listen on 127.0.0.1, or say insecure: true"))
    }

    /// What a person must know at every start.
    pub(crate) fn exposure_warnings(&self) -> Vec<String> {
        let address = self.flight_listen;
        if address.ip().is_loopback() {
            return Vec::new();
        }
        let no_users = self
            .users_file
            .is_none()
            .then(|| format!("INSECURE: whoever reaches {address} can read every catalog (no users.file)"));
        let no_tls = self.tls.is_none().then(|| {
            format!("INSECURE: passwords and rows cross the network in clear text at {address} (no flight.tls)")
        });
        no_users.into_iter().chain(no_tls).collect()
    }
}

fn place(values: &ConfigValues, key: &ConfigKey) -> String {
    format!("{} at {}", key.name, values.origin(key).unwrap_or("its default"))
}

fn address(values: &ConfigValues, key: &ConfigKey) -> Result<SocketAddr> {
    let text = values.text(key).unwrap_or_default().trim();
    // `:9090` and `9090` are what people type for "this port".
    let full = match text.strip_prefix(':').unwrap_or(text) {
        port if port.parse::<u16>().is_ok() => format!("127.0.0.1:{port}"),
        _ => text.to_owned(),
    };
    let found = full.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| {
        Error::invalid_query(format!("{} is no address: {text:?}", place(values, key)))
            .with_hint("write an address and a port, such as 127.0.0.1:32010 or 0.0.0.0:32010")
    })
}

fn existing(values: &ConfigValues, key: &ConfigKey, references: &References) -> Result<Option<PathBuf>> {
    let Some(text) = values.text(key) else { return Ok(None) };
    let path = references.path(Path::new(text.trim()));
    if path.is_file() {
        return Ok(Some(path));
    }
    Err(Error::invalid_query(format!("{}: file {:?} does not exist", place(values, key), path.display()))
        .with_hint("relative paths start at the configuration folder"))
}

fn tls(values: &ConfigValues, references: &References) -> Result<Option<TlsFiles>> {
    let certificate = existing(values, &keys::FLIGHT_TLS_CERTIFICATE, references)?;
    let key = existing(values, &keys::FLIGHT_TLS_KEY, references)?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (Some(_), None) => Err(values.required(&keys::FLIGHT_TLS_KEY).err().unwrap_or_else(tls_is_half)),
        (None, Some(_)) => Err(values.required(&keys::FLIGHT_TLS_CERTIFICATE).err().unwrap_or_else(tls_is_half)),
        (None, None) if values.bool(&keys::HTTPS_ENABLED) => trino_keystore(values, references),
        (None, None) => Ok(None),
    }
}

fn tls_is_half() -> Error {
    Error::invalid_query("flight.tls.certificate and flight.tls.key belong together")
}

/// Trino's keystore, if it is a PEM file as Trino allows since 2021; Java's formats are not read.
fn trino_keystore(values: &ConfigValues, references: &References) -> Result<Option<TlsFiles>> {
    let Some(file) = existing(values, &keys::HTTPS_KEYSTORE, references)? else { return Ok(None) };
    let is_pem = std::fs::read(&file).is_ok_and(|bytes| bytes.windows(11).any(|window| window == b"-----BEGIN "));
    if is_pem {
        return Ok(Some(TlsFiles { certificate: file.clone(), key: file }));
    }
    Err(Error::unsupported(format!("{}: {:?} is no PEM file", place(values, &keys::HTTPS_KEYSTORE), file.display()))
        .with_hint("convert it: openssl pkcs12 -in keystore.p12 -nodes -out server.pem"))
}

/// Whoever has a token may try secrets on it for as long as they like.
fn session_secret(values: &ConfigValues) -> Result<Option<Secret>> {
    let Some(text) = values.text(&keys::FLIGHT_SESSION_SECRET).map(str::trim) else { return Ok(None) };
    if text.len() < SESSION_SECRET_BYTES_MIN {
        return Err(Error::invalid_query(format!(
            "{} has fewer than {SESSION_SECRET_BYTES_MIN} characters",
            place(values, &keys::FLIGHT_SESSION_SECRET)
        ))
        .with_hint("draw one: openssl rand -hex 32"));
    }
    Ok(Some(Secret::new(text)))
}

fn session_lifetime(values: &ConfigValues) -> Result<Duration> {
    match values.duration(&keys::FLIGHT_SESSION_LIFETIME) {
        Some(lifetime) if lifetime >= SESSION_LIFETIME_MIN => Ok(lifetime),
        _ => Err(Error::invalid_query(format!(
            "{} must be at least {} s",
            place(values, &keys::FLIGHT_SESSION_LIFETIME),
            SESSION_LIFETIME_MIN.as_secs()
        ))),
    }
}

fn users_file(values: &ConfigValues, references: &References) -> Result<Option<PathBuf>> {
    let file = existing(values, &keys::USERS_FILE, references)?;
    let wants_password =
        values.text(&keys::AUTHENTICATION_TYPE).is_some_and(|types| types.to_ascii_uppercase().contains("PASSWORD"));
    if wants_password && file.is_none() {
        return Err(Error::invalid_query(format!(
            "{} asks for passwords, and there is no users.file",
            place(values, &keys::AUTHENTICATION_TYPE)
        ))
        .with_hint("set file.password-file in password-authenticator.properties, or users.file in meesh.yaml"));
    }
    Ok(file)
}

fn engine(values: &ConfigValues) -> Result<EngineConfig> {
    let mut config = EngineConfig {
        memory_limit_bytes: values.bytes(&keys::MEMORY_LIMIT),
        query_memory_limit_bytes: query_memory_limit(values)?,
        spill_dir: std::env::temp_dir(),
        ..EngineConfig::default()
    };
    if let Some(dir) = values.text(&keys::SPILL_DIR) {
        // Trino takes a list; one folder is what the engine spills to.
        let first = dir.split(',').next().unwrap_or(dir).trim();
        config.spill_dir = PathBuf::from(first);
    }
    if let Some(bytes) = values.bytes(&keys::SPILL_LIMIT) {
        config.spill_limit_bytes = bytes;
    }
    if let Some(count) = count(values, &keys::RUNNING_MAX, 1)? {
        config.running_max = count;
    }
    if let Some(count) = count(values, &keys::QUEUED_MAX, 0)? {
        config.queued_max = count;
    }
    if let Some(count) = count(values, &keys::PARTITIONS, 1)? {
        config.partitions = Some(count);
    }
    Ok(config)
}

/// `memory.query_limit`, lowered by Trino's limits on one query. Written for a bigger machine than this
/// one, they do not raise it.
fn query_memory_limit(values: &ConfigValues) -> Result<Option<u64>> {
    let container = container_memory_bytes();
    let mut limit = values.bytes(&keys::QUERY_MEMORY_LIMIT);
    for key in [keys::QUERY_MAX_MEMORY, keys::QUERY_MAX_MEMORY_PER_NODE, keys::QUERY_MAX_TOTAL_MEMORY] {
        let Some(text) = values.text(&key) else { continue };
        let bytes = size_or_share(text, container).ok_or_else(|| {
            Error::invalid_query(format!("{} is not a size such as 512MB: {text:?}", place(values, &key)))
        })?;
        // The engine's own share of the container: 70 % of 60 %.
        let default = container.map_or(u64::MAX, |container| container / 100 * 42);
        if bytes < limit.unwrap_or(default) {
            limit = Some(bytes);
        }
    }
    Ok(limit)
}

fn size_or_share(text: &str, whole: Option<u64>) -> Option<u64> {
    match text.trim().strip_suffix('%') {
        Some(share) => {
            let share: f64 = share.trim().parse().ok().filter(|share| (0.0..=100.0).contains(share))?;
            Some((whole? as f64 * share / 100.0) as u64)
        }
        None => parse_bytes(text),
    }
}

fn count(values: &ConfigValues, key: &ConfigKey, least: i64) -> Result<Option<usize>> {
    match values.integer(key) {
        None => Ok(None),
        Some(number) if number >= least => Ok(usize::try_from(number).ok()),
        Some(number) => {
            Err(Error::invalid_query(format!("{} must be at least {least}, not {number}", place(values, key))))
        }
    }
}

fn session(values: &ConfigValues) -> Result<Session> {
    let mut session = Session::new("");
    let properties = [
        ("catalog", keys::SESSION_CATALOG),
        ("schema", keys::SESSION_SCHEMA),
        ("timezone", keys::SESSION_TIME_ZONE),
        ("query_max_run_time", keys::RUN_TIME_MAX),
        ("query_max_execution_time", keys::EXECUTION_TIME_MAX),
    ];
    for (property, key) in properties {
        if let Some(text) = values.text(&key) {
            session.set_property(property, text).map_err(|error| error.in_context(place(values, &key)))?;
        }
    }
    Ok(session)
}
