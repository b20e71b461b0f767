//! Gzip and Zstandard, unpacked on threads of their own while records are read.

use std::io::{BufRead, Read};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use flate2::bufread::MultiGzDecoder;
use meesh_base::{Error, Result};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::chunks::Chunks;
use crate::format::Packing;
use crate::pinned::PinnedObject;

/// Unpacked bytes come in parts of this size.
const PART_BYTES: usize = 1 << 20;
/// Parts that wait on either side.
const PARTS_WAITING: usize = 2;
/// Packed text that grows more than this is an attack, not data.
const GROWTH_MAX: u64 = 1000;

/// Bytes, or their end: a channel that closes without one lost its sender half-way.
type Part = Result<Option<Bytes>>;

/// The unpacked bytes of one object, in order. Dropping it stops the work.
#[derive(Debug)]
pub(crate) struct Unpacked {
    object: Arc<PinnedObject>,
    parts: Receiver<Part>,
    _fetch: SpawnedTask<()>,
}

impl Unpacked {
    /// Starts to unpack what `chunks` yield, on a thread that is nobody else's: one of the runtime's
    /// would be missing to others, the planning of queries among them, as long as the reader waits.
    ///
    /// # Errors
    /// `Exhausted` when the system gives no thread.
    pub(crate) fn new(object: Arc<PinnedObject>, chunks: Chunks, packing: Packing) -> Result<Self> {
        let (to_thread, packed) = channel(PARTS_WAITING);
        let (to_reader, parts) = channel(PARTS_WAITING);
        let source =
            PackedBytes { object: Arc::clone(&object), packed, current: Bytes::new(), received: 0, ended: false };
        let work = {
            let object = Arc::clone(&object);
            move || unpack(&object, source, packing, &to_reader)
        };
        std::thread::Builder::new().name("meesh-unpack".to_owned()).spawn(work).map_err(|error| {
            Error::exhausted(format!("no thread can be started to unpack {}", object.subject()))
                .with_detail(error.to_string())
        })?;
        Ok(Self { object, parts, _fetch: SpawnedTask::spawn(fetch(chunks, to_thread)) })
    }

    /// The next bytes, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        self.parts.recv().await.unwrap_or_else(|| Err(self.object.broke_off()))
    }
}

async fn fetch(mut chunks: Chunks, to_thread: Sender<Part>) {
    loop {
        let part = chunks.next().await;
        let is_last = !matches!(part, Ok(Some(_)));
        // Nobody listens any more when the query ended.
        if to_thread.send(part).await.is_err() || is_last {
            return;
        }
    }
}

fn unpack(object: &PinnedObject, source: PackedBytes, packing: Packing, to_reader: &Sender<Part>) {
    let outcome = match packing {
        Packing::Plain => pass_on(object, source, |s| s.received, to_reader),
        Packing::Gzip => pass_on(object, MultiGzDecoder::new(source), |d| d.get_ref().received, to_reader),
        Packing::Zstd => match zstd::stream::read::Decoder::with_buffer(source) {
            Ok(decoder) => pass_on(object, decoder, |d| d.get_ref().received, to_reader),
            Err(error) => Err(unpack_error(object, error)),
        },
    };
    to_reader.blocking_send(outcome.map(|()| None)).ok();
}

fn pass_on<D: Read>(
    object: &PinnedObject,
    mut decoder: D,
    received: impl Fn(&D) -> u64,
    to_reader: &Sender<Part>,
) -> Result<()> {
    let mut total = 0u64;
    loop {
        let mut part = vec![0; PART_BYTES];
        let mut filled = 0;
        while filled < part.len() {
            match decoder.read(&mut part[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unpack_error(object, error)),
            }
        }
        if filled == 0 {
            return Ok(());
        }
        total += filled as u64;
        if total > GROWTH_MAX * received(&decoder) + PART_BYTES as u64 {
            return Err(object.fault(&format!("grows more than {GROWTH_MAX} times when it is unpacked")));
        }
        part.truncate(filled);
        if to_reader.blocking_send(Ok(Some(Bytes::from(part)))).is_err() {
            return Ok(());
        }
    }
}

fn unpack_error(object: &PinnedObject, error: std::io::Error) -> Error {
    // The store's own error came through the decoder.
    if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return own.clone();
    }
    object.fault("cannot be unpacked: it is damaged or cut short").with_detail(error.to_string())
}

/// The packed bytes as a blocking reader.
struct PackedBytes {
    object: Arc<PinnedObject>,
    packed: Receiver<Part>,
    current: Bytes,
    received: u64,
    ended: bool,
}

impl BufRead for PackedBytes {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            let part = self.packed.blocking_recv().unwrap_or_else(|| Err(self.object.broke_off()));
            match part.map_err(std::io::Error::other)? {
                Some(chunk) => self.current = chunk,
                None => self.ended = true,
            }
            self.received += self.current.len() as u64;
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current = self.current.slice(count..);
    }
}

impl Read for PackedBytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::object;
    use meesh_base::ErrorKind;

    #[tokio::test]
    async fn a_stream_without_an_end_is_an_error() {
        let (sender, parts) = channel(PARTS_WAITING);
        let mut unpacked =
            Unpacked { object: object("raw/a.csv.gz"), parts, _fetch: SpawnedTask::spawn(std::future::ready(())) };
        sender.send(Ok(Some(Bytes::from_static(b"a\n")))).await.unwrap();
        drop(sender);
        assert_eq!(unpacked.next().await.unwrap().unwrap(), "a\n");
        assert_eq!(unpacked.next().await.unwrap_err().kind(), ErrorKind::Internal);
    }

    #[test]
    fn packed_bytes_without_an_end_are_an_error() {
        for (ends, read) in [(true, Ok(2)), (false, Err(ErrorKind::Internal))] {
            let (sender, packed) = channel(PARTS_WAITING);
            sender.blocking_send(Ok(Some(Bytes::from_static(b"ab")))).unwrap();
            if ends {
                sender.blocking_send(Ok(None)).unwrap();
            }
            drop(sender);
            let object = object("raw/a.csv.gz");
            let mut source =
                PackedBytes { object: Arc::clone(&object), packed, current: Bytes::new(), received: 0, ended: false };
            let outcome = source.read_to_end(&mut Vec::new());
            assert_eq!(outcome.map_err(|error| unpack_error(&object, error).kind()), read);
        }
    }
}
