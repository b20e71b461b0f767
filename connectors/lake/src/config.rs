//! The settings of one lake catalog, parsed into types.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::datatypes::Fields;
use meesh_base::{ConfigKey, ConfigValues, Error, Result, Secret};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::format::Format;
use crate::keys;
use crate::location::Location;
use crate::sqltype::parse_columns;

/// Everything a catalog file says, held against itself.
#[derive(Debug, Clone)]
pub(crate) struct LakeConfig {
    /// Where schemas are folders; empty: every bucket is a schema.
    pub(crate) roots: Vec<Location>,
    pub(crate) tables: Vec<DeclaredTable>,
    pub(crate) s3: S3Config,
    pub(crate) list_ttl: Duration,
    pub(crate) footer_cache_bytes: u64,
    pub(crate) text: TextConfig,
    pub(crate) parquet: ParquetConfig,
}

/// How CSV and JSON files are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextConfig {
    pub(crate) sample_bytes: u64,
    pub(crate) sample_files: usize,
    pub(crate) record_bytes_max: usize,
}

/// What Parquet files are trusted for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParquetConfig {
    pub(crate) statistics: bool,
    pub(crate) bloom_filter: bool,
    pub(crate) page_index: bool,
}

/// How S3 is reached.
#[derive(Debug, Clone)]
pub(crate) struct S3Config {
    /// With scheme; `None` is AWS.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) path_style: bool,
    pub(crate) credentials: Credentials,
    pub(crate) retries_max: usize,
    pub(crate) idle_connections_max: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) requester_pays: bool,
    pub(crate) proxy: Option<Proxy>,
}

/// Who signs requests.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    Keys {
        access: String,
        secret: Secret,
        token: Option<Secret>,
    },
    /// The platform's metadata service.
    Instance,
    WebIdentity {
        role: String,
        session: String,
        token_file: String,
        sts_endpoint: Option<String>,
    },
    Anonymous,
}

/// A proxy for requests to S3.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    pub(crate) excludes: Option<String>,
}

/// A table that the catalog file declares.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredTable {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) location: Location,
    pub(crate) format: Option<Format>,
    pub(crate) columns: Option<Fields>,
    pub(crate) delimiter: Option<u8>,
    pub(crate) header: Option<bool>,
}

impl LakeConfig {
    /// Reads values that were already held against [`keys::KEYS`].
    ///
    /// # Errors
    /// `InvalidQuery` naming the catalog and the key, when a value cannot be read or contradicts another.
    pub(crate) fn parse(values: &ConfigValues) -> Result<Self> {
        let local = values.text(&keys::LOCAL_LOCATION);
        let locate = |key: &str, text: &str| {
            Location::parse(text, local).map_err(|error| error.in_context(format!("{}: {key}", values.subject())))
        };
        let mut roots = Vec::new();
        for part in values.text(&keys::ROOT).unwrap_or_default().split(',').filter(|part| !part.trim().is_empty()) {
            roots.push(locate(keys::ROOT.name, part)?);
        }
        if let (true, Some(directory)) = (roots.is_empty(), local) {
            roots.push(Location::Local(directory.into()));
        }
        let tables = declared_tables(values, &roots, &locate)?;
        Ok(Self {
            tables,
            s3: S3Config::parse(values)?,
            list_ttl: values.duration(&keys::LIST_TTL).unwrap_or_default(),
            footer_cache_bytes: values.bytes(&keys::FOOTER_CACHE).unwrap_or_default(),
            text: TextConfig {
                sample_bytes: values.bytes(&keys::SAMPLE_SIZE).unwrap_or_default().clamp(4 << 10, 64 << 20),
                sample_files: number(values, &keys::SAMPLE_FILES)?.max(1),
                record_bytes_max: usize::try_from(values.bytes(&keys::MAX_LINE).unwrap_or_default())
                    .unwrap_or(usize::MAX)
                    .clamp(1 << 10, 1 << 29),
            },
            parquet: ParquetConfig {
                statistics: !values.bool(&keys::IGNORE_STATISTICS),
                bloom_filter: values.bool(&keys::BLOOM_FILTER),
                page_index: values.bool(&keys::COLUMN_INDEX),
            },
            roots,
        })
    }

    /// Whether any location is in S3, or none is named, so that buckets must be listed.
    pub(crate) fn uses_s3(&self) -> bool {
        self.roots.is_empty()
            || self
                .roots
                .iter()
                .chain(self.tables.iter().map(|t| &t.location))
                .any(|l| matches!(l, Location::S3 { .. }))
    }
}

