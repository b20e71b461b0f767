//! Floats where DataFusion compares bits: distinct arguments of aggregates, PARTITION BY, long IN lists.
//!
//! To Trino -0 is 0, and for DISTINCT and PARTITION BY every NaN is the same. Keys of groups and joins
//! DataFusion makes canonical itself, but not those that a join hands down to its other side.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Alias, InList};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, Join, LogicalPlan, Window, lit, not};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use meesh_sql::functions::{canonical, is_canonical};

/// Makes such floats canonical. Changes nothing that it has changed before.
#[derive(Debug)]
pub(super) struct CanonicalFloats;

impl OptimizerRule for CanonicalFloats {
    fn name(&self) -> &str {
        "canonical_floats"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Aggregate(aggregate) => of_aggregate(aggregate),
            LogicalPlan::Window(window) => of_window(window),
            LogicalPlan::Join(join) => Ok(of_join(join)),
            LogicalPlan::Filter(_) => of_lists(plan, |expr, change| change(expr)),
            LogicalPlan::Projection(_) => of_lists(plan, |expr, change| named(expr, change)),
            plan => Ok(Transformed::no(plan)),
        }
    }
}

type Change<'a> = &'a dyn Fn(Expr) -> Result<Transformed<Expr>>;

/// The lists in a node with one input; `keep` says what is kept of an expression that changes.
fn of_lists(
    plan: LogicalPlan,
    keep: fn(Expr, Change<'_>) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let Some(schema) = plan.inputs().first().map(|input| input.schema().clone()) else {
        return Ok(Transformed::no(plan));
    };
    plan.map_expressions(|expr| keep(expr, &|expr| expr.transform_up(|expr| of_list(expr, &schema))))
}

/// The join itself takes -0 for 0; the list of its keys that goes down to the other side does not.
fn of_join(mut join: Join) -> Transformed<LogicalPlan> {
    let (left, right) = (join.left.schema(), join.right.schema());
    let mut transformed = false;
    for (a, b) in &mut join.on {
        for (key, schema) in [(a, left), (b, right)] {
            if is_float(key, schema) && !is_canonical(key) {
                *key = canonical(key.clone());
                transformed = true;
            }
        }
    }
    let plan = LogicalPlan::Join(join);
    if transformed { Transformed::yes(plan) } else { Transformed::no(plan) }
}

fn of_aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let schema = aggregate.input.schema();
    let calls = aggregate.aggr_expr.iter().map(|call| named(call.clone(), |call| of_call(call, schema)));
    let calls = calls.collect::<Result<Vec<_>>>()?;
    if !calls.iter().any(|call| call.transformed) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let calls = calls.into_iter().map(|call| call.data).collect();
    Aggregate::try_new(aggregate.input, aggregate.group_expr, calls).map(LogicalPlan::Aggregate).map(Transformed::yes)
}

fn of_call(call: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match call {
        Expr::Alias(alias) => {
            let inner = of_call(*alias.expr, schema)?;
            inner.map_data(|expr| Ok(Expr::Alias(Alias { expr: Box::new(expr), ..alias })))
        }
        Expr::AggregateFunction(mut function) if function.params.distinct => {
            let arguments = all(function.params.args, schema);
            function.params.args = arguments.data;
            // What it is ordered by must be one of its arguments.
            for key in &mut function.params.order_by {
                if is_float(&key.expr, schema) && !is_canonical(&key.expr) {
                    key.expr = canonical(key.expr.clone());
                }
            }
            let call = Expr::AggregateFunction(function);
            Ok(if arguments.transformed { Transformed::yes(call) } else { Transformed::no(call) })
        }
        call => Ok(Transformed::no(call)),
    }
}

fn of_window(window: Window) -> Result<Transformed<LogicalPlan>> {
    let schema = window.input.schema();
    let calls = window.window_expr.iter().map(|call| {
        named(call.clone(), |call| {
            let Expr::WindowFunction(mut function) = call else { return Ok(Transformed::no(call)) };
            let keys = all(function.params.partition_by, schema);
            function.params.partition_by = keys.data;
            let call = Expr::WindowFunction(function);
            Ok(if keys.transformed { Transformed::yes(call) } else { Transformed::no(call) })
        })
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    if !calls.iter().any(|call| call.transformed) {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let calls = calls.into_iter().map(|call| call.data).collect();
    Window::try_new(calls, window.input).map(LogicalPlan::Window).map(Transformed::yes)
}

/// These expressions, the floats among them canonical.
fn all(expressions: Vec<Expr>, schema: &DFSchema) -> Transformed<Vec<Expr>> {
    let mut transformed = false;
    let canonical = expressions.into_iter().map(|expr| {
        if !is_float(&expr, schema) || is_canonical(&expr) {
            return expr;
        }
        transformed = true;
        canonical(expr)
    });
    let data = canonical.collect();
    if transformed { Transformed::yes(data) } else { Transformed::no(data) }
}

/// `float IN (…)`: nothing equals NaN, so that it is left out of the list.
fn of_list(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::InList(list) = expr else { return Ok(Transformed::no(expr)) };
    if is_canonical(&list.expr) || !is_float(&list.expr, schema) {
        return Ok(Transformed::no(Expr::InList(list)));
    }
    let zero = |item: Expr| match item {
        Expr::Literal(ScalarValue::Float64(Some(value)), metadata) => {
            Expr::Literal(ScalarValue::Float64(Some(value + 0.0)), metadata)
        }
        Expr::Literal(ScalarValue::Float32(Some(value)), metadata) => {
            Expr::Literal(ScalarValue::Float32(Some(value + 0.0)), metadata)
        }
        literal @ Expr::Literal(..) => literal,
        other => canonical(other),
    };
    let nan = |item: &Expr| match item {
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => value.is_nan(),
        Expr::Literal(ScalarValue::Float32(Some(value)), _) => value.is_nan(),
        Expr::ScalarFunction(call) => call.func.name() == "nan",
        _ => false,
    };
    let (items, nans): (Vec<Expr>, Vec<Expr>) = list.list.into_iter().partition(|item| !nan(item));
    if items.is_empty() && !nans.is_empty() {
        // False, or NULL where the value is.
        let nothing = list.expr.is_null().and(lit(ScalarValue::Boolean(None)));
        return Ok(Transformed::yes(if list.negated { not(nothing) } else { nothing }));
    }
    let items: Vec<Expr> = items.into_iter().map(zero).collect();
    Ok(Transformed::yes(Expr::InList(InList::new(Box::new(canonical(*list.expr)), items, list.negated))))
}

fn is_float(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Float32 | DataType::Float64))
}

/// A changed expression under the name it had, by which the nodes above know it.
fn named(expr: Expr, change: impl FnOnce(Expr) -> Result<Transformed<Expr>>) -> Result<Transformed<Expr>> {
    let name = expr.qualified_name();
    let changed = change(expr)?;
    if !changed.transformed || changed.data.qualified_name() == name {
        return Ok(changed);
    }
    let (qualifier, name) = name;
    Ok(Transformed::yes(changed.data.alias_qualified(qualifier, name)))
}
