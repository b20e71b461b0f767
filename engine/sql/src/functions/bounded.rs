//! Functions whose result may be as large as one of their arguments says. DataFusion's allocate it at
//! once, outside of every memory pool: `lpad('x', 2000000000, 'y')` is two gigabytes. Here the size is
//! worked out first, and what is too large is refused.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::Result;
use datafusion::functions::unicode;
use datafusion::functions_nested::{range, repeat, resize};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::definition::invalid_argument;

/// Entries of one array, as in Trino's `repeat` and `sequence`.
const REPEATED_MAX: i64 = 10_000;
/// Entries of one generated series.
const SERIES_MAX: i64 = 1_000_000;
/// Characters of one text.
const TEXT_MAX: i64 = 64 << 20;
/// Entries or characters of the results for one batch of rows.
const BATCH_MAX: i64 = 256 << 20;
const DAY_MICROSECONDS: i128 = 86_400_000_000;

/// How large the result for each row is.
#[derive(Debug, Clone, Copy)]
enum Size {
    /// As the second argument says.
    Second { max: i64, unit: &'static str },
    /// As many as there are steps from the first argument to the second.
    Series,
}

/// One of the functions, computed by DataFusion's.
#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    size: Size,
}

/// All of them.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let entries = |max| Size::Second { max, unit: "entries" };
    let characters = Size::Second { max: TEXT_MAX, unit: "characters" };
    [
        (repeat::array_repeat_udf(), entries(REPEATED_MAX)),
        (resize::array_resize_udf(), entries(SERIES_MAX)),
        (range::range_udf(), Size::Series),
        (range::gen_series_udf(), Size::Series),
        (unicode::lpad(), characters),
        (unicode::rpad(), characters),
    ]
    .map(|(inner, size)| Arc::new(ScalarUDF::new_from_impl(Bounded { inner, size })))
    .to_vec()
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl Bounded {
    fn check(&self, arguments: &[ColumnarValue], rows: usize) -> Result<()> {
        let constant = arguments.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { rows };
        let (sizes, max, unit) = match self.size {
            Size::Second { max, unit } => (numbers(arguments.get(1), rows)?, max, unit),
            Size::Series => (series(arguments, rows)?, SERIES_MAX, "entries"),
        };
        let largest = sizes.iter().copied().max().unwrap_or(0);
        let all = sizes.iter().fold(0i64, |sum, size| sum.saturating_add((*size).max(0)));
        let name = self.inner.name().trim_start_matches("array_");
        if largest > max {
            return Err(invalid_argument(format!("result of {name} must not have more than {max} {unit}")));
        }
        if all > BATCH_MAX {
            return Err(invalid_argument(format!(
                "results of {name} for {rows} rows have more than {BATCH_MAX} {unit}"
            )));
        }
        Ok(())
    }
}

/// The whole numbers of an argument, row by row; 0 where there is none.
fn numbers(argument: Option<&ColumnarValue>, rows: usize) -> Result<Vec<i64>> {
    let Some(argument) = argument else { return Ok(Vec::new()) };
    let array = cast(&argument.to_array(rows)?, &DataType::Int64)?;
    Ok(array.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default).collect())
}

/// How many entries the series of each row has, roughly.
fn series(arguments: &[ColumnarValue], rows: usize) -> Result<Vec<i64>> {
    let arrays = arguments.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let whole = |array: &Arc<dyn Array>| -> Result<Vec<i128>> {
        // A time is a number of microseconds.
        let array = match array.data_type() {
            DataType::Date32 | DataType::Timestamp(..) => {
                cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?
            }
            _ => Arc::clone(array),
        };
        let array = cast(&array, &DataType::Int64)?;
        Ok(array.as_primitive::<Int64Type>().iter().map(|value| i128::from(value.unwrap_or_default())).collect())
    };
    let step = |array: &Arc<dyn Array>| -> Result<Vec<i128>> {
        if !matches!(array.data_type(), DataType::Interval(_)) {
            return whole(array);
        }
        let array = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let microseconds = array.as_primitive::<IntervalMonthDayNanoType>().iter().map(|value| {
            let value = value.unwrap_or_default();
            let days = i128::from(value.months) * 28 + i128::from(value.days);
            days * DAY_MICROSECONDS + i128::from(value.nanoseconds) / 1000
        });
        Ok(microseconds.collect())
    };
    let (starts, stops, steps) = match arrays.as_slice() {
        [stop] => (vec![0; rows], whole(stop)?, vec![1; rows]),
        [start, stop] => (whole(start)?, whole(stop)?, vec![1; rows]),
        [start, stop, by, ..] => (whole(start)?, whole(stop)?, step(by)?),
        [] => return Ok(Vec::new()),
    };
    let counts = starts
        .iter()
        .zip(&stops)
        .zip(&steps)
        .map(|((start, stop), step)| i64::try_from((stop - start).abs() / step.abs().max(1)).unwrap_or(i64::MAX));
    Ok(counts.collect())
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args.args, args.number_rows)?;
        self.inner.invoke_with_args(args)
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check, run};

    #[test]
    fn sizes_are_checked_before_anything_is_made() {
        for sql in [
            "SELECT repeat(1, 1000000000)",
            "SELECT lpad('x', 2147483647, 'y')",
            "SELECT length(rpad(s, 67108864 + k, 'y')) FROM a",
            "SELECT range(0, 200000000)",
            "SELECT generate_series(timestamp '1970-01-01 00:00:00', timestamp '2000-01-01 00:00:00', interval '1' second)",
            "SELECT array_resize(ARRAY[1], 2000000000, 0)",
        ] {
            let error = run(sql).unwrap_err();
            assert!(error.contains("must not have more than"), "{sql}: {error}");
        }
        check("SELECT repeat(1, 3), lpad('x', 3, 'y'), range(2, 5)", "[1, 1, 1]|yyx|[2, 3, 4]");
        check("SELECT rpad(s, k, '.') FROM a ORDER BY k", "x;Y.;x..");
    }
}
