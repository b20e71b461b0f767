//! A directory as an object store: nothing outside it is ever listed or opened, whatever a symbolic
//! link says, and nothing is written.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// The files below one directory.
#[derive(Debug, Clone)]
pub(crate) struct LocalStore {
    files: Arc<LocalFileSystem>,
    /// Canonical: free of symbolic links.
    root: Arc<FilePath>,
}

impl LocalStore {
    /// The files below `directory`.
    ///
    /// # Errors
    /// When the directory does not exist or may not be read.
    pub(crate) fn new(directory: &FilePath) -> Result<Self> {
        let files = LocalFileSystem::new_with_prefix(directory)?;
        let root = files.path_to_filesystem(&Path::from("_"))?;
        let root = root.parent().unwrap_or(&root).into();
        Ok(Self { files: Arc::new(files), root })
    }

    fn is_inside(&self, path: &FilePath) -> bool {
        path.canonicalize().is_ok_and(|real| real.starts_with(&self.root))
    }

    fn file_of(&self, location: &Path) -> PathBuf {
        location.parts().fold(self.root.to_path_buf(), |path, part| path.join(part.as_ref()))
    }

    fn keep_inside(&self, location: &Path) -> bool {
        self.is_inside(&self.file_of(location))
    }
}

fn read_only() -> Error {
    Error::NotSupported { source: "the directory is only read".into() }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {}", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let path = self.file_of(location);
        if path.exists() && !self.is_inside(&path) {
            return Err(Error::PermissionDenied {
                path: location.to_string(),
                source: "the file lies outside the catalog's directory".into(),
            });
        }
        self.files.get_opts(location, options).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        self.files
            .list(prefix)
            .try_filter(move |meta| futures::future::ready(store.keep_inside(&meta.location)))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.files.list_with_delimiter(prefix).await?;
        found.objects.retain(|meta| self.keep_inside(&meta.location));
        found.common_prefixes.retain(|folder| self.keep_inside(folder));
        Ok(found)
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        futures::stream::once(async { Err(read_only()) }).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use object_store::ObjectStoreExt;

    #[tokio::test]
    async fn a_link_out_of_the_directory_is_neither_listed_nor_opened() {
        let outside = TempDir::new();
        outside.write("secret.csv", "a\n1\n");
        let inside = TempDir::new();
        inside.write("open.csv", "a\n1\n");
        inside.write("sub/x.csv", "a\n1\n");
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.csv"), inside.path().join("secret.csv")).unwrap();
        let store = LocalStore::new(inside.path()).unwrap();
        let names: Vec<String> = store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
        assert_eq!(
            {
                let mut names = names;
                names.sort();
                names
            },
            ["open.csv", "sub/x.csv"]
        );
        let found = store.list_with_delimiter(None).await.unwrap();
        assert_eq!(found.common_prefixes, [Path::from("sub")]);
        for path in ["secret.csv", "link/secret.csv"] {
            assert!(matches!(store.get(&Path::from(path)).await, Err(Error::PermissionDenied { .. })), "{path}");
        }
        assert!(store.get(&Path::from("open.csv")).await.is_ok());
        assert!(store.put(&Path::from("new.csv"), PutPayload::new()).await.is_err());
    }
}
