//! What the tests of this crate share: a directory that goes away with the test, and
//! objects that need no store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use object_store::ObjectMeta;
use object_store::memory::InMemory;

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
