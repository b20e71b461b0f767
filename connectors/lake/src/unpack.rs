//! Gzip and Zstandard, unpacked on a thread of their own while records are read.

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

/// The unpacked bytes of one object, in order. Dropping it stops the work.
#[derive(Debug)]
pub(crate) struct Unpacked {
    parts: Receiver<Result<Bytes>>,
    _tasks: [SpawnedTask<()>; 2],
}

impl Unpacked {
    pub(crate) fn new(object: Arc<PinnedObject>, chunks: Chunks, packing: Packing) -> Self {
        let (to_thread, packed) = channel(PARTS_WAITING);
        let (to_reader, parts) = channel(PARTS_WAITING);
        let fetch = SpawnedTask::spawn(fetch(chunks, to_thread));
        let work = SpawnedTask::spawn_blocking(move || unpack(&object, packed, packing, &to_reader));
        Self { parts, _tasks: [fetch, work] }
    }

    /// The next bytes, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        self.parts.recv().await.transpose()
    }
}

async fn fetch(mut chunks: Chunks, to_thread: Sender<Result<Bytes>>) {
    while let Some(chunk) = chunks.next().await.transpose() {
        // Nobody listens any more when the query ended.
        if to_thread.send(chunk).await.is_err() {
            return;
        }
    }
}

fn unpack(object: &PinnedObject, packed: Receiver<Result<Bytes>>, packing: Packing, to_reader: &Sender<Result<Bytes>>) {
    let source = PackedBytes { packed, current: Bytes::new(), received: 0 };
    let outcome = match packing {
        Packing::Plain => pass_on(object, source, |s| s.received, to_reader),
        Packing::Gzip => pass_on(object, MultiGzDecoder::new(source), |d| d.get_ref().received, to_reader),
        Packing::Zstd => match zstd::stream::read::Decoder::with_buffer(source) {
            Ok(decoder) => pass_on(object, decoder, |d| d.get_ref().received, to_reader),
            Err(error) => Err(unpack_error(object, error)),
        },
    };
    if let Err(error) = outcome {
        to_reader.blocking_send(Err(error)).ok();
    }
}

fn pass_on<D: Read>(
    object: &PinnedObject,
    mut decoder: D,
    received: impl Fn(&D) -> u64,
    to_reader: &Sender<Result<Bytes>>,
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
        if to_reader.blocking_send(Ok(Bytes::from(part))).is_err() {
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
    packed: Receiver<Result<Bytes>>,
    current: Bytes,
    received: u64,
}

impl BufRead for PackedBytes {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.packed.blocking_recv() {
                None => break,
                Some(chunk) => self.current = chunk.map_err(std::io::Error::other)?,
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
