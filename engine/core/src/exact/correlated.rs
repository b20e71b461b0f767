//! Correlated subqueries of whose rows something is made before the correlation holds.
//!
//! DataFusion moves a correlated condition up to the join that it makes of the subquery. Below an aggregation it groups by
//! the columns of the condition for that, also where the condition compares what is computed from them, so that there are
//! more groups than values; and over a window function it moves it as if nothing were in the way:
//!
//! ```text
//! (SELECT count(*) FROM y WHERE CAST(y.ts AS date) = x.d)      what is computed becomes a column, of which there are groups
//! (SELECT row_number() OVER (ORDER BY v) FROM y WHERE y.k = x.k)    OVER (PARTITION BY y.k ORDER BY v)
//! ```

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, Window};
use datafusion::optimizer::AnalyzerRule;
use meesh_base::Error;
use meesh_connector_spi::into_datafusion;

use super::one_row::subquery_of;

/// Makes such conditions ones that may be moved. Comes when every value has its type.
#[derive(Debug)]
pub(super) struct CorrelatedKeys;

impl AnalyzerRule for CorrelatedKeys {
    fn name(&self) -> &str {
        "correlated_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            if let LogicalPlan::Subquery(subquery) = &plan {
                return Ok(match rewritten(subquery)? {
                    Some(subquery) => Transformed::yes(LogicalPlan::Subquery(subquery)),
                    None => Transformed::no(plan),
                });
            }
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(in_expression)?.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(rewritten?.data)
    }
}

fn in_expression(mut expr: Expr) -> Result<Transformed<Expr>> {
    let subquery = match &mut expr {
        Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. })
        | Expr::ScalarSubquery(subquery) => subquery,
        _ => return Ok(Transformed::no(expr)),
    };
    let Some(new) = rewritten(subquery)? else { return Ok(Transformed::no(expr)) };
    *subquery = new;
    Ok(Transformed::yes(expr))
}

fn rewritten(subquery: &Subquery) -> Result<Option<Subquery>> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(None);
    }
    let mut keys = Keys::default();
    let plan = keys.rewrite(&subquery.subquery, false)?;
    Ok(keys.has_changed.then(|| Subquery { spans: subquery.spans.clone(), ..subquery_of(plan) }))
}

/// What the correlated conditions below a node compare.
#[derive(Default)]
struct Keys {
    /// Columns of the node that equal something of the query around.
    columns: Vec<Column>,
    /// Whether there are other conditions, or columns that the node has no more.
    has_others: bool,
    /// How many columns were computed.
    computed: usize,
    has_changed: bool,
}

