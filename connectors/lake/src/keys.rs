//! Every configuration key of a lake catalog: Trino's names where Trino has one, `lake.*` where it has none.

use meesh_base::ConfigKey;
use meesh_base::ValueKind::{Bool, Bytes, Duration, Integer, OneOf, Text};

pub(crate) use crate::keys_ignored::IGNORED;

pub(crate) const ROOT: ConfigKey = ConfigKey::new(
    "lake.root",
    Text,
    "where schemas are folders: s3://bucket[/prefix] or file:///directory, several separated by commas; \
     without it every bucket is a schema",
);
pub(crate) const LIST_TTL: ConfigKey =
    ConfigKey::new("lake.list-ttl", Duration, "how old a listing of files may be").or("10s");
pub(crate) const FOOTER_CACHE: ConfigKey = ConfigKey::new(
    "lake.footer-cache-size",
    Bytes,
    "memory for the footers of Parquet files, and for files in S3 of up to 16 KiB",
)
.or("64MB");
pub(crate) const SAMPLE_SIZE: ConfigKey =
    ConfigKey::new("lake.sample-size", Bytes, "how much of a CSV or JSON file is looked at to find its columns' types")
        .or("1MB");
pub(crate) const SAMPLE_FILES: ConfigKey =
    ConfigKey::new("lake.sample-files", Integer, "how many files of a CSV or JSON table are sampled").or("256");
pub(crate) const CREDENTIALS: ConfigKey = ConfigKey::new(
    "lake.credentials",
    OneOf(&["keys", "instance", "web-identity", "anonymous"]),
    "how requests to S3 are signed; keys when s3.aws-access-key is set, else anonymous",
);
pub(crate) const WEB_IDENTITY_TOKEN: ConfigKey = ConfigKey::new(
    "lake.web-identity-token-file",
    Text,
    "the file with the token for s3.iam-role, renewed by the platform",
);
pub(crate) const SESSION_TOKEN: ConfigKey =
    ConfigKey::new("lake.s3-session-token", Text, "the session token of temporary S3 keys").secret();

pub(crate) const S3_ENDPOINT: ConfigKey =
    ConfigKey::new("s3.endpoint", Text, "the URL of the S3 server; AWS without it").also(&["hive.s3.endpoint"]);
pub(crate) const S3_SSL: ConfigKey =
    ConfigKey::new("hive.s3.ssl.enabled", Bool, "whether an endpoint written without http:// is reached by TLS")
        .or("true");
pub(crate) const S3_REGION: ConfigKey = ConfigKey::new("s3.region", Text, "the region that requests are signed for")
    .also(&["hive.s3.region"])
    .or("us-east-1");
pub(crate) const S3_PATH_STYLE: ConfigKey = ConfigKey::new(
    "s3.path-style-access",
    Bool,
    "whether the bucket stands in the path of a URL instead of its host; true for endpoints that are not AWS",
)
.also(&["hive.s3.path-style-access"]);
pub(crate) const S3_ACCESS_KEY: ConfigKey =
    ConfigKey::new("s3.aws-access-key", Text, "the access key").also(&["hive.s3.aws-access-key"]);
pub(crate) const S3_SECRET_KEY: ConfigKey =
    ConfigKey::new("s3.aws-secret-key", Text, "the secret key").also(&["hive.s3.aws-secret-key"]).secret();
pub(crate) const S3_ROLE: ConfigKey =
    ConfigKey::new("s3.iam-role", Text, "the role to take with a web identity token").also(&["hive.s3.iam-role"]);
pub(crate) const S3_ROLE_SESSION: ConfigKey =
    ConfigKey::new("s3.role-session-name", Text, "the name of the role's session").or("meesh");
pub(crate) const S3_STS_ENDPOINT: ConfigKey =
    ConfigKey::new("s3.sts.endpoint", Text, "where roles are taken").also(&["hive.s3.sts.endpoint"]);
pub(crate) const S3_RETRIES: ConfigKey =
    ConfigKey::new("s3.max-error-retries", Integer, "how often a failed request is sent again")
        .also(&["hive.s3.max-error-retries"])
        .or("10");
pub(crate) const S3_CONNECTIONS: ConfigKey =
    ConfigKey::new("s3.max-connections", Integer, "how many idle connections are kept")
        .also(&["hive.s3.max-connections"])
        .or("256");
pub(crate) const S3_CONNECT_TIMEOUT: ConfigKey =
    ConfigKey::new("s3.socket-connect-timeout", Duration, "how long a connection may take to open")
        .also(&["hive.s3.connect-timeout"])
        .or("3s");
