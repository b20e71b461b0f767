//! What the door is told at start.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use meesh_base::Secret;
use meesh_engine::{Error, Result, Session};

use crate::listen::ConnectionLimits;
use crate::password::PasswordFile;
use crate::tls::TlsFiles;

/// How the door is opened.
#[derive(Debug, Clone)]
pub struct FlightServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may log in; `None` lets everybody in under the name they give.
    pub users: Option<PasswordFile>,
    /// `None` serves without encryption.
    pub tls: Option<TlsFiles>,
    /// Allows an address other than loopback without users or without TLS.
    pub insecure: bool,
    /// What new sessions start with, but for their user.
    pub session: Session,
    /// How long a session lives unused.
    pub session_lifetime: Duration,
    /// What the key of session tokens is made from; `None` draws one, and then tokens end with the process.
    ///
    /// Servers with the same secret take each other's tokens. What was set in a session stays with the
    /// process that set it: elsewhere, and after a restart, it begins anew, also if it was closed.
    pub session_secret: Option<Secret>,
    /// How long a request's one message may take to arrive.
    pub request_wait: Duration,
    /// A query whose client does not read for this long is cancelled.
    pub unread_max: Duration,
    /// How long streams may go on after the shutdown began.
    pub shutdown_grace: Duration,
    /// How many connections may be open.
    pub connections: ConnectionLimits,
}

impl Default for FlightServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 32010),
            users: None,
            tls: None,
            insecure: false,
            session: Session::new(""),
            session_lifetime: Duration::from_secs(24 * 3600),
            session_secret: None,
            request_wait: Duration::from_secs(30),
            unread_max: Duration::from_secs(300),
            shutdown_grace: Duration::from_secs(10),
            connections: ConnectionLimits::default(),
        }
    }
}

impl FlightServerConfig {
    /// What is unsafe about this configuration, for the log of every start.
    pub fn warnings(&self) -> Vec<String> {
        if self.listen.ip().is_loopback() {
            return Vec::new();
        }
        let open = [
            (self.users.is_none(), "without users: whoever reaches the port can read every catalog"),
            (self.tls.is_none(), "without TLS: passwords and results can be read on the network"),
        ];
        let unsafe_parts = open.iter().filter(|(is_open, _)| *is_open);
        unsafe_parts.map(|(_, what)| format!("flight server listens on {} {what}", self.listen)).collect()
    }

    /// # Errors
    /// `InvalidQuery` when the configuration is unsafe without `insecure`.
    pub(crate) fn check(&self) -> Result<()> {
        match self.warnings().first() {
            Some(warning) if !self.insecure => Err(Error::invalid_query(format!("refused: {warning}"))
                .with_hint("set users and TLS, listen on 127.0.0.1, or set `insecure: true`")),
            _ => Ok(()),
        }
    }
}
