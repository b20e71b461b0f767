//! `date_trunc` of every date and timestamp: DataFusion's goes by nanoseconds, which begin in 1677 and end in 2262,
//! and makes timestamps of dates.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::{cast, try_unary};
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, Int64Type};
use chrono::{Datelike, NaiveDate};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::casts::digits;
use super::definition::{invalid_argument, is_text, unexpected_types};
use super::times::UNIX_EPOCH_DAYS;

const DAY_SECONDS: i64 = 86_400;

/// `date_trunc(unit, value)`. Times, and timestamps of other zones than UTC, are DataFusion's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DateTrunc {
    theirs: Arc<ScalarUDF>,
    signature: Signature,
}

impl DateTrunc {
    pub(super) fn function() -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { theirs: datafusion::functions::datetime::date_trunc(), signature }))
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        "date_trunc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        use DataType as T;
        match types {
            [unit, value @ (T::Date32 | T::Timestamp(..) | T::Time32(_) | T::Time64(_) | T::Null)] if is_text(unit) => {
                let value = if value.is_null() { T::Date32 } else { value.clone() };
                Ok(vec![T::Utf8, value])
            }
            _ => Err(unexpected_types(self.name(), types)),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.get(1).cloned().ok_or_else(|| unexpected_types(self.name(), types))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        // What is later is not truncated to something earlier.
        match input {
            [unit, value] if unit.sort_properties == SortProperties::Singleton => Ok(value.sort_properties),
            _ => Ok(SortProperties::Unordered),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(unit), value] = args.args.as_slice() else {
            return Err(invalid_argument("the unit of date_trunc must be a constant"));
        };
        let (Some(unit), data_type) = (unit.try_as_str().flatten().map(str::to_lowercase), value.data_type()) else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_new_null(&value.data_type())?));
        };
        let truncate = |array: &ArrayRef| match &data_type {
            DataType::Date32 => Some(dates(array, &unit)),
            DataType::Timestamp(_, zone) if zone.as_deref().is_none_or(|zone| matches!(zone, "UTC" | "+00:00")) => {
                Some(timestamps(array, &unit))
            }
            _ => None,
        };
        let (array, constant) = match value {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true),
        };
        match truncate(&array) {
            None => self.theirs.invoke_with_args(args),
            Some(array) if constant => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array?, 0)?)),
            Some(array) => array.map(ColumnarValue::Array),
        }
    }
}

fn dates(array: &ArrayRef, unit: &str) -> Result<ArrayRef> {
    let first = |day: i32| {
        let first = first_day(i64::from(day), unit)
            .ok_or_else(|| invalid_argument(format!("'{unit}' is not a valid DATE field")))??;
        i32::try_from(first).map_err(|_| out_of_range())
    };
    let days = array.as_primitive::<Date32Type>().iter().map(|day| day.map(first).transpose());
    Ok(Arc::new(days.collect::<Result<PrimitiveArray<Date32Type>>>()?))
}

fn timestamps(array: &ArrayRef, unit: &str) -> Result<ArrayRef> {
    let DataType::Timestamp(of, _) = array.data_type() else { return Ok(Arc::clone(array)) };
    let per_second = 10i64.pow(digits(*of));
    let per_day = DAY_SECONDS * per_second;
    let step = match unit {
        "millisecond" => (per_second / 1000).max(1),
        "second" => per_second,
        "minute" => 60 * per_second,
        "hour" => 3600 * per_second,
        _ => per_day,
    };
    let floor = |ticks: i64| -> Result<i64> {
        if step < per_day {
            return ticks.checked_sub(ticks.rem_euclid(step)).ok_or_else(out_of_range);
        }
        let first = first_day(ticks.div_euclid(per_day), unit);
        let first = first.ok_or_else(|| invalid_argument(format!("'{unit}' is not a valid TIMESTAMP field")))??;
        first.checked_mul(per_day).ok_or_else(out_of_range)
    };
    let ticks = cast(array, &DataType::Int64)?;
    let failing = |ticks| floor(ticks).map_err(|error| arrow::error::ArrowError::from_external_error(Box::new(error)));
    let floored: PrimitiveArray<Int64Type> = try_unary(ticks.as_primitive::<Int64Type>(), failing)?;
    Ok(cast(&floored, array.data_type())?)
}

/// The first day of the day's week, month …, both counted from 1970-01-01; `None` for what is no such unit.
fn first_day(day: i64, unit: &str) -> Option<Result<i64>> {
    let month = |first: fn(u32) -> u32| {
        let date = i32::try_from(day + i64::from(UNIX_EPOCH_DAYS)).ok().and_then(NaiveDate::from_num_days_from_ce_opt);
        let begin = date.and_then(|date| NaiveDate::from_ymd_opt(date.year(), first(date.month()), 1));
        begin.map(|begin| i64::from(begin.num_days_from_ce() - UNIX_EPOCH_DAYS)).ok_or_else(out_of_range)
    };
    Some(match unit {
        "day" => Ok(day),
        // 1970-01-01 was a Thursday.
        "week" => Ok(day - (day + 3).rem_euclid(7)),
        "month" => month(|month| month),
        "quarter" => month(|month| (month - 1) / 3 * 3 + 1),
        "year" => month(|_| 1),
        _ => return None,
    })
}

fn out_of_range() -> datafusion::common::DataFusionError {
    invalid_argument("date or timestamp is out of range")
}

#[cfg(test)]
mod tests {
    use crate::tests::{check, run};

    #[test]
    fn every_unit_of_every_time() {
        for (unit, date, timestamp) in [
            ("year", "1500-01-01", "1500-01-01T00:00:00"),
            ("quarter", "1500-04-01", "1500-04-01T00:00:00"),
            ("month", "1500-05-01", "1500-05-01T00:00:00"),
            ("week", "1500-04-30", "1500-04-30T00:00:00"),
            ("DAY", "1500-05-05", "1500-05-05T00:00:00"),
        ] {
            check(
                &format!(
                    "SELECT date_trunc('{unit}', DATE '1500-05-05'), date_trunc('{unit}', TIMESTAMP '1500-05-05 10:11:12')"
                ),
                &format!("{date}|{timestamp}"),
            );
        }
        check(
            "SELECT date_trunc('hour', x), date_trunc('minute', x), date_trunc('second', x), date_trunc('millisecond', x) \
             FROM (VALUES TIMESTAMP '9999-12-31 23:59:59.123456') t(x)",
            "9999-12-31T23:00:00|9999-12-31T23:59:00|9999-12-31T23:59:59|9999-12-31T23:59:59.123",
        );
        check(
            "SELECT date_trunc('week', DATE '1969-12-31'), date_trunc('week', DATE '2024-01-01')",
            "1969-12-29|2024-01-01",
        );
        check(
            "SELECT date_trunc('month', CAST(NULL AS date)), date_trunc('month', CAST(NULL AS timestamp))",
            "NULL|NULL",
        );
        check(
            "SELECT date_trunc('day', TIMESTAMP '2024-07-01 23:30:00 America/New_York')",
            "2024-07-01T00:00:00-04:00",
        );
        for (call, message) in [
            ("date_trunc('hour', DATE '2024-01-01')", "'hour' is not a valid DATE field"),
            ("date_trunc('age', TIMESTAMP '2024-01-01 00:00:00')", "'age' is not a valid TIMESTAMP field"),
        ] {
            let error = run(&format!("SELECT {call}")).unwrap_err();
            assert!(error.contains(message), "{call}: {error}");
        }
    }
}
