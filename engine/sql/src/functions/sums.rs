//! `sum` and `avg` of Trino's types. A sum of integers or decimals that overflows is an error, where
//! DataFusion's wraps around; a sum of decimals has 38 digits; an average of decimals has the
//! argument's own type, rounded half up; sums and averages of reals are reals.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowNumericType, AsArray, BooleanArray, Decimal128Array, PrimitiveArray,
};
use arrow::compute::{cast, sum_checked};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;
use meesh_base::Error;

use super::decimals::{PRECISION_MAX, SCALE_MAX, is_in_range};
use super::definition::external;
use crate::types::type_name;

/// Both functions.
pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    let functions = [(Function::Sum, sum_udaf()), (Function::Average, avg_udaf())];
    let signature = || Signature::user_defined(Volatility::Immutable);
    functions
        .map(|(function, inner)| {
            Arc::new(AggregateUDF::new_from_impl(Aggregate { function, inner, signature: signature() }))
        })
        .to_vec()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Function {
    Sum,
    Average,
}

/// DataFusion's function of that name, where it adds; what comes out is finished here.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Aggregate {
    function: Function,
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl Aggregate {
    /// The type that the inner function computes in, to give a result of type `result`.
    ///
    /// An average of decimals is asked for one more digit, which then decides how to round. The digits
    /// behind it were cut off, so that nothing is rounded twice.
    fn computed(&self, result: &DataType) -> DataType {
        match (self.function, result) {
            (_, DataType::Float32) => DataType::Float64,
            (Function::Average, DataType::Decimal128(_, scale)) if *scale < SCALE_MAX => {
                DataType::Decimal128(PRECISION_MAX, scale + 1)
            }
            _ => result.clone(),
        }
    }

    fn is_checked(&self, args: &AccumulatorArgs<'_>) -> bool {
        self.function == Function::Sum && !args.is_distinct && is_exact(args.return_type())
    }
}

fn is_exact(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::Decimal128(..))
}

/// The same arguments for the inner function, which returns `result` and takes `fields`.
fn inner_args<'a>(args: &AccumulatorArgs<'a>, result: DataType, fields: &'a [FieldRef]) -> AccumulatorArgs<'a> {
    let return_field = Arc::new(Field::new(args.return_field.name(), result, true));
    AccumulatorArgs {
        return_field,
        schema: args.schema,
        ignore_nulls: args.ignore_nulls,
        order_bys: args.order_bys,
        is_reversed: args.is_reversed,
        name: args.name,
        is_distinct: args.is_distinct,
        exprs: args.exprs,
        expr_fields: fields,
    }
}

/// Reals are added as doubles.
fn widened(data_type: &DataType) -> DataType {
    if *data_type == DataType::Float32 { DataType::Float64 } else { data_type.clone() }
}

fn widened_fields(fields: &[FieldRef]) -> Vec<FieldRef> {
    let widen = |field: &FieldRef| field.as_ref().clone().with_data_type(widened(field.data_type()));
    fields.iter().map(|field| Arc::new(widen(field))).collect()
}

