//! GetXdbcTypeInfo: the SQL types, as ODBC describes types. Names are Trino's.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};
use meesh_engine::Error;

use XdbcDataType::{
    XdbcBigint, XdbcBit, XdbcDate, XdbcDatetime, XdbcDecimal, XdbcDouble, XdbcInteger, XdbcReal, XdbcSmallint,
    XdbcTime, XdbcTimestamp, XdbcTinyint, XdbcVarbinary, XdbcVarchar,
};

/// One type.
struct Type {
    name: &'static str,
    code: XdbcDataType,
    /// Digits or characters.
    size: i32,
    /// What stands before a literal; a quote follows it and ends it.
    prefix: Option<&'static str>,
    parameters: &'static [&'static str],
    radix: Option<i32>,
    subcode: Option<XdbcDatetimeSubcode>,
}

const fn plain(name: &'static str, code: XdbcDataType, size: i32) -> Type {
    Type { name, code, size, prefix: None, parameters: &[], radix: None, subcode: None }
}

const fn number(name: &'static str, code: XdbcDataType, digits: i32) -> Type {
    Type { radix: Some(10), ..plain(name, code, digits) }
}

const fn quoted(name: &'static str, code: XdbcDataType, size: i32, prefix: &'static str) -> Type {
    Type { prefix: Some(prefix), ..plain(name, code, size) }
}

const fn moment(
    name: &'static str,
    code: XdbcDataType,
    size: i32,
    prefix: &'static str,
    subcode: XdbcDatetimeSubcode,
) -> Type {
    Type { subcode: Some(subcode), ..quoted(name, code, size, prefix) }
}

const TYPES: &[Type] = &[
    plain("boolean", XdbcBit, 1),
    number("tinyint", XdbcTinyint, 3),
    number("smallint", XdbcSmallint, 5),
    number("integer", XdbcInteger, 10),
    number("bigint", XdbcBigint, 19),
    number("real", XdbcReal, 7),
    number("double", XdbcDouble, 15),
    Type { parameters: &["precision", "scale"], ..number("decimal", XdbcDecimal, 38) },
    Type { parameters: &["length"], ..quoted("varchar", XdbcVarchar, i32::MAX, "'") },
    quoted("varbinary", XdbcVarbinary, i32::MAX, "X'"),
    moment("date", XdbcDate, 10, "DATE '", XdbcDatetimeSubcode::XdbcSubcodeYear),
    moment("time", XdbcTime, 15, "TIME '", XdbcDatetimeSubcode::XdbcSubcodeTime),
    moment("timestamp", XdbcTimestamp, 29, "TIMESTAMP '", XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
    moment(
        "timestamp with time zone",
        XdbcTimestamp,
        35,
        "TIMESTAMP '",
        XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone,
    ),
];

pub(crate) fn schema() -> SchemaRef {
    XdbcTypeInfoDataBuilder::new().schema()
}

/// The types with the code asked for, or all.
pub(crate) fn batch(command: CommandGetXdbcTypeInfo) -> Result<RecordBatch, Error> {
    let failed = |error| Error::internal(format!("type information cannot be encoded: {error}"));
    types().and_then(|types| types.record_batch(command.data_type)).map_err(failed)
}

fn types() -> arrow_flight::error::Result<XdbcTypeInfoData> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    TYPES.iter().for_each(|listed| builder.append(describe(listed)));
    builder.build()
}

fn describe(listed: &Type) -> XdbcTypeInfo {
    let is_number = listed.radix.is_some();
    let is_decimal = listed.code == XdbcDecimal;
    XdbcTypeInfo {
        type_name: listed.name.to_owned(),
        data_type: listed.code,
        column_size: Some(listed.size),
        literal_prefix: listed.prefix.map(str::to_owned),
        literal_suffix: listed.prefix.map(|_| "'".to_owned()),
        create_params: Some(listed.parameters.iter().map(|name| (*name).to_owned()).collect()),
        nullable: Nullable::NullabilityNullable,
        case_sensitive: listed.code == XdbcVarchar,
        searchable: Searchable::Full,
        unsigned_attribute: is_number.then_some(false),
        fixed_prec_scale: false,
        auto_increment: is_number.then_some(false),
        local_type_name: Some(listed.name.to_owned()),
        minimum_scale: is_number.then_some(0),
        maximum_scale: is_number.then_some(if is_decimal { 38 } else { 0 }),
        sql_data_type: if listed.subcode.is_some() { XdbcDatetime } else { listed.code },
        datetime_subcode: listed.subcode,
        num_prec_radix: listed.radix,
        interval_precision: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;

    #[test]
    fn types_are_found_by_code() {
        let names = |data_type| {
            let batch = batch(CommandGetXdbcTypeInfo { data_type }).unwrap();
            assert_eq!(batch.schema(), schema());
            batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names(None).len(), TYPES.len());
        assert_eq!(names(Some(XdbcTimestamp as i32)), ["timestamp", "timestamp with time zone"]);
        assert!(names(Some(4711)).is_empty());
    }
}
