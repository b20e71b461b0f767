//! Footers of Parquet files: read in one request where they are not huge, checked, and kept, small files
//! whole.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use bytes::Bytes;
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use meesh_base::{Error, Result};
use parking_lot::Mutex;
use parquet::DecodeResult;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};

use super::nulls;
use crate::format::PARQUET_MAGIC;
use crate::merge::COLUMNS_MAX;
use crate::pinned::PinnedObject;

/// Read from the end of a file at once; most footers are shorter.
const TAIL_BYTES: u64 = 512 << 10;
/// The largest object that is kept whole with its footer.
const WHOLE_BYTES_MAX: u64 = 16 << 10;
/// Limits that no honest file comes near.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
const ROW_GROUPS_MAX: usize = 100_000;

/// A footer that was checked.
#[derive(Debug)]
pub(crate) struct Footer {
    /// With the page index, if the file has one.
    pub(crate) metadata: Arc<ParquetMetaData>,
    /// The whole object, if it is so small that to keep it is cheaper than to ask for it again.
    whole: Option<Bytes>,
}

impl Footer {
    /// The bytes of `range`, if the whole object was kept.
    pub(super) fn bytes(&self, range: &Range<u64>) -> Option<Bytes> {
        let place = |place: u64| usize::try_from(place).ok();
        let (start, end) = (place(range.start)?, place(range.end)?);
        self.whole.as_ref().filter(|whole| start <= end && end <= whole.len()).map(|whole| whole.slice(start..end))
    }

    /// Rows of the file.
    pub(crate) fn rows(&self) -> u64 {
        self.metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    /// The file's columns, in the types that tables have: strings as views, whole numbers signed.
    ///
    /// # Errors
    /// `SourceData` for a schema that Arrow has no types for.
    pub(crate) fn columns(&self) -> Result<Fields> {
        let file = self.metadata.file_metadata();
        let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
            .map_err(|error| Error::source_data("the file's columns cannot be read").with_detail(error.to_string()))?;
        let schema = Int96Coercer::new(file.schema_descr(), &schema, &TimeUnit::Microsecond).coerce().unwrap_or(schema);
        Ok(schema.fields().iter().map(table_field).collect())
    }
}

/// The field that a table has for a file's field.
fn table_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, value) => {
            let plain: FieldRef = Arc::new(Field::new("", value.as_ref().clone(), true));
            table_field(&plain).data_type().clone()
        }
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// Footers by the version of their file, the oldest used dropped first.
#[derive(Debug)]
pub(crate) struct FooterCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    footers: HashMap<String, Slot>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    footer: Arc<Footer>,
    bytes: usize,
    used: u64,
}

impl FooterCache {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX), kept: Mutex::default() }
    }

    /// The footer of a file.
    ///
    /// # Errors
    /// `SourceData` for a file that is no Parquet, is damaged or cut short, or breaks a limit; else as
    /// [`PinnedObject::read`].
    pub(crate) async fn load(&self, object: &PinnedObject) -> Result<Arc<Footer>> {
        if let Some(footer) = self.known(object) {
            return Ok(footer);
        }
        let (metadata, tail) = read(object).await?;
        check(object, &metadata)?;
        let metadata = nulls::without_uncounted(metadata).map_err(|error| unreadable(object, &error))?;
        let whole = kept_whole(object, &tail);
        let bytes = metadata.memory_size() + whole.as_ref().map_or(0, Bytes::len);
        let footer = Arc::new(Footer { metadata: Arc::new(metadata), whole });
        self.put(key_of(object), Arc::clone(&footer), bytes);
        Ok(footer)
    }

    /// The footer of a file, if it was read before and is still kept.
    pub(super) fn known(&self, object: &PinnedObject) -> Option<Arc<Footer>> {
        let mut kept = self.kept.lock();
        kept.clock += 1;
        let clock = kept.clock;
        let slot = kept.footers.get_mut(&key_of(object))?;
        slot.used = clock;
        Some(Arc::clone(&slot.footer))
    }

    fn put(&self, key: String, footer: Arc<Footer>, bytes: usize) {
        if bytes > self.bytes_max / 2 {
            return;
        }
        let mut kept = self.kept.lock();
        kept.clock += 1;
        let used = kept.clock;
        if let Some(old) = kept.footers.insert(key, Slot { footer, bytes, used }) {
            kept.bytes -= old.bytes;
        }
        kept.bytes += bytes;
        while kept.bytes > self.bytes_max {
            let oldest = kept.footers.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone());
            let Some(dropped) = oldest.and_then(|key| kept.footers.remove(&key)) else { return };
            kept.bytes -= dropped.bytes;
        }
    }
}

