//! The records of one text file, in order, in pieces that end where records end.
//!
//! ```text
//! object --Chunks--> bytes [--Unpacked--> bytes] --Splitter--> pieces of whole records
//! ```

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use meesh_base::{Error, Result, format_bytes};
use memchr::memchr_iter;

use crate::chunks::Chunks;
use crate::csv::{CsvSplitter, first_record};
use crate::format::{Format, PARQUET_MAGIC, Packing, strip_byte_order_mark};
use crate::json::{JsonLayout, JsonSplitter};
use crate::piece::Piece;
use crate::pinned::PinnedObject;
use crate::unpack::Unpacked;

/// Ends of records in one piece of bytes: offsets behind the first and the last one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Boundaries {
    pub(crate) first: Option<usize>,
    pub(crate) last: Option<usize>,
}

/// Finds ends of records in bytes that come one piece after the other.
pub(crate) trait Splitter: Debug + Send {
    /// Looks at the next bytes.
    fn scan(&mut self, piece: &[u8]) -> Boundaries;

    /// Whether a file may end here; otherwise what is wrong with the last record.
    fn finish(&self) -> Result<(), &'static str>;
}

/// How a file's records are to be found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordRules {
    pub(crate) format: Format,
    /// Of CSV.
    pub(crate) delimiter: u8,
    pub(crate) record_bytes_max: usize,
}

#[derive(Debug)]
enum Source {
    Plain(Chunks),
    Packed(Unpacked),
}

/// The records of one file. Dropping it ends its requests.
#[derive(Debug)]
pub(crate) struct FileFeed {
    object: Arc<PinnedObject>,
    rules: RecordRules,
    source: Source,
    splitter: Box<dyn Splitter>,
    /// How the objects of a JSON file stand.
    json_layout: JsonLayout,
    ready: VecDeque<Piece>,
    /// The start of a record whose end has not come yet.
    unfinished: Vec<Bytes>,
    line: u64,
    ended: bool,
}

impl FileFeed {
    /// Reads the start of the file, to see how it is packed and laid out.
    ///
    /// # Errors
    /// `SourceData` for a file that holds another format or encoding; else as [`PinnedObject::read`].
    pub(crate) async fn open(object: Arc<PinnedObject>, rules: RecordRules) -> Result<Self> {
        let mut chunks = Chunks::new(Arc::clone(&object));
        let head = chunks.next().await?.unwrap_or_default();
        let packing = Packing::of_content(&head);
        let (mut source, head) = if packing == Packing::Plain {
            (Source::Plain(chunks), head)
        } else {
            chunks.give_back(head);
            let mut unpacked = Unpacked::new(Arc::clone(&object), chunks, packing)?;
            let head = unpacked.next().await?.unwrap_or_default();
            (Source::Packed(unpacked), head)
        };
        if head.starts_with(PARQUET_MAGIC) {
            return Err(object
                .fault(&format!("holds Parquet where {} is expected", rules.format.name()))
                .with_hint("name it .parquet, or move it out of the table's folder"));
        }
        let head = strip_byte_order_mark(head)
            .map_err(|encoding| object.fault(&format!("is written in {encoding}")).with_hint("write it as UTF-8"))?;
        let json_layout = match rules.format {
            Format::Json => JsonLayout::of(&head),
            _ => JsonLayout::Lines,
        };
        let splitter: Box<dyn Splitter> = match rules.format {
            Format::Json => Box::new(JsonSplitter::new(json_layout)),
            _ => Box::new(CsvSplitter::new(rules.delimiter)),
        };
        if head.is_empty() {
            // Nothing, or a byte order mark alone.
            source = Source::Plain(Chunks::new(Arc::clone(&object)));
        }
        let mut feed = Self {
            ended: head.is_empty(),
            object,
            rules,
            source,
            splitter,
            json_layout,
            ready: VecDeque::new(),
            unfinished: Vec::new(),
            line: 1,
        };
        feed.accept(head)?;
        Ok(feed)
    }

    pub(crate) fn json_layout(&self) -> JsonLayout {
        self.json_layout
    }

    /// The next whole records, `None` at the end.
    ///
    /// # Errors
    /// `SourceData` for a record longer than the limit and for a file that ends inside a record.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.ended {
                return Ok(None);
            }
            let bytes = match &mut self.source {
                Source::Plain(chunks) => chunks.next().await?,
                Source::Packed(unpacked) => unpacked.next().await?,
            };
            match bytes {
                Some(bytes) => self.accept(bytes)?,
                None => self.end()?,
            }
        }
    }

    /// The fields of the first CSV record as text, taken off the feed or only looked at.
    pub(crate) async fn first_csv_record(&mut self, take: bool) -> Result<Option<Vec<String>>> {
        loop {
            let Some(mut piece) = self.next().await? else { return Ok(None) };
            // Blank lines before the first record are none.
            let blank = piece.text.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            if blank == piece.text.len() {
                continue;
            }
            let (fields, used) = first_record(&piece.text[blank..], self.rules.delimiter);
            if take {
                let used = (blank + used).min(piece.text.len());
                piece.line = piece.line_at(used);
                piece.text = piece.text.slice(used..);
            }
            if !piece.text.is_empty() {
                self.ready.push_front(piece);
            }
            return Ok(Some(fields.into_iter().map(|f| String::from_utf8_lossy(&f.text).into_owned()).collect()));
        }
    }

    fn accept(&mut self, bytes: Bytes) -> Result<()> {
        let ends = self.splitter.scan(&bytes);
        let (Some(first), Some(last)) = (ends.first, ends.last) else {
            self.unfinished.push(bytes);
            return self.check_record_length();
        };
        let mut from = 0;
        if !self.unfinished.is_empty() {
            self.unfinished.push(bytes.slice(..first));
            self.check_record_length()?;
            let record = Bytes::from(self.unfinished.concat());
            self.unfinished.clear();
            self.emit(record);
            from = first;
        }
        self.emit(bytes.slice(from..last));
        if last < bytes.len() {
            self.unfinished.push(bytes.slice(last..));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.ended = true;
        self.splitter.finish().map_err(|what| {
            let line = self.line_of_unfinished();
            self.object.fault(&format!("line {line}: {what}")).with_hint("the file is damaged or cut short")
        })?;
        let mut rest = std::mem::take(&mut self.unfinished).concat();
        if rest.is_empty() {
            return Ok(());
        }
        // The last record may lack its line break.
        if rest.last() != Some(&b'\n') {
            rest.push(b'\n');
        }
        self.emit(Bytes::from(rest));
        Ok(())
    }

    fn emit(&mut self, text: Bytes) {
        if !text.is_empty() {
            let lines = memchr_iter(b'\n', &text).count() as u64;
            self.ready.push_back(Piece { text, line: self.line, object: Arc::clone(&self.object) });
            self.line += lines;
        }
    }

    /// The line that the unfinished record starts at, behind what may stand between records.
    fn line_of_unfinished(&self) -> u64 {
        let between = |byte: &&u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'[');
        let lead = self.unfinished.iter().flat_map(|bytes| bytes.iter()).take_while(between);
        self.line + lead.filter(|byte| **byte == b'\n').count() as u64
    }

    fn check_record_length(&self) -> Result<(), Error> {
        let length: usize = self.unfinished.iter().map(Bytes::len).sum();
        if length <= self.rules.record_bytes_max {
            return Ok(());
        }
        let limit = format_bytes(self.rules.record_bytes_max as u64);
        let hint = "raise hive.text.max-line-length, or look for a quote that is not closed";
        Err(self.object.fault(&format!("line {}: a record is longer than {limit}", self.line)).with_hint(hint))
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