impl Keys {
    /// `plan`, above which something is made of its rows if they are `gathered`.
    fn rewrite(&mut self, plan: &LogicalPlan, gathered: bool) -> Result<LogicalPlan> {
        let input = match plan {
            LogicalPlan::Filter(filter) => {
                let input = self.rewrite(&filter.input, gathered)?;
                return self.condition(filter.predicate.clone(), input, gathered);
            }
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(_) | LogicalPlan::Limit(_) => {
                self.rewrite(plan.inputs()[0], true)?
            }
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) => {
                self.rewrite(plan.inputs()[0], gathered)?
            }
            plan => {
                self.has_others |= plan.contains_outer_reference();
                return Ok(plan.clone());
            }
        };
        if let LogicalPlan::Window(window) = plan
            && (self.has_others || !self.columns.is_empty())
        {
            return self.partitioned(window, input);
        }
        let below = input.schema().as_ref().clone();
        let plan = match self.has_changed {
            true => plan.with_new_exprs(plan.expressions(), vec![input])?,
            false => plan.clone(),
        };
        self.pass(&plan, &below);
        Ok(plan)
    }

    /// The rows of `input` for which a condition holds. What is computed is computed of the rows that the rest of the
    /// condition leaves: of others it may fail.
    fn condition(&mut self, predicate: Expr, input: LogicalPlan, gathered: bool) -> Result<LogicalPlan> {
        let (correlated, own): (Vec<Expr>, Vec<Expr>) =
            split_conjunction_owned(predicate).into_iter().partition(Expr::contains_outer);
        let (mut computed, mut conditions) = (Vec::new(), Vec::new());
        for condition in correlated {
            match equality(&condition) {
                Some((Expr::Column(own), _)) => self.columns.push(own.clone()),
                Some((own, outer)) if gathered && !own.is_volatile() => {
                    let column = Column::from_name(format!("$key{}", self.computed));
                    self.computed += 1;
                    computed.push(own.clone().alias(&column.name));
                    conditions.push(Expr::Column(column.clone()).eq(outer.clone()));
                    self.columns.push(column);
                    continue;
                }
                _ => self.has_others = true,
            }
            conditions.push(condition);
        }
        let filtered = |input: LogicalPlan, conditions: Vec<Expr>| match conjunction(conditions) {
            Some(condition) => LogicalPlanBuilder::from(input).filter(condition)?.build(),
            None => Ok(input),
        };
        if computed.is_empty() {
            return filtered(input, own.into_iter().chain(conditions).collect());
        }
        self.has_changed = true;
        let left = filtered(input, own)?;
        let columns = left.schema().iter().map(|column| Expr::Column(Column::from(column))).chain(computed);
        let columns: Vec<Expr> = columns.collect();
        filtered(LogicalPlanBuilder::from(left).project(columns)?.build()?, conditions)
    }

    /// The window functions by key.
    fn partitioned(&mut self, window: &Window, input: LogicalPlan) -> Result<LogicalPlan> {
        if self.has_others {
            let error =
                Error::unsupported("a window function in a subquery that is correlated by other than `column = value`")
                    .with_hint("compute it in a subquery that is not correlated");
            return Err(into_datafusion(error.with_code("NOT_SUPPORTED")));
        }
        self.has_changed = true;
        let plan = LogicalPlan::Window(window.clone());
        let names = NamePreserver::new(&plan);
        let functions = window.window_expr.iter().map(|function| {
            let name = names.save(function);
            let partitioned = function.clone().transform_up(|expr| match expr {
                Expr::WindowFunction(mut function) => {
                    let keys = self.columns.iter().map(|key| Expr::Column(key.clone()));
                    function.params.partition_by.extend(keys);
                    Ok(Transformed::yes(Expr::WindowFunction(function)))
                }
                expr => Ok(Transformed::no(expr)),
            })?;
            Ok(name.restore(partitioned.data))
        });
        let functions = functions.collect::<Result<Vec<_>>>()?;
        plan.with_new_exprs(functions, vec![input])
    }

    /// The columns as `plan` calls them, whose input has the columns of `below`.
    fn pass(&mut self, plan: &LogicalPlan, below: &DFSchema) {
        let above = plan.schema();
        let renamed = |column: &Column| match plan {
            LogicalPlan::Projection(projection) => {
                let same = |expr: &Expr| matches!(expr.clone().unalias(), Expr::Column(found) if found == *column);
                let index = projection.expr.iter().position(same)?;
                Some(Column::from(above.qualified_field(index)))
            }
            LogicalPlan::SubqueryAlias(_) => {
                let index = below.maybe_index_of_column(column)?;
                Some(Column::from(above.qualified_field(index)))
            }
            _ => above.has_column(column).then(|| column.clone()),
        };
        let columns: Vec<Column> = self.columns.iter().filter_map(renamed).collect();
        self.has_others |= columns.len() < self.columns.len();
        self.columns = columns;
    }
}

/// What of the subquery equals what of the query around it, if that is the condition.
fn equality(condition: &Expr) -> Option<(&Expr, &Expr)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return None };
    let is_own = |expr: &Expr| !expr.contains_outer() && expr.any_column_refs();
    let is_outer = |expr: &Expr| expr.contains_outer() && !expr.any_column_refs();
    match (left.as_ref(), right.as_ref()) {
        (own, outer) if is_own(own) && is_outer(outer) => Some((own, outer)),
        (outer, own) if is_own(own) && is_outer(outer) => Some((own, outer)),
        _ => None,
    }
}
