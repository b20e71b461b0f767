//! `avg` of decimals: of the argument's own type, rounded half up as Trino does. DataFusion's has four
//! more digits and cuts the rest off.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
};

use super::decimals::{PRECISION_MAX, SCALE_MAX};

/// DataFusion's function, asked for one more digit, which then decides how to round. The digits behind
/// it were cut off, so that nothing is rounded twice.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Average {
    inner: Arc<AggregateUDF>,
}

/// The function.
pub(super) fn function() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Average { inner: avg_udaf() }))
}

/// The type that the inner function computes in, if the result is rounded from it.
fn wider(result: &DataType) -> Option<DataType> {
    match result {
        DataType::Decimal128(_, scale) if *scale < SCALE_MAX => Some(DataType::Decimal128(PRECISION_MAX, scale + 1)),
        _ => None,
    }
}

/// The same arguments for the inner function.
fn inner_args<'a>(args: AccumulatorArgs<'a>, result: DataType) -> AccumulatorArgs<'a> {
    let field = Field::new(args.return_field.name(), result, true);
    AccumulatorArgs { return_field: Arc::new(field), ..args }
}

impl AggregateUDFImpl for Average {
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
        match types {
            [decimal @ DataType::Decimal128(..)] => Ok(decimal.clone()),
            _ => self.inner.return_type(types),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let result = args.return_type().clone();
        let Some(wide) = wider(&result) else { return self.inner.accumulator(args) };
        let inner = self.inner.accumulator(inner_args(args, wide))?;
        Ok(Box::new(Rounded { inner, result }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let result = args.return_type().clone();
        let Some(wide) = wider(&result) else { return self.inner.create_sliding_accumulator(args) };
        let inner = self.inner.create_sliding_accumulator(inner_args(args, wide))?;
        Ok(Box::new(Rounded { inner, result }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let result = args.return_type().clone();
        let Some(wide) = wider(&result) else { return self.inner.create_groups_accumulator(args) };
        let inner = self.inner.create_groups_accumulator(inner_args(args, wide))?;
        Ok(Box::new(RoundedGroups { inner, result }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// Values of one more digit than `result` has, rounded half up.
fn rounded(values: &ArrayRef, result: &DataType) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = result else { return Ok(Arc::clone(values)) };
    let values = values.as_primitive::<Decimal128Type>();
    let rounded: Decimal128Array = values.unary(|value| (value + 5 * value.signum()) / 10);
    Ok(Arc::new(rounded.with_precision_and_scale(*precision, *scale)?))
}

#[derive(Debug)]
struct Rounded {
    inner: Box<dyn Accumulator>,
    result: DataType,
}

impl Accumulator for Rounded {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&rounded(&self.inner.evaluate()?.to_array()?, &self.result)?, 0)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct RoundedGroups {
    inner: Box<dyn GroupsAccumulator>,
    result: DataType,
}

impl GroupsAccumulator for RoundedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.inner.update_batch(values, groups, filter, count)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        rounded(&self.inner.evaluate(emit_to)?, &self.result)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.inner.merge_batch(states, groups, count)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::check;

    #[test]
    fn decimals_keep_their_type_and_round_half_up() {
        let values = "(VALUES (1, 1.5), (1, 1.4), (2, -1.5), (2, -1.4), (3, NULL), (3, 2.0)) AS t(k, v)";
        check(
            &format!("SELECT k, avg(v), arrow_typeof(avg(v)) FROM {values} GROUP BY k ORDER BY k"),
            "1|1.5|Decimal128(2, 1);2|-1.5|Decimal128(2, 1);3|2.0|Decimal128(2, 1)",
        );
        check("SELECT avg(v), avg(DISTINCT v) FROM (VALUES 1.0, 1.0, 2.0) AS t(v)", "1.3|1.5");
        check("SELECT avg(v) FROM (VALUES 1.00, 1.01, 1.00) AS t(v)", "1.00");
        check(
            "SELECT k, avg(v) OVER (ORDER BY k ROWS 1 PRECEDING) FROM (VALUES (1, 1.0), (2, 1.1), (3, 1.2)) AS t(k, v)",
            "1|1.0;2|1.1;3|1.2",
        );
        check("SELECT avg(k), avg(v) FROM (VALUES (1, 0.25), (2, NULL)) AS t(k, v)", "1.5|0.25");
    }
}
