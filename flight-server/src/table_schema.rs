//! The Arrow schema of a table as GetTables shows it: what a query returns, with Flight SQL's column metadata.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use meesh_engine::{ColumnInfo, TableDescription};

use crate::wire_types::{WireOptions, wire_schema};

/// The columns of a table with type name, precision, scale and remarks, under the names that JDBC,
/// ODBC and ADBC look for (FlightSql.proto, "column metadata").
pub(crate) fn table_schema(catalog: &str, schema: &str, table: &TableDescription, options: WireOptions) -> Schema {
    let wire = wire_schema(&table.schema, options);
    let names = [("CATALOG_NAME", catalog), ("SCHEMA_NAME", schema), ("TABLE_NAME", table.info.name.as_str())];
    let fields: Fields = wire
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let mut metadata: HashMap<String, String> = field.metadata().clone();
            let mut put = |key: &str, value: String| metadata.insert(format!("ARROW:FLIGHT:SQL:{key}"), value);
            for (key, name) in names {
                put(key, name.to_owned());
            }
            for (key, value) in describe(table.columns.get(index), field.data_type()) {
                put(key, value);
            }
            Field::clone(field).with_metadata(metadata)
        })
        .collect();
    Schema::new(fields)
}

fn describe(column: Option<&ColumnInfo>, data_type: &DataType) -> Vec<(&'static str, String)> {
    let flag = |value: bool| if value { "1" } else { "0" }.to_owned();
    let mut described = vec![
        ("IS_AUTO_INCREMENT", flag(false)),
        ("IS_CASE_SENSITIVE", flag(*data_type == DataType::Utf8 || *data_type == DataType::Utf8View)),
        ("IS_READ_ONLY", flag(true)),
        ("IS_SEARCHABLE", flag(true)),
    ];
    if let Some((precision, scale)) = precision(data_type) {
        described.push(("PRECISION", precision.to_string()));
        described.push(("SCALE", scale.to_string()));
    }
    if let Some(column) = column {
        described.push(("TYPE_NAME", column.native_type.clone()));
        described.extend(column.comment.clone().map(|comment| ("REMARKS", comment)));
    }
    described
}

/// Decimal digits of a number, as JDBC counts them.
fn precision(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Int8 => Some((3, 0)),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::Float32 => Some((7, 0)),
        DataType::Float64 => Some((15, 0)),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meesh_engine::{TableInfo, TableKind};
    use std::sync::Arc;

    #[test]
    fn columns_carry_what_jdbc_asks_for() {
        let table = TableDescription {
            info: TableInfo { name: "orders".into(), kind: TableKind::Table, comment: None },
            schema: Arc::new(Schema::new(vec![
                Field::new("total", DataType::Decimal128(12, 2), true),
                Field::new("note", DataType::Utf8View, true),
            ])),
            columns: vec![ColumnInfo {
                name: "total".into(),
                native_type: "numeric(12,2)".into(),
                nullable: true,
                comment: Some("in euros".into()),
            }],
            primary_key: vec![],
            row_estimate: None,
            properties: vec![],
        };
        let schema = table_schema("sales", "public", &table, WireOptions::default());
        let value =
            |column: usize, key: &str| schema.field(column).metadata().get(&format!("ARROW:FLIGHT:SQL:{key}")).cloned();
        for (key, wanted) in [
            ("CATALOG_NAME", "sales"),
            ("SCHEMA_NAME", "public"),
            ("TABLE_NAME", "orders"),
            ("TYPE_NAME", "numeric(12,2)"),
            ("PRECISION", "12"),
            ("SCALE", "2"),
            ("REMARKS", "in euros"),
        ] {
            assert_eq!(value(0, key).as_deref(), Some(wanted), "{key}");
        }
        assert_eq!(*schema.field(1).data_type(), DataType::Utf8);
        assert_eq!(value(1, "TYPE_NAME"), None);
    }
}
