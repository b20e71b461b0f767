//! What Trino's operators and casts mean, where DataFusion means something else.
//!
//! The parser writes what DataFusion has no node for as a binary operator of our own: see [`own`].

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, IntervalUnit, TimeUnit};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, Operator, TryCast, binary_expr, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use meesh_base::Error;

use crate::assign::assignable;
use crate::functions::{
    Conversion, Operation, arithmetic, as_decimal, conversion, external, fitted, float_comparison, interval_length,
    named_cast, negate, operand_types, refusal, stored, trino_cast,
};
use crate::types::type_name;

/// Operators that [`crate::parse`] writes and [`TrinoOperators`] plans.
pub(crate) mod own {
    /// `value $cast NULL::type`.
    pub(crate) const CAST: &str = "$cast";
    /// `value $try_cast NULL::type`.
    pub(crate) const TRY_CAST: &str = "$try_cast";
    /// `number $integer NULL`: a whole number as it is written, an integer if it fits.
    pub(crate) const INTEGER: &str = "$integer";
    /// `value $negate NULL`.
    pub(crate) const NEGATE: &str = "$negate";
    /// `$n $stored NULL::type`: a parameter that a column of that type is given.
    pub(crate) const STORED: &str = "$stored";
    /// `value $varchar n`: a cast to varchar(n).
    pub(crate) const VARCHAR: &str = "$varchar";
}

/// Plans operators as Trino means them; to be asked before DataFusion's own planners.
#[derive(Debug, Default)]
pub struct TrinoOperators {
    names_casts: bool,
}

impl TrinoOperators {
    /// Casts count in the names of what is computed from them, until the plan is optimized. DataFusion leaves them
    /// out, so that `sum(n)` and `sum(CAST(n AS double))`, or the groups `t` and `CAST(t AS date)`, have one name and
    /// cannot be columns of one plan. Most statements are better off with a plain cast, which every rule knows.
    pub fn naming_casts() -> Self {
        Self { names_casts: true }
    }
}

