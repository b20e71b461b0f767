//! Dates and times that DataFusion has no function for.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, TimeUnit};
use chrono::{Datelike, Days, Months, NaiveDate};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::definition::{Definition, argument, invalid_argument, is_text, unexpected_types};

/// 1970-01-01, counted as chrono counts days.
pub(super) const UNIX_EPOCH_DAYS: i32 = 719_163;

/// `last_day_of_month(date or timestamp)`.
pub(super) const LAST_DAY_OF_MONTH: Definition = Definition {
    name: "last_day_of_month",
    accepts: |types| match types {
        [DataType::Date32 | DataType::Timestamp(..) | DataType::Null] => Some(vec![DataType::Date32]),
        _ => None,
    },
    returns: |_| DataType::Date32,
    body: last_day_of_month,
};

fn last_day_of_month(arrays: &[ArrayRef], _: &ConfigOptions) -> Result<ArrayRef> {
    let days = argument::<Date32Array>(arrays, 0)?;
    let last = days.iter().map(|day| {
        let Some(day) = day else { return Ok(None) };
        let date = day.checked_add(UNIX_EPOCH_DAYS).and_then(NaiveDate::from_num_days_from_ce_opt);
        let next = date.and_then(|date| date.with_day(1)).and_then(|first| first.checked_add_months(Months::new(1)));
        let last = next.and_then(|next| next.checked_sub_days(Days::new(1)));
        last.map(|last| Some(last.num_days_from_ce() - UNIX_EPOCH_DAYS))
            .ok_or_else(|| invalid_argument("date is out of range"))
    });
    Ok(Arc::new(last.collect::<Result<arrow::array::PrimitiveArray<Date32Type>>>()?))
}

/// `at_timezone(timestamp, zone)`, which `AT TIME ZONE` is: the same instant, shown in another zone. A
/// timestamp without a zone is one of the session's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AtTimeZone {
    signature: Signature,
}

impl AtTimeZone {
    pub(super) fn function() -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { signature }))
    }
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        "at_timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Timestamp(..), zone] if is_text(zone) => Ok(vec![types[0].clone(), DataType::Utf8]),
            _ => Err(unexpected_types(self.name(), types)),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Err(unexpected_types(self.name(), types))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let unit = match args.arg_fields.first().map(|field| field.data_type()) {
            Some(DataType::Timestamp(unit, _)) => *unit,
            _ => TimeUnit::Microsecond,
        };
        let zone = args.scalar_arguments.get(1).copied().flatten().and_then(|zone| zone.try_as_str().flatten());
        let zone = zone.ok_or_else(|| invalid_argument("the zone of AT TIME ZONE must be a constant"))?;
        if zone.parse::<arrow::array::timezone::Tz>().is_err() {
            return Err(invalid_argument(format!("'{zone}' is not a valid time zone")));
        }
        Ok(Arc::new(Field::new(self.name(), DataType::Timestamp(unit, Some(zone.into())), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.first().ok_or_else(|| exec_datafusion_err!("argument 0 is missing"))?;
        let array = value.to_array(args.number_rows)?;
        let array = match array.data_type() {
            // What stands on the session's clocks.
            DataType::Timestamp(unit, None) => {
                let session = args.config_options.execution.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
                cast(&array, &DataType::Timestamp(*unit, Some(session.into())))?
            }
            _ => array,
        };
        Ok(ColumnarValue::Array(cast(&array, args.return_field.data_type())?))
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check, run};

    #[test]
    fn months_end() {
        check(
            "SELECT last_day_of_month(date '2024-02-10'), last_day_of_month(timestamp '9999-12-01 10:00:00')",
            "2024-02-29|9999-12-31",
        );
        check("SELECT last_day_of_month(cast(NULL AS date))", "NULL");
    }

    #[test]
    fn instants_are_shown_elsewhere() {
        check(
            "SELECT timestamp '2024-07-01 12:00:00 UTC' AT TIME ZONE 'America/New_York'",
            "2024-07-01T08:00:00-04:00",
        );
        check("SELECT timestamp '2024-07-01 12:00:00' AT TIME ZONE '+02:00'", "2024-07-01T14:00:00+02:00");
        assert!(run("SELECT timestamp '2024-07-01 12:00:00' AT TIME ZONE 'Mars'").unwrap_err().contains("time zone"));
    }
}
