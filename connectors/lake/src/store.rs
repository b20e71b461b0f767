//! Buckets and directories, opened when they are first needed.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meesh_base::{Error, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::HttpConnector;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use parking_lot::Mutex;

use crate::buckets::BucketList;
use crate::config::{Credentials, S3Config};
use crate::error::{Subject, store_error};
use crate::http::CheckedConnector;
use crate::local::LocalStore;
use crate::location::Location;

/// The longest that one request may take, body included (object_store has one deadline for both).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a request may be repeated.
const RETRY_TIME_MAX: Duration = Duration::from_secs(60);

/// One bucket of S3, or one directory.
pub(crate) struct Bucket {
    /// The catalog's name.
    pub(crate) catalog: Arc<str>,
    /// What the URL of its objects starts with: `s3://raw/`, `file:///srv/lake/`.
    pub(crate) url: String,
    /// What answers: the endpoint, or the directory.
    pub(crate) source: String,
    /// How long an answer may stand still.
    pub(crate) read_timeout: Duration,
    /// Whether a listing can start in the middle without reading what comes before.
    pub(crate) lists_from_offset: bool,
    pub(crate) store: Arc<dyn ObjectStore>,
}

impl Bucket {
    /// The URL of an object or folder, as messages and `"$path"` show it.
    pub(crate) fn url_of(&self, path: &Path) -> String {
        format!("{}{path}", self.url)
    }

    /// Translates an error about `what` (`object "s3://…"`).
    pub(crate) fn error(&self, what: &str, error: object_store::Error) -> Error {
        store_error(Subject { catalog: &self.catalog, source: &self.source, what }, error)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.url)
    }
}

/// The buckets and directories of one catalog.
#[derive(Debug)]
pub(crate) struct Stores {
    catalog: Arc<str>,
    s3: S3Config,
    open: Mutex<HashMap<String, Arc<Bucket>>>,
    /// Made at the first question.
    list: Mutex<Option<Arc<BucketList>>>,
}

impl Stores {
    pub(crate) fn new(catalog: &str, s3: S3Config) -> Self {
        Self { catalog: catalog.into(), s3, open: Mutex::default(), list: Mutex::default() }
    }

    /// What S3 requests go to.
    pub(crate) fn endpoint(&self) -> String {
        self.s3.endpoint.clone().unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", self.s3.region))
    }

    /// The bucket of a location and the prefix in it. Connects to nothing.
    ///
    /// # Errors
    /// `NotFound` when a directory does not exist, `InvalidQuery` when the settings make no client.
    pub(crate) fn open(&self, location: &Location) -> Result<(Arc<Bucket>, Path)> {
        match location {
            Location::S3 { bucket, prefix } => Ok((self.bucket(bucket)?, prefix.clone())),
            Location::Local(path) => self.directory(path),
        }
    }

    /// The bucket of this name.
    pub(crate) fn bucket(&self, name: &str) -> Result<Arc<Bucket>> {
        let key = format!("s3://{name}/");
        if let Some(bucket) = self.open.lock().get(&key) {
            return Ok(Arc::clone(bucket));
        }
        let store: Arc<dyn ObjectStore> = Arc::new(self.s3_store(name)?);
        let bucket = Arc::new(Bucket {
            catalog: Arc::clone(&self.catalog),
            url: key.clone(),
            source: self.endpoint(),
            read_timeout: self.s3.read_timeout,
            lists_from_offset: true,
            store,
        });
        Ok(Arc::clone(self.open.lock().entry(key).or_insert(bucket)))
    }

    /// Names of all buckets that the credentials list, as the server says at this moment.
    ///
    /// # Errors
    /// As [`BucketList::names`]; `Denied` without credentials.
    pub(crate) async fn buckets(&self) -> Result<Vec<String>> {
        if matches!(self.s3.credentials, Credentials::Anonymous) {
            return Err(Error::denied(format!("catalog {:?}: buckets are listed only with credentials", self.catalog))
                .with_hint("set s3.aws-access-key and s3.aws-secret-key, or name buckets in lake.root"));
        }
        self.bucket_list()?.names().await
    }

    fn bucket_list(&self) -> Result<Arc<BucketList>> {
        let mut list = self.list.lock();
        if let Some(list) = list.as_ref() {
            return Ok(Arc::clone(list));
        }
        let client = self.connector().connect(&self.client_options()).map_err(|error| {
            Error::invalid_query(format!("catalog {:?}: no S3 client can be made", self.catalog))
                .with_detail(error.to_string())
        })?;
        let made = Arc::new(BucketList {
            catalog: self.catalog.to_string(),
            endpoint: self.endpoint(),
            region: self.s3.region.clone(),
            // Credentials belong to a store, and a store has a bucket; the request names none.
            credentials: Arc::clone(self.s3_store("meesh")?.credentials()),
            client,
        });
        *list = Some(Arc::clone(&made));
        Ok(made)
    }

