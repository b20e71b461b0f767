//! Types: their names in Trino's SQL, and those of casts and literals that DataFusion's own planner
//! does not know.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, TimezoneInfo};

/// Plans the types that [`crate::parse`] produces: give it to DataFusion's session as its type planner.
#[derive(Debug)]
pub struct TrinoTypes;

impl TypePlanner for TrinoTypes {
    /// `time(p)`; everything else is left to DataFusion.
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let data_type = match sql_type {
            SqlType::Time(Some(0), TimezoneInfo::None) => DataType::Time32(TimeUnit::Second),
            SqlType::Time(Some(3), TimezoneInfo::None) => DataType::Time32(TimeUnit::Millisecond),
            SqlType::Time(Some(6), TimezoneInfo::None) => DataType::Time64(TimeUnit::Microsecond),
            SqlType::Time(Some(9), TimezoneInfo::None) => DataType::Time64(TimeUnit::Nanosecond),
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

/// The SQL type of a column: `decimal(12,2)`, `timestamp(6) with time zone`, `array(varchar)`.
pub fn type_name(kind: &DataType) -> String {
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
        DataType::Time32(unit) | DataType::Time64(unit) => format!("time({})", second_digits(*unit)),
        DataType::Timestamp(unit, None) => format!("timestamp({})", second_digits(*unit)),
        DataType::Timestamp(unit, Some(_)) => format!("timestamp({}) with time zone", second_digits(*unit)),
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month".into(),
        DataType::Interval(_) | DataType::Duration(_) => "interval day to second".into(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("array({})", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let one = |field: &FieldRef| format!("{} {}", field.name(), type_name(field.data_type()));
            format!("row({})", fields.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("map({}, {})", type_name(pair[0].data_type()), type_name(pair[1].data_type()))
            }
            _ => "map".into(),
        },
        DataType::Dictionary(_, value) => type_name(value),
        DataType::RunEndEncoded(_, value) => type_name(value.data_type()),
        DataType::Union(..) => "row".into(),
    }
}

/// Digits of a second that a unit can hold.
pub fn second_digits(unit: TimeUnit) -> u8 {
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

    #[test]
    fn names_are_trinos() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true)));
        for (kind, name) in [
            (DataType::Int32, "integer"),
            (DataType::Decimal128(12, 2), "decimal(12,2)"),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "timestamp(6) with time zone"),
            (list.clone(), "array(varchar)"),
            (DataType::Struct(vec![Field::new("a", list, true)].into()), "row(a array(varchar))"),
        ] {
            assert_eq!(type_name(&kind), name);
        }
    }
}
