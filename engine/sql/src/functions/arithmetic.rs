//! Trino's arithmetic where DataFusion's differs: integers that overflow are an error, and decimals
//! have the types of Trino's rules and round half up.
//!
//! [`crate::TrinoOperators`] makes these of `+ - * / %` and of the sign; no statement can name them.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, IntervalMonthDayNanoArray, Scalar};
use arrow::compute::cast;
use arrow::compute::kernels::numeric;
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, IntervalMonthDayNano, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use meesh_base::Error;

use super::decimals::{self, PRECISION_MAX, as_decimal};
use super::definition::{external, unexpected_types};
use crate::types::type_name;

const MICROSECONDS_OF_DAY: i64 = 86_400_000_000;

/// One of the operators with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulus,
}

impl Operation {
    fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Subtract => '-',
            Self::Multiply => '*',
            Self::Divide => '/',
            Self::Modulus => '%',
        }
    }

    /// What Trino calls it in an error.
    fn word(self) -> &'static str {
        match self {
            Self::Add => "addition",
            Self::Subtract => "subtraction",
            Self::Multiply => "multiplication",
            Self::Divide => "division",
            Self::Modulus => "modulus",
        }
    }
}

/// How many operators are calls within one another.
const NESTED_MAX: usize = 6;

/// The name of the sign's function.
const NEGATE: &str = "$negate";

/// The function that the sign of a whole number is.
pub(crate) fn negate() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Arithmetic {
        name: NEGATE.to_owned(),
        operations: Vec::new(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

/// `left operation right`.
///
/// What goes on behind [`NESTED_MAX`] operators from left to right is one call, named by their signs (`$+-` is
/// `a + b - c`): for every type that the planner asks of a call it asks all calls below it, so a chain of calls
/// inside one another would take it a time that grows with the square of its length, at best. Shorter ones stay
/// calls of their own, so that `n / 10 * 10` is known to be made of the group `n / 10`.
pub(crate) fn arithmetic(operation: Operation, left: Expr, right: Expr) -> Expr {
    let is_long = depth(&left) >= NESTED_MAX;
    let (mut operations, mut operands) = match left {
        Expr::ScalarFunction(ScalarFunction { func, args }) if is_long => match operations_of(func.name()) {
            Some(operations) => (operations, args),
            None => (Vec::new(), vec![Expr::ScalarFunction(ScalarFunction { func, args })]),
        },
        left => (Vec::new(), vec![left]),
    };
    operations.push(operation);
    operands.push(right);
    let name = std::iter::once('$').chain(operations.iter().map(|operation| operation.sign())).collect();
    let signature = Signature::user_defined(Volatility::Immutable);
    let function = Arc::new(ScalarUDF::new_from_impl(Arithmetic { name, operations, signature }));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, operands))
}

/// How many calls of operators begin `value`, one within the other.
fn depth(value: &Expr) -> usize {
    let mut next = Some(value);
    let calls = std::iter::from_fn(|| match next {
        Some(Expr::ScalarFunction(call)) if operations_of(call.func.name()).is_some() => {
            next = call.args.first();
            Some(())
        }
        _ => None,
    });
    calls.count()
}

/// The operators of a chain's function.
fn operations_of(name: &str) -> Option<Vec<Operation>> {
    use Operation::{Add, Divide, Modulus, Multiply, Subtract};
    let known = [Add, Subtract, Multiply, Divide, Modulus];
    let signs = name.strip_prefix('$').filter(|signs| !signs.is_empty())?;
    signs.chars().map(|sign| known.into_iter().find(|operation| operation.sign() == sign)).collect()
}

/// The types in which `left operation right` is computed; `None` if it is not one of these operators'.
pub(crate) fn operand_types(operation: Operation, left: &DataType, right: &DataType) -> Option<[DataType; 2]> {
    use DataType as T;
    let rank = |data_type: &T| match data_type {
        T::Int8 => Some(0),
        T::Int16 | T::UInt8 => Some(1),
        T::Int32 | T::UInt16 => Some(2),
        T::Int64 | T::UInt32 => Some(3),
        _ => None,
    };
    match (left, right) {
        (T::Date32 | T::Timestamp(_, None), T::Date32 | T::Timestamp(_, None)) if operation == Operation::Subtract => {
            let both_dates = left == right && *left == T::Date32;
            let common = if both_dates { T::Date32 } else { T::Timestamp(TimeUnit::Microsecond, None) };
            Some([common.clone(), common])
        }
        (T::Null, known) | (known, T::Null) => {
            (rank(known).is_some() || is_decimal(known) || is_float(known)).then(|| [known.clone(), known.clone()])
        }
        _ if is_float(left) || is_float(right) => {
            let number = |data_type: &T| rank(data_type).is_some() || is_decimal(data_type) || is_float(data_type);
            let wide = *left == T::Float64 || *right == T::Float64;
            let common = if wide { T::Float64 } else { T::Float32 };
            (number(left) && number(right)).then(|| [common.clone(), common])
        }
        _ if is_decimal(left) || is_decimal(right) => Some([as_decimal(left)?, as_decimal(right)?]),
        _ => {
            let widest = rank(left)?.max(rank(right)?);
            let common = [T::Int8, T::Int16, T::Int32, T::Int64].get(widest)?.clone();
            Some([common.clone(), common])
        }
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..))
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

