//! The server's own configuration keys, and those of Trino's that mean the same.
//!
//! Each key is one row; checking, reading, `meesh config show` and the reference page come from it.

use meesh_base::{ConfigKey, ValueKind};

/// Where Flight SQL listens.
pub(crate) const FLIGHT_LISTEN: ConfigKey =
    ConfigKey::new("flight.listen", ValueKind::Text, "address and port of the Flight SQL door").or("127.0.0.1:32010");

/// The certificate of the Flight SQL door.
pub(crate) const FLIGHT_TLS_CERTIFICATE: ConfigKey = ConfigKey::new(
    "flight.tls.certificate",
    ValueKind::Text,
    "PEM file with the certificate chain of the door; read again on change",
);

/// The private key of the Flight SQL door.
pub(crate) const FLIGHT_TLS_KEY: ConfigKey = ConfigKey::new(
    "flight.tls.key",
    ValueKind::Text,
    "PEM file with the private key of the certificate; read again on change",
);

/// What the key of session tokens is made from.
pub(crate) const FLIGHT_SESSION_SECRET: ConfigKey = ConfigKey::new(
    "flight.session_secret",
    ValueKind::Text,
    "at least 32 characters, as `openssl rand -hex 32` prints: logins survive a restart, and servers with the same \
     secret take each other's; what SET SESSION and USE did does not (default: drawn at every start)",
)
.secret();

/// How long a session lives unused.
pub(crate) const FLIGHT_SESSION_LIFETIME: ConfigKey = ConfigKey::new(
    "flight.session_lifetime",
    ValueKind::Duration,
    "a client that made no call for this long has to log in again; Grafana's Flight SQL plug-in never does, so give \
     it days",
)
.or("24h");

/// Where the admin port listens.
pub(crate) const ADMIN_LISTEN: ConfigKey =
    ConfigKey::new("admin.listen", ValueKind::Text, "address and port of /livez, /readyz and /metrics")
        .or("127.0.0.1:9090");

/// The memory that queries share.
pub(crate) const MEMORY_LIMIT: ConfigKey = ConfigKey::new(
    "memory.limit",
    ValueKind::Bytes,
    "memory that all queries share (default: derived from the container's limit)",
);

/// The memory of one query.
pub(crate) const QUERY_MEMORY_LIMIT: ConfigKey = ConfigKey::new(
    "memory.query_limit",
    ValueKind::Bytes,
    "memory that one query may hold (default: 70 % of memory.limit)",
);

/// Where operators spill to.
pub(crate) const SPILL_DIR: ConfigKey = ConfigKey::new(
    "spill.dir",
    ValueKind::Text,
    "folder for what does not fit into memory; swept at start (default: the system's)",
)
.also(&["spiller-spill-path"]);

/// How much may be spilled.
pub(crate) const SPILL_LIMIT: ConfigKey =
    ConfigKey::new("spill.limit", ValueKind::Bytes, "most bytes that all queries together may spill")
        .also(&["max-spill-per-node"])
        .or("10GB");

/// How many queries run at once.
pub(crate) const RUNNING_MAX: ConfigKey =
    ConfigKey::new("queries.running_max", ValueKind::Integer, "queries that run at once; more wait in the queue")
        .also(&["query.max-concurrent-queries"])
        .or("16");

/// How many queries wait.
pub(crate) const QUEUED_MAX: ConfigKey =
    ConfigKey::new("queries.queued_max", ValueKind::Integer, "queries that wait; one more is refused")
        .also(&["query.max-queued-queries"])
        .or("200");

/// How many parts work on one query.
pub(crate) const PARTITIONS: ConfigKey = ConfigKey::new(
    "queries.partitions",
    ValueKind::Integer,
    "parts that work on one query at once (default: one a core); sessions may change it (task_concurrency)",
)
.also(&["task.concurrency"]);

/// The longest a query may take, its time in the queue included.
pub(crate) const RUN_TIME_MAX: ConfigKey = ConfigKey::new(
    "queries.run_time_max",
    ValueKind::Duration,
    "longest a query may take, time in the queue included; sessions may change it (query_max_run_time)",
)
.also(&["query.max-run-time"]);

