//! A PostgreSQL catalog's configuration: keys and URL in, typed settings out.

mod keys;
mod parameters;
mod url;

use std::path::Path;
use std::time::Duration;

use meesh_base::{ConfigValues, Error, Result, Secret};

use crate::pool::PoolSettings;
use crate::wire::{ChannelBinding, ConnectOptions, TargetServer, TlsOptions};
pub(crate) use keys::KEYS;
use parameters::Draft;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What a catalog file says, parsed.
#[derive(Debug, Clone)]
pub(crate) struct PostgresConfig {
    /// How sessions are opened.
    pub(crate) options: ConnectOptions,
    /// How many, and for how long.
    pub(crate) pool: PoolSettings,
    /// What becomes of `numeric` columns that have no exact decimal type.
    pub(crate) numeric: NumericMapping,
    /// How long a scan waits for the keys of joins above it; `None`: they are not used.
    pub(crate) keys_patience: Option<Duration>,
    /// How long metadata is remembered; zero: not at all.
    pub(crate) metadata_cache_ttl: Duration,
    /// Whether `pg_catalog` is listed among the schemas.
    pub(crate) include_system_tables: bool,
    /// PostgreSQL types, in lower case, whose columns are read as text.
    pub(crate) types_as_text: Vec<String>,
}

/// What becomes of a `numeric` without precision, or with more than 38 digits: `decimal(38, scale)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumericMapping {
    /// The scale of such a column, 0 to 38.
    pub(crate) scale: i8,
    /// How a value with more decimals is rounded.
    pub(crate) rounding: Rounding,
}

/// Java's `RoundingMode`, which Trino's key speaks in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// A value that would need rounding is an error.
    Unnecessary,
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
    /// Towards positive infinity.
    Ceiling,
    /// Towards negative infinity.
    Floor,
    /// To the nearest, a tie away from zero.
    HalfUp,
    /// To the nearest, a tie towards zero.
    HalfDown,
    /// To the nearest, a tie to the even neighbour.
    HalfEven,
}

const ROUNDINGS: &[(&str, Rounding)] = &[
    ("UNNECESSARY", Rounding::Unnecessary),
    ("UP", Rounding::Up),
    ("DOWN", Rounding::Down),
    ("CEILING", Rounding::Ceiling),
    ("FLOOR", Rounding::Floor),
    ("HALF_UP", Rounding::HalfUp),
    ("HALF_DOWN", Rounding::HalfDown),
    ("HALF_EVEN", Rounding::HalfEven),
];

impl PostgresConfig {
    /// Parses the values of `catalog`, which were held against [`KEYS`] already. Connects to nothing.
    ///
    /// # Errors
    /// `InvalidQuery` for a URL that cannot be parsed, a parameter that is unknown, a missing user
    /// or a number out of range.
    pub(crate) fn parse(catalog: &str, values: &ConfigValues) -> Result<Self> {
        let options = connect_options(catalog, values)?;
        tracing::debug!(catalog, source = options.source_key(), sslmode = options.tls.mode.name(), "catalog parsed");
        Ok(Self {
            pool: PoolSettings {
                max: in_range(values, &keys::CONNECTIONS_MAX, 1..=10_000)?.unwrap_or(8) as usize,
                wait_max: values.duration(&keys::CONNECTION_WAIT).unwrap_or(Duration::from_secs(30)),
                idle_lifetime: values.duration(&keys::CONNECTION_IDLE).unwrap_or(Duration::from_secs(300)),
            },
            numeric: numeric_mapping(values)?,
            keys_patience: values
                .bool(&keys::DYNAMIC_FILTERING)
                .then(|| values.duration(&keys::DYNAMIC_FILTERING_WAIT).unwrap_or(Duration::from_secs(20))),
            metadata_cache_ttl: values.duration(&keys::METADATA_TTL).unwrap_or(Duration::from_secs(10)),
            include_system_tables: values.bool(&keys::SYSTEM_TABLES),
            types_as_text: words(values.text(&keys::TYPES_AS_TEXT).unwrap_or_default()),
            options,
        })
    }

