//! Lists that DataFusion merges and thereby means something else.
//!
//! - `x IN (1, 2) AND x IN (3)` becomes false: it is NULL where x is, which matters below a NOT. So do the other
//!   pairs of which no value is left (`x NOT IN (1) OR x NOT IN (2)` becomes true).
//! - `x IN (y, 1) AND x IN (z, 1)` becomes `x IN (1)`, as if y and z could not be equal.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::{conjunction, disjunction, merge_schema};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::scalar::ScalarValue;

/// Merges what has no value left as SQL does, and spells lists out whose values are not known.
#[derive(Debug)]
pub(super) struct ListsOfValues;

impl OptimizerRule for ListsOfValues {
    fn name(&self) -> &str {
        "lists_of_values"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let names = NamePreserver::new(&plan);
        let schema = Arc::new(merge_schema(&plan.inputs()));
        let context =
            SimplifyContext::builder().with_schema(Arc::clone(&schema)).with_config_options(config.options()).build();
        let simplifier = ExprSimplifier::new(context);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| {
                computed(expr, &simplifier)?.transform_data(|expr| {
                    Ok(match &expr {
                        Expr::InList(list) if has_unknown(list) && !is_float(&list.expr, &schema) => {
                            Transformed::yes(spelled_out(list))
                        }
                        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match merged(left, *op, right) {
                            Some(merged) => Transformed::yes(merged),
                            None => Transformed::no(expr),
                        },
                        _ => Transformed::no(expr),
                    })
                })
            })?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })
    }
}

/// The comparison with constants that are written as `1 + 1` computed: DataFusion does so while it merges lists.
fn computed(expr: Expr, simplifier: &ExprSimplifier) -> Result<Transformed<Expr>> {
    let is_open = |value: &Expr| !matches!(value, Expr::Literal(..)) && literal(value).is_none() && !is_unknown(value);
    let compute = |value: Expr| if is_open(&value) { simplifier.simplify(value) } else { Ok(value) };
    Ok(match expr {
        Expr::InList(list) if list.list.iter().any(is_open) => {
            let values = list.list.into_iter().map(compute).collect::<Result<_>>()?;
            Transformed::yes(Expr::InList(InList { list: values, ..list }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Eq | Operator::NotEq), right })
            if is_open(&left) || is_open(&right) =>
        {
            Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(
                Box::new(compute(*left)?),
                op,
                Box::new(compute(*right)?),
            )))
        }
        other => Transformed::no(other),
    })
}

fn has_unknown(list: &InList) -> bool {
    // `x IN ((SELECT …))` is no list: DataFusion knows it for a subquery of many rows.
    let is_subquery = matches!(list.list.as_slice(), [Expr::ScalarSubquery(_)]);
    !is_subquery && !list.expr.is_volatile() && list.list.iter().any(is_unknown)
}

/// Floats are compared otherwise in a list (see `zeros.rs`).
fn is_float(value: &Expr, schema: &DFSchema) -> bool {
    value.get_type(schema).map_or(true, |data_type| data_type.is_floating())
}

/// Whether only a row says what the value is.
fn is_unknown(value: &Expr) -> bool {
    let is_subquery = |expr: &Expr| Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)));
    value.any_column_refs()
        || value.contains_outer()
        || value.is_volatile()
        || value.exists(is_subquery).unwrap_or(true)
}

/// `x = y OR x = z`, or `x <> y AND x <> z`.
fn spelled_out(list: &InList) -> Expr {
    let value = || list.expr.as_ref().clone();
    let compared = list.list.iter().cloned();
    let all = match list.negated {
        false => disjunction(compared.map(|other| value().eq(other))),
        true => conjunction(compared.map(|other| value().not_eq(other))),
    };
    all.unwrap_or_else(|| lit(list.negated))
}

/// The condition that two lists for one value are, if no value is left for it to be compared with.
fn merged(left: &Expr, op: Operator, right: &Expr) -> Option<Expr> {
    if is_comparison(left) || is_comparison(right) {
        return None;
    }
    let ((value, these), (other, those)) = (values(left)?, values(right)?);
    if value != other || !these.has_type_of(&those) {
        return None;
    }
    let is_left = match (op, these.negated, those.negated) {
        (Operator::And, false, false) | (Operator::Or, true, true) => these.of(|value| those.has(value)),
        (Operator::And, false, true) => these.of(|value| !those.has(value)),
        (Operator::And, true, false) => those.of(|value| !these.has(value)),
        _ => return None,
    };
    let unknown = || lit(ScalarValue::Boolean(None));
    match (is_left, op) {
        (true, _) => None,
        (false, Operator::Or) => Some(value.clone().is_not_null().or(unknown())),
        (false, _) => Some(value.clone().is_null().and(unknown())),
    }
}

fn is_comparison(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::Eq | Operator::NotEq, .. }))
}

/// The value of a literal, as written or cast to the type that it is compared in. None of a float, which may be
/// equal to one of other bits.
fn literal(expr: &Expr) -> Option<ScalarValue> {
    let value = match expr {
        Expr::Literal(value, _) => value.clone(),
        Expr::Cast(cast) => literal(&cast.expr)?.cast_to(cast.field.data_type()).ok()?,
        _ => return None,
    };
    (!value.data_type().is_floating()).then_some(value)
}

/// The literals that a value is compared with.
struct Literals {
    list: Vec<ScalarValue>,
    negated: bool,
}

impl Literals {
    fn has(&self, value: &ScalarValue) -> bool {
        self.list.contains(value)
    }

    fn of(&self, wanted: impl Fn(&ScalarValue) -> bool) -> bool {
        self.list.iter().any(wanted)
    }

    /// Values of two types may be equal, and not look so.
    fn has_type_of(&self, other: &Self) -> bool {
        let mut types = self.list.iter().chain(&other.list).map(ScalarValue::data_type);
        let first = types.next();
        types.all(|data_type| first.as_ref() == Some(&data_type))
    }
}

/// `x IN (1, 2)`, `x = 1 OR x = 2`, `x NOT IN (1, 2)`, `x <> 1 AND x <> 2`, or NOT of one.
fn values(expr: &Expr) -> Option<(&Expr, Literals)> {
    match expr {
        Expr::InList(list) => {
            let literals = list.list.iter().map(literal).collect::<Option<Vec<_>>>()?;
            Some((&list.expr, Literals { list: literals, negated: list.negated }))
        }
        Expr::Not(inner) => {
            let (value, literals) = values(inner)?;
            Some((value, Literals { negated: !literals.negated, ..literals }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Eq | Operator::NotEq), right }) => {
            let (value, literal) = match (literal(left), literal(right)) {
                (None, Some(literal)) => (left.as_ref(), literal),
                (Some(literal), None) => (right.as_ref(), literal),
                _ => return None,
            };
            Some((value, Literals { list: vec![literal], negated: *op == Operator::NotEq }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Or | Operator::And), right }) => {
            let ((value, mut these), (other, those)) = (values(left)?, values(right)?);
            let negated = *op == Operator::And;
            if value != other || these.negated != negated || those.negated != negated {
                return None;
            }
            these.list.extend(those.list);
            Some((value, these))
        }
        _ => None,
    }
}