impl ExprPlanner for TrinoOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if let BinaryOperator::Custom(name) = &expr.op {
            let name = name.clone();
            return match plan_own(&name, expr, schema)? {
                PlannerResult::Planned(cast @ (Expr::Cast(_) | Expr::TryCast(_))) if self.names_casts => {
                    let function = named_cast(&cast.get_type(schema)?);
                    Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![cast]))))
                }
                planned => Ok(planned),
            };
        }
        if let Some((operation, operator)) = arithmetic_of(&expr.op) {
            return plan_arithmetic(operation, operator, expr, schema);
        }
        if let Some(operator) = comparison_of(&expr.op) {
            return plan_comparison(operator, expr, schema);
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn arithmetic_of(op: &BinaryOperator) -> Option<(Operation, Operator)> {
    Some(match op {
        BinaryOperator::Plus => (Operation::Add, Operator::Plus),
        BinaryOperator::Minus => (Operation::Subtract, Operator::Minus),
        BinaryOperator::Multiply => (Operation::Multiply, Operator::Multiply),
        BinaryOperator::Divide => (Operation::Divide, Operator::Divide),
        BinaryOperator::Modulo => (Operation::Modulus, Operator::Modulo),
        _ => return None,
    })
}

fn comparison_of(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

fn plan_own(name: &str, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
    let RawBinaryExpr { op, left, right } = expr;
    Ok(PlannerResult::Planned(match name {
        own::INTEGER => integer(left),
        own::NEGATE => negated(left, schema),
        own::CAST => cast(left, &right.get_type(schema)?, false, schema)?,
        own::TRY_CAST => cast(left, &right.get_type(schema)?, true, schema)?,
        own::STORED => stored_parameter(left, &right.get_type(schema)?, schema)?,
        own::VARCHAR => {
            let text = left.get_type(schema).is_ok_and(|from| from.is_string() || from.is_null());
            let whole = cast(left, &DataType::Utf8View, false, schema)?;
            fitted(text, whole, right)
        }
        _ => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
    }))
}

/// A parameter as a column of type `to` stores it. Before it has a value, it is taken to be of that type.
fn stored_parameter(parameter: Expr, to: &DataType, schema: &DFSchema) -> Result<Expr> {
    match parameter {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Some(Field::new(&id, to.clone(), true).into());
            Ok(Expr::Placeholder(Placeholder { id, field }))
        }
        parameter => match parameter.get_type(schema)? {
            from if assignable(&from, to) => cast(parameter, to, false, schema),
            _ => Ok(Expr::ScalarFunction(ScalarFunction::new_udf(stored(to), vec![parameter]))),
        },
    }
}

/// A whole number: an integer if it fits.
fn integer(number: Expr) -> Expr {
    match &number {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => match i32::try_from(*value) {
            Ok(value) => lit(value),
            Err(_) => number,
        },
        _ => number,
    }
}

fn negated(value: Expr, schema: &DFSchema) -> Expr {
    match value.get_type(schema) {
        Ok(DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64) => {
            Expr::ScalarFunction(ScalarFunction::new_udf(negate(), vec![value]))
        }
        _ => Expr::Negative(Box::new(value)),
    }
}

/// `value` cast to a type, as Trino casts.
pub(crate) fn cast(value: Expr, to: &DataType, lenient: bool, schema: &DFSchema) -> Result<Expr> {
    let from = value.get_type(schema).ok();
    if from.as_ref() == Some(to) {
        return Ok(value);
    }
    Ok(match from.map(|from| (conversion(&from, to), from)) {
        Some((Conversion::Refused, from)) => return Err(external(refusal(&from, to))),
        Some((Conversion::Own, _)) => {
            Expr::ScalarFunction(ScalarFunction::new_udf(trino_cast(to, lenient), vec![value]))
        }
        _ if lenient => Expr::TryCast(TryCast::new(Box::new(value), to.clone())),
        _ => Expr::Cast(Cast::new(Box::new(value), to.clone())),
    })
}

/// Whole numbers and decimals are computed by functions of ours, floats and intervals by DataFusion.
fn plan_arithmetic(
    operation: Operation,
    operator: Operator,
    expr: RawBinaryExpr,
    schema: &DFSchema,
) -> Result<PlannerResult<RawBinaryExpr>> {
    let expr = with_parameter_types(expr, schema);
    let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
        return Ok(PlannerResult::Original(expr));
    };
    let Some([common, _]) = operand_types(operation, &left, &right) else {
        let of_times = matches!(operation, Operation::Add | Operation::Subtract);
        let number_and_time = |a: &DataType, b: &DataType| a.is_numeric() && is_moment(b) && *b != DataType::Date32;
        if (!of_times && (is_moment(&left) || is_moment(&right)))
            || number_and_time(&left, &right)
            || number_and_time(&right, &left)
        {
            return Err(type_mismatch(&left, operator, &right));
        }
        return Ok(PlannerResult::Original(expr));
    };
    Ok(PlannerResult::Planned(match common {
        DataType::Float32 | DataType::Float64 => {
            let (a, b) = (widened(expr.left, &common, schema), widened(expr.right, &common, schema));
            binary_expr(a, operator, b)
        }
        _ => arithmetic(operation, expr.left, expr.right),
    }))
}

/// Whether values of the type are dates or times.
fn is_moment(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(data_type, T::Date32 | T::Time32(_) | T::Time64(_) | T::Timestamp(..))
}

fn type_mismatch(left: &DataType, operator: Operator, right: &DataType) -> DataFusionError {
    let message = format!("cannot apply operator: {} {operator} {}", type_name(left), type_name(right));
    let error = Error::invalid_query(message).with_hint("CAST one side to the type of the other");
    external(error.with_code("TYPE_MISMATCH"))
}

/// A parameter that stands beside a number is one, too.
fn with_parameter_types(expr: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    let RawBinaryExpr { op, left, right } = expr;
    let typed = |value: Expr, other: &Expr| match value {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = other.get_type(schema).ok().filter(|other| other.is_numeric());
            let field = field.map(|data_type| Field::new(&id, data_type, true).into());
            Expr::Placeholder(Placeholder { id, field })
        }
        value => value,
    };
    let left = typed(left, &right);
    let right = typed(right, &left);
    RawBinaryExpr { op, left, right }
}

