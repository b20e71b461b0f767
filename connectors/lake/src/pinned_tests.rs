//! Tests of pinned objects against a directory and against a store that lies.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use meesh_base::ErrorKind;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, ListResult, MultipartUpload, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult,
};

use super::*;
use crate::local::LocalStore;
use crate::testing::TempDir;

fn bucket(store: impl ObjectStore) -> Arc<Bucket> {
    Arc::new(Bucket {
        catalog: "lake".into(),
        url: "s3://raw/".to_owned(),
        source: "http://minio:9000".to_owned(),
        read_timeout: Duration::from_millis(50),
        lists_from_offset: false,
        store: Arc::new(store),
    })
}

fn context() -> ReadContext {
    ReadContext { progress: Arc::default(), staleness: Arc::default() }
}

#[tokio::test]
async fn a_replaced_object_ends_the_query_and_reports_the_listing_stale() {
    let directory = TempDir::new();
    directory.write("a.csv", "0123456789");
    let store = LocalStore::new(directory.path()).unwrap();
    let listed = store.head(&Path::from("a.csv")).await.unwrap();
    let context = context();
    let object = PinnedObject::new(bucket(store), &listed, &Pins::default(), context.clone());
    assert_eq!(object.read(2..5).await.unwrap(), "234");
    assert_eq!(object.read_ranges(&[0..1, 8..10]).await.unwrap(), ["0", "89"]);
    assert_eq!(object.read(8..11).await.unwrap_err().kind(), ErrorKind::SourceData);
    std::fs::remove_file(directory.path().join("a.csv")).unwrap();
    directory.write("a.csv", "9876543210");
    let error = object.read(0..1).await.unwrap_err();
    assert!(error.to_string().contains("object \"s3://raw/a.csv\" changed while it was read"), "{error}");
    assert_eq!(context.staleness.count(), 1);
}

#[tokio::test]
async fn the_first_scan_decides_on_the_version() {
    let store = InMemory::new();
    let path = Path::from("a");
    store.put(&path, "old".into()).await.unwrap();
    let old = store.head(&path).await.unwrap();
    store.put(&path, "new".into()).await.unwrap();
    let new = store.head(&path).await.unwrap();
    let (bucket, pins) = (bucket(store), Pins::default());
    let first = PinnedObject::new(Arc::clone(&bucket), &old, &pins, context());
    let second = PinnedObject::new(bucket, &new, &pins, context());
    assert_eq!(first.meta().e_tag, second.meta().e_tag);
    assert!(second.read(0..3).await.is_err());
}

/// Answers with the object's bytes as `body` changes them.
#[derive(Debug)]
struct Lying {
    inner: InMemory,
    body: Body,
}

#[derive(Debug, Clone, Copy)]
enum Body {
    Twice,
    Half,
    Stalls,
}

impl std::fmt::Display for Lying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lying")
    }
}

#[async_trait]
impl ObjectStore for Lying {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let mut answer = self.inner.get_opts(location, options).await?;
        let GetResultPayload::Stream(_) = &answer.payload else { panic!("the store in memory streams") };
        let bytes = self.inner.get_range(location, answer.range.clone()).await?;
        let parts = match self.body {
            Body::Twice => vec![Ok(bytes.clone()), Ok(bytes)],
            Body::Half | Body::Stalls => vec![Ok(bytes.slice(..bytes.len() / 2))],
        };
        let parts = futures::stream::iter(parts);
        answer.payload = GetResultPayload::Stream(match self.body {
            Body::Stalls => parts.chain(futures::stream::pending()).boxed(),
            _ => parts.boxed(),
        });
        Ok(answer)
    }

    async fn put_opts(&self, p: &Path, b: PutPayload, o: PutOptions) -> object_store::Result<PutResult> {
        self.inner.put_opts(p, b, o).await
    }

    async fn put_multipart_opts(
        &self,
        p: &Path,
        o: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(p, o).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn bytes_delivered_are_the_bytes_asked_for() {
    for (body, kind, text) in [
        (Body::Twice, ErrorKind::SourceData, "came with"),
        (Body::Half, ErrorKind::SourceData, "came with 2 bytes where 4 were asked for"),
        (Body::Stalls, ErrorKind::SourceUnavailable, "sent nothing"),
    ] {
        let store = Lying { inner: InMemory::new(), body };
        let path = Path::from("a");
        store.put(&path, "abcdefgh".into()).await.unwrap();
        let listed = store.head(&path).await.unwrap();
        let object = PinnedObject::new(bucket(store), &listed, &Pins::default(), context());
        let error = object.read(2..6).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}
