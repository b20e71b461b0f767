//! What folders hold, remembered for some seconds.
//!
//! DataFusion's own cache of listings keeps them for ever and knows no buckets; here an entry is of
//! one bucket, lives as long as `lake.list-ttl`, and is made once however many ask for it: who asks
//! while it is being made gets what comes of it, the rows or the error.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use meesh_base::Result;
use object_store::ObjectMeta;
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use crate::pinned::Staleness;
use crate::store::{Bucket, Stores};

/// Requests on their way at once.
pub(crate) const PARALLEL: usize = 32;
/// A folder with fewer subfolders is listed by one request after the other.
const SPLIT_FOLDERS_MIN: usize = 64;
/// Entries kept at most, counted in folders and files.
const ENTRIES_MAX: usize = 500_000;

/// What stands directly in a folder.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// Paths of subfolders, sorted.
    pub(crate) folders: Vec<Path>,
    /// Sorted by path.
    pub(crate) files: Vec<ObjectMeta>,
}

/// All files below a folder, however deep, sorted by path.
pub(crate) type Tree = Vec<ObjectMeta>;

type Cell<T> = Arc<AsyncMutex<Option<Entry<T>>>>;
type Cells<T> = Mutex<HashMap<(String, Path), Cell<T>>>;

#[derive(Debug)]
struct Entry<T> {
    started: Instant,
    ended: Instant,
    /// How many objects had turned out changed when it was started.
    staleness: u64,
    value: Result<Arc<T>>,
}

/// Lists folders of any bucket.
#[derive(Debug)]
pub(crate) struct Lister {
    ttl: Duration,
    staleness: Arc<Staleness>,
    folders: Cells<Folder>,
    trees: Cells<Tree>,
    buckets: Mutex<Cell<Vec<String>>>,
}

impl Lister {
    pub(crate) fn new(ttl: Duration, staleness: Arc<Staleness>) -> Self {
        Self { ttl, staleness, folders: Mutex::default(), trees: Mutex::default(), buckets: Mutex::default() }
    }

    /// Forgets everything.
    pub(crate) fn refresh(&self) {
        self.folders.lock().clear();
        self.trees.lock().clear();
        *self.buckets.lock() = Cell::default();
    }

    /// Names of all buckets that the credentials list, sorted.
    ///
    /// # Errors
    /// As [`Stores::buckets`].
    pub(crate) async fn buckets(&self, stores: &Stores) -> Result<Arc<Vec<String>>> {
        let cell = Arc::clone(&self.buckets.lock());
        self.made_once(&cell, stores.buckets()).await
    }

    /// What stands directly in a folder; nothing if there is no such folder.
    ///
    /// # Errors
    /// As [`crate::error::store_error`] sorts them.
    pub(crate) async fn folder(&self, bucket: &Arc<Bucket>, path: &Path) -> Result<Arc<Folder>> {
        self.cached(&self.folders, bucket, path, |folder| folder.files.len() + folder.folders.len(), async {
            let prefix = (!path.is_root()).then_some(path);
            let found = bucket.store.list_with_delimiter(prefix).await.map_err(|e| list_error(bucket, path, e))?;
            let mut folder = Folder { folders: found.common_prefixes, files: found.objects };
            // The key `raw/`, which stands for the folder, is no file in it.
            folder.files.retain(|meta| meta.location != *path);
            folder.folders.sort();
            folder.files.sort_by(|a, b| a.location.cmp(&b.location));
            Ok(folder)
        })
        .await
    }

    /// Every file below a folder.
    pub(crate) async fn tree(&self, bucket: &Arc<Bucket>, path: &Path) -> Result<Arc<Tree>> {
        let top = self.folder(bucket, path).await?;
        self.cached(&self.trees, bucket, path, Vec::len, async {
            let mut files: Tree = if bucket.lists_from_offset && top.folders.len() >= SPLIT_FOLDERS_MIN {
                list_in_parts(bucket, path, &top.folders).try_concat().await?
            } else {
                let prefix = (!path.is_root()).then_some(path);
                bucket.store.list(prefix).map_err(|e| list_error(bucket, path, e)).try_collect().await?
            };
            files.sort_by(|a, b| a.location.cmp(&b.location));
            files.dedup_by(|a, b| a.location == b.location);
            Ok(files)
        })
        .await
    }