/// Trino's rules for the type of a decimal result; a precision over 38 becomes 38.
fn decimal_type(operation: Operation, (p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> DataType {
    let [p1, s1, p2, s2] = [i16::from(p1), i16::from(s1), i16::from(p2), i16::from(s2)];
    let scale = s1.max(s2);
    let (precision, scale) = match operation {
        Operation::Add | Operation::Subtract => ((p1 - s1).max(p2 - s2) + scale + 1, scale),
        Operation::Multiply => (p1 + p2, s1 + s2),
        Operation::Divide => (p1 + s2 + (s2 - s1).max(0), scale),
        Operation::Modulus => ((p1 - s1).min(p2 - s2) + scale, scale),
    };
    let precision = u8::try_from(precision).unwrap_or(PRECISION_MAX).clamp(1, PRECISION_MAX);
    DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
}

/// The type of `left operation right`.
fn result_type(operation: Operation, left: &DataType, right: &DataType) -> Result<DataType> {
    use DataType as T;
    match operand_types(operation, left, right) {
        Some([T::Decimal128(p1, s1), T::Decimal128(p2, s2)]) => match decimal_type(operation, (p1, s1), (p2, s2)) {
            T::Decimal128(precision, scale) if i16::from(scale) > i16::from(precision) => {
                let message = format!("DECIMAL scale must be from 0 to the precision, not {scale}");
                Err(external(Error::invalid_query(message).with_code("INVALID_FUNCTION_ARGUMENT")))
            }
            result => Ok(result),
        },
        Some([T::Date32 | T::Timestamp(..), _]) => Ok(T::Interval(IntervalUnit::MonthDayNano)),
        Some([common, _]) => Ok(common),
        None => {
            let message =
                format!("cannot apply operator: {} {} {}", type_name(left), operation.sign(), type_name(right));
            Err(external(Error::invalid_query(message).with_code("TYPE_MISMATCH")))
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    name: String,
    /// The operators between the operands, from left to right; without any it is the sign.
    operations: Vec<Operation>,
    signature: Signature,
}

impl Arithmetic {
    fn return_type_of<'a>(&self, mut types: impl Iterator<Item = &'a DataType>) -> Result<DataType> {
        let first = types.next().cloned().ok_or_else(|| unexpected_types(&self.name, &[]))?;
        self.operations
            .iter()
            .zip(types)
            .try_fold(first, |left, (operation, right)| result_type(*operation, &left, right))
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        &self.name
    }

    /// As the operators are written.
    fn schema_name(&self, operands: &[Expr]) -> Result<String> {
        let mut operands = operands.iter().map(Expr::schema_name);
        let first = operands.next().map(|name| name.to_string()).unwrap_or_default();
        if self.operations.is_empty() {
            return Ok(format!("(- {first})"));
        }
        let mut text = format!("({first}");
        for (operation, operand) in self.operations.iter().zip(operands) {
            text.push_str(&format!(" {} {operand}", operation.sign()));
        }
        text.push(')');
        Ok(text)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Every operand comes as it is: each pair of them is computed in a type of its own.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.return_type_of(types.iter()).map(|_| types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.return_type_of(types.iter())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        let data_type = self.return_type_of(args.arg_fields.iter().map(|field| field.data_type()))?;
        Ok(Arc::new(Field::new(self.name(), data_type, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut operands = args.args.into_iter();
        let first = operands.next().ok_or_else(|| exec_datafusion_err!("{} without operands", self.name))?;
        if self.operations.is_empty() {
            return negated(&first);
        }
        self.operations
            .iter()
            .zip(operands)
            .try_fold(first, |left, (operation, right)| compute(*operation, left, right))
    }
}

fn negated(value: &ColumnarValue) -> Result<ColumnarValue> {
    let array = match value {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array()?,
    };
    let result = numeric::neg(&array).map_err(|error| number_error(error, array.data_type(), "negation"))?;
    columnar(result, matches!(value, ColumnarValue::Scalar(_)))
}

fn columnar(array: ArrayRef, constant: bool) -> Result<ColumnarValue> {
    Ok(match constant {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
        false => ColumnarValue::Array(array),
    })
}

fn compute(operation: Operation, left: ColumnarValue, right: ColumnarValue) -> Result<ColumnarValue> {
    let (a, b) = (left.data_type(), right.data_type());
    let result = result_type(operation, &a, &b)?;
    let Some([a, b]) = operand_types(operation, &a, &b) else { return Ok(left) };
    let constant = matches!((&left, &right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
    let (left, right) = (argument(&left, &a)?, argument(&right, &b)?);
    let array = match &result {
        DataType::Decimal128(..) => decimals::computed(operation, left.as_ref(), right.as_ref(), &result)?,
        DataType::Interval(_) => difference(left.as_ref(), right.as_ref())?,
        _ => numbers(operation, left.as_ref(), right.as_ref(), &result)?,
    };
    columnar(array, constant)
}

/// Of integers, checked; of floats as IEEE 754 has it.
fn numbers(operation: Operation, left: &dyn Datum, right: &dyn Datum, data_type: &DataType) -> Result<ArrayRef> {
    let result = match operation {
        Operation::Add => numeric::add(left, right),
        Operation::Subtract => numeric::sub(left, right),
        Operation::Multiply => numeric::mul(left, right),
        Operation::Divide => numeric::div(left, right),
        Operation::Modulus => numeric::rem(left, right),
    };
    result.map_err(|error| number_error(error, data_type, operation.word()))
}

fn number_error(error: ArrowError, data_type: &DataType, what: &str) -> DataFusionError {
    match error {
        ArrowError::ArithmeticOverflow(text) => {
            let values = text.split_once("on: ").map_or("", |(_, values)| values);
            let message = format!("{} {what} overflow: {}", type_name(data_type), values.trim_start_matches("- "));
            external(Error::invalid_query(message).with_code("NUMERIC_VALUE_OUT_OF_RANGE"))
        }
        ArrowError::DivideByZero => division_by_zero(),
        error => error.into(),
    }
}

pub(super) fn division_by_zero() -> DataFusionError {
    external(Error::invalid_query("division by zero").with_code("DIVISION_BY_ZERO"))
}

/// An operand in the type in which it is computed with.
fn argument(value: &ColumnarValue, data_type: &DataType) -> Result<Box<dyn Datum>> {
    let (array, constant) = match value {
        ColumnarValue::Array(array) => (Arc::clone(array), false),
        ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true),
    };
    let array = if array.data_type() == data_type { array } else { cast(&array, data_type)? };
    Ok(if constant { Box::new(Scalar::new(array)) } else { Box::new(array) })
}

/// The time from `right` to `left`: days, and what is left of one.
fn difference(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef> {
    let rows = if left.get().1 { right.get().0.len() } else { left.get().0.len() };
    let (a, b) = (microseconds(left, rows)?, microseconds(right, rows)?);
    let interval = |(a, b): (&Option<i64>, &Option<i64>)| {
        let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
        let microseconds = a.checked_sub(*b).ok_or_else(interval_overflow)?;
        let days = i32::try_from(microseconds / MICROSECONDS_OF_DAY).map_err(|_| interval_overflow())?;
        Ok(Some(IntervalMonthDayNano::new(0, days, microseconds % MICROSECONDS_OF_DAY * 1000)))
    };
    Ok(Arc::new(a.iter().zip(&b).map(interval).collect::<Result<IntervalMonthDayNanoArray>>()?))
}

fn interval_overflow() -> DataFusionError {
    external(Error::invalid_query("interval overflow").with_code("NUMERIC_VALUE_OUT_OF_RANGE"))
}

fn microseconds(value: &dyn Datum, rows: usize) -> Result<Vec<Option<i64>>> {
    let (array, constant) = value.get();
    let values: Vec<Option<i64>> = match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().iter();
            days.map(|day| day.map(|day| i64::from(day) * MICROSECONDS_OF_DAY)).collect()
        }
        _ => {
            let instants = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            instants.as_primitive::<TimestampMicrosecondType>().iter().collect()
        }
    };
    Ok(if constant { vec![values.first().copied().flatten(); rows] } else { values })
}

#[cfg(test)]
mod tests {
    use crate::tests::{check, run};

    #[test]
    fn integers_overflow_with_an_error() {
        check("SELECT 1 + 2, 3 - 5, 4 * 5, arrow_typeof(1 + 2), arrow_typeof(1 + bigint '2')", "3|-2|20|Int32|Int64");
        check("SELECT arrow_typeof(tinyint '1' + smallint '1'), NULL + 1, arrow_typeof(NULL + 1)", "Int16|NULL|Int32");
        check("SELECT k + n - 1 * 2 % 3 / 1 - k, 7 - 2 - 1, 2 * 3 / 4 * 5, 1 - (2 - 3) FROM a WHERE k = 1", "8|4|5|2");
        check("SELECT k + n, k * 2, 2 * k - n, -k FROM a ORDER BY k", "11|2|-8|-1;22|4|-16|-2;NULL|6|NULL|-3");
        for (sql, message) in [
            ("SELECT 2147483647 + 1", "integer addition overflow: 2147483647 + 1"),
            ("SELECT tinyint '-128' - tinyint '1'", "tinyint subtraction overflow: -128 - 1"),
            ("SELECT 9223372036854775807 * bigint '2'", "bigint multiplication overflow: 9223372036854775807 * 2"),
            ("SELECT -x FROM (VALUES tinyint '-128') t(x)", "tinyint negation overflow: -128"),
            ("SELECT k + 9223372036854775807 FROM a", "bigint addition overflow"),
        ] {
            let error = run(sql).unwrap_err();
            assert!(error.contains(message), "{sql}: {error}");
        }
        // A row that is NULL overflows nothing.
        check("SELECT n + 9223372036854775807 FROM a WHERE n IS NULL", "NULL");
    }

    #[test]
    fn decimals_have_trinos_types() {
        for (sql, expected) in [
            ("SELECT 1.5 + 1, arrow_typeof(1.5 + 1)", "2.5|Decimal128(12, 1)"),
            ("SELECT 1.5 * 1.25, arrow_typeof(1.5 * 1.25)", "1.875|Decimal128(5, 3)"),
            ("SELECT bigint '7' - 0.50, arrow_typeof(bigint '7' - 0.50)", "6.50|Decimal128(22, 2)"),
            ("SELECT 7.5 % 2, arrow_typeof(7.5 % 2), -7.5 % 2", "1.5|Decimal128(2, 1)|-1.5"),
            ("SELECT 1.0 / 3, arrow_typeof(1.0 / 3)", "0.3|Decimal128(2, 1)"),
            ("SELECT 2.5 / 1.50, arrow_typeof(2.5 / 1.50)", "1.67|Decimal128(5, 2)"),
            ("SELECT -2.0 / 3, 2.0 / -3, -1.5 / 1.0, 1.0 / 4", "-0.7|-0.7|-1.5|0.3"),
            ("SELECT 7 / 2.0, arrow_typeof(7 / 2.0)", "3.5|Decimal128(12, 1)"),
            ("SELECT 7 / 2, 7.0 / 2e0, 7 % 2", "3|3.5|1"),
            ("SELECT DECIMAL '1' / DECIMAL '0.0000000001'", "10000000000.0000000000"),
            ("SELECT CAST(NULL AS decimal(5,2)) / 0.0, NULL * 1.5", "NULL|NULL"),
            ("SELECT sum(n * 1.0) / sum(k) FROM a", "5.0"),
            ("SELECT k * 1.5, 1.5 - k, k % 1.5 FROM a ORDER BY k", "1.5|0.5|1.0;3.0|-0.5|0.5;4.5|-1.5|0.0"),
            (
                "SELECT DECIMAL '12345678901234567890123456789.123' / DECIMAL '0.001'",
                "12345678901234567890123456789123.000",
            ),
        ] {
            check(sql, expected);
        }
        for sql in ["SELECT 1.0 / 0.0", "SELECT 1.0 % 0.0", "SELECT 1 / 0", "SELECT 1 % 0"] {
            assert!(run(sql).unwrap_err().contains("ivi"), "{sql}");
        }
        let large = "99999999999999999999999999999999999999";
        for operation in ["/ DECIMAL '0.1'", "+ DECIMAL '1'", "* DECIMAL '2'", "* 10.0"] {
            let error = run(&format!("SELECT DECIMAL '{large}' {operation}")).unwrap_err();
            assert!(error.contains("decimal overflow"), "{operation}: {error}");
        }
    }

    #[test]
    fn dates_are_subtracted_into_an_interval() {
        check("SELECT date '2024-03-01' - date '2024-02-01'", "29 days");
        check("SELECT timestamp '2024-03-01 12:00:00' - date '2024-02-01'", "29 days 12 hours");
        check("SELECT date '2024-02-01' - CAST(NULL AS date)", "NULL");
    }
}
