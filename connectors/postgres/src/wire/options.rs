//! What it takes to reach one PostgreSQL server: hosts, login, TLS and session settings.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use meesh_base::Secret;

/// Everything a new session needs. Two catalogs whose options differ only in [`Self::catalog`] may
/// share sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectOptions {
    /// The catalog's name, for messages.
    pub(crate) catalog: Arc<str>,
    /// The servers to try, in order.
    pub(crate) hosts: Vec<Host>,
    /// The database to log in to.
    pub(crate) database: String,
    /// The role to log in as.
    pub(crate) user: String,
    /// Its password, if it has one.
    pub(crate) password: Option<Secret>,
    /// Whether and how the connection is encrypted.
    pub(crate) tls: TlsOptions,
    /// Whether the login is bound to the server's certificate (SCRAM-SHA-256-PLUS).
    pub(crate) channel_binding: ChannelBinding,
    /// Which of several hosts is wanted.
    pub(crate) target: TargetServer,
    /// The longest that name lookup, TCP, TLS and login may take together.
    pub(crate) connect_timeout: Duration,
    /// What `pg_stat_activity` shows for an idle session.
    pub(crate) application_name: String,
    /// Command-line options for the server (`-c name=value`), as libpq's `options`.
    pub(crate) server_options: Option<String>,
    /// Whether nothing may be written.
    pub(crate) read_only: bool,
    /// The server's own limit for one statement.
    pub(crate) statement_timeout: Option<Duration>,
}

impl ConnectOptions {
    /// What makes two catalogs the same source: servers, database and user.
    pub(crate) fn source_key(&self) -> String {
        format!("postgresql://{}@{}/{}", self.user, self.hosts_label(), self.database)
    }

    /// The servers as messages name them: `db1:5432,db2:5432`.
    pub(crate) fn hosts_label(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        hosts.join(",")
    }

    /// Whether sessions opened with `other` can serve this catalog.
    pub(crate) fn same_session(&self, other: &Self) -> bool {
        Self { catalog: Arc::clone(&other.catalog), ..self.clone() } == *other
    }
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// A DNS name, an IP address, or the folder of a Unix socket (starts with `/`).
    pub(crate) name: String,
    /// Its TCP port, or the number in the Unix socket's name.
    pub(crate) port: u16,
}

impl Host {
    /// The Unix socket that the server listens on, if the host is a folder.
    pub(crate) fn socket_path(&self) -> Option<PathBuf> {
        self.name.starts_with('/').then(|| PathBuf::from(&self.name).join(format!(".s.PGSQL.{}", self.port)))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            return write!(f, "[{}]:{}", self.name, self.port);
        }
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// TLS as libpq's parameters describe it (PostgreSQL manual, section 34.19).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TlsOptions {
    /// How much encryption and verification is asked for.
    pub(crate) mode: SslMode,
    /// Whom to trust. `None`: nobody is asked for by `require`, the system's store by the stricter modes.
    pub(crate) roots: Option<TrustedRoots>,
    /// The client's certificate chain (PEM).
    pub(crate) certificate: Option<PathBuf>,
    /// The client's private key (PEM or PKCS#8 DER, not encrypted).
    pub(crate) key: Option<PathBuf>,
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS only if the server refuses the session without it.
    Allow,
    /// TLS if the server has it, else without.
    #[default]
    Prefer,
    /// TLS with any certificate; with roots given, as `VerifyCa` (libpq's rule).
    Require,
    /// TLS with a certificate of a trusted issuer, whatever its name.
    VerifyCa,
    /// TLS with a certificate of a trusted issuer for this very host.
    VerifyFull,
}

impl SslMode {
    /// The modes by libpq's names.
    pub(crate) const NAMES: &[(&str, Self)] = &[
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// libpq's name of the mode.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(name, _)| name)
    }
}

/// Where trusted root certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TrustedRoots {
    /// The operating system's store.
    System,
    /// A PEM file.
    File(PathBuf),
}

/// libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ChannelBinding {
    /// Never.
    Disable,
    /// When TLS is on and the server offers it.
    #[default]
    Prefer,
    /// A login without it is refused.
    Require,
}

/// pgJDBC's `targetServerType`, libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum TargetServer {
    /// The first that answers.
    #[default]
    Any,
    /// Only a server that is not in recovery.
    Primary,
    /// Only a standby.
    Secondary,
    /// A primary if there is one, else any.
    PreferPrimary,
    /// A standby if there is one, else any.
    PreferSecondary,
}

impl TargetServer {
    /// What is accepted, pass by pass: `Some(true)` asks for a standby, `None` takes any server.
    pub(crate) fn passes(self) -> &'static [Option<bool>] {
        match self {
            Self::Any => &[None],
            Self::Primary => &[Some(false)],
            Self::Secondary => &[Some(true)],
            Self::PreferPrimary => &[Some(false), None],
            Self::PreferSecondary => &[Some(true), None],
        }
    }
}