/// `value` in a type that holds all of its values.
fn widened(value: Expr, to: &DataType, schema: &DFSchema) -> Expr {
    if value.get_type(schema).is_ok_and(|from| from == *to) {
        return value;
    }
    if let Expr::Literal(literal, _) = &value
        && let Ok(literal) = literal.cast_to(to)
    {
        return lit(literal);
    }
    cast(value.clone(), to, false, schema).unwrap_or_else(|_| Expr::Cast(Cast::new(Box::new(value), to.clone())))
}

/// The type that values of these types become where they meet, if they are of several: of numbers the widest, with
/// room for every digit of decimals, but of floats and others a float; of dates and timestamps a timestamp of the
/// finest unit, and with the first zone. `None`: they are of one type, or other types than these.
pub fn common_type(types: &[DataType]) -> Option<DataType> {
    let mut types = types.iter().filter(|data_type| !data_type.is_null());
    let first = types.next()?;
    let rest: Vec<&DataType> = types.collect();
    if rest.iter().all(|data_type| *data_type == first) {
        return None;
    }
    let meet = if is_moment(first) { common_moment } else { common_number };
    rest.into_iter().try_fold(first.clone(), |common, next| meet(&common, next))
}

fn common_number(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType as T;
    let is_number = |data_type: &DataType| as_decimal(data_type).is_some() && !data_type.is_unsigned_integer();
    Some(match (left, right) {
        (left, right) if left == right => left.clone(),
        (T::Float64, other) | (other, T::Float64) if is_number(other) || *other == T::Float32 => T::Float64,
        (T::Float32, other) | (other, T::Float32) if is_number(other) => T::Float32,
        (T::Decimal128(..), _) | (_, T::Decimal128(..)) if is_number(left) && is_number(right) => {
            let (T::Decimal128(p1, s1), T::Decimal128(p2, s2)) = (as_decimal(left)?, as_decimal(right)?) else {
                return None;
            };
            let (whole, scale) = ((i16::from(p1) - i16::from(s1)).max(i16::from(p2) - i16::from(s2)), s1.max(s2));
            let precision = (whole + i16::from(scale)).min(i16::from(DECIMAL128_MAX_PRECISION));
            T::Decimal128(u8::try_from(precision).ok()?, scale)
        }
        (left, right) if left.is_signed_integer() && right.is_signed_integer() => {
            if left.primitive_width() < right.primitive_width() { right.clone() } else { left.clone() }
        }
        _ => return None,
    })
}

/// Floats are compared as IEEE 754 has it, and with a number that is none, as floats; times of different
/// precision in the finer one; instants whatever their zones.
fn plan_comparison(operator: Operator, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
    let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
        return Ok(PlannerResult::Original(expr));
    };
    let is_parameter = |expr: &Expr| matches!(expr, Expr::Placeholder(Placeholder { field: None, .. }));
    if is_parameter(&expr.left) || is_parameter(&expr.right) {
        return Ok(PlannerResult::Original(expr));
    }
    let (moments, numbers) = ([is_moment(&left), is_moment(&right)], [left.is_numeric(), right.is_numeric()]);
    if moments[0] && moments[1] {
        return match common_moment(&left, &right) {
            None => Err(type_mismatch(&left, operator, &right)),
            Some(common) => {
                let (a, b) = (widened(expr.left, &common, schema), widened(expr.right, &common, schema));
                Ok(PlannerResult::Planned(binary_expr(a, operator, b)))
            }
        };
    }
    if (moments[0] && numbers[1]) || (numbers[0] && moments[1]) {
        return Err(type_mismatch(&left, operator, &right));
    }
    if [&left, &right].iter().all(|side| matches!(side, DataType::Interval(IntervalUnit::MonthDayNano))) {
        return Ok(PlannerResult::Planned(binary_expr(interval_key(expr.left), operator, interval_key(expr.right))));
    }
    let is_float = |data_type: &DataType| matches!(data_type, DataType::Float32 | DataType::Float64);
    if !is_float(&left) && !is_float(&right) {
        return Ok(PlannerResult::Original(expr));
    }
    // The rule for a sum's type is the rule here.
    let Some([common, _]) = operand_types(Operation::Add, &left, &right) else {
        return Ok(PlannerResult::Original(expr));
    };
    let (a, b) = (widened(expr.left, &common, schema), widened(expr.right, &common, schema));
    Ok(PlannerResult::Planned(compared(operator, a, b, &common)))
}