    fn directory(&self, path: &FilePath) -> Result<(Arc<Bucket>, Path)> {
        // A file is its directory's store and its own name.
        let (directory, name) = if path.is_file() {
            (path.parent().map_or_else(|| PathBuf::from("/"), FilePath::to_path_buf), path.file_name())
        } else {
            (path.to_path_buf(), None)
        };
        let prefix = name.map_or_else(Path::default, |name| Path::from_iter([name.to_string_lossy().as_ref()]));
        let key = format!("file://{}/", directory.display().to_string().trim_end_matches('/'));
        if let Some(bucket) = self.open.lock().get(&key) {
            return Ok((Arc::clone(bucket), prefix));
        }
        let store = LocalStore::new(&directory).map_err(|error| {
            let what = format!("directory {:?}", directory.display().to_string());
            let subject = Subject { catalog: &self.catalog, source: "this machine", what: &what };
            Error::not_found(format!("catalog {:?}: {what} does not exist or may not be read", self.catalog))
                .with_detail(store_error(subject, error).detail().unwrap_or_default())
        })?;
        let bucket = Arc::new(Bucket {
            catalog: Arc::clone(&self.catalog),
            url: key.clone(),
            source: format!("directory {}", directory.display()),
            read_timeout: REQUEST_TIMEOUT,
            lists_from_offset: false,
            store: Arc::new(store),
        });
        Ok((Arc::clone(self.open.lock().entry(key).or_insert(bucket)), prefix))
    }

    fn connector(&self) -> CheckedConnector {
        CheckedConnector { patience: self.s3.read_timeout }
    }

    fn client_options(&self) -> ClientOptions {
        // Plain HTTP only to where the configuration says so: a redirect or a metadata answer cannot ask for it.
        let plain = self.s3.endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
        let mut options = ClientOptions::new()
            .with_allow_http(plain)
            .with_timeout(REQUEST_TIMEOUT)
            .with_connect_timeout(self.s3.connect_timeout)
            .with_pool_max_idle_per_host(self.s3.idle_connections_max)
            .with_http1_only();
        if let Some(proxy) = &self.s3.proxy {
            options = options.with_proxy_url(&proxy.url);
            if let Some(excludes) = &proxy.excludes {
                options = options.with_proxy_excludes(excludes);
            }
        }
        options
    }

    fn s3_store(&self, bucket: &str) -> Result<AmazonS3> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&self.s3.region)
            .with_virtual_hosted_style_request(!self.s3.path_style)
            .with_request_payer(self.s3.requester_pays)
            .with_unsigned_payload(true)
            .with_client_options(self.client_options())
            .with_http_connector(self.connector())
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: Duration::from_millis(100),
                    max_backoff: Duration::from_secs(15),
                    base: 2.0,
                },
                max_retries: self.s3.retries_max,
                retry_timeout: RETRY_TIME_MAX,
            });
        if let Some(endpoint) = &self.s3.endpoint {
            builder = builder.with_endpoint(if self.s3.path_style {
                endpoint.clone()
            } else {
                // The library wants the bucket in the host of an endpoint of its own.
                endpoint.replacen("://", &format!("://{bucket}."), 1)
            });
        }
        builder = match &self.s3.credentials {
            Credentials::Keys { access, secret, token } => {
                let builder = builder.with_access_key_id(access).with_secret_access_key(secret.expose());
                match token {
                    Some(token) => builder.with_token(token.expose()),
                    None => builder,
                }
            }
            Credentials::Anonymous => builder.with_skip_signature(true),
            Credentials::Instance => builder,
            Credentials::WebIdentity { role, session, token_file, sts_endpoint } => {
                let builder = builder
                    .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, token_file)
                    .with_config(AmazonS3ConfigKey::RoleArn, role)
                    .with_config(AmazonS3ConfigKey::RoleSessionName, session);
                match sts_endpoint {
                    Some(url) => builder.with_config(AmazonS3ConfigKey::StsEndpoint, url),
                    None => builder,
                }
            }
        };
        builder.build().map_err(|error| {
            Error::invalid_query(format!("catalog {:?}: no S3 client can be made for bucket {bucket:?}", self.catalog))
                .with_detail(error.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LakeConfig;
    use crate::testing::TempDir;
    use meesh_base::{ConfigValues, ErrorKind};

    fn stores(pairs: &[(&str, &str)]) -> Stores {
        let mut values = ConfigValues::new("catalog \"lake\"");
        for (name, text) in pairs {
            values.set(*name, *text, "test");
        }
        Stores::new("lake", LakeConfig::parse(&values).unwrap().s3)
    }

    #[test]
    fn clients_are_made_for_every_kind_of_credentials() {
        for pairs in [
            &[("s3.endpoint", "http://minio:9000"), ("s3.aws-access-key", "a"), ("s3.aws-secret-key", "b")][..],
            &[("lake.credentials", "anonymous")],
            &[("lake.credentials", "instance")],
            &[("s3.iam-role", "arn:aws:iam::1:role/x"), ("lake.web-identity-token-file", "/nowhere")],
        ] {
            let bucket = stores(pairs).bucket("raw").unwrap();
            assert_eq!(bucket.url_of(&Path::from("a/b.csv")), "s3://raw/a/b.csv");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_down_is_named() {
        let stores = stores(&[
            ("s3.endpoint", "http://127.0.0.1:9"),
            ("s3.aws-access-key", "a"),
            ("s3.aws-secret-key", "b"),
            ("s3.max-error-retries", "0"),
        ]);
        let error = stores.buckets().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceUnavailable);
        assert!(error.to_string().contains("http://127.0.0.1:9"), "{error}");
    }

    #[test]
    fn a_file_is_its_directory_and_its_name() {
        let directory = TempDir::new();
        let file = directory.write("a b.csv", "x");
        let (bucket, prefix) = stores(&[]).open(&Location::Local(file)).unwrap();
        assert_eq!(bucket.url_of(&prefix), format!("file://{}/a b.csv", directory.path().display()));
        let missing = stores(&[]).open(&Location::Local(directory.path().join("none"))).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}
