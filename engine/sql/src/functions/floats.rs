//! Comparisons of floats as IEEE 754 and Trino have them: nothing equals NaN or is above or below it,
//! and -0 is 0. Arrow's order every bit pattern.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, Operator, ScalarUDF};

use super::definition::{Definition, function};

/// The function that compares so; `None` for an operator that is no comparison.
pub(crate) fn comparison(operator: Operator) -> Option<Arc<ScalarUDF>> {
    Some(function(match operator {
        Operator::Eq => &EQUAL,
        Operator::NotEq => &NOT_EQUAL,
        Operator::Lt => &LESS,
        Operator::LtEq => &LESS_OR_EQUAL,
        Operator::Gt => &GREATER,
        Operator::GtEq => &GREATER_OR_EQUAL,
        _ => return None,
    }))
}

const EQUAL: Definition = definition("$float_equal", |arrays, _| compared(arrays, |a, b| a == b));
const NOT_EQUAL: Definition = definition("$float_not_equal", |arrays, _| compared(arrays, |a, b| a != b));
const LESS: Definition = definition("$float_less", |arrays, _| compared(arrays, |a, b| a < b));
const LESS_OR_EQUAL: Definition = definition("$float_less_or_equal", |arrays, _| compared(arrays, |a, b| a <= b));
const GREATER: Definition = definition("$float_greater", |arrays, _| compared(arrays, |a, b| a > b));
const GREATER_OR_EQUAL: Definition = definition("$float_greater_or_equal", |arrays, _| compared(arrays, |a, b| a >= b));

/// Infinity and NaN, which SQL has no literals for.
pub(super) const INFINITY: Definition = constant("infinity", |_, _| value(f64::INFINITY));
pub(super) const NAN: Definition = constant("nan", |_, _| value(f64::NAN));

/// `$canonical(float)`: the same value in the one bit pattern that stands for it, so that equal values are
/// equal bits: 0 for -0, one NaN for all.
pub(super) const CANONICAL: Definition = Definition {
    name: "$canonical",
    accepts: |types| match types {
        [float @ (DataType::Float32 | DataType::Float64)] => Some(vec![float.clone()]),
        _ => None,
    },
    returns: |types| types.first().cloned().unwrap_or(DataType::Float64),
    body: |arrays, _| {
        let [array] = arrays else { return value(f64::NAN) };
        Ok(match array.data_type() {
            DataType::Float32 => Arc::new(
                array
                    .as_primitive::<Float32Type>()
                    .unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value + 0.0 }),
            ) as ArrayRef,
            _ => Arc::new(
                cast(array, &DataType::Float64)?
                    .as_primitive::<Float64Type>()
                    .unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }),
            ),
        })
    },
};

/// A call of [`CANONICAL`].
pub fn canonical(float: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function(&CANONICAL), vec![float]))
}

/// Whether it is one.
pub fn is_canonical(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == CANONICAL.name)
}

type Body = fn(&[ArrayRef], &ConfigOptions) -> Result<ArrayRef>;

const fn definition(name: &'static str, body: Body) -> Definition {
    Definition {
        name,
        accepts: |types| match types {
            [_, _] => Some(vec![DataType::Float64, DataType::Float64]),
            _ => None,
        },
        returns: |_| DataType::Boolean,
        body,
    }
}

const fn constant(name: &'static str, body: Body) -> Definition {
    Definition { name, accepts: |types| types.is_empty().then(Vec::new), returns: |_| DataType::Float64, body }
}

fn value(value: f64) -> Result<ArrayRef> {
    Ok(Arc::new(arrow::array::Float64Array::from(vec![value])))
}

fn compared(arrays: &[ArrayRef], compare: fn(f64, f64) -> bool) -> Result<ArrayRef> {
    let [left, right] = arrays else { return Ok(Arc::new(BooleanArray::new_null(0))) };
    let (left, right) = (cast(left, &DataType::Float64)?, cast(right, &DataType::Float64)?);
    let pairs = left.as_primitive::<Float64Type>().iter().zip(right.as_primitive::<Float64Type>().iter());
    Ok(Arc::new(pairs.map(|(left, right)| Some(compare(left?, right?))).collect::<BooleanArray>()))
}

#[cfg(test)]
mod tests {
    use crate::tests::check;

    #[test]
    fn nan_and_minus_zero_compare_as_ieee_754_has_it() {
        check(
            "SELECT nan() = nan(), nan() <> nan(), nan() > 1, 1 < nan(), -0e0 = 0e0, NULL = nan()",
            "false|true|false|false|true|NULL",
        );
        let values = "(VALUES 0e0, -0e0, nan(), 1e0, infinity(), NULL) AS t(x)";
        for (condition, rows) in [
            ("x = 0", "2"),
            ("x <> 0", "3"),
            ("x >= 0", "4"),
            ("x > 0", "2"),
            ("x <= 0", "2"),
            ("x < 1", "2"),
            ("x > 1", "1"),
            ("x = 1", "1"),
            ("x <> 1", "4"),
            ("NOT x > 1", "4"),
            ("x = x", "4"),
            ("x = nan()", "0"),
            ("0 = x", "2"),
            ("1 > x", "2"),
        ] {
            check(&format!("SELECT count(*) FROM {values} WHERE {condition}"), rows);
        }
        check(&format!("SELECT count(*) FROM {values} JOIN (VALUES 0e0, nan()) AS u(y) ON x = y"), "2");
    }
}
