//! One version of each object per query, and no byte that was not asked for.
//!
//! The listing says which version (ETag) of an object a query reads; every request for it says
//! `If-Match`, so that an object replaced half-way ends the query instead of mixing two versions.
//! DataFusion sends no such header of its own.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use meesh_base::{Error, Result, SourceProgress};
use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, coalesce_ranges};
use parking_lot::Mutex;

use crate::error::{Subject, changed, stood_still};
use crate::store::Bucket;

/// Ranges closer than this are fetched as one.
const COALESCE_BYTES: u64 = 1 << 20;
/// How often a range is asked for again after an answer that stood still or came short. The store's
/// own retries come before.
const ATTEMPTS: usize = 3;

/// The versions that one query reads, by URL: the first scan of an object decides. Lives in the
/// query's scope, so that two scans of one table see the same version.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<HashMap<String, ObjectMeta>>);

impl Pins {
    fn pin(&self, url: String, listed: &ObjectMeta) -> ObjectMeta {
        self.0.lock().entry(url).or_insert_with(|| listed.clone()).clone()
    }
}

/// Told when an object turns out not to be the listed one, so that the next query lists afresh.
#[derive(Debug, Default)]
pub(crate) struct Staleness(AtomicU64);

impl Staleness {
    pub(crate) fn report(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What a query brings along to the reading of its objects.
#[derive(Debug, Clone)]
pub(crate) struct ReadContext {
    pub(crate) progress: Arc<SourceProgress>,
    pub(crate) staleness: Arc<Staleness>,
}

/// One version of one object.
#[derive(Debug)]
pub(crate) struct PinnedObject {
    bucket: Arc<Bucket>,
    meta: ObjectMeta,
    context: ReadContext,
    finished: AtomicBool,
}

impl PinnedObject {
    /// The version of `listed` that the query reads.
    pub(crate) fn new(bucket: Arc<Bucket>, listed: &ObjectMeta, pins: &Pins, context: ReadContext) -> Self {
        let meta = pins.pin(bucket.url_of(&listed.location), listed);
        Self { bucket, meta, context, finished: AtomicBool::new(false) }
    }

    /// The listed version itself, outside any query: for samples and footers.
    pub(crate) fn listed(bucket: Arc<Bucket>, listed: &ObjectMeta, staleness: Arc<Staleness>) -> Self {
        let context = ReadContext { progress: Arc::default(), staleness };
        Self { bucket, meta: listed.clone(), context, finished: AtomicBool::new(false) }
    }

    pub(crate) fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    pub(crate) fn bucket(&self) -> &Arc<Bucket> {
        &self.bucket
    }

    /// Whether this version's ETag tells its content. S3's does; that of a file is made of its time and size.
    pub(crate) fn is_named_by_content(&self) -> bool {
        self.meta.e_tag.is_some() && self.bucket.url.starts_with("s3://")
    }

    /// `object "s3://raw/a.csv"`, for messages.
    pub(crate) fn subject(&self) -> String {
        format!("object {:?}", self.bucket.url_of(&self.meta.location))
    }

    /// An error about the object's content.
    pub(crate) fn fault(&self, text: &str) -> Error {
        Error::source_data(format!("catalog {:?}: {} {text}", self.bucket.catalog, self.subject()))
    }

    /// Counts the object as read, once.
    pub(crate) fn finish(&self) {
        if !self.finished.swap(true, Ordering::Relaxed) {
            self.context.progress.units_done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The bytes of `range`, no more and no less.
    ///
    /// # Errors
    /// `SourceData` when the object changed or ends early; `SourceUnavailable` when the store does
    /// not answer within its timeouts and retries. Dropping the future ends the request.
    pub(crate) async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.end > self.meta.size || range.start > range.end {
            return Err(self.fault(&format!("has {} bytes, not {}", self.meta.size, range.end)));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let mut attempt = 1;
        loop {
            match self.read_once(range.clone()).await {
                Ok(bytes) => {
                    self.context.progress.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    return Ok(bytes);
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again(error)) if attempt == ATTEMPTS => return Err(error),
                Err(Failure::Again(error)) => {
                    tracing::debug!(%error, attempt, "reading a range again");
                    attempt += 1;
                }
            }
        }
    }

    /// The bytes of several ranges, near ones fetched together, at most ten requests at a time.
    pub(crate) async fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        coalesce_ranges(ranges, |range| self.read(range), COALESCE_BYTES).await
    }

    async fn read_once(&self, range: Range<u64>) -> Result<Bytes, Failure> {
        let has_tag = self.meta.e_tag.is_some();
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: self.meta.e_tag.clone(),
            if_unmodified_since: (!has_tag).then_some(self.meta.last_modified),
            ..GetOptions::default()
        };
        // The store has patience and retries of its own for an answer to begin; none for its body.
        let request = self.bucket.store.get_opts(&self.meta.location, options);
        let answer = request.await.map_err(|error| Failure::Final(self.store_error(error)))?;
        self.check_version(&answer, &range)?;
        let wanted = range.end - range.start;
        if let GetResultPayload::File(..) = answer.payload {
            let bytes = answer.bytes().await.map_err(|error| Failure::Final(self.store_error(error)))?;
            return self.check_length(bytes, wanted);
        }
        let mut body = answer.into_stream();
        let mut parts: Vec<Bytes> = Vec::new();
        let mut received = 0u64;
        loop {
            match tokio::time::timeout(self.bucket.read_timeout, body.next()).await {
                Ok(None) => break,
                Ok(Some(Ok(part))) => {
                    received += part.len() as u64;
                    // Too much is known before it is all there.
                    if received > wanted {
                        break;
                    }
                    parts.push(part);
                }
                Ok(Some(Err(error))) => return Err(Failure::Again(self.store_error(error))),
                Err(_) => return Err(Failure::Again(self.stalled())),
            }
        }
        if received != wanted {
            return Err(Failure::Again(
                self.fault(&format!("came with {received} bytes where {wanted} were asked for")),
            ));
        }
        let single = if parts.len() == 1 { parts.pop() } else { None };
        Ok(single.unwrap_or_else(|| Bytes::from(parts.concat())))
    }

    fn check_version(&self, answer: &GetResult, range: &Range<u64>) -> Result<(), Failure> {
        let other_tag = matches!((&answer.meta.e_tag, &self.meta.e_tag), (Some(a), Some(b)) if a != b);
        if other_tag || answer.meta.size != self.meta.size {
            return Err(Failure::Final(self.changed()));
        }
        if answer.range != *range {
            let text = format!("came with bytes {:?} where {range:?} were asked for", answer.range);
            return Err(Failure::Again(self.fault(&text)));
        }
        Ok(())
    }

    fn check_length(&self, bytes: Bytes, wanted: u64) -> Result<Bytes, Failure> {
        if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(Failure::Final(self.changed())) }
    }

    fn store_error(&self, error: object_store::Error) -> Error {
        use object_store::Error as E;
        match error {
            E::Precondition { .. } | E::NotFound { .. } | E::NotModified { .. } => self.changed().with_cause(error),
            other => self.bucket.error(&self.subject(), other),
        }
    }

    fn changed(&self) -> Error {
        self.context.staleness.report();
        changed(&self.bucket.catalog, &self.subject())
    }

    fn stalled(&self) -> Error {
        let (catalog, source) = (&*self.bucket.catalog, &*self.bucket.source);
        stood_still(Subject { catalog, source, what: &self.subject() }, self.bucket.read_timeout)
    }

    /// The error of a task or thread that died while it read the object.
    pub(crate) fn broke_off(&self) -> Error {
        Error::internal(format!("catalog {:?}: the reading of {} broke off", self.bucket.catalog, self.subject()))
    }
}

enum Failure {
    Final(Error),
    Again(Error),
}

#[cfg(test)]
#[path = "pinned_tests.rs"]
mod tests;