/// What intervals are compared by.
pub fn interval_key(interval: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(interval_length(), vec![interval]))
}

/// The type in which two dates or times are compared; `None` if they are not.
fn common_moment(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType as T;
    let finer = |a: &TimeUnit, b: &TimeUnit| if a > b { *a } else { *b };
    Some(match (left, right) {
        (left, right) if left == right => left.clone(),
        (T::Time32(_) | T::Time64(_), T::Time32(_) | T::Time64(_)) => T::Time64(TimeUnit::Nanosecond),
        (T::Date32, other @ T::Timestamp(..)) | (other @ T::Timestamp(..), T::Date32) => other.clone(),
        (T::Timestamp(a, zone), T::Timestamp(b, None)) | (T::Timestamp(a, None), T::Timestamp(b, zone)) => {
            T::Timestamp(finer(a, b), zone.clone())
        }
        (T::Timestamp(a, zone @ Some(_)), T::Timestamp(b, Some(_))) => T::Timestamp(finer(a, b), zone.clone()),
        _ => return None,
    })
}

/// `a operator b` of floats. DataFusion's comparison orders every bit pattern: -NaN, -Infinity, …,
/// -0, 0, …, Infinity, NaN; so ranges without NaN and with both zeros say the same, and sources and
/// pruning know them.
fn compared(operator: Operator, a: Expr, b: Expr, common: &DataType) -> Expr {
    let (a, b) = (settled(a), settled(b));
    let by_function = |a: Expr, b: Expr| match float_comparison(operator) {
        Some(function) => Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![a, b])),
        None => binary_expr(a, operator, b),
    };
    match (constant(&a), constant(&b)) {
        (None, Some(number)) if !number.is_nan() && !a.is_volatile() => against(operator, a, number, common),
        (Some(number), None) if !number.is_nan() && !b.is_volatile() => match operator.swap() {
            Some(swapped) => against(swapped, b, number, common),
            None => by_function(a, b),
        },
        // A join finds its rows by the key; the function then leaves out NaN.
        (None, None) if operator == Operator::Eq && !a.is_volatile() && !b.is_volatile() => {
            let key = |value: Expr| binary_expr(value, Operator::Plus, float(0.0, common));
            key(a.clone()).eq(key(b.clone())).and(by_function(a, b))
        }
        _ => by_function(a, b),
    }
}

fn against(operator: Operator, value: Expr, number: f64, common: &DataType) -> Expr {
    let float = |number| float(number, common);
    let (low, high) = if number == 0.0 { (-0.0, 0.0) } else { (number, number) };
    let (least, most) = (float(f64::NEG_INFINITY), float(f64::INFINITY));
    match operator {
        Operator::Eq if number == 0.0 => value.clone().gt_eq(float(low)).and(value.lt_eq(float(high))),
        Operator::NotEq if number == 0.0 => value.clone().lt(float(low)).or(value.gt(float(high))),
        Operator::Lt => value.clone().lt(float(low)).and(value.gt_eq(least)),
        Operator::LtEq => value.clone().lt_eq(float(high)).and(value.gt_eq(least)),
        Operator::Gt => value.clone().gt(float(high)).and(value.lt_eq(most)),
        Operator::GtEq => value.clone().gt_eq(float(low)).and(value.lt_eq(most)),
        operator => binary_expr(value, operator, float(number)),
    }
}

/// A constant as a literal: `CAST('1e0' AS double)`, `-1e0`.
fn settled(expr: Expr) -> Expr {
    let value = match &expr {
        Expr::Cast(cast) => match cast.expr.as_ref() {
            Expr::Literal(value, _) => value.cast_to(cast.field.data_type()).ok(),
            _ => None,
        },
        Expr::Negative(inner) => match settled(inner.as_ref().clone()) {
            Expr::Literal(value, _) => value.arithmetic_negate().ok(),
            _ => None,
        },
        _ => None,
    };
    value.map_or(expr, lit)
}

fn float(number: f64, data_type: &DataType) -> Expr {
    match data_type {
        DataType::Float32 => lit(number as f32),
        _ => lit(number),
    }
}

fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(ScalarValue::Float32(Some(value)), _) => Some(f64::from(*value)),
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => Some(*value),
        _ => None,
    }
}
