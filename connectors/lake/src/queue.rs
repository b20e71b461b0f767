//! The files of one scan, shared among its partitions.
//!
//! A partition takes a file of its own while there are any, and afterwards helps with one that
//! another has open: one large file is read by all, many small ones by one each.
//!
//! ```text
//! FileFeed --task--> Pieces (bounded) --> whichever partition asks next
//! ```
//!
//! No lock is held while anybody waits: a partition that is not polled for a while stops no other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::runtime::SpawnedTask;
use meesh_base::{Error, Result};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::piece::Piece;
use crate::text::{RecordReading, TextFile, TextRules};

/// Pieces of one file that wait to be taken.
const PIECES_WAITING: usize = 3;
/// Permits that let everybody through once a file has ended.
const ENDED: usize = Semaphore::MAX_PERMITS / 2;

/// Work that is left to do.
pub(crate) struct WorkQueue {
    files: Arc<[TextFile]>,
    rules: Arc<TextRules>,
    state: Mutex<State>,
    /// Rows that are still wanted, of a scan with a limit.
    wanted: AtomicUsize,
}

struct State {
    waiting: VecDeque<usize>,
    open: Vec<Arc<OpenFile>>,
}

/// A file that is being read, by a task of its own that ends with it.
pub(crate) struct OpenFile {
    /// Index among the files of the scan.
    number: usize,
    pieces: Arc<Pieces>,
    _reader: SpawnedTask<()>,
}

/// The next work of a partition.
pub(crate) struct Work {
    pub(crate) piece: Piece,
    pub(crate) reading: RecordReading,
    pub(crate) file: usize,
}

impl WorkQueue {
    pub(crate) fn new(files: Arc<[TextFile]>, rules: Arc<TextRules>, limit: Option<usize>) -> Self {
        let waiting = (0..files.len()).collect();
        Self {
            files,
            rules,
            state: Mutex::new(State { waiting, open: Vec::new() }),
            wanted: AtomicUsize::new(limit.unwrap_or(usize::MAX)),
        }
    }

    pub(crate) fn file(&self, number: usize) -> Option<&TextFile> {
        self.files.get(number)
    }

    /// Rows that are still wanted.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Counts rows that were handed out.
    pub(crate) fn deliver(&self, rows: usize) {
        let less = |wanted: usize| if wanted == usize::MAX { None } else { Some(wanted.saturating_sub(rows)) };
        self.wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok();
    }

    /// The next records, from the file that `current` holds while it lasts.
    pub(crate) async fn next(&self, current: &mut Option<Arc<OpenFile>>) -> Result<Option<Work>> {
        loop {
            let file = match current {
                Some(file) => Arc::clone(file),
                None => match self.another() {
                    Some(file) => Arc::clone(current.insert(file)),
                    None => return Ok(None),
                },
            };
            match file.pieces.take().await {
                Some(work) => return work.map(|(piece, reading)| Some(Work { piece, reading, file: file.number })),
                None => {
                    self.close(&file);
                    *current = None;
                }
            }
        }
    }

    fn another(&self) -> Option<Arc<OpenFile>> {
        let mut state = self.state.lock();
        let Some(number) = state.waiting.pop_front() else { return state.open.first().cloned() };
        let file = self.files.get(number)?.clone();
        let pieces = Arc::new(Pieces::default());
        let (rules, target) = (Arc::clone(&self.rules), Arc::clone(&pieces));
        let reader = SpawnedTask::spawn(async move {
            let reading = read(&file, &rules, &target);
            deliver(&target, file.object.broke_off(), reading).await;
        });
        let open = Arc::new(OpenFile { number, pieces, _reader: reader });
        state.open.push(Arc::clone(&open));
        Some(open)
    }

    fn close(&self, file: &Arc<OpenFile>) {
        self.state.lock().open.retain(|open| !Arc::ptr_eq(open, file));
        if let Some(file) = self.files.get(file.number) {
            file.object.finish();
        }
    }
}

type Item = Result<(Piece, RecordReading)>;

/// Pieces between one reader and any number of takers.
struct Pieces {
    items: Mutex<VecDeque<Item>>,
    /// One permit an item, and very many when there will be no more.
    ready: Semaphore,
    /// One permit a free place.
    room: Semaphore,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { items: Mutex::default(), ready: Semaphore::new(0), room: Semaphore::new(PIECES_WAITING) }
    }
}

impl Pieces {
    /// The next item, `None` after the last.
    async fn take(&self) -> Option<Item> {
        self.ready.acquire().await.ok()?.forget();
        let item = self.items.lock().pop_front();
        self.room.add_permits(usize::from(item.is_some()));
        item
    }

    async fn put(&self, item: Item) {
        if let Ok(permit) = self.room.acquire().await {
            permit.forget();
        }
        self.push(item);
    }

    fn push(&self, item: Item) {
        self.items.lock().push_back(item);
        self.ready.add_permits(1);
    }

    fn end(&self) {
        self.ready.add_permits(ENDED);
    }
}

/// Runs a reader of pieces and ends them after it, with its error if it fails and with `broke_off`
/// if it dies: takers would wait for ever for a reader that panicked.
async fn deliver(pieces: &Pieces, broke_off: Error, reading: impl Future<Output = Result<()>>) {
    let mut ending = Ending { pieces, broke_off: Some(broke_off) };
    let outcome = reading.await;
    ending.broke_off = None;
    if let Err(error) = outcome {
        pieces.put(Err(error)).await;
    }
}

struct Ending<'a> {
    pieces: &'a Pieces,
    broke_off: Option<Error>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(error) = self.broke_off.take() {
            self.pieces.push(Err(error));
        }
        self.pieces.end();
    }
}

async fn read(file: &TextFile, rules: &TextRules, pieces: &Pieces) -> Result<()> {
    let Some((mut feed, reading)) = rules.open(file).await? else { return Ok(()) };
    while let Some(piece) = feed.next().await? {
        pieces.put(Ok((piece, reading.clone()))).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use meesh_base::ErrorKind;

    #[tokio::test]
    async fn a_reader_that_dies_ends_its_pieces_with_an_error() {
        let pieces = Arc::new(Pieces::default());
        let target = Arc::clone(&pieces);
        let reader = tokio::spawn(async move {
            deliver(&target, Error::internal("broke off"), async { panic!("a defect of a reader") }).await;
        });
        let taken = tokio::time::timeout(std::time::Duration::from_secs(9), pieces.take()).await.unwrap();
        assert_eq!(taken.unwrap().err().unwrap().kind(), ErrorKind::Internal);
        assert!(pieces.take().await.is_none() && pieces.take().await.is_none());
        assert!(reader.await.is_err());
    }
}
