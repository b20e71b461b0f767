//! The start of a text file: unpacked, free of marks, whole records only.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use meesh_base::Result;

use crate::csv::CsvSplitter;
use crate::feed::Splitter;
use crate::format::{Format, Packing, strip_byte_order_mark};
use crate::json::{JsonLayout, JsonSplitter};
use crate::pinned::PinnedObject;

/// Bytes that are enough to see a format.
const HEAD_BYTES: u64 = 4 << 10;

/// The start of a file.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Unpacked.
    pub(crate) text: Bytes,
    /// Bytes of the file that it was made of.
    pub(crate) packed_bytes: u64,
    /// Whether it is all of the file.
    pub(crate) whole: bool,
}

impl Sample {
    /// Reads at most `bytes_max` of a file, and unpacks them to as many.
    ///
    /// # Errors
    /// As [`PinnedObject::read`], and `SourceData` for an encoding that is not UTF-8.
    pub(crate) async fn read(object: &Arc<PinnedObject>, bytes_max: u64) -> Result<Self> {
        let size = object.meta().size;
        let raw = object.read(0..size.min(bytes_max)).await?;
        let packing = Packing::of_content(&raw);
        let mut sample = Self { packed_bytes: raw.len() as u64, whole: raw.len() as u64 == size, text: raw };
        if packing != Packing::Plain {
            let packed = sample.text.clone();
            let room = usize::try_from(bytes_max).unwrap_or(usize::MAX);
            let unpacked = tokio::task::spawn_blocking(move || unpack(&packed, packing, room)).await;
            let (text, used) = unpacked.unwrap_or_default();
            sample.whole &= used == sample.packed_bytes;
            sample.packed_bytes = used.max(1);
            sample.text = text;
        }
        sample.text = strip_byte_order_mark(sample.text)
            .map_err(|encoding| object.fault(&format!("is written in {encoding}")).with_hint("write it as UTF-8"))?;
        Ok(sample)
    }

    /// The format that the first bytes of a file look like.
    pub(crate) async fn format(object: &Arc<PinnedObject>) -> Result<Format> {
        Ok(Format::of_content(&Self::read(object, HEAD_BYTES).await?.text))
    }

    /// The text up to the last whole record, or all of a whole file.
    pub(crate) fn csv_records(&self, delimiter: u8) -> Bytes {
        self.until_last_record(&mut CsvSplitter::new(delimiter))
    }

    /// The same for JSON.
    pub(crate) fn json_records(&self, layout: JsonLayout) -> Bytes {
        self.until_last_record(&mut JsonSplitter::new(layout))
    }

    fn until_last_record(&self, splitter: &mut dyn Splitter) -> Bytes {
        if self.whole {
            return self.text.clone();
        }
        self.text.slice(..splitter.scan(&self.text).last.unwrap_or(0))
    }
}

/// What the packed start of a file unpacks to, and how many packed bytes that took. A cut end is no fault here.
fn unpack(packed: &[u8], packing: Packing, room: usize) -> (Bytes, u64) {
    let mut text = Vec::new();
    let limit = room as u64;
    let left = match packing {
        Packing::Gzip => {
            let mut decoder = MultiGzDecoder::new(packed).take(limit);
            decoder.read_to_end(&mut text).ok();
            decoder.get_ref().get_ref().len()
        }
        _ => match zstd::stream::read::Decoder::with_buffer(packed) {
            Ok(decoder) => {
                let mut decoder = decoder.take(limit);
                decoder.read_to_end(&mut text).ok();
                decoder.get_ref().get_ref().len()
            }
            Err(_) => packed.len(),
        },
    };
    (Bytes::from(text), (packed.len() - left) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_package_gives_what_it_holds() {
        let content: String = (0..100_000).map(|n| format!("{n}\n")).collect();
        let packed = zstd::encode_all(content.as_bytes(), 1).unwrap();
        let (text, used) = unpack(&packed, Packing::Zstd, 1000);
        assert_eq!(text, content.as_bytes()[..1000]);
        assert!(used > 0 && used <= packed.len() as u64);
        let (text, used) = unpack(&packed, Packing::Zstd, usize::MAX);
        assert_eq!((text.len(), used), (content.len(), packed.len() as u64));
        let (cut, _) = unpack(&packed[..packed.len() / 2], Packing::Zstd, usize::MAX);
        assert!(!cut.is_empty() && content.as_bytes().starts_with(&cut));
    }

    /// Decoders keep their last byte, or their trailer, until all of the text is out: only so can the
    /// bytes used tell whether the sample is all of the file.
    #[test]
    fn a_package_is_not_used_up_before_its_text_is() {
        let content = "1234567,abcdefg\n".repeat(1000);
        let zstd = zstd::encode_all(content.as_bytes(), 1).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut gzip, content.as_bytes()).unwrap();
        for (packed, packing) in [(zstd, Packing::Zstd), (gzip.finish().unwrap(), Packing::Gzip)] {
            for room in [content.len() - 1, content.len() / 2 + 5, content.len() / 3] {
                let (text, used) = unpack(&packed, packing, room);
                assert!(text.len() == room && used < packed.len() as u64, "{packing:?} {room}");
            }
            assert_eq!(unpack(&packed, packing, usize::MAX).1, packed.len() as u64, "{packing:?}");
        }
    }
}
