//! Statistics that do not say how many NULLs they leave out.
//!
//! The count is optional, and the reader takes a missing one for none: it would skip row groups that
//! hold the NULLs a query asks for. Statistics without it are not believed at all.

use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

/// Whether it is known how many NULLs a column of a row group holds.
pub(super) fn are_counted(chunk: &ColumnChunkMetaData) -> bool {
    let cannot_be = chunk.column_descr().max_def_level() == 0;
    cannot_be || chunk.statistics().is_some_and(|statistics| statistics.null_count_opt().is_some())
}

/// The footer without statistics that do not count NULLs.
pub(super) fn without_uncounted(metadata: ParquetMetaData) -> Result<ParquetMetaData> {
    let half = |chunk: &ColumnChunkMetaData| chunk.statistics().is_some() && !are_counted(chunk);
    if !metadata.row_groups().iter().flat_map(RowGroupMetaData::columns).any(half) {
        return Ok(metadata);
    }
    let mut builder = metadata.into_builder();
    let groups = builder.take_row_groups().into_iter().map(|group| {
        let mut group = group.into_builder();
        let chunks = group
            .take_columns()
            .into_iter()
            .map(|chunk| if half(&chunk) { chunk.into_builder().clear_statistics().build() } else { Ok(chunk) });
        let chunks = chunks.collect::<Result<_>>()?;
        group.set_column_metadata(chunks).build()
    });
    let groups = groups.collect::<Result<_>>()?;
    Ok(builder.set_row_groups(groups).build())
}