impl S3Config {
    fn parse(values: &ConfigValues) -> Result<Self> {
        let endpoint = values.text(&keys::S3_ENDPOINT).map(|text| endpoint_url(values, text)).transpose()?;
        let path_style = match values.text(&keys::S3_PATH_STYLE) {
            Some(_) => values.bool(&keys::S3_PATH_STYLE) || endpoint.as_deref().is_some_and(host_takes_no_bucket),
            None => endpoint.as_deref().is_some_and(|url| !url.contains(".amazonaws.com")),
        };
        let proxy = values.text(&keys::S3_PROXY).map(|host| Proxy {
            url: format!("{}://{host}", if values.bool(&keys::S3_PROXY_SECURE) { "https" } else { "http" }),
            excludes: values.text(&keys::S3_PROXY_EXCLUDES).map(str::to_owned),
        });
        Ok(Self {
            endpoint,
            region: values.text(&keys::S3_REGION).unwrap_or("us-east-1").to_owned(),
            path_style,
            credentials: Credentials::parse(values)?,
            retries_max: number(values, &keys::S3_RETRIES)?,
            idle_connections_max: number(values, &keys::S3_CONNECTIONS)?,
            connect_timeout: values.duration(&keys::S3_CONNECT_TIMEOUT).unwrap_or(Duration::from_secs(3)),
            read_timeout: values.duration(&keys::S3_READ_TIMEOUT).unwrap_or(Duration::from_secs(30)),
            requester_pays: values.bool(&keys::S3_REQUESTER_PAYS),
            proxy,
        })
    }
}

impl Credentials {
    fn parse(values: &ConfigValues) -> Result<Self> {
        let access = values.text(&keys::S3_ACCESS_KEY);
        let way = match values.text(&keys::CREDENTIALS) {
            Some(way) => way.trim().to_ascii_lowercase(),
            None if access.is_some() || values.is_set(&keys::S3_SECRET_KEY) => "keys".to_owned(),
            None if values.is_set(&keys::S3_ROLE) && values.is_set(&keys::WEB_IDENTITY_TOKEN) => {
                "web-identity".to_owned()
            }
            None => "anonymous".to_owned(),
        };
        match way.as_str() {
            "keys" => Ok(Self::Keys {
                access: values.required(&keys::S3_ACCESS_KEY)?.to_owned(),
                secret: Secret::new(values.required(&keys::S3_SECRET_KEY)?),
                token: values.secret(&keys::SESSION_TOKEN),
            }),
            "instance" => Ok(Self::Instance),
            "web-identity" => Ok(Self::WebIdentity {
                role: values.required(&keys::S3_ROLE)?.to_owned(),
                session: values.text(&keys::S3_ROLE_SESSION).unwrap_or("meesh").to_owned(),
                token_file: values.required(&keys::WEB_IDENTITY_TOKEN)?.to_owned(),
                sts_endpoint: values.text(&keys::S3_STS_ENDPOINT).map(str::to_owned),
            }),
            _ => Ok(Self::Anonymous),
        }
    }
}

fn number(values: &ConfigValues, key: &ConfigKey) -> Result<usize> {
    let number = values.integer(key).unwrap_or_default();
    usize::try_from(number)
        .map_err(|_| Error::invalid_query(format!("{}: {} = {number} is negative", values.subject(), key.name)))
}

