//! Values of several types that meet: in BETWEEN, IN, CASE, COALESCE and the like, and in the columns of a
//! UNION. DataFusion makes decimals of decimals and doubles, so `x BETWEEN 0.1 AND 0.3` rounds x to 15 digits
//! and fails on NaN; and dates become timestamps in nanoseconds, which begin in 1677 and end in 2262.
//!
//! Here such values become what Trino makes of them, before DataFusion's own coercion sees them: a double, and a
//! timestamp of the other's unit. It is done for all numbers, so that the type of a CASE within a CASE is known.
//! Comparisons by an operator are [`meesh_sql::TrinoOperators`]'s.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, Union, lit, when,
};
use datafusion::optimizer::AnalyzerRule;
use meesh_base::Error;
use meesh_connector_spi::into_datafusion;
use meesh_sql::{assigned, common_type, interval_key, type_name};

/// Functions whose arguments are alternatives of one value.
const OF_ONE_TYPE: &[&str] = &["coalesce", "greatest", "ifnull", "least", "make_array", "nvl"];

/// Casts such values. Comes before DataFusion's own coercion.
#[derive(Debug)]
pub(super) struct CommonTypes;

impl AnalyzerRule for CommonTypes {
    fn name(&self) -> &str {
        "common_types"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        // The columns of what stands on a union may have other types when it has.
        let mut has_unions = false;
        plan.apply_with_subqueries(|node| {
            has_unions |= matches!(node, LogicalPlan::Union(_));
            Ok(if has_unions { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            if let LogicalPlan::Union(union) = plan {
                return of_union(union);
            }
            let plan = if has_unions { plan.recompute_schema()? } else { plan };
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            let plan = match plan {
                LogicalPlan::Join(mut join) => {
                    for (left, right) in &mut join.on {
                        let types = [left.get_type(&schema)?, right.get_type(&schema)?];
                        if let Some(to) = common_type(&types) {
                            *left = assigned(left.clone(), &to, &schema)?;
                            *right = assigned(right.clone(), &to, &schema)?;
                        }
                    }
                    LogicalPlan::Join(join)
                }
                plan => plan,
            };
            let plan = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| rewrite(expr, &schema))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })?;
            if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
        });
        Ok(rewritten?.data)
    }
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Between(mut between) => {
            let changed = unify([&mut *between.expr, &mut *between.low, &mut *between.high], schema)?
                | by_length(vec![&mut *between.expr, &mut *between.low, &mut *between.high], schema)?;
            marked(Expr::Between(between), changed)
        }
        Expr::InList(mut list) => {
            let changed = unify(std::iter::once(&mut *list.expr).chain(&mut list.list), schema)?
                | by_length(std::iter::once(&mut *list.expr).chain(&mut list.list).collect(), schema)?;
            marked(Expr::InList(list), changed)
        }
        Expr::Case(mut case) => {
            let mut changed = false;
            if let Some(operand) = &mut case.expr {
                let whens = case.when_then_expr.iter_mut().map(|(when, _)| &mut **when);
                changed |= unify(std::iter::once(&mut **operand).chain(whens), schema)?;
            }
            let thens = case.when_then_expr.iter_mut().map(|(_, then)| &mut **then);
            changed |= unify(thens.chain(case.else_expr.as_deref_mut()), schema)?;
            marked(Expr::Case(case), changed)
        }
        Expr::ScalarFunction(mut call) if OF_ONE_TYPE.contains(&call.func.name()) => {
            let changed = unify(&mut call.args, schema)?;
            marked(Expr::ScalarFunction(call), changed)
        }
        // What it yields is the first value as it is, whatever it is compared as.
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => match call.args.as_slice() {
            [value, other] => {
                let mut compared = [value.clone(), other.clone()];
                if !unify(&mut compared, schema)? {
                    return Ok(Transformed::no(Expr::ScalarFunction(call)));
                }
                let [left, right] = compared;
                let null = lit(ScalarValue::try_new_null(&value.get_type(schema)?)?);
                Transformed::yes(when(left.eq(right), null).otherwise(value.clone())?)
            }
            _ => Transformed::no(Expr::ScalarFunction(call)),
        },
        Expr::BinaryExpr(BinaryExpr {
            mut left,
            op: op @ (Operator::IsDistinctFrom | Operator::IsNotDistinctFrom),
            mut right,
        }) => {
            let changed = unify([&mut *left, &mut *right], schema)?;
            marked(Expr::BinaryExpr(BinaryExpr { left, op, right }), changed)
        }
        Expr::InSubquery(InSubquery { mut expr, mut subquery, negated }) => {
            let changed = unify_with_rows(&mut expr, &mut subquery, schema)?;
            marked(Expr::InSubquery(InSubquery { expr, subquery, negated }), changed)
        }
        Expr::SetComparison(SetComparison { mut expr, mut subquery, op, quantifier }) => {
            let changed = unify_with_rows(&mut expr, &mut subquery, schema)?;
            marked(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }), changed)
        }
        expr => Transformed::no(expr),
    })
}

