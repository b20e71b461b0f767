//! Values for a statement's parameters.

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use meesh_base::{Error, Result};
use meesh_connector_spi::from_datafusion;
use meesh_sql::type_name;

/// Values for `$1 … $n`, in order.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<ScalarValue>);

impl Parameters {
    /// No values: for a statement without parameters.
    pub fn none() -> Self {
        Self::default()
    }

    /// The values of one row of a batch whose columns are the parameters in order.
    ///
    /// # Errors
    /// `InvalidQuery` when the batch has no such row.
    pub fn from_row(batch: &RecordBatch, row: usize) -> Result<Self> {
        if row >= batch.num_rows() {
            return Err(Error::invalid_query(format!("parameter row {row} of {} does not exist", batch.num_rows())));
        }
        batch
            .columns()
            .iter()
            .map(|column| ScalarValue::try_from_array(column, row))
            .collect::<datafusion::common::Result<_>>()
            .map(Self)
            .map_err(from_datafusion)
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values, each cast to the type that the statement wants of it where that is known.
    ///
    /// # Errors
    /// `InvalidQuery` naming the parameter, when a value is missing, too many or cannot be cast.
    pub(crate) fn for_types(&self, types: &[Option<DataType>]) -> Result<Vec<ScalarValue>> {
        if self.0.len() != types.len() {
            return Err(Error::invalid_query(format!(
                "statement has {} parameters, but {} values were given",
                types.len(),
                self.0.len()
            ))
            .with_code("INVALID_PARAMETER_USAGE"));
        }
        let cast = |(index, (value, wanted)): (usize, (&ScalarValue, &Option<DataType>))| match wanted {
            Some(wanted) if *wanted != value.data_type() => converted(value, wanted).ok_or_else(|| {
                Error::invalid_query(format!("parameter ${} cannot be read as {}", index + 1, type_name(wanted)))
                    .with_code("INVALID_CAST_ARGUMENT")
            }),
            _ => Ok(value.clone()),
        };
        self.0.iter().zip(types).enumerate().map(cast).collect()
    }
}

/// The value in the type that the statement wants, if it is one of the same kind and the same value there: whole
/// numbers of another width, times of other units. Other numbers and times keep their own types, and mean what a
/// literal would: `id = 1.5` is true of no integer, and `id / 2.0` has decimals. A text is read as what is wanted.
fn converted(value: &ScalarValue, wanted: &DataType) -> Option<ScalarValue> {
    let cast = value.cast_to(wanted);
    let own = value.data_type();
    if value.is_null() || own.is_string() {
        return cast.ok();
    }
    let exact = cast.ok().filter(|cast| cast.cast_to(&own).is_ok_and(|back| back == *value));
    let kept = || Some(value.clone());
    match (&own, wanted) {
        (own, wanted) if own.is_integer() && wanted.is_integer() => exact.or_else(kept),
        (DataType::Timestamp(_, from), DataType::Timestamp(_, to)) if from.is_some() == to.is_some() => {
            exact.or_else(kept)
        }
        (own, wanted) if own.is_numeric() && wanted.is_numeric() => kept(),
        (own, wanted) if own.is_temporal() && wanted.is_temporal() => kept(),
        // Trino compares a number with no truth and no date.
        (own, wanted) if is_plain(own) && is_plain(wanted) => None,
        _ => exact,
    }
}

fn is_plain(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_temporal() || *data_type == DataType::Boolean
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn values_are_converted_without_loss_or_kept() {
        let day = |days| ScalarValue::Date32(Some(days));
        for (value, wanted, expected) in [
            (ScalarValue::from(1i64), DataType::Int32, Some(ScalarValue::from(1i32))),
            (ScalarValue::from(1.0), DataType::Int32, Some(ScalarValue::from(1.0))),
            (ScalarValue::from(true), DataType::Int32, None),
            (ScalarValue::Date32(Some(1)), DataType::Int32, None),
            (ScalarValue::from(1.5), DataType::Int32, Some(ScalarValue::from(1.5))),
            (ScalarValue::from(1i64 << 40), DataType::Int32, Some(ScalarValue::from(1i64 << 40))),
            (ScalarValue::from("7"), DataType::Int64, Some(ScalarValue::from(7i64))),
            (ScalarValue::from("seven"), DataType::Int64, None),
            (ScalarValue::from("2026-01-02"), DataType::Date32, Some(day(20455))),
            (
                ScalarValue::TimestampSecond(Some(86_400), None),
                DataType::Timestamp(TimeUnit::Microsecond, None),
                Some(ScalarValue::TimestampMicrosecond(Some(86_400_000_000), None)),
            ),
            (
                ScalarValue::TimestampSecond(Some(86_401), None),
                DataType::Date32,
                Some(ScalarValue::TimestampSecond(Some(86_401), None)),
            ),
            (ScalarValue::from(true), DataType::Date32, None),
        ] {
            assert_eq!(converted(&value, &wanted), expected, "{value:?} as {wanted}");
        }
    }
}
