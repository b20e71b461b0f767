//! The function library: Trino's functions where DataFusion has none, or means something else.

mod arithmetic;
mod bounded;
mod casts;
mod decimals;
mod definition;
mod extremes;
mod floats;
mod intervals;
mod json;
mod single;
mod stored;
mod strings;
mod sums;
mod texts;
mod times;
mod truncation;
mod windows;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub(crate) use arithmetic::{Operation, arithmetic, negate, operand_types};
pub(crate) use casts::{Conversion, conversion, named_cast, refusal, trino_cast};
pub(crate) use decimals::as_decimal;
use definition::{Definition, function};
pub(crate) use definition::{external, is_text};
pub(crate) use floats::comparison as float_comparison;
pub use floats::{canonical, is_canonical};
pub(crate) use intervals::length as interval_length;
pub use single::single;
pub(crate) use stored::stored;
pub(crate) use strings::fitted;

/// The functions that are a row of their own.
const DEFINITIONS: &[Definition] = &[
    floats::INFINITY,
    floats::NAN,
    json::JSON_EXTRACT_SCALAR,
    strings::SPLIT_PART,
    strings::SUBSTR,
    times::LAST_DAY_OF_MONTH,
];

/// Names of aggregate functions, sorted: a planner's work grows with their number.
const AGGREGATES: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile",
    "approx_percentile_cont",
    "arbitrary",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "count_if",
    "covar_pop",
    "covar_samp",
    "every",
    "first_value",
    "last_value",
    "max",
    "max_by",
    "median",
    "min",
    "min_by",
    "regr_intercept",
    "regr_slope",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

/// Whether the function of this name is an aggregate.
pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.binary_search(&name).is_ok()
}

/// Scalar functions to register over DataFusion's.
pub fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions: Vec<_> = DEFINITIONS.iter().map(function).collect();
    functions.extend(extremes::functions());
    functions.extend(bounded::functions());
    functions.push(times::AtTimeZone::function());
    functions.push(truncation::DateTrunc::function());
    functions
}

/// Aggregate functions to register over DataFusion's.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    sums::functions()
}

/// Window functions to register over DataFusion's.
pub fn window_functions() -> Vec<Arc<WindowUDF>> {
    windows::functions()
}
