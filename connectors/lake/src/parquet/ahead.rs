//! Fetching the next row group while one is decoded.
//!
//! DataFusion's reader asks for a row group when it has decoded the one before, and waits. Where it has asked
//! for two neighbours, the third is fetched before it is asked for, the same columns of it. A guess that was
//! wrong (statistics ruled the group out, a filter read a few pages only) is the file's last.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use meesh_base::Result;
use parquet::file::metadata::ParquetMetaData;

use crate::pinned::PinnedObject;

/// The most that is fetched ahead. A larger row group keeps the decoder busy for so long that the wait for
/// the next one does not count, and its bytes would.
const AHEAD_BYTES_MAX: u64 = 16 << 20;

/// The row groups of one file as one reader asks for them.
#[derive(Debug)]
pub(super) struct ReadAhead {
    metadata: Arc<ParquetMetaData>,
    /// The bytes in which the row groups begin that are this reader's.
    part: Range<u64>,
    /// The row group asked for last.
    last: Option<usize>,
    next: Option<Next>,
    was_wrong: bool,
}

#[derive(Debug)]
struct Next {
    ranges: Vec<Range<u64>>,
    fetched: SpawnedTask<Result<Vec<Bytes>>>,
}

impl ReadAhead {
    pub(super) fn new(metadata: Arc<ParquetMetaData>, part: Range<u64>) -> Self {
        Self { metadata, part, last: None, next: None, was_wrong: false }
    }

    /// The bytes of `ranges`, and the start of what is probably asked for next.
    ///
    /// # Errors
    /// As [`PinnedObject::read_ranges`].
    pub(super) async fn read(&mut self, object: &Arc<PinnedObject>, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let bytes = match self.next.take() {
            Some(next) if next.ranges == ranges => next.fetched.await.map_err(|_| object.broke_off())??,
            other => {
                self.was_wrong |= other.is_some();
                drop(other);
                object.read_ranges(&ranges).await?
            }
        };
        if let Some(ranges) = self.guess(&ranges) {
            let (object, wanted) = (Arc::clone(object), ranges.clone());
            let fetched = SpawnedTask::spawn(async move { object.read_ranges(&wanted).await });
            self.next = Some(Next { ranges, fetched });
            // The request goes out before this thread is busy with decoding.
            tokio::task::yield_now().await;
        }
        Ok(bytes)
    }

    /// The same columns of the next row group, if whole ones of two neighbours were asked for.
    fn guess(&mut self, ranges: &[Range<u64>]) -> Option<Vec<Range<u64>>> {
        let first = ranges.first()?;
        let groups = self.metadata.row_groups();
        let after = groups.partition_point(|group| chunk(group.columns().first()).start <= first.start);
        let (number, before) = (after.checked_sub(1)?, self.last);
        self.last = Some(number);
        let next =
            groups.get(after).filter(|_| !self.was_wrong && before.is_some_and(|before| before + 1 == number))?;
        if !self.part.contains(&chunk(next.columns().first()).start) {
            return None;
        }
        let columns = groups.get(number)?.columns();
        let wanted = ranges.iter().map(|range| {
            let column = columns.iter().position(|column| chunk(Some(column)) == *range)?;
            Some(chunk(next.columns().get(column)))
        });
        let wanted = wanted.collect::<Option<Vec<_>>>()?;
        let total: u64 = wanted.iter().map(|range| range.end - range.start).sum();
        (total <= AHEAD_BYTES_MAX).then_some(wanted)
    }
}

/// Where the values of a column of a row group stand in the file.
fn chunk(column: Option<&parquet::file::metadata::ColumnChunkMetaData>) -> Range<u64> {
    column.map_or(0..0, |column| {
        let (start, length) = column.byte_range();
        start..start + length
    })
}
