//! Which values may be stored in a column, and the cast that stores them: Trino's rules for INSERT and
//! UPDATE, which widen and never narrow.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, Expr as SqlExpr, SelectItem, SetExpr, TimezoneInfo, Value,
};

use crate::functions::is_text;
use crate::operators;
use crate::statement::Query;

/// Whether values of `from` may be stored in a column of `to` without a CAST in the statement: every
/// value of the one is a value of the other. Times with more digits than the column keeps are rounded.
pub fn assignable(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to || from.is_null() || (is_text(from) && is_text(to)) || (is_binary(from) && is_binary(to)) {
        return true;
    }
    match (from, to) {
        (from, T::Decimal128(..) | T::Decimal256(..)) => {
            let fits = |(whole, scale): (i32, i32)| digits(to).is_some_and(|(w, s)| w >= whole && s >= scale);
            digits(from).is_some_and(fits)
        }
        (from, to) if from.is_integer() && to.is_integer() => integer_range(to).contains_range(integer_range(from)),
        (from, T::Float64) => from.is_numeric(),
        (from, T::Float32) => from.is_numeric() && *from != T::Float64,
        (T::Date32, T::Timestamp(..)) => true,
        (T::Time32(_) | T::Time64(_), T::Time32(_) | T::Time64(_)) => true,
        (T::Timestamp(_, None), T::Timestamp(..)) | (T::Timestamp(_, Some(_)), T::Timestamp(_, Some(_))) => true,
        (T::Interval(_), T::Interval(_)) => true,
        (T::Dictionary(_, value), to) => assignable(value, to),
        (from, to) => match (element(from), element(to)) {
            (Some(from), Some(to)) => assignable(from, to),
            _ => false,
        },
    }
}

/// `value` as a column of type `to` stores it; [`assignable`] was asked.
///
/// # Errors
/// When the types have no cast after all.
pub fn assigned(value: Expr, to: &DataType, schema: &DFSchema) -> Result<Expr> {
    operators::cast(value, to, false, schema)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// Digits before and behind the point of every value of an exact number's type.
fn digits(data_type: &DataType) -> Option<(i32, i32)> {
    use DataType as T;
    Some(match data_type {
        T::Int8 | T::UInt8 => (3, 0),
        T::Int16 | T::UInt16 => (5, 0),
        T::Int32 | T::UInt32 => (10, 0),
        T::Int64 => (19, 0),
        T::UInt64 => (20, 0),
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) | T::Decimal256(p, s) => {
            (i32::from(*p) - i32::from(*s), i32::from(*s))
        }
        _ => return None,
    })
}

struct Range(i128, i128);

impl Range {
    fn contains_range(&self, other: Self) -> bool {
        self.0 <= other.0 && other.1 <= self.1
    }
}

/// The values of a whole number's type.
fn integer_range(data_type: &DataType) -> Range {
    use DataType as T;
    match data_type {
        T::Int8 => Range(i8::MIN.into(), i8::MAX.into()),
        T::Int16 => Range(i16::MIN.into(), i16::MAX.into()),
        T::Int32 => Range(i32::MIN.into(), i32::MAX.into()),
        T::UInt8 => Range(0, u8::MAX.into()),
        T::UInt16 => Range(0, u16::MAX.into()),
        // An oid: nobody writes one but as an integer, and the cast finds what is none.
        T::UInt32 => Range(i64::MIN.into(), i64::MAX.into()),
        T::UInt64 => Range(0, u64::MAX.into()),
        _ => Range(i64::MIN.into(), i64::MAX.into()),
    }
}

fn element(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(item.data_type()),
        _ => None,
    }
}

impl Query {
    /// Gives bare parameters in the columns of the result the types that they will be stored as: `first`
    /// is the place of the first of `types`. Elsewhere in the query they have the types of what is
    /// beside them.
    pub fn type_parameters(&mut self, first: usize, types: &[DataType]) {
        match self.ast.body.as_mut() {
            SetExpr::Values(values) => {
                for row in &mut values.rows {
                    row.content.iter_mut().skip(first).zip(types).for_each(|(value, to)| type_parameter(value, to));
                }
            }
            SetExpr::Select(select) => {
                for (item, to) in select.projection.iter_mut().skip(first).zip(types) {
                    if let SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. } = item {
                        type_parameter(value, to);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The types as the parser writes them; `None` if one of them cannot be written.
pub fn sql_types<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Option<Vec<SqlType>> {
    types.into_iter().map(sql_type).collect()
}

fn type_parameter(value: &mut SqlExpr, to: &DataType) {
    let is_parameter = matches!(value, SqlExpr::Value(v) if matches!(v.value, Value::Placeholder(_)));
    if let Some(to) = sql_type(to).filter(|_| is_parameter) {
        let null = SqlExpr::Value(Value::Null.with_empty_span());
        let parameter = std::mem::replace(value, null);
        *value = crate::parser::own_stored(parameter, to);
    }
}

/// The type as the parser writes it.
pub(crate) fn sql_type(data_type: &DataType) -> Option<SqlType> {
    use DataType as T;
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    Some(match data_type {
        T::Boolean => SqlType::Boolean,
        T::Int8 => SqlType::TinyInt(None),
        T::Int16 => SqlType::SmallInt(None),
        T::Int32 => SqlType::Integer(None),
        T::Int64 | T::UInt32 => SqlType::BigInt(None),
        T::Float32 => SqlType::Real,
        T::Float64 => SqlType::Double(ExactNumberInfo::None),
        T::Decimal128(p, s) => SqlType::Decimal(ExactNumberInfo::PrecisionAndScale(u64::from(*p), i64::from(*s))),
        text if is_text(text) && !text.is_null() => SqlType::Varchar(None),
        binary if is_binary(binary) => SqlType::Bytea,
        T::Date32 => SqlType::Date,
        T::Time32(unit) | T::Time64(unit) => SqlType::Time(Some(digits(unit)), TimezoneInfo::None),
        T::Timestamp(unit, zone) => {
            let zone = if zone.is_some() { TimezoneInfo::WithTimeZone } else { TimezoneInfo::None };
            SqlType::Timestamp(Some(digits(unit)), zone)
        }
        T::List(item) => SqlType::Array(ArrayElemTypeDef::AngleBracket(Box::new(sql_type(item.data_type())?))),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_widen_and_never_narrow() {
        use DataType as T;
        let micros = |zone: Option<&str>| T::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        let list = |item| T::new_list(item, true);
        for (from, to, expected) in [
            (T::Int32, T::Int64, true),
            (T::Int64, T::Int32, false),
            (T::Int32, T::Decimal128(10, 0), true),
            (T::Int32, T::Decimal128(11, 2), false),
            (T::Decimal128(2, 1), T::Decimal128(12, 2), true),
            (T::Decimal128(12, 2), T::Decimal128(12, 1), false),
            (T::Decimal128(12, 2), T::Float64, true),
            (T::Float64, T::Decimal128(12, 2), false),
            (T::Float64, T::Float32, false),
            (T::Float64, T::Int64, false),
            (T::Null, T::Date32, true),
            (T::Utf8, T::Utf8View, true),
            (T::Utf8, T::Date32, false),
            (T::Int32, T::Utf8View, false),
            (T::Date32, micros(None), true),
            (micros(None), T::Date32, false),
            (micros(None), micros(Some("UTC")), true),
            (micros(Some("UTC")), micros(None), false),
            (list(T::Int32), list(T::Int64), true),
            (list(T::Int64), list(T::Int32), false),
            (T::Boolean, T::Int32, false),
        ] {
            assert_eq!(assignable(&from, &to), expected, "{from} to {to}");
        }
    }
}