fn widened_arrays(arrays: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    arrays.iter().map(|array| Ok(cast(array, &widened(array.data_type()))?)).collect()
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if let [DataType::Float32] = types {
            return Ok(types.to_vec());
        }
        let fields = types.iter().map(|data_type| Arc::new(Field::new("value", data_type.clone(), true)));
        let fields = fields_with_udf(&fields.collect::<Vec<_>>(), self.inner.as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.function, types) {
            (Function::Sum, [DataType::Decimal128(_, scale)]) => Ok(DataType::Decimal128(PRECISION_MAX, *scale)),
            (Function::Average, [decimal @ DataType::Decimal128(..)]) => Ok(decimal.clone()),
            (_, [DataType::Float32]) => Ok(DataType::Float32),
            _ => self.inner.return_type(types),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let return_field = widened_fields(std::slice::from_ref(&args.return_field)).swap_remove(0);
        self.inner.state_fields(StateFieldsArgs {
            input_fields: &widened_fields(args.input_fields),
            return_field,
            name: args.name,
            ordering_fields: args.ordering_fields,
            is_distinct: args.is_distinct,
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let result = args.return_type().clone();
        if self.is_checked(&args) {
            return checked_sum(&result);
        }
        let fields = widened_fields(args.expr_fields);
        let inner = self.inner.accumulator(inner_args(&args, self.computed(&result), &fields))?;
        Ok(Box::new(Finished { inner, result }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let result = args.return_type().clone();
        if self.is_checked(&args) {
            return checked_sum(&result);
        }
        let fields = widened_fields(args.expr_fields);
        let inner = self.inner.create_sliding_accumulator(inner_args(&args, self.computed(&result), &fields))?;
        Ok(Box::new(Finished { inner, result }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        let fields = widened_fields(args.expr_fields);
        self.inner.groups_accumulator_supported(inner_args(&args, self.computed(args.return_type()), &fields))
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let result = args.return_type().clone();
        let overflowed = Arc::new(AtomicBool::new(false));
        let fields = widened_fields(args.expr_fields);
        let inner = match &result {
            DataType::Int64 if self.is_checked(&args) => checked_groups::<Int64Type>(&result, &overflowed),
            DataType::Decimal128(..) if self.is_checked(&args) => {
                checked_groups::<Decimal128Type>(&result, &overflowed)
            }
            _ => self.inner.create_groups_accumulator(inner_args(&args, self.computed(&result), &fields))?,
        };
        Ok(Box::new(FinishedGroups { inner, result, overflowed }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// DataFusion's groups, with an addition that notes when it overflows.
fn checked_groups<T: ArrowNumericType + Send>(
    result: &DataType,
    overflowed: &Arc<AtomicBool>,
) -> Box<dyn GroupsAccumulator>
where
    T::Native: ArrowNativeTypeOp,
{
    let overflowed = Arc::clone(overflowed);
    let add = move |sum: &mut T::Native, value: T::Native| match sum.add_checked(value) {
        Ok(added) => *sum = added,
        Err(_) => overflowed.store(true, Ordering::Relaxed),
    };
    Box::new(PrimitiveGroupsAccumulator::<T, _>::new(result, add))
}

fn sum_overflow(result: &DataType) -> datafusion::error::DataFusionError {
    let message = match result {
        DataType::Int64 => "bigint addition overflow in sum".to_owned(),
        result => format!("overflow of {} in sum", type_name(result)),
    };
    external(Error::invalid_query(message).with_code("NUMERIC_VALUE_OUT_OF_RANGE"))
}

/// What the inner function computed, in the result's type.
fn finished(values: ArrayRef, result: &DataType) -> Result<ArrayRef> {
    match (values.data_type(), result) {
        (DataType::Float64, DataType::Float32) => Ok(cast(&values, result)?),
        (DataType::Decimal128(_, computed), DataType::Decimal128(precision, scale)) if computed > scale => {
            let values = values.as_primitive::<Decimal128Type>();
            let rounded: Decimal128Array = values.unary(|value| (value + 5 * value.signum()) / 10);
            Ok(Arc::new(rounded.with_precision_and_scale(*precision, *scale)?))
        }
        (_, DataType::Decimal128(PRECISION_MAX, _)) => {
            let in_range = values.as_primitive::<Decimal128Type>().iter().flatten().all(is_in_range);
            if in_range { Ok(values) } else { Err(sum_overflow(result)) }
        }
        _ => Ok(values),
    }
}

#[derive(Debug)]
struct Finished {
    inner: Box<dyn Accumulator>,
    result: DataType,
}

impl Accumulator for Finished {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&widened_arrays(values)?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&finished(self.inner.evaluate()?.to_array()?, &self.result)?, 0)
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
        self.inner.retract_batch(&widened_arrays(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct FinishedGroups {
    inner: Box<dyn GroupsAccumulator>,
    result: DataType,
    overflowed: Arc<AtomicBool>,
}

impl FinishedGroups {
    fn check(&self) -> Result<()> {
        if self.overflowed.load(Ordering::Relaxed) { Err(sum_overflow(&self.result)) } else { Ok(()) }
    }
}

impl GroupsAccumulator for FinishedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.inner.update_batch(&widened_arrays(values)?, groups, filter, count)?;
        self.check()
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        finished(self.inner.evaluate(emit_to)?, &self.result)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.inner.merge_batch(states, groups, count)?;
        self.check()
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&widened_arrays(values)?, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

fn checked_sum(result: &DataType) -> Result<Box<dyn Accumulator>> {
    let result = result.clone();
    Ok(match result {
        DataType::Decimal128(..) => {
            Box::new(CheckedSum::<Decimal128Type> { sum: Default::default(), count: 0, result })
        }
        _ => Box::new(CheckedSum::<Int64Type> { sum: Default::default(), count: 0, result }),
    })
}

/// A sum without groups; a window takes from it what leaves its frame.
#[derive(Debug)]
struct CheckedSum<T: ArrowNumericType> {
    sum: T::Native,
    /// Values in the sum, which is NULL without any.
    count: u64,
    result: DataType,
}

impl<T: ArrowNumericType> CheckedSum<T>
where
    T::Native: ArrowNativeTypeOp,
{
    fn values<'a>(&self, arrays: &'a [ArrayRef]) -> Result<&'a PrimitiveArray<T>> {
        let array = arrays.first().and_then(|array| array.as_primitive_opt::<T>());
        array.ok_or_else(|| exec_datafusion_err!("sum of {} of another type", self.result))
    }

    fn total(&self, values: &PrimitiveArray<T>) -> Result<T::Native> {
        Ok(sum_checked(values).map_err(|_| sum_overflow(&self.result))?.unwrap_or_default())
    }
}

impl<T: ArrowNumericType + Debug> Accumulator for CheckedSum<T>
where
    T::Native: ArrowNativeTypeOp,
{
    fn update_batch(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let values = self.values(arrays)?;
        self.sum = self.sum.add_checked(self.total(values)?).map_err(|_| sum_overflow(&self.result))?;
        self.count += (values.len() - values.null_count()) as u64;
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = PrimitiveArray::<T>::from_iter([(self.count > 0).then_some(self.sum)]);
        let value: ArrayRef = Arc::new(value.with_data_type(self.result.clone()));
        ScalarValue::try_from_array(&finished(value, &self.result)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn retract_batch(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let values = self.values(arrays)?;
        self.sum = self.sum.sub_checked(self.total(values)?).map_err(|_| sum_overflow(&self.result))?;
        self.count -= (values.len() - values.null_count()) as u64;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check, run};

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

    #[test]
    fn sums_have_trinos_types() {
        let values = "(VALUES (1, 1.5, real '1.5'), (1, 2.0, real '0.1'), (2, NULL, NULL)) AS t(k, d, r)";
        check(
            &format!(
                "SELECT arrow_typeof(sum(k)), arrow_typeof(sum(d)), arrow_typeof(sum(r)), arrow_typeof(avg(r)) FROM {values}"
            ),
            "Int64|Decimal128(38, 1)|Float32|Float32",
        );
        check(
            &format!("SELECT k, sum(d), sum(r), avg(r) FROM {values} GROUP BY k ORDER BY k"),
            "1|3.5|1.6|0.8;2|NULL|NULL|NULL",
        );
        check(&format!("SELECT sum(k), sum(d), sum(r), sum(DISTINCT k) FROM {values}"), "4|3.5|1.6|3");
        check("SELECT sum(k) OVER (ORDER BY k ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM a ORDER BY k", "1;3;5");
        check("SELECT sum(n) FROM a WHERE k = 3", "NULL");
    }

    #[test]
    fn sums_that_overflow_are_errors() {
        let large = "(VALUES (1, 9223372036854775807), (1, 1), (2, 1)) AS t(k, v)";
        for sql in [
            format!("SELECT sum(v) FROM {large}"),
            format!("SELECT k, sum(v) FROM {large} GROUP BY k"),
            format!("SELECT sum(v) OVER (ORDER BY k) FROM {large}"),
        ] {
            assert!(run(&sql).unwrap_err().contains("overflow"), "{sql}");
        }
        let nines = "DECIMAL '99999999999999999999999999999999999999'";
        for sql in [
            format!("SELECT sum(v) FROM (VALUES {nines}, {nines}) t(v)"),
            format!("SELECT sum(v) FROM (VALUES (1, {nines}), (1, {nines}), (1, {nines})) t(k, v) GROUP BY k"),
        ] {
            assert!(run(&sql).unwrap_err().contains("overflow of decimal(38,0) in sum"), "{sql}");
        }
    }
}
