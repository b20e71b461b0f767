//! SHOW STATS FOR table, in Trino's columns: a row a column, and a last one for the table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use meesh_base::Result;
use meesh_connector_spi::{ColumnStatistics, TableStatistics, from_arrow};
use meesh_sql::TableName;

use super::Asked;

/// The answer's columns.
pub(super) fn schema() -> SchemaRef {
    let number = |name| Field::new(name, DataType::Float64, true);
    let text = |name| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("column_name"),
        number("data_size"),
        number("distinct_values_count"),
        number("nulls_fraction"),
        number("row_count"),
        text("low_value"),
        text("high_value"),
    ]))
}

/// What the table's source knows; NULL where it knows nothing.
pub(super) async fn rows(asked: &Asked<'_>, table: &TableName) -> Result<RecordBatch> {
    let (name, description) = asked.resolver().describe(table).await?;
    let known = match asked.catalogs.connector(&name.catalog) {
        Ok(connector) => connector.statistics(&name.schema, &name.table).await?,
        // One of our own.
        Err(_no_connector) => None,
    };
    let known = known.unwrap_or_else(|| TableStatistics {
        rows: None,
        columns: description.schema.fields().iter().map(|field| unknown(field.name())).collect(),
    });
    let columns = &known.columns;
    let texts = |value: &dyn Fn(&ColumnStatistics) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(columns.iter().map(value).chain([None])))
    };
    let numbers = |value: &dyn Fn(&ColumnStatistics) -> Option<f64>, last: Option<f64>| -> ArrayRef {
        Arc::new(Float64Array::from_iter(columns.iter().map(value).chain([last])))
    };
    let arrays = vec![
        texts(&|column| Some(column.name.to_lowercase())),
        numbers(&|column| column.bytes, None),
        numbers(&|column| column.distinct, None),
        numbers(&|column| column.null_share, None),
        numbers(&|_| None, known.rows),
        texts(&|column| column.ends.as_ref().map(|(least, _)| least.to_string())),
        texts(&|column| column.ends.as_ref().map(|(_, greatest)| greatest.to_string())),
    ];
    RecordBatch::try_new(schema(), arrays).map_err(from_arrow)
}

fn unknown(name: &str) -> ColumnStatistics {
    ColumnStatistics { name: name.to_owned(), ..ColumnStatistics::default() }
}