pub(crate) const S3_READ_TIMEOUT: ConfigKey =
    ConfigKey::new("s3.socket-read-timeout", Duration, "how long an answer may stand still")
        .also(&["hive.s3.socket-timeout"])
        .or("30s");
pub(crate) const S3_REQUESTER_PAYS: ConfigKey =
    ConfigKey::new("s3.requester-pays", Bool, "whether the reader pays for requests")
        .also(&["hive.s3.requester-pays.enabled"]);
pub(crate) const S3_PROXY: ConfigKey = ConfigKey::new("s3.http-proxy", Text, "host:port of a proxy");
pub(crate) const S3_PROXY_SECURE: ConfigKey =
    ConfigKey::new("s3.http-proxy.secure", Bool, "whether the proxy is reached by TLS");
pub(crate) const S3_PROXY_EXCLUDES: ConfigKey =
    ConfigKey::new("s3.http-proxy.non-proxy-hosts", Text, "hosts reached without the proxy, separated by commas");

pub(crate) const NATIVE_S3: ConfigKey =
    ConfigKey::new("fs.native-s3.enabled", Bool, "S3 is read whenever a location names it; accepted as Trino has it");
pub(crate) const NATIVE_LOCAL: ConfigKey = ConfigKey::new(
    "fs.native-local.enabled",
    Bool,
    "local directories are read whenever a location names one; accepted as Trino has it",
);
pub(crate) const LOCAL_LOCATION: ConfigKey =
    ConfigKey::new("local.location", Text, "the directory that local:/// stands for; lake.root if that is not set");

pub(crate) const MAX_LINE: ConfigKey =
    ConfigKey::new("hive.text.max-line-length", Bytes, "the longest record of a CSV or JSON file").or("16MB");
pub(crate) const IGNORE_STATISTICS: ConfigKey =
    ConfigKey::new("parquet.ignore-statistics", Bool, "whether the minima and maxima in Parquet files are not trusted");
pub(crate) const BLOOM_FILTER: ConfigKey =
    ConfigKey::new("parquet.use-bloom-filter", Bool, "whether bloom filters skip row groups").or("true");
pub(crate) const COLUMN_INDEX: ConfigKey =
    ConfigKey::new("parquet.use-column-index", Bool, "whether the page index skips pages").or("true");

pub(crate) const TABLE_LOCATION: ConfigKey = ConfigKey::new(
    "table.<schema>.<table>.location",
    Text,
    "declares a table: its folder or file, as a URL or below lake.root",
);
pub(crate) const TABLE_FORMAT: ConfigKey = ConfigKey::new(
    "table.<schema>.<table>.format",
    OneOf(&["csv", "json", "parquet"]),
    "the format of a declared table's files; by their names and content without it",
);
pub(crate) const TABLE_COLUMNS: ConfigKey = ConfigKey::new(
    "table.<schema>.<table>.columns",
    Text,
    "the columns of a declared table: id bigint, name varchar; found in the files without it",
);
pub(crate) const TABLE_DELIMITER: ConfigKey =
    ConfigKey::new("table.<schema>.<table>.delimiter", Text, "the character between CSV fields, or \\t");
pub(crate) const TABLE_HEADER: ConfigKey =
    ConfigKey::new("table.<schema>.<table>.header", Bool, "whether the first line of a CSV file names its columns");

/// Keys that mean something here.
pub(crate) const HONOURED: &[ConfigKey] = &[
    ROOT,
    LIST_TTL,
    FOOTER_CACHE,
    SAMPLE_SIZE,
    SAMPLE_FILES,
    CREDENTIALS,
    WEB_IDENTITY_TOKEN,
    SESSION_TOKEN,
    S3_ENDPOINT,
    S3_SSL,
    S3_REGION,
    S3_PATH_STYLE,
    S3_ACCESS_KEY,
    S3_SECRET_KEY,
    S3_ROLE,
    S3_ROLE_SESSION,
    S3_STS_ENDPOINT,
    S3_RETRIES,
    S3_CONNECTIONS,
    S3_CONNECT_TIMEOUT,
    S3_READ_TIMEOUT,
    S3_REQUESTER_PAYS,
    S3_PROXY,
    S3_PROXY_SECURE,
    S3_PROXY_EXCLUDES,
    NATIVE_S3,
    NATIVE_LOCAL,
    LOCAL_LOCATION,
    MAX_LINE,
    IGNORE_STATISTICS,
    BLOOM_FILTER,
    COLUMN_INDEX,
    TABLE_LOCATION,
    TABLE_FORMAT,
    TABLE_COLUMNS,
    TABLE_DELIMITER,
    TABLE_HEADER,
];

/// Both tables, as a factory hands them out.
pub(crate) const KEYS: &[&[ConfigKey]] = &[HONOURED, IGNORED];
