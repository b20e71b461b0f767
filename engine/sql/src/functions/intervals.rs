//! Intervals as lengths: 24 hours are a day, and a month counts 30 days, as PostgreSQL orders them. Arrow compares
//! months, then days, then the rest.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, Decimal128Array};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

const DAY_NS: i128 = 86_400_000_000_000;
const MONTH_DAYS: i128 = 30;

/// `$length(interval)` in nanoseconds: a decimal, by which intervals compare.
pub(crate) fn length() -> Arc<ScalarUDF> {
    static LENGTH: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        Arc::new(ScalarUDF::new_from_impl(Length {
            signature: Signature::exact(vec![interval], Volatility::Immutable),
        }))
    });
    Arc::clone(&LENGTH)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    signature: Signature,
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        "$length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.first().ok_or_else(|| exec_datafusion_err!("argument 0 is missing"))?;
        let array = value.to_array(if matches!(value, ColumnarValue::Scalar(_)) { 1 } else { args.number_rows })?;
        let intervals = array.as_primitive::<IntervalMonthDayNanoType>();
        let nanoseconds = |interval: arrow::datatypes::IntervalMonthDayNano| {
            (i128::from(interval.months) * MONTH_DAYS + i128::from(interval.days)) * DAY_NS
                + i128::from(interval.nanoseconds)
        };
        let lengths: Decimal128Array = intervals.iter().map(|interval| interval.map(nanoseconds)).collect();
        let lengths = lengths.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?;
        Ok(match value {
            ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths, 0)?),
            ColumnarValue::Array(_) => ColumnarValue::Array(Arc::new(lengths)),
        })
    }
}