/// The longest a query may take.
pub(crate) const EXECUTION_TIME_MAX: ConfigKey = ConfigKey::new(
    "queries.execution_time_max",
    ValueKind::Duration,
    "longest a query may take, planning and running; sessions may change it (query_max_execution_time)",
)
.also(&["query.max-execution-time"]);

/// Whether to serve strangers.
pub(crate) const INSECURE: ConfigKey = ConfigKey::new(
    "insecure",
    ValueKind::Bool,
    "allow other addresses than loopback without users or without TLS; warned about at every start",
)
.or("false");

/// Who may log in.
pub(crate) const USERS_FILE: ConfigKey = ConfigKey::new(
    "users.file",
    ValueKind::Text,
    "users and their bcrypt hashes, one `name:$2y$…` a line, as `htpasswd -B -C 10` writes; read again on change",
)
.also(&["file.password-file"]);

/// How long running queries may still run after SIGTERM.
pub(crate) const SHUTDOWN_GRACE: ConfigKey =
    ConfigKey::new("shutdown.grace_period", ValueKind::Duration, "time that running queries have after SIGTERM")
        .also(&["shutdown.grace-period"])
        .or("30s");

/// Where one- and two-part names start in a new session.
pub(crate) const SESSION_CATALOG: ConfigKey =
    ConfigKey::new("session.catalog", ValueKind::Text, "catalog in which names of a new session start")
        .also(&["sql.default-catalog"]);

/// Where one-part names start in a new session.
pub(crate) const SESSION_SCHEMA: ConfigKey =
    ConfigKey::new("session.schema", ValueKind::Text, "schema in which names of a new session start")
        .also(&["sql.default-schema"]);

/// The time zone of a new session.
pub(crate) const SESSION_TIME_ZONE: ConfigKey =
    ConfigKey::new("session.time_zone", ValueKind::Text, "IANA time zone of a new session (default: UTC)")
        .also(&["sql.forced-session-time-zone"]);

/// Where catalog files are.
pub(crate) const CATALOGS_DIR: ConfigKey = ConfigKey::new(
    "catalog.dir",
    ValueKind::Text,
    "folder of NAME.properties files, one a catalog (default: catalog/ in the configuration folder)",
)
.also(&["catalog.config-dir"]);

/// Catalogs that are left out.
pub(crate) const CATALOGS_DISABLED: ConfigKey =
    ConfigKey::new("catalog.disabled", ValueKind::Text, "names of catalogs to leave out, with commas between")
        .also(&["catalog.disabled-catalogs"]);

/// Every key of `meesh.yaml` and of `MEESH_…` variables.
pub(crate) const SERVER: &[ConfigKey] = &[
    FLIGHT_LISTEN,
    FLIGHT_TLS_CERTIFICATE,
    FLIGHT_TLS_KEY,
    FLIGHT_SESSION_SECRET,
    FLIGHT_SESSION_LIFETIME,
    ADMIN_LISTEN,
    USERS_FILE,
    INSECURE,
    MEMORY_LIMIT,
    QUERY_MEMORY_LIMIT,
    SPILL_DIR,
    SPILL_LIMIT,
    RUNNING_MAX,
    QUEUED_MAX,
    PARTITIONS,
    RUN_TIME_MAX,
    EXECUTION_TIME_MAX,
    SESSION_CATALOG,
    SESSION_SCHEMA,
    SESSION_TIME_ZONE,
    SHUTDOWN_GRACE,
    CATALOGS_DIR,
    CATALOGS_DISABLED,
];

/// Trino's limit on one query's memory on one node.
pub(crate) const QUERY_MAX_MEMORY_PER_NODE: ConfigKey = ConfigKey::new(
    "query.max-memory-per-node",
    ValueKind::Text,
    "lowers memory.query_limit; a percentage is of the container's limit",
);

/// Trino's limit on one query's memory on all nodes.
pub(crate) const QUERY_MAX_MEMORY: ConfigKey =
    ConfigKey::new("query.max-memory", ValueKind::Text, "lowers memory.query_limit");

