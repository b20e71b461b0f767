//! The types of columns that a query makes: Arrow's as a statement would declare them, and back.

use std::collections::HashSet;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use meesh_base::{Error, NewColumn, Result, SqlType};
use meesh_sql::{second_digits, type_name};

/// Columns for the result of a query; `names` are given by the statement, else they are the query's.
///
/// # Errors
/// `InvalidQuery` for a column without a name, two of one name, another number of names than columns, or
/// a type that no table's column can have.
pub(super) fn new_columns(schema: &Schema, names: Option<Vec<String>>) -> Result<Vec<NewColumn>> {
    let fields = schema.fields();
    if let Some(names) = names.as_ref().filter(|names| names.len() != fields.len()) {
        return Err(Error::invalid_query(format!(
            "Column alias list has {} entries but relation has {} columns",
            names.len(),
            fields.len()
        ))
        .with_code("MISMATCHED_COLUMN_ALIASES"));
    }
    let mut seen = HashSet::new();
    let mut columns = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let given = names.as_ref().and_then(|names| names.get(index).cloned());
        if given.is_none() && *field.name() == format!("_col{index}") {
            return Err(Error::invalid_query(format!("Column name not specified at position {}", index + 1))
                .with_hint("give it a name: expression AS name")
                .with_code("MISSING_COLUMN_NAME"));
        }
        let name = given.unwrap_or_else(|| field.name().to_lowercase());
        if !seen.insert(name.clone()) {
            return Err(Error::invalid_query(format!("Column name '{name}' specified more than once"))
                .with_code("DUPLICATE_COLUMN_NAME"));
        }
        let sql_type = declared(field.data_type()).ok_or_else(|| {
            let hint = if field.data_type().is_null() { "CAST NULL to a type" } else { "CAST it to another type" };
            Error::invalid_query(format!("column {name:?} cannot have the type {}", type_name(field.data_type())))
                .with_hint(hint)
                .with_code("COLUMN_TYPE_UNKNOWN")
        })?;
        columns.push(NewColumn { name, sql_type, nullable: true, comment: None });
    }
    Ok(columns)
}

/// The type as a statement would declare it; `None` if it cannot.
fn declared(data_type: &DataType) -> Option<SqlType> {
    use DataType as T;
    Some(match data_type {
        T::Boolean => SqlType::Boolean,
        T::Int8 => SqlType::TinyInt,
        T::Int16 | T::UInt8 => SqlType::SmallInt,
        T::Int32 | T::UInt16 => SqlType::Integer,
        T::Int64 | T::UInt32 => SqlType::BigInt,
        T::UInt64 => SqlType::Decimal { precision: 20, scale: 0 },
        T::Float16 | T::Float32 => SqlType::Real,
        T::Float64 => SqlType::Double,
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) => {
            SqlType::Decimal { precision: *p, scale: u8::try_from(*s).ok()? }
        }
        T::Utf8 | T::LargeUtf8 | T::Utf8View => SqlType::Varchar(None),
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => SqlType::Varbinary,
        T::Date32 | T::Date64 => SqlType::Date,
        T::Time32(unit) | T::Time64(unit) => SqlType::Time(second_digits(*unit)),
        T::Timestamp(unit, zone) => SqlType::Timestamp { digits: second_digits(*unit), zoned: zone.is_some() },
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            SqlType::Array(Box::new(declared(item.data_type())?))
        }
        T::Dictionary(_, value) => declared(value)?,
        _ => return None,
    })
}

/// The type that values for such a column are given in: what the column is read as.
pub(super) fn stored(sql_type: &SqlType) -> DataType {
    match sql_type {
        SqlType::Boolean => DataType::Boolean,
        SqlType::TinyInt | SqlType::SmallInt => DataType::Int16,
        SqlType::Integer => DataType::Int32,
        SqlType::BigInt => DataType::Int64,
        SqlType::Real => DataType::Float32,
        SqlType::Double => DataType::Float64,
        SqlType::Decimal { precision, scale } => DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(0)),
        SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Uuid | SqlType::Json => DataType::Utf8View,
        SqlType::Varbinary => DataType::BinaryView,
        SqlType::Date => DataType::Date32,
        SqlType::Time(_) => DataType::Time64(TimeUnit::Microsecond),
        SqlType::Timestamp { zoned, .. } => DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into())),
        SqlType::Array(element) => DataType::new_list(stored(element), true),
    }
}