    /// The one object of this name, if there is one.
    pub(crate) async fn file(&self, bucket: &Arc<Bucket>, path: &Path) -> Result<Option<ObjectMeta>> {
        let parent: Path = path.parent().unwrap_or_default();
        let folder = self.folder(bucket, &parent).await?;
        Ok(folder.files.iter().find(|meta| meta.location == *path).cloned())
    }

    async fn cached<T>(
        &self,
        cells: &Cells<T>,
        bucket: &Bucket,
        path: &Path,
        weight: impl Fn(&T) -> usize,
        make: impl Future<Output = Result<T>>,
    ) -> Result<Arc<T>> {
        let key = (bucket.url.clone(), path.clone());
        let cell = Arc::clone(cells.lock().entry(key.clone()).or_default());
        let value = self.made_once(&cell, make).await;
        self.evict(cells, &key, value.as_ref().map_or(0, |value| weight(value)));
        value
    }

    /// What the cell holds, made anew where that is too old. An error is for those who were waiting
    /// for it: one after the other would wait as long for the same.
    async fn made_once<T>(&self, cell: &Cell<T>, make: impl Future<Output = Result<T>>) -> Result<Arc<T>> {
        let asked = Instant::now();
        let mut entry = cell.lock().await;
        if let Some(entry) = entry.as_ref()
            && (self.is_fresh(entry) || (entry.value.is_err() && entry.ended > asked))
        {
            return entry.value.clone();
        }
        let (started, staleness) = (Instant::now(), self.staleness.count());
        let value = make.await.map(Arc::new);
        *entry = Some(Entry { started, ended: Instant::now(), staleness, value: value.clone() });
        value
    }

    fn is_fresh<T>(&self, entry: &Entry<T>) -> bool {
        entry.value.is_ok() && entry.started.elapsed() < self.ttl && entry.staleness == self.staleness.count()
    }

    /// Drops entries that nobody would be given any more, and a single one that is too large to keep.
    fn evict<T>(&self, cells: &Cells<T>, newest: &(String, Path), weight: usize) {
        let mut cells = cells.lock();
        if weight > ENTRIES_MAX {
            cells.remove(newest);
        }
        // An entry that is being made is locked, and stays.
        cells.retain(|_, cell| cell.try_lock().map_or(true, |entry| entry.as_ref().is_some_and(|e| self.is_fresh(e))));
    }
}

/// The files below a folder by several listings at once, each starting where another ends.
fn list_in_parts<'a>(
    bucket: &'a Arc<Bucket>,
    path: &'a Path,
    folders: &'a [Path],
) -> BoxStream<'a, Result<Vec<ObjectMeta>>> {
    let step = folders.len().div_ceil(PARALLEL);
    let mut starts: Vec<Option<&Path>> = vec![None];
    starts.extend(folders.iter().skip(step).step_by(step).map(Some));
    let ends: Vec<Option<&Path>> = starts.iter().skip(1).copied().chain([None]).collect();
    stream::iter(starts.into_iter().zip(ends))
        .map(move |(start, end)| {
            let files = match start {
                Some(start) => bucket.store.list_with_offset(Some(path), start),
                None => bucket.store.list(Some(path)),
            };
            files
                .map_err(|e| list_error(bucket, path, e))
                .try_take_while(move |meta| {
                    // Keys come in the order of their bytes.
                    let inside = end.is_none_or(|end| meta.location.as_ref() <= end.as_ref());
                    futures::future::ready(Ok(inside))
                })
                .try_collect::<Vec<_>>()
        })
        .buffered(PARALLEL)
        .boxed()
}

fn list_error(bucket: &Bucket, path: &Path, error: object_store::Error) -> meesh_base::Error {
    let kind = if path.is_root() { "bucket" } else { "folder" };
    let url = bucket.url_of(path);
    bucket.error(&format!("{kind} {:?}", url.trim_end_matches('/')), error)
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