/// The endpoint with a scheme and without a trailing slash.
fn endpoint_url(values: &ConfigValues, text: &str) -> Result<String> {
    let text = text.trim();
    let scheme = if values.bool(&keys::S3_SSL) { "https" } else { "http" };
    let text = if text.contains("://") { text.to_owned() } else { format!("{scheme}://{text}") };
    let wrong = |why: &str| {
        Error::invalid_query(format!("{}: {} = {text:?} {why}", values.subject(), keys::S3_ENDPOINT.name))
            .with_hint("write http://host:port or https://host")
    };
    let url = Url::parse(&text).map_err(|_| wrong("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("is not the URL of an HTTP server"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(wrong("holds more than a host and a port"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether no bucket can stand in front of the host: addresses and single names.
fn host_takes_no_bucket(endpoint: &str) -> bool {
    match Url::parse(endpoint).ok().and_then(|url| url.host().map(|host| host.to_owned())) {
        Some(url::Host::Domain(name)) => !name.contains('.'),
        _ => true,
    }
}

type Locate<'a> = dyn Fn(&str, &str) -> Result<Location> + 'a;

/// The tables of all `table.<schema>.<table>.*` keys.
fn declared_tables(values: &ConfigValues, roots: &[Location], locate: &Locate<'_>) -> Result<Vec<DeclaredTable>> {
    let mut found: BTreeMap<(String, String), BTreeMap<&str, &str>> = BTreeMap::new();
    for key in values.names() {
        let Some((path, property)) = key.strip_prefix("table.").and_then(|rest| rest.rsplit_once('.')) else {
            continue;
        };
        let Some((schema, table)) = path.split_once('.').filter(|(s, t)| !s.is_empty() && !t.is_empty()) else {
            return Err(Error::invalid_query(format!(
                "{}: configuration key {key:?} names no table",
                values.subject()
            ))
            .with_hint("write table.<schema>.<table>.location"));
        };
        let text = values.raw(key).unwrap_or_default();
        found.entry((schema.to_owned(), table.to_owned())).or_default().insert(property, text);
    }
    let mut tables = Vec::new();
    for ((schema, name), properties) in found {
        let prefix = format!("table.{schema}.{name}");
        let context =
            |error: Error, property: &str| error.in_context(format!("{}: {prefix}.{property}", values.subject()));
        let Some(text) = properties.get("location") else {
            return Err(Error::invalid_query(format!(
                "{}: configuration key \"{prefix}.location\" is missing",
                values.subject()
            ))
            .with_hint("name the folder or file that holds the table"));
        };
        let location = if text.contains("://") {
            locate(&format!("{prefix}.location"), text)?
        } else {
            let root = roots
                .first()
                .ok_or_else(|| context(Error::invalid_query("a relative location needs lake.root"), "location"))?;
            locate(&format!("{prefix}.location"), &format!("{root}/{}", text.trim_start_matches('/')))?
        };
        tables.push(DeclaredTable {
            format: properties.get("format").and_then(|text| Format::of_name(text)),
            columns: properties
                .get("columns")
                .map(|text| parse_columns(text).map_err(|error| context(error, "columns")))
                .transpose()?,
            delimiter: properties
                .get("delimiter")
                .map(|text| delimiter(text).map_err(|error| context(error, "delimiter")))
                .transpose()?,
            header: properties.get("header").map(|text| text.trim().eq_ignore_ascii_case("true")),
            schema,
            name,
            location,
        });
    }
    Ok(tables)
}

fn delimiter(text: &str) -> Result<u8> {
    match text {
        "\\t" | "tab" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            _ => Err(Error::invalid_query(format!("{text:?} is not one ASCII character"))
                .with_hint("write , or ; or | or \\t")),
        },
    }
}

/// The values that `s3://[key:secret@]bucket[/prefix][?endpoint=…&region=…&path_style=…]` or
/// `file:///directory` stands for; `None` for any other scheme.
pub(crate) fn values_of_url(catalog: &str, url: &str) -> Option<Result<ConfigValues>> {
    let scheme = url.split_once("://")?.0;
    match scheme {
        "file" => Some(Ok(one_root(catalog, url))),
        "s3" | "s3a" => Some(values_of_s3(catalog, url)),
        _ => None,
    }
}

const URL_ORIGIN: &str = "its URL";

fn one_root(catalog: &str, root: &str) -> ConfigValues {
    let mut values = ConfigValues::new(format!("catalog {catalog:?}"));
    values.set(keys::ROOT.name, root, URL_ORIGIN);
    values
}

/// Query parameters of an `s3://` URL and the keys they stand for.
const URL_PARAMETERS: &[(&str, &ConfigKey)] = &[
    ("endpoint", &keys::S3_ENDPOINT),
    ("region", &keys::S3_REGION),
    ("path_style", &keys::S3_PATH_STYLE),
    ("credentials", &keys::CREDENTIALS),
];

fn values_of_s3(catalog: &str, url: &str) -> Result<ConfigValues> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
    let mut values = if place.trim_matches('/').is_empty() {
        ConfigValues::new(format!("catalog {catalog:?}"))
    } else {
        one_root(catalog, &format!("s3://{place}"))
    };
    if let Some((access, secret)) = user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        values.set(keys::S3_ACCESS_KEY.name, percent_decode_str(access).decode_utf8_lossy(), URL_ORIGIN);
        values.set(keys::S3_SECRET_KEY.name, percent_decode_str(secret).decode_utf8_lossy(), URL_ORIGIN);
    }
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let Some((_, key)) = URL_PARAMETERS.iter().find(|(parameter, _)| *parameter == name) else {
            let known: Vec<&str> = URL_PARAMETERS.iter().map(|(parameter, _)| *parameter).collect();
            return Err(Error::invalid_query(format!("catalog {catalog:?}: unknown parameter {name:?} in its URL"))
                .with_hint(format!("the parameters are {}", known.join(", "))));
        };
        values.set(key.name, value, URL_ORIGIN);
    }
    Ok(values)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
