//! The bytes of one object in order, read ahead.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use meesh_base::Result;

use crate::pinned::PinnedObject;

/// The first range is small, so that a query for a few rows reads little; each next one is double.
const FIRST_BYTES: u64 = 256 << 10;
const LARGEST_BYTES: u64 = 4 << 20;
/// Ranges on their way at once, the one that is waited for included.
const AHEAD_MAX: usize = 4;

/// Reads ranges one after the other, some of them at the same time. Dropping it ends the requests.
#[derive(Debug)]
pub(crate) struct Chunks {
    object: Arc<PinnedObject>,
    /// Where the next request starts, and how much it asks for.
    next: u64,
    bytes: u64,
    ahead: usize,
    requests: VecDeque<SpawnedTask<Result<Bytes>>>,
    /// Bytes that were read and given back.
    returned: Option<Bytes>,
}

impl Chunks {
    pub(crate) fn new(object: Arc<PinnedObject>) -> Self {
        Self { object, next: 0, bytes: FIRST_BYTES, ahead: 1, requests: VecDeque::new(), returned: None }
    }

    /// The next bytes, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(bytes) = self.returned.take() {
            return Ok(Some(bytes));
        }
        self.request();
        let Some(request) = self.requests.pop_front() else { return Ok(None) };
        let bytes = request.join().await.map_err(|error| self.object.broke_off().with_detail(error.to_string()))??;
        self.ahead = (self.ahead + 1).min(AHEAD_MAX);
        self.request();
        Ok(Some(bytes))
    }

    /// Gives bytes back, to come first again.
    pub(crate) fn give_back(&mut self, bytes: Bytes) {
        self.returned = Some(bytes);
    }

    fn request(&mut self) {
        let size = self.object.meta().size;
        while self.requests.len() < self.ahead && self.next < size {
            let range = self.next..(self.next + self.bytes).min(size);
            self.next = range.end;
            self.bytes = (self.bytes * 2).min(LARGEST_BYTES);
            let object = Arc::clone(&self.object);
            self.requests.push_back(SpawnedTask::spawn(async move { object.read(range).await }));
        }
    }
}