/// A version of an object, by name.
fn key_of(object: &PinnedObject) -> String {
    let meta = object.meta();
    let version = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_rfc3339());
    format!("{}|{}|{version}", object.bucket().url_of(&meta.location), meta.size)
}

/// The object itself, if it is small, `tail` is all of it, and no other content can have its version's name.
fn kept_whole(object: &PinnedObject, tail: &[u8]) -> Option<Bytes> {
    let size = object.meta().size;
    let keep = size <= WHOLE_BYTES_MAX && tail.len() as u64 == size && object.is_named_by_content();
    // A copy: what was received may be a part of a larger buffer.
    keep.then(|| Bytes::copy_from_slice(tail))
}

/// The footer, and the end of the object that was read for it.
async fn read(object: &PinnedObject) -> Result<(ParquetMetaData, Bytes)> {
    let size = object.meta().size;
    if size < 12 {
        return Err(damaged(object, "is too short for a Parquet file"));
    }
    let tail = size.saturating_sub(TAIL_BYTES)..size;
    let bytes = object.read(tail.clone()).await?;
    let Some((_, &[l0, l1, l2, l3, ref magic @ ..])) = bytes.split_last_chunk::<8>() else {
        return Err(damaged(object, "is too short for a Parquet file"));
    };
    let footer_bytes = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    match magic {
        magic if magic == PARQUET_MAGIC => {}
        b"PARE" => return Err(Error::unsupported(format!("{} is encrypted", object.subject()))),
        _ => return Err(damaged(object, "does not end as a Parquet file does")),
    }
    if footer_bytes > FOOTER_BYTES_MAX {
        let limit = meesh_base::format_bytes(FOOTER_BYTES_MAX);
        return Err(object.fault(&format!("has a footer of {footer_bytes} bytes, more than the limit of {limit}")));
    }
    if footer_bytes + 8 > size {
        return Err(damaged(object, "has a footer that is longer than the file"));
    }
    let parquet_error = |error: ParquetError| unreadable(object, &error);
    let mut decoder = ParquetMetaDataPushDecoder::try_new(size)
        .map_err(parquet_error)?
        .with_page_index_policy(PageIndexPolicy::Optional);
    decoder.push_range(tail, bytes.clone()).map_err(parquet_error)?;
    loop {
        match decoder.try_decode().map_err(parquet_error)? {
            DecodeResult::Data(metadata) => return Ok((metadata, bytes)),
            DecodeResult::Finished => return Err(damaged(object, "has no footer")),
            DecodeResult::NeedsData(ranges) => {
                if ranges.iter().any(|range| range.end > size || range.start > range.end) {
                    return Err(damaged(object, "has an index beyond its end"));
                }
                let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
                if total > FOOTER_BYTES_MAX {
                    return Err(object.fault(&format!("has an index of {total} bytes, more than the limit")));
                }
                let buffers = object.read_ranges(&ranges).await?;
                decoder.push_ranges(ranges, buffers).map_err(parquet_error)?;
            }
        }
    }
}

/// Holds every place that the footer names against the file: the reader takes them for granted.
fn check(object: &PinnedObject, metadata: &ParquetMetaData) -> Result<()> {
    let size = object.meta().size;
    let columns = metadata.file_metadata().schema_descr().num_columns();
    if columns > COLUMNS_MAX {
        return Err(object.fault(&format!("has {columns} columns, more than the limit of {COLUMNS_MAX}")));
    }
    let groups = metadata.num_row_groups();
    if groups > ROW_GROUPS_MAX {
        return Err(object.fault(&format!("has {groups} row groups, more than the limit of {ROW_GROUPS_MAX}")));
    }
    for (number, group) in metadata.row_groups().iter().enumerate() {
        if group.num_rows() < 0 || group.num_columns() != columns {
            return Err(damaged(object, &format!("row group {number}: the footer contradicts itself")));
        }
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            let end = u64::try_from(start)
                .ok()
                .zip(u64::try_from(column.compressed_size()).ok())
                .and_then(|(start, length)| start.checked_add(length));
            if end.is_none_or(|end| end > size) || column.num_values() < 0 || column.data_page_offset() < 0 {
                let name = column.column_path();
                return Err(damaged(
                    object,
                    &format!("row group {number}, column {name}: lies beyond the end of the file"),
                ));
            }
        }
    }
    Ok(())
}

fn unreadable(object: &PinnedObject, error: &ParquetError) -> Error {
    damaged(object, "has a footer that cannot be read").with_detail(error.to_string())
}

fn damaged(object: &PinnedObject, text: &str) -> Error {
    object.fault(text).with_hint("the file is damaged or cut short: write it again")
}
