//! `IN` and `EXISTS` with a subquery, where DataFusion forgets that `IN` may be NULL, or knows them not at all.
//!
//! `v IN (SELECT s …)` is true if some `s` equals `v`; else NULL if there is a NULL among them, or `v` is NULL and
//! there is any; else false. DataFusion knows that of a NOT IN that stands alone in a WHERE, without outer columns.
//! Elsewhere it makes a join of it that knows no NULL, or refuses. Here what it would get wrong is written out:
//!
//! ```text
//! WHERE NOT (a OR v IN (SELECT s …))    CASE WHEN EXISTS (… WHERE s = v) THEN true
//!                                            WHEN EXISTS (… WHERE s IS NULL) OR (v IS NULL AND EXISTS (…)) THEN NULL
//!                                            ELSE false END
//! WHERE v NOT IN (SELECT s … outer)     NOT EXISTS (… WHERE s = v) AND NOT EXISTS (… WHERE s IS NULL) AND …
//! SELECT EXISTS (SELECT …)              (SELECT count(*) …) > 0
//! ```
//!
//! A part that cannot be, because nothing is NULL there, is left out.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue, not_impl_err};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, lit, not, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::one_row::{count_of, negated_if, rows_of, subquery_of};

/// Writes such expressions out. Comes after DataFusion's coercion: both sides have one type then.
#[derive(Debug)]
pub(super) struct Membership;

impl AnalyzerRule for Membership {
    fn name(&self) -> &str {
        "membership"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(node)?.data)
    }
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(filter) => filtered(filter),
        // What a join without outer rows keeps is what a filter above it keeps.
        LogicalPlan::Join(mut join) if join.join_type == JoinType::Inner && join.filter.as_ref().is_some_and(asks) => {
            let conjuncts = join.filter.take().map(split_conjunction_owned).unwrap_or_default();
            let (above, below): (Vec<Expr>, Vec<Expr>) = conjuncts.into_iter().partition(asks);
            join.filter = conjunction(below);
            let Some(above) = conjunction(above) else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
            filtered(Filter::try_new(above, Arc::new(LogicalPlan::Join(join)))?)
        }
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Sort(_) => {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            let plan = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(values(expr, &schema, counted)?.update_data(|expr| name.restore(expr)))
            })?;
            if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
        }
        plan => Ok(Transformed::no(plan)),
    }
}

/// Whether a subquery is asked for rows somewhere in `expr`.
fn asks(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_) | Expr::Exists(_)))).unwrap_or(false)
}

fn filtered(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    if !asks(&filter.predicate) {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let schema = Arc::clone(filter.input.schema());
    let conjuncts = split_conjunction_owned(filter.predicate).into_iter();
    let conjuncts = conjuncts.map(|conjunct| alone(conjunct, &schema)).collect::<Result<Vec<_>>>()?;
    let predicate = conjunction(conjuncts).unwrap_or_else(|| lit(true));
    Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
}

/// A condition that rows must meet: that it is NULL is as good as false.
fn alone(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::InSubquery(list) if list.negated => not_in_alone(list, schema),
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(list) if !list.negated => not_in_alone(InSubquery { negated: true, ..list }, schema),
            Expr::Exists(exists) => Ok(not(Expr::Exists(guarded(exists)?))),
            inner => Ok(values(not(inner), schema, exists)?.data),
        },
        expr => among_others(expr, schema),
    }
}

/// One of several conditions that rows may meet: all that counts is whether it is true.
fn among_others(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (among_others(*left, schema)?, among_others(*right, schema)?);
            Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::InSubquery(list) if !list.negated => Ok(Expr::InSubquery(list)),
        Expr::InSubquery(list) => Member::of(&list, schema)?.is_absent(),
        Expr::Exists(exists) => Ok(Expr::Exists(guarded(exists)?)),
        expr => Ok(values(expr, schema, exists)?.data),
    }
}

/// A NOT IN that rows must meet.
fn not_in_alone(list: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let member = Member::of(&list, schema)?;
    if !list.subquery.outer_ref_columns.is_empty() {
        return member.is_absent();
    }
    if !member.value_nullable && !member.item_nullable {
        return Ok(Expr::InSubquery(list));
    }
    // DataFusion looks for NULLs where a column may have them, and not where an expression makes them.
    let columns_nullable = list
        .expr
        .column_refs()
        .into_iter()
        .any(|column| schema.qualified_field_from_column(column).is_ok_and(|(_, field)| field.is_nullable()));
    let in_join = Expr::InSubquery(list.clone());
    if member.item_nullable || columns_nullable {
        return Ok(in_join);
    }
    Ok(in_join.and(member.value.clone().is_not_null().or(not(member.any(counted)?))))
}

/// How it is asked whether a plan has rows.
type HasRows = fn(LogicalPlan) -> Result<Expr>;

