//! Every key that a PostgreSQL catalog file may hold: Trino 476's, and meesh's own.

use meesh_base::{ConfigKey, ValueKind};

use ValueKind::{Bool, Duration, File, Integer, OneOf, Text};

pub(super) const URL: ConfigKey =
    ConfigKey::new("connection-url", Text, "where the server is: jdbc:postgresql://host:port/database?sslmode=…")
        .secret();
pub(super) const USER: ConfigKey = ConfigKey::new("connection-user", Text, "the role that meesh reads as");
pub(super) const PASSWORD: ConfigKey =
    ConfigKey::new("connection-password", Text, "the password of connection-user").secret();
pub(super) const CREDENTIAL_PROVIDER: ConfigKey =
    ConfigKey::new("credential-provider.type", OneOf(&["INLINE", "FILE"]), "where user and password are written")
        .or("INLINE");
pub(super) const CREDENTIAL_FILE: ConfigKey = ConfigKey::new(
    "connection-credential-file",
    File,
    "a file with connection-user and connection-password, for credential-provider.type=FILE; read again when it changes",
);
pub(super) const CONNECT_TIMEOUT: ConfigKey = ConfigKey::new(
    "connect-timeout",
    Duration,
    "the longest that name lookup, TCP, TLS and login may take together (3s, or connectTimeout of the URL)",
);
pub(super) const CONNECTIONS_MAX: ConfigKey =
    ConfigKey::new("connections-max", Integer, "the most sessions that meesh opens to this server").or("8");
pub(super) const CONNECTION_WAIT: ConfigKey =
    ConfigKey::new("connection-wait-timeout", Duration, "how long a query waits for a free session").or("30s");
pub(super) const CONNECTION_IDLE: ConfigKey =
    ConfigKey::new("connection-idle-lifetime", Duration, "how long an unused session is kept open").or("5m");
pub(super) const STATEMENT_TIMEOUT: ConfigKey = ConfigKey::new(
    "statement-timeout",
    Duration,
    "the server's own limit for one statement (statement_timeout); the server's default if not given",
);
pub(super) const WRITES: ConfigKey = ConfigKey::new(
    "writes-enabled",
    Bool,
    "whether statements may change the database; otherwise every session is read-only on the server",
)
.or("false");
pub(super) const DECIMAL_MAPPING: ConfigKey = ConfigKey::new(
    "decimal-mapping",
    OneOf(&["STRICT", "ALLOW_OVERFLOW"]),
    "numeric without precision, or wider than 38 digits, becomes decimal(38, decimal-default-scale); \
     STRICT: a value that does not fit exactly is an error; ALLOW_OVERFLOW: it is rounded by decimal-rounding-mode",
)
.or("STRICT");
pub(super) const DECIMAL_SCALE: ConfigKey = ConfigKey::new(
    "decimal-default-scale",
    Integer,
    "the scale of such a column: 10, or 0 with decimal-mapping=ALLOW_OVERFLOW, as in Trino",
);
pub(super) const DECIMAL_ROUNDING: ConfigKey = ConfigKey::new(
    "decimal-rounding-mode",
    OneOf(&["UNNECESSARY", "UP", "DOWN", "CEILING", "FLOOR", "HALF_UP", "HALF_DOWN", "HALF_EVEN"]),
    "how ALLOW_OVERFLOW rounds; UNNECESSARY: a value that needs rounding is an error",
)
.or("UNNECESSARY");
pub(super) const DYNAMIC_FILTERING: ConfigKey = ConfigKey::new(
    "dynamic-filtering.enabled",
    Bool,
    "whether the keys of a join's other side are sent to the server, so that it yields only rows that can meet one",
)
.or("true");
pub(super) const DYNAMIC_FILTERING_WAIT: ConfigKey = ConfigKey::new(
    "dynamic-filtering.wait-timeout",
    Duration,
    "how long a scan waits for those keys before it starts without them",
)
.or("20s");
pub(super) const METADATA_TTL: ConfigKey =
    ConfigKey::new("metadata.cache-ttl", Duration, "how long schemas, tables and columns are remembered").or("10s");
pub(super) const SYSTEM_TABLES: ConfigKey =
    ConfigKey::new("postgresql.include-system-tables", Bool, "whether pg_catalog is listed among the schemas")
        .or("false");
