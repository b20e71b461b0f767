//! The parameters behind the `?` of a server URL: pgJDBC's and libpq's, each with what it does here.

use std::path::PathBuf;
use std::time::Duration;

use meesh_base::{Secret, nearest};

use super::url;
use crate::wire::{ChannelBinding, ConnectOptions, Host, SslMode, TargetServer, TrustedRoots};

/// Connection options while a URL's parameters are applied to them.
pub(super) struct Draft {
    pub(super) options: ConnectOptions,
    /// `sslmode`, if it was given.
    pub(super) ssl_mode: Option<SslMode>,
    /// pgJDBC's `ssl`.
    pub(super) ssl: bool,
    /// pgJDBC's `sslfactory=…NonValidatingFactory`.
    pub(super) any_certificate: bool,
}

impl Draft {
    /// Applies one parameter. Yields a warning if it has no effect.
    ///
    /// # Errors
    /// For an unknown name (a misspelt `sslmode` must not weaken the connection) or a wrong value.
    pub(super) fn apply(&mut self, name: &str, value: &str) -> Result<Option<String>, String> {
        if let Some((_, set)) = HONOURED.iter().find(|(names, _)| names.iter().any(|n| n.eq_ignore_ascii_case(name))) {
            return set(self, value).map(|()| None).map_err(|why| format!("parameter {name:?} {why}"));
        }
        if IGNORED.split_ascii_whitespace().any(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(Some(format!("parameter {name:?} has no effect here")));
        }
        let known = HONOURED.iter().flat_map(|(names, _)| names.iter().copied());
        let near = nearest(name, known).first().map(|near| format!(": did you mean {near:?}?")).unwrap_or_default();
        Err(format!("has the unknown parameter {name:?}{near}"))
    }

    /// The options, with `sslmode` decided as pgJDBC and libpq decide it.
    pub(super) fn finish(mut self) -> ConnectOptions {
        let default = match (self.any_certificate, self.ssl, &self.options.tls.roots) {
            (true, ..) => SslMode::Require,
            (false, true, _) | (false, false, Some(TrustedRoots::System)) => SslMode::VerifyFull,
            _ => SslMode::Prefer,
        };
        self.options.tls.mode = self.ssl_mode.unwrap_or(default);
        self.options
    }
}

type Set = fn(&mut Draft, &str) -> Result<(), String>;

const HONOURED: &[(&[&str], Set)] = &[
    (&["user"], |draft, value| set(&mut draft.options.user, value.to_owned())),
    (&["password"], |draft, value| set(&mut draft.options.password, Some(Secret::new(value)))),
    (&["PGDBNAME", "dbname"], |draft, value| set(&mut draft.options.database, value.to_owned())),
    (&["PGHOST", "host"], hosts),
    (&["PGPORT", "port"], ports),
    (&["sslmode"], ssl_mode),
    (&["ssl"], |draft, value| set(&mut draft.ssl, value.is_empty() || value.eq_ignore_ascii_case("true"))),
    (&["sslfactory"], ssl_factory),
    (&["sslrootcert"], |draft, value| {
        let roots = if value == "system" { TrustedRoots::System } else { TrustedRoots::File(PathBuf::from(value)) };
        set(&mut draft.options.tls.roots, Some(roots))
    }),
    (&["sslcert"], |draft, value| set(&mut draft.options.tls.certificate, Some(PathBuf::from(value)))),
    (&["sslkey"], |draft, value| set(&mut draft.options.tls.key, Some(PathBuf::from(value)))),
    (&["sslpassword"], |_, _| Err("is not supported: write the key of sslkey without encryption".to_owned())),
    (&["channelBinding", "channel_binding"], |draft, value| {
        set(&mut draft.options.channel_binding, word(CHANNEL_BINDINGS, value)?)
    }),
    (&["targetServerType", "target_session_attrs"], |draft, value| {
        set(&mut draft.options.target, word(TARGETS, value)?)
    }),
    (&["connectTimeout", "connect_timeout", "loginTimeout"], connect_timeout),
    (&["ApplicationName", "application_name"], |draft, value| {
        set(&mut draft.options.application_name, value.to_owned())
    }),
    (&["options"], |draft, value| set(&mut draft.options.server_options, Some(value.to_owned()))),
];

const CHANNEL_BINDINGS: &[(&str, ChannelBinding)] =
    &[("disable", ChannelBinding::Disable), ("prefer", ChannelBinding::Prefer), ("require", ChannelBinding::Require)];