/// As a join that marks rows.
fn exists(plan: LogicalPlan) -> Result<Expr> {
    if plan.all_out_ref_exprs().is_empty() {
        return counted(plan);
    }
    let exists = Exists { subquery: subquery_of(plan), negated: false };
    Ok(Expr::Exists(guarded(exists)?))
}

/// As a number, which can stand anywhere.
fn counted(plan: LogicalPlan) -> Result<Expr> {
    // One row is enough, where it does not depend on outer columns.
    let rows = LogicalPlanBuilder::from(rows_of(&plan).clone());
    let rows = if plan.all_out_ref_exprs().is_empty() { rows.limit(0, Some(1))? } else { rows };
    Ok(count_of(rows.build()?)?.gt(lit(0i64)))
}

/// Every `IN` in `expr` with its NULLs; every `EXISTS` as `has_rows` asks for it.
fn values(expr: Expr, schema: &DFSchema, has_rows: HasRows) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::InSubquery(list) => {
            let truth = Member::of(&list, schema)?.truth(has_rows)?;
            Ok(Transformed::yes(negated_if(list.negated, truth)))
        }
        Expr::Exists(Exists { subquery, negated }) => {
            let truth = has_rows(subquery.subquery.as_ref().clone())?;
            Ok(Transformed::yes(negated_if(negated, truth)))
        }
        expr => Ok(Transformed::no(expr)),
    })
}

/// A value, and the rows among whose items it may be.
struct Member {
    value: Expr,
    /// The value as the subquery names it.
    outer_value: Expr,
    value_nullable: bool,
    rows: LogicalPlan,
    item: Expr,
    item_nullable: bool,
}

impl Member {
    fn of(list: &InSubquery, schema: &DFSchema) -> Result<Self> {
        let rows = list.subquery.subquery.as_ref().clone();
        let column = rows.schema().columns().into_iter().next();
        let Some(column) = column else { return not_impl_err!("IN with a subquery without columns") };
        let item_nullable = rows.schema().qualified_field_from_column(&column)?.1.is_nullable();
        let value = list.expr.as_ref().clone();
        Ok(Self {
            outer_value: outer(value.clone(), schema)?,
            value_nullable: value.nullable(schema)?,
            value,
            rows,
            item: Expr::Column(column),
            item_nullable,
        })
    }

    fn any(&self, has_rows: HasRows) -> Result<Expr> {
        has_rows(self.rows.clone())
    }

    fn with(&self, condition: Expr, has_rows: HasRows) -> Result<Expr> {
        has_rows(LogicalPlanBuilder::from(self.rows.clone()).filter(condition)?.build()?)
    }

    fn equal(&self, has_rows: HasRows) -> Result<Expr> {
        self.with(self.item.clone().eq(self.outer_value.clone()), has_rows)
    }

    /// What makes it NULL where no item is equal; `None`: nothing does.
    fn unknown(&self, has_rows: HasRows) -> Result<Option<Expr>> {
        let null_item = if self.item_nullable { Some(self.with(self.item.clone().is_null(), has_rows)?) } else { None };
        let null_value =
            if self.value_nullable { Some(self.value.clone().is_null().and(self.any(has_rows)?)) } else { None };
        Ok(null_item.into_iter().chain(null_value).reduce(Expr::or))
    }

    /// `value IN rows`: true, false or NULL.
    fn truth(&self, has_rows: HasRows) -> Result<Expr> {
        let equal = self.equal(has_rows)?;
        match self.unknown(has_rows)? {
            Some(unknown) => when(equal, lit(true))
                .when(unknown, Expr::Literal(ScalarValue::Boolean(None), None))
                .otherwise(lit(false)),
            None => Ok(equal),
        }
    }

    /// Whether `value NOT IN rows` is true.
    fn is_absent(&self) -> Result<Expr> {
        let mut absent = not(self.equal(exists)?);
        if self.item_nullable {
            absent = absent.and(not(self.with(self.item.clone().is_null(), exists)?));
        }
        if self.value_nullable {
            absent = absent.and(self.value.clone().is_not_null().or(not(self.any(exists)?)));
        }
        Ok(absent)
    }
}

/// `expr` as a subquery of the node with `schema` says it.
fn outer(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let named = |column: Column| {
        let (_, field) = schema.qualified_field_from_column(&column)?;
        Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column)))
    };
    let outer = expr.transform_up(|expr| match expr {
        Expr::Column(column) => named(column),
        expr => Ok(Transformed::no(expr)),
    });
    Ok(outer?.data)
}

/// `exists`, unless a LIMIT would be forgotten: to find rows for outer columns DataFusion takes it away, which only
/// does not matter if nothing but columns is above it.
fn guarded(exists: Exists) -> Result<Exists> {
    let mut forgotten = false;
    rows_of(&exists.subquery.subquery).apply(|plan| {
        forgotten |= matches!(plan, LogicalPlan::Limit(_)) && !plan.all_out_ref_exprs().is_empty();
        Ok(if forgotten { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if forgotten {
        return not_impl_err!("LIMIT in a subquery that uses columns of the query around it");
    }
    Ok(exists)
}