/// Trino's limit on one query's memory on all nodes, revocable memory included.
pub(crate) const QUERY_MAX_TOTAL_MEMORY: ConfigKey =
    ConfigKey::new("query.max-total-memory", ValueKind::Text, "lowers memory.query_limit");

/// How clients of Trino prove who they are.
pub(crate) const AUTHENTICATION_TYPE: ConfigKey = ConfigKey::new(
    "http-server.authentication.type",
    ValueKind::Text,
    "PASSWORD asks for users.file; any type but INSECURE stops the start, so that nobody serves strangers by mistake",
);

/// Where Trino's rules of access are.
pub(crate) const ACCESS_CONTROL_FILES: ConfigKey = ConfigKey::new(
    "access-control.config-files",
    ValueKind::Text,
    "rules of access are not supported yet: they stop the start unless insecure: true says that they may be ignored",
);

/// Where Trino's settings of password authentication are.
pub(crate) const PASSWORD_AUTHENTICATOR_FILES: ConfigKey = ConfigKey::new(
    "password-authenticator.config-files",
    ValueKind::Text,
    "the first of these files is read in place of password-authenticator.properties",
);

/// Whether Trino's door speaks TLS.
pub(crate) const HTTPS_ENABLED: ConfigKey = ConfigKey::new(
    "http-server.https.enabled",
    ValueKind::Bool,
    "takes http-server.https.keystore.path as certificate and key of the Flight SQL door, unless flight.tls.* is given",
)
.or("false");

/// Trino's certificate and key.
pub(crate) const HTTPS_KEYSTORE: ConfigKey = ConfigKey::new(
    "http-server.https.keystore.path",
    ValueKind::Text,
    "PEM file with certificate and private key; a Java keystore has to be converted first",
);

/// Keys of `config.properties` with a meaning here that are no other name of a server key.
pub(crate) const TRINO_HONOURED: &[ConfigKey] = &[
    ACCESS_CONTROL_FILES,
    AUTHENTICATION_TYPE,
    HTTPS_ENABLED,
    HTTPS_KEYSTORE,
    PASSWORD_AUTHENTICATOR_FILES,
    QUERY_MAX_MEMORY,
    QUERY_MAX_MEMORY_PER_NODE,
    QUERY_MAX_TOTAL_MEMORY,
];

/// Keys of `password-authenticator.properties`.
pub(crate) const PASSWORD_AUTHENTICATOR: &[ConfigKey] = &[
    ConfigKey::new("password-authenticator.name", ValueKind::OneOf(&["file"]), "only `file` is supported"),
    USERS_FILE,
    ConfigKey::ignored("file.refresh-period", "the file is looked at again within seconds of a change"),
    ConfigKey::ignored("file.auth-token-cache.max-size", "the cache of checked passwords has a size of its own"),
];

#[cfg(test)]
mod tests {
    use meesh_base::{parse_bytes, parse_duration};
    use meesh_engine::EngineConfig;
    use meesh_flight_server::FlightServerConfig;

    use super::*;

    #[test]
    fn defaults_are_those_of_the_engine() {
        let engine = EngineConfig::default();
        assert_eq!(RUNNING_MAX.default, Some(engine.running_max.to_string().as_str()));
        assert_eq!(QUEUED_MAX.default, Some(engine.queued_max.to_string().as_str()));
        assert_eq!(SPILL_LIMIT.default.and_then(parse_bytes), Some(engine.spill_limit_bytes));
    }

    #[test]
    fn defaults_are_those_of_the_door() {
        let door = FlightServerConfig::default();
        assert_eq!(FLIGHT_LISTEN.default, Some(door.listen.to_string().as_str()));
        assert_eq!(FLIGHT_SESSION_LIFETIME.default.and_then(parse_duration), Some(door.session_lifetime));
    }

    #[test]
    fn no_name_is_given_to_two_keys() {
        let mut names: Vec<&str> = SERVER
            .iter()
            .chain(TRINO_HONOURED)
            .flat_map(|key| std::iter::once(key.name).chain(key.aliases.iter().copied()))
            .chain(super::super::trino_keys::TRINO_IGNORED.iter().map(|(name, _)| *name))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