fn marked(expr: Expr, changed: bool) -> Transformed<Expr> {
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

/// Casts values that meet to one type; whether it did.
fn unify<'a>(values: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> Result<bool> {
    let values: Vec<&mut Expr> = values.into_iter().collect();
    // What has no type yet is a parameter without a value.
    let types: Result<Vec<DataType>> = values.iter().map(|value| value.get_type(schema)).collect();
    let Some(to) = types.ok().and_then(|types| common_type(&types)) else { return Ok(false) };
    for value in values {
        *value = assigned(std::mem::take(value), &to, schema)?;
    }
    Ok(true)
}

/// The same of a value and the rows of a subquery.
fn unify_with_rows(value: &mut Expr, rows: &mut Subquery, schema: &DFSchema) -> Result<bool> {
    let Some((qualifier, field)) = rows.subquery.schema().iter().next() else { return Ok(false) };
    let Ok(own) = value.get_type(schema) else { return Ok(false) };
    let Some(to) = common_type(&[own, field.data_type().clone()]) else { return Ok(false) };
    *value = assigned(std::mem::take(value), &to, schema)?;
    if *field.data_type() != to {
        let column = Expr::Column(Column::from((qualifier, field)));
        let cast = assigned(column, &to, rows.subquery.schema())?.alias("unified");
        let plan = LogicalPlanBuilder::from(rows.subquery.as_ref().clone()).project([cast])?.build()?;
        rows.subquery = Arc::new(plan);
    }
    Ok(true)
}

/// Makes intervals the lengths by which they compare.
fn by_length(values: Vec<&mut Expr>, schema: &DFSchema) -> Result<bool> {
    for value in &values {
        if value.get_type(schema)? != DataType::Interval(IntervalUnit::MonthDayNano) {
            return Ok(false);
        }
    }
    for value in values {
        *value = interval_key(std::mem::take(value));
    }
    Ok(true)
}

/// Whether texts meet numbers, dates or truth values in a column, which DataFusion would write as texts.
fn is_mixed(union: &Union, index: usize) -> bool {
    let types = union.inputs.iter().filter_map(|input| Some(input.schema().fields().get(index)?.data_type()));
    let plain =
        |data_type: &DataType| data_type.is_numeric() || data_type.is_temporal() || *data_type == DataType::Boolean;
    let (mut texts, mut others) = (false, false);
    types.for_each(|data_type| {
        texts |= data_type.is_string();
        others |= plain(data_type);
    });
    texts && others
}

fn of_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let width = union.schema.fields().len();
    let type_at = |index: usize| -> Option<DataType> {
        let types = union.inputs.iter().map(|input| Some(input.schema().fields().get(index)?.data_type().clone()));
        common_type(&types.collect::<Option<Vec<_>>>()?)
    };
    let wanted: Vec<Option<DataType>> = (0..width).map(type_at).collect();
    if let Some(index) = (0..width).find(|index| is_mixed(&union, *index)) {
        let types = union.inputs.iter().filter_map(|input| input.schema().fields().get(index));
        let types: Vec<String> = types.map(|field| type_name(field.data_type())).collect();
        let message = format!("column {} in UNION query has incompatible types: {}", index + 1, types.join(", "));
        let error = Error::invalid_query(message).with_hint("CAST one side to the type of the other");
        return Err(into_datafusion(error.with_code("TYPE_MISMATCH")));
    }
    if wanted.iter().all(Option::is_none) {
        let first = union.inputs.first().map(|input| input.schema().fields());
        let is_known = first.is_some_and(|first| {
            first.iter().zip(union.schema.fields()).all(|(of_first, own)| of_first.data_type() == own.data_type())
        });
        return Ok(match is_known {
            true => Transformed::no(LogicalPlan::Union(union)),
            false => Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(union.inputs)?)),
        });
    }
    let cast = |input: &Arc<LogicalPlan>| {
        let columns = input.schema().iter().zip(&wanted).map(|((qualifier, field), to)| {
            let column = Expr::Column(Column::from((qualifier, field)));
            Ok(match to {
                Some(to) => assigned(column, to, input.schema())?.alias_qualified(qualifier.cloned(), field.name()),
                None => column,
            })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        LogicalPlanBuilder::from(input.as_ref().clone()).project(columns)?.build().map(Arc::new)
    };
    let inputs = union.inputs.iter().map(cast).collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
}