pub(super) const TYPES_AS_TEXT: ConfigKey = ConfigKey::new(
    "jdbc-types-mapped-to-varchar",
    Text,
    "PostgreSQL types, separated by commas, whose columns are read as text",
);

/// The whole table.
pub(crate) const KEYS: &[ConfigKey] = &[
    URL,
    USER,
    PASSWORD,
    CREDENTIAL_PROVIDER,
    CREDENTIAL_FILE,
    CONNECT_TIMEOUT,
    CONNECTIONS_MAX,
    CONNECTION_WAIT,
    CONNECTION_IDLE,
    STATEMENT_TIMEOUT,
    WRITES,
    DECIMAL_MAPPING,
    DECIMAL_SCALE,
    DECIMAL_ROUNDING,
    DYNAMIC_FILTERING,
    DYNAMIC_FILTERING_WAIT,
    METADATA_TTL,
    SYSTEM_TABLES,
    TYPES_AS_TEXT,
    ConfigKey::ignored("aggregation-pushdown.enabled", "what PostgreSQL computes alike is pushed"),
    ConfigKey::ignored("case-insensitive-name-matching", "names always match without regard to case"),
    ConfigKey::ignored("case-insensitive-name-matching.cache-ttl", "metadata.cache-ttl covers names too"),
    ConfigKey::ignored(
        "case-insensitive-name-matching.config-file",
        "two remote names that are equal without regard to case are an error that names both",
    ),
    ConfigKey::ignored("case-insensitive-name-matching.config-file.refresh-period", "there is no such file"),
    ConfigKey::ignored("complex-expression-pushdown.enabled", "what PostgreSQL computes alike is pushed"),
    ConfigKey::ignored("domain-compaction-threshold", "lists are pushed as they are"),
    ConfigKey::ignored(
        "experimental.join-pushdown.automatic.max-join-to-tables-ratio",
        "joins are pushed unless they save nothing",
    ),
    ConfigKey::ignored(
        "experimental.join-pushdown.automatic.max-table-size",
        "joins are pushed unless they save nothing",
    ),
    ConfigKey::ignored("insert.non-transactional-insert.enabled", "every write is one transaction"),
    ConfigKey::ignored("join-pushdown.enabled", "joins are pushed unless they save nothing"),
    ConfigKey::ignored("join-pushdown.strategy", "joins are pushed unless they save nothing"),
    ConfigKey::ignored("join-pushdown.with-expressions", "what PostgreSQL computes alike is pushed"),
    ConfigKey::ignored("merge.non-transactional-merge.enabled", "every write is one transaction"),
    ConfigKey::ignored("metadata.cache-maximum-size", "the cache is bounded by metadata.cache-ttl"),
    ConfigKey::ignored("metadata.cache-missing", "a table that is missing is looked for again"),
    ConfigKey::ignored("metadata.schemas.cache-ttl", "metadata.cache-ttl covers schemas too"),
    ConfigKey::ignored("metadata.statistics.cache-ttl", "metadata.cache-ttl covers statistics too"),
    ConfigKey::ignored("metadata.tables.cache-ttl", "metadata.cache-ttl covers tables too"),
    ConfigKey::ignored("password-credential-name", "every user reads as connection-user"),
    ConfigKey::ignored("postgresql.array-mapping", "arrays are read as arrays"),
    ConfigKey::ignored(
        "postgresql.experimental.enable-string-pushdown-with-collate",
        "comparisons of text are pushed with COLLATE \"C\" where that is exact",
    ),
    ConfigKey::ignored("postgresql.fetch-size", "rows are streamed as they come, without a cursor"),
    ConfigKey::ignored("query.comment-format", "application_name carries the query id: meesh/<query id>"),
    ConfigKey::ignored("query.reuse-connection", "sessions are pooled: see connections-max"),
    ConfigKey::ignored("statistics.enabled", "row estimates come with the tables"),
    ConfigKey::ignored("topn-pushdown.enabled", "what PostgreSQL computes alike is pushed"),
    ConfigKey::ignored("unsupported-type-handling", "columns of other types are read as text"),
    ConfigKey::ignored("user-credential-name", "every user reads as connection-user"),
    ConfigKey::ignored("write.batch-size", "rows are written by COPY"),
    ConfigKey::ignored("write.parallelism", "a write is one transaction on one session"),
];