    /// The values that `postgres://…`, `postgresql://…` or `jdbc:postgresql://…` on the command line
    /// stands for; `None` if `url` is another connector's.
    pub(crate) fn values_of_url(catalog: &str, url: &str) -> Option<Result<ConfigValues>> {
        if !url::is_server_url(url) {
            return None;
        }
        let mut values = ConfigValues::new(format!("catalog {catalog:?}"));
        values.set(keys::URL.name, url, "the command line");
        // Parsed here for the error's sake: what is wrong is said before anything starts.
        Some(Self::parse(catalog, &values).map(|_| values))
    }
}

fn connect_options(catalog: &str, values: &ConfigValues) -> Result<ConnectOptions> {
    let invalid = |what: String| Error::invalid_query(format!("{}: {} {what}", values.subject(), keys::URL.name));
    let parts = url::parse(values.required(&keys::URL)?).map_err(invalid)?;
    let (user, password) = credentials(values)?;
    let mut draft = Draft {
        options: ConnectOptions {
            catalog: catalog.into(),
            hosts: parts.hosts,
            database: parts.database.unwrap_or_default(),
            // pgJDBC lets the URL win over the properties beside it.
            user: parts.user.or(user).unwrap_or_default(),
            password: parts.password.or(password),
            tls: TlsOptions::default(),
            channel_binding: ChannelBinding::default(),
            target: TargetServer::default(),
            connect_timeout: CONNECT_TIMEOUT,
            application_name: "meesh".to_owned(),
            server_options: None,
            read_only: !values.bool(&keys::WRITES),
            statement_timeout: values.duration(&keys::STATEMENT_TIMEOUT),
        },
        ssl_mode: None,
        ssl: false,
        any_certificate: false,
    };
    for (name, value) in &parts.parameters {
        if let Some(warning) = draft.apply(name, value).map_err(invalid)? {
            tracing::warn!(catalog, "{}: {warning}", keys::URL.name);
        }
    }
    let mut options = draft.finish();
    if let Some(timeout) = values.duration(&keys::CONNECT_TIMEOUT) {
        options.connect_timeout = timeout.max(Duration::from_millis(1));
    }
    if options.user.is_empty() {
        return Err(values.required(&keys::USER).err().unwrap_or_else(|| invalid("names no user".to_owned())));
    }
    if options.database.is_empty() {
        options.database.clone_from(&options.user);
    }
    Ok(options)
}

/// User and password as the keys give them, or as the credential file does.
fn credentials(values: &ConfigValues) -> Result<(Option<String>, Option<Secret>)> {
    let inline = (values.text(&keys::USER).map(str::to_owned), values.secret(&keys::PASSWORD));
    if !values.text(&keys::CREDENTIAL_PROVIDER).is_some_and(|kind| kind.eq_ignore_ascii_case("FILE")) {
        return Ok(inline);
    }
    let path = Path::new(values.required(&keys::CREDENTIAL_FILE)?);
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::invalid_query(format!("{}: cannot read credential file {path:?}", values.subject()))
            .with_detail(error.to_string())
            .with_hint("check connection-credential-file and its permissions")
    })?;
    let find = |name: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
    };
    let user = find(keys::USER.name).map(str::to_owned).or(inline.0);
    Ok((user, find(keys::PASSWORD.name).map(Secret::new).or(inline.1)))
}

fn numeric_mapping(values: &ConfigValues) -> Result<NumericMapping> {
    let overflow =
        values.text(&keys::DECIMAL_MAPPING).is_some_and(|mapping| mapping.eq_ignore_ascii_case("ALLOW_OVERFLOW"));
    let scale = in_range(values, &keys::DECIMAL_SCALE, 0..=38)?.unwrap_or(if overflow { 0 } else { 10 });
    let rounding = values.text(&keys::DECIMAL_ROUNDING).unwrap_or_default();
    let rounding = ROUNDINGS.iter().find(|(name, _)| overflow && name.eq_ignore_ascii_case(rounding.trim()));
    Ok(NumericMapping {
        scale: i8::try_from(scale).unwrap_or(10),
        rounding: rounding.map_or(Rounding::Unnecessary, |(_, rounding)| *rounding),
    })
}

fn in_range(
    values: &ConfigValues,
    key: &meesh_base::ConfigKey,
    range: std::ops::RangeInclusive<i64>,
) -> Result<Option<i64>> {
    match values.integer(key) {
        Some(value) if !range.contains(&value) => Err(Error::invalid_query(format!(
            "{}: {} = {value} is not between {} and {}",
            values.subject(),
            key.name,
            range.start(),
            range.end()
        ))),
        value => Ok(value),
    }
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests;
