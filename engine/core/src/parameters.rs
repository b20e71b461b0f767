//! Values for a statement's parameters.

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use meesh_base::{Error, Result};
use meesh_connector_spi::from_datafusion;

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
            Some(wanted) if *wanted != value.data_type() => value.cast_to(wanted).map_err(|_| {
                Error::invalid_query(format!("parameter ${} cannot be read as {wanted}", index + 1))
                    .with_code("INVALID_CAST_ARGUMENT")
            }),
            _ => Ok(value.clone()),
        };
        self.0.iter().zip(types).enumerate().map(cast).collect()
    }
}