const TARGETS: &[(&str, TargetServer)] = &[
    ("any", TargetServer::Any),
    ("primary", TargetServer::Primary),
    ("master", TargetServer::Primary),
    ("read-write", TargetServer::Primary),
    ("secondary", TargetServer::Secondary),
    ("slave", TargetServer::Secondary),
    ("standby", TargetServer::Secondary),
    ("read-only", TargetServer::Secondary),
    ("preferPrimary", TargetServer::PreferPrimary),
    ("preferSecondary", TargetServer::PreferSecondary),
    ("preferSlave", TargetServer::PreferSecondary),
    ("prefer-standby", TargetServer::PreferSecondary),
];

/// What pgJDBC and libpq know and meesh does without.
const IGNORED: &str = "\
    adaptiveFetch adaptiveFetchMaximum adaptiveFetchMinimum allowEncodingChanges assumeMinServerVersion \
    authenticationPluginClassName autosave binaryTransfer binaryTransferDisable binaryTransferEnable \
    cancelSignalTimeout cleanupSavepoints client_encoding currentSchema databaseMetadataCacheFields \
    databaseMetadataCacheFieldsMiB defaultRowFetchSize disableColumnSanitiser escapeSyntaxCallMode \
    fallback_application_name groupStartupParameters gssEncMode gssResponseTimeout gsslib \
    hideUnprivilegedObjects hostRecheckSeconds jaasApplicationName jaasLogin keepalives keepalives_count \
    keepalives_idle keepalives_interval kerberosServerName krbsrvname loadBalanceHosts load_balance_hosts \
    localSocketAddress logServerErrorDetail logUnclosedConnections loggerFile loggerLevel maxResultBuffer \
    maxSendBufferSize preferQueryMode prepareThreshold preparedStatementCacheQueries \
    preparedStatementCacheSizeMiB protocolVersion queryTimeout quoteReturningIdentifiers reWriteBatchedInserts \
    readOnly readOnlyMode receiveBufferSize sendBufferSize socketFactory socketFactoryArg socketTimeout \
    sslNegotiation sslResponseTimeout sslcompression sslhostnameverifier sslpasswordcallback sslsni \
    sspiServiceClass stringtype tcpKeepAlive tcpNoDelay tcp_user_timeout unknownLength useSpnego \
    xmlFactoryFactory";

fn set<T>(place: &mut T, value: T) -> Result<(), String> {
    *place = value;
    Ok(())
}

fn word<T: Copy>(words: &[(&str, T)], value: &str) -> Result<T, String> {
    words.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        format!("= {value:?} is not one of {}", names.join(", "))
    })
}

fn ssl_mode(draft: &mut Draft, value: &str) -> Result<(), String> {
    set(&mut draft.ssl_mode, Some(word(SslMode::NAMES, value)?))
}

fn ssl_factory(draft: &mut Draft, value: &str) -> Result<(), String> {
    match value.rsplit('.').next().unwrap_or(value) {
        "NonValidatingFactory" => set(&mut draft.any_certificate, true),
        "DefaultJavaSSLFactory" => set(&mut draft.options.tls.roots, Some(TrustedRoots::System)),
        "LibPQFactory" => Ok(()),
        _ => Err(format!("= {value:?} is a Java class: use sslmode and sslrootcert instead")),
    }
}

fn connect_timeout(draft: &mut Draft, value: &str) -> Result<(), String> {
    let seconds: u64 = value.trim().parse().map_err(|_| format!("= {value:?} is not a number of seconds"))?;
    // Zero means no limit there; here every connection attempt has one.
    if seconds > 0 {
        draft.options.connect_timeout = Duration::from_secs(seconds);
    }
    Ok(())
}

fn hosts(draft: &mut Draft, value: &str) -> Result<(), String> {
    let ports: Vec<u16> = draft.options.hosts.iter().map(|host| host.port).collect();
    let names = value.split(',').enumerate();
    let hosts = names.map(|(i, name)| Host {
        name: name.trim_matches(['[', ']']).to_owned(),
        port: ports.get(i).or(ports.first()).copied().unwrap_or(5432),
    });
    draft.options.hosts = hosts.collect();
    Ok(())
}

fn ports(draft: &mut Draft, value: &str) -> Result<(), String> {
    let ports: Vec<u16> = value.split(',').map(url::port).collect::<Result<_, _>>()?;
    for (i, host) in draft.options.hosts.iter_mut().enumerate() {
        host.port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
    }
    Ok(())
}
