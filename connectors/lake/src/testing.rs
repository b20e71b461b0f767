//! What the tests of this crate share: a directory that goes away with the test, objects that need no
//! store, and a server that answers as a test wants.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use datafusion::common::runtime::SpawnedTask;
use meesh_base::ConfigValues;
use object_store::ObjectMeta;
use object_store::memory::InMemory;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::pinned::PinnedObject;
use crate::store::Bucket;

/// A fresh directory, removed on drop.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("meesh-lake-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below the directory, with the folders it needs.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// An object without content, for messages: `s3://` and `path`.
pub(crate) fn object(path: &str) -> Arc<PinnedObject> {
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let bucket = Arc::new(Bucket {
        catalog: "lake".into(),
        url: format!("s3://{bucket}/"),
        source: "memory".to_owned(),
        read_timeout: Duration::from_secs(1),
        lists_from_offset: false,
        store: Arc::new(InMemory::new()),
    });
    let meta =
        ObjectMeta { location: key.into(), last_modified: Default::default(), size: 0, e_tag: None, version: None };
    Arc::new(PinnedObject::listed(bucket, &meta, Arc::default()))
}

/// What a server sends.
pub(crate) enum Reply {
    /// The head and body of an answer; then the connection ends.
    Whole(String),
    /// That much of an answer; then nothing more.
    Part(String),
}

impl Reply {
    pub(crate) fn xml(body: &str) -> Self {
        Self::Whole(format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Whole(format!("HTTP/1.1 {status} No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"))
    }
}

/// An S3 server as far as a test needs one.
pub(crate) struct Server {
    port: u16,
    /// `GET /raw?list-type=2…` of every request so far.
    requests: Arc<Mutex<Vec<String>>>,
    _task: SpawnedTask<()>,
}

impl Server {
    /// A server that answers a request by what its first line asks for.
    pub(crate) async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (reply, seen) = (Arc::new(reply), Arc::clone(&requests));
        let task = SpawnedTask::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reply, seen) = (Arc::clone(&reply), Arc::clone(&seen));
                tokio::spawn(async move { answer(stream, reply.as_ref(), &seen).await.ok() });
            }
        });
        Self { port, requests, _task: task }
    }

    /// The settings of a catalog on this server, impatient and without retries.
    pub(crate) fn settings(&self) -> ConfigValues {
        let mut values = ConfigValues::new("catalog \"lake\"");
        for (key, text) in [
            ("s3.endpoint", format!("http://127.0.0.1:{}", self.port).as_str()),
            ("s3.aws-access-key", "a"),
            ("s3.aws-secret-key", "b"),
            ("s3.socket-read-timeout", "200ms"),
            ("s3.max-error-retries", "0"),
        ] {
            values.set(key, text, "test");
        }
        values
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

async fn answer(
    mut stream: TcpStream,
    reply: &(impl Fn(&str) -> Reply + Send + Sync),
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
    seen.lock().push(line.to_owned());
    match reply(line) {
        Reply::Whole(text) => stream.write_all(text.as_bytes()).await,
        Reply::Part(text) => {
            stream.write_all(text.as_bytes()).await?;
            // Until the client has enough of it.
            stream.read(&mut [0]).await.map(drop)
        }
    }
}

/// A page of a listing: keys with their sizes, and folders.
pub(crate) fn listing_xml(keys: &[(&str, u64)], folders: &[&str]) -> String {
    let keys: String = keys
        .iter()
        .map(|(key, size)| {
            format!("<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-11-23T10:15:00.000Z</LastModified></Contents>")
        })
        .collect();
    let folders: String =
        folders.iter().map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>")).collect();
    format!("<?xml version=\"1.0\"?><ListBucketResult>{keys}{folders}</ListBucketResult>")
}
