//! What footers say of a file's columns, as the optimizer reads it.
//!
//! The optimizer answers from what is called exact without a look at the rows: a column whose minimum
//! and maximum are the same becomes a literal. So exact is only what footers are sure of.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use parquet::arrow::parquet_column;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::footer::Footer;
use super::nulls;

/// Rows, minima, maxima and NULLs of one file, for its columns and then the values of its folders and path.
pub(super) fn of_file(footer: &Footer, file_columns: &SchemaRef, constants: &[ScalarValue]) -> Result<Statistics> {
    let mut statistics = DFParquetMetadata::statistics_from_parquet_metadata(&footer.metadata, file_columns)?;
    let rows = statistics.num_rows;
    let in_file = Schema::new(footer.columns().unwrap_or_default());
    for (field, column) in file_columns.fields().iter().zip(&mut statistics.column_statistics) {
        let unknown = ColumnStatistics::new_unknown();
        *column = match in_file.field_with_name(field.name()) {
            Err(_) => unknown.with_null_count(rows),
            // Bounds of another type than the table's are not the table's bounds.
            Ok(found) if found.data_type() != field.data_type() => unknown,
            Ok(_) => {
                let schema = footer.metadata.file_metadata().schema_descr();
                match parquet_column(schema, &in_file, field.name()) {
                    Some((leaf, _)) => what_is_sure(std::mem::take(column), &footer.metadata, leaf),
                    None => unknown,
                }
            }
        };
    }
    for value in constants {
        let nulls = if value.is_null() { rows } else { Precision::Exact(0) };
        let bound = if value.is_null() { Precision::Absent } else { Precision::Exact(value.clone()) };
        statistics.column_statistics.push(
            ColumnStatistics::new_unknown().with_null_count(nulls).with_min_value(bound.clone()).with_max_value(bound),
        );
    }
    Ok(statistics)
}

/// Without bounds that leave a row group out or a count that leaves NULLs out, as the summary of the
/// groups does where only some have statistics.
fn what_is_sure(column: ColumnStatistics, metadata: &ParquetMetaData, leaf: usize) -> ColumnStatistics {
    let mut sure = column;
    let mut chunks = metadata.row_groups().iter().map(|group| group.column(leaf));
    if !chunks.clone().all(nulls::are_counted) {
        sure.null_count = Precision::Absent;
    }
    if !chunks.all(is_bounded) {
        sure.min_value = Precision::Absent;
        sure.max_value = Precision::Absent;
    }
    // The bounds of floats leave NaN out.
    let is_float =
        |bound: &Precision<ScalarValue>| bound.get_value().is_some_and(|value| value.data_type().is_floating());
    if is_float(&sure.min_value) || is_float(&sure.max_value) {
        sure.min_value = sure.min_value.to_inexact();
        sure.max_value = sure.max_value.to_inexact();
    }
    sure
}

/// Whether a row group says between which values its own lie; NULLs alone lie between any.
fn is_bounded(chunk: &ColumnChunkMetaData) -> bool {
    chunk.statistics().is_some_and(|statistics| {
        let has_bounds = statistics.min_bytes_opt().is_some() && statistics.max_bytes_opt().is_some();
        has_bounds || statistics.null_count_opt() == u64::try_from(chunk.num_values()).ok()
    })
}

/// What is known of all files together.
pub(super) fn of_table(files: &[Arc<Statistics>], schema: &Schema) -> Statistics {
    let merged = Statistics::try_merge_iter(files.iter().map(Arc::as_ref), schema);
    merged.unwrap_or_else(|_| Statistics::new_unknown(schema))
}
