//! Bytes of pinned objects for DataFusion's Parquet reader.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use meesh_base::Error;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::ahead::ReadAhead;
use super::footer::{Footer, FooterCache};
use crate::pinned::PinnedObject;

/// The pinned object behind a file of a plan.
#[derive(Debug, Clone)]
pub(super) struct Pinned(pub(super) Arc<PinnedObject>);

/// Files that the partitions of one scan read, so that an error of the decoder, which knows no names,
/// can be given one. A file that was closed stays until its partition opens another: the reader may be
/// gone before its error is seen.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Mutex<Vec<OpenFile>>);

#[derive(Debug)]
struct OpenFile {
    partition: usize,
    name: String,
    closed: bool,
}

impl OpenFiles {
    /// The objects that a partition reads at this moment: `object "s3://…"`.
    pub(super) fn of(&self, partition: usize) -> Option<String> {
        let files = self.0.lock();
        let names: Vec<&str> = files.iter().filter(|f| f.partition == partition).map(|f| f.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(" or "))
    }

    fn open(&self, partition: usize, name: &str) {
        let mut files = self.0.lock();
        files.retain(|file| file.partition != partition || !file.closed);
        files.push(OpenFile { partition, name: name.to_owned(), closed: false });
    }

    fn close(&self, partition: usize, name: &str) {
        let mut files = self.0.lock();
        let found = files.iter_mut().find(|f| f.partition == partition && f.name == name && !f.closed);
        if let Some(file) = found {
            file.closed = true;
        }
    }
}

/// Makes the readers of one scan.
#[derive(Debug)]
pub(super) struct ReaderFactory {
    pub(super) footers: Arc<FooterCache>,
    pub(super) open: Arc<OpenFiles>,
}

impl ParquetFileReaderFactory for ReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let Some(Pinned(object)) = file.extension::<Pinned>().cloned() else {
            return Err(DataFusionError::Internal(format!("{} is not pinned", file.object_meta.location)));
        };
        let metrics = ParquetFileMetrics::new(partition_index, file.object_meta.location.as_ref(), metrics);
        let part = file.range.as_ref().map_or(0..u64::MAX, |part| {
            let place = |place: i64| u64::try_from(place).unwrap_or(0);
            place(part.start)..place(part.end)
        });
        self.open.open(partition_index, &object.subject());
        Ok(Box::new(Reader {
            object,
            footers: Arc::clone(&self.footers),
            open: Arc::clone(&self.open),
            partition: partition_index,
            metrics,
            part,
            footer: None,
            ahead: None,
        }))
    }
}

struct Reader {
    object: Arc<PinnedObject>,
    footers: Arc<FooterCache>,
    open: Arc<OpenFiles>,
    partition: usize,
    metrics: ParquetFileMetrics,
    /// The bytes in which the row groups begin that are this reader's.
    part: Range<u64>,
    footer: Option<Arc<Footer>>,
    /// From the first row group on; `None` as well if the footer is not known.
    ahead: Option<ReadAhead>,
}

impl Reader {
    /// The footer, if it was asked for or is still kept.
    fn known_footer(&mut self) -> Option<&Footer> {
        if self.footer.is_none() {
            self.footer = self.footers.known(&self.object);
        }
        self.footer.as_deref()
    }

    async fn read(&mut self, ranges: Vec<Range<u64>>) -> meesh_base::Result<Vec<Bytes>> {
        let (object, part) = (Arc::clone(&self.object), self.part.clone());
        // A file whose bloom filters were read has another reader for its values.
        let Some(footer) = self.known_footer() else { return object.read_ranges(&ranges).await };
        if let Some(kept) = ranges.iter().map(|range| footer.bytes(range)).collect() {
            return Ok(kept);
        }
        let metadata = Arc::clone(&footer.metadata);
        self.ahead.get_or_insert_with(|| ReadAhead::new(metadata, part)).read(&object, ranges).await
    }
}

fn external(error: Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.metrics.bytes_scanned.add(usize::try_from(range.end - range.start).unwrap_or(0));
        let kept = self.known_footer().and_then(|footer| footer.bytes(&range));
        let object = Arc::clone(&self.object);
        async move {
            match kept {
                Some(kept) => Ok(kept),
                None => object.read(range).await.map_err(external),
            }
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        let total: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        self.metrics.bytes_scanned.add(usize::try_from(total).unwrap_or(0));
        async move { self.read(ranges).await.map_err(external) }.boxed()
    }

    /// With the page index, whether it was asked for or not: it was read with the footer.
    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let footer = self.footers.load(&self.object).await.map_err(external)?;
            Ok(Arc::clone(&self.footer.insert(footer).metadata))
        }
        .boxed()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.open.close(self.partition, &self.object.subject());
        self.object.finish();
    }
}
