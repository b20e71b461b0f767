//! The SQL names of Arrow types, as Trino writes them.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

/// The SQL type of a column: `decimal(12,2)`, `timestamp(6) with time zone`, `array(varchar)`.
pub(crate) fn sql_type(kind: &DataType) -> String {
    match kind {
        DataType::Null => "unknown".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "integer".into(),
        DataType::Int64 | DataType::UInt32 => "bigint".into(),
        DataType::UInt64 => "decimal(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => {
            format!("decimal({p},{s})")
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "varbinary".into()
        }
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("time({})", digits(*unit)),
        DataType::Timestamp(unit, None) => format!("timestamp({})", digits(*unit)),
        DataType::Timestamp(unit, Some(_)) => format!("timestamp({}) with time zone", digits(*unit)),
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month".into(),
        DataType::Interval(_) | DataType::Duration(_) => "interval day to second".into(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("array({})", sql_type(item.data_type())),
        DataType::Struct(fields) => {
            let one = |field: &arrow::datatypes::FieldRef| format!("{} {}", field.name(), sql_type(field.data_type()));
            format!("row({})", fields.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("map({}, {})", sql_type(pair[0].data_type()), sql_type(pair[1].data_type()))
            }
            _ => "map".into(),
        },
        DataType::Dictionary(_, value) => sql_type(value),
        DataType::RunEndEncoded(_, value) => sql_type(value.data_type()),
        DataType::Union(..) => "row".into(),
    }
}

/// Digits of a second that a unit can hold.
fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn names_are_trinos() {
        let list = DataType::List(Arc::new(arrow::datatypes::Field::new("item", DataType::Utf8View, true)));
        for (kind, name) in [
            (DataType::Int32, "integer"),
            (DataType::Decimal128(12, 2), "decimal(12,2)"),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "timestamp(6) with time zone"),
            (list, "array(varchar)"),
        ] {
            assert_eq!(sql_type(&kind), name);
        }
    }
}
