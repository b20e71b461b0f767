//! What footers say of a file's columns, as the optimizer reads it.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;

use super::footer::Footer;

/// Rows, minima, maxima and NULLs of one file, for its columns and then the values of its folders and path.
pub(super) fn of_file(footer: &Footer, file_columns: &SchemaRef, constants: &[ScalarValue]) -> Result<Statistics> {
    let mut statistics = DFParquetMetadata::statistics_from_parquet_metadata(&footer.metadata, file_columns)?;
    let rows = statistics.num_rows;
    let in_file = footer.columns().unwrap_or_default();
    for (field, column) in file_columns.fields().iter().zip(&mut statistics.column_statistics) {
        // Bounds of another type than the table's are not the table's bounds.
        match in_file.iter().find(|f| f.name() == field.name()) {
            Some(found) if found.data_type() == field.data_type() => {}
            Some(_) => *column = ColumnStatistics::new_unknown(),
            None => *column = ColumnStatistics::new_unknown().with_null_count(rows),
        }
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

/// What is known of all files together.
pub(super) fn of_table(files: &[Arc<Statistics>], schema: &Schema) -> Statistics {
    let merged = Statistics::try_merge_iter(files.iter().map(Arc::as_ref), schema);
    merged.unwrap_or_else(|_| Statistics::new_unknown(schema))
}
