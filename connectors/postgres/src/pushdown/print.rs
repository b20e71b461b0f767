//! Plans of the engine as SELECTs: one arm for each node that is taken.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::logical_expr::{
    Expr, FetchType, Filter, Limit, LogicalPlan, Operator, Projection, SkipType, Sort, SortExpr, TableScan,
};
use meesh_connector_spi::source_table;

use super::compare::Comparer;
use super::expression::{ExprPrinter, shown};
use super::literal::Reason;
use super::select::{Select, output};
use super::term::Term;
use super::{aggregate, join, window};
use crate::catalog::Relation;

/// The planner's own guesses where nothing is known (`selfuncs.h`), rounded up: an equality is more
/// often with one of few values than it thinks.
const EQUALITY_SHARE: f64 = 0.1;
const RANGE_SHARE: f64 = 0.33;

/// For which source plans are printed, and as which of two SELECTs where there are two.
#[derive(Debug, Clone)]
pub(crate) struct Printing {
    /// The source whose relations are read.
    pub(crate) source_key: Arc<str>,
    /// Whether a grouping that is joined by its keys is computed for each row of the other side, of the
    /// rows with its keys only: fast where an index finds them and the other side is small. Otherwise it
    /// is computed once, of all rows.
    pub(crate) correlated: bool,
}

/// `plan` as one SELECT.
///
/// # Errors
/// The reason why some node of it stays local.
pub(crate) fn select(plan: &LogicalPlan, printing: &Printing) -> Result<Select, Reason> {
    let mut select = node(plan, printing)?;
    select.relations.extend(subquery_relations(plan, printing)?);
    Ok(select)
}

/// What the subqueries in a node's expressions read.
fn subquery_relations(plan: &LogicalPlan, printing: &Printing) -> Result<Vec<Arc<Relation>>, Reason> {
    let mut relations = Vec::new();
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            if let Expr::ScalarSubquery(subquery) = expr
                && let Ok(inner) = select(&subquery.subquery, printing)
            {
                relations.extend(inner.relations);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    });
    walked.map_err(|error| error.to_string())?;
    Ok(relations)
}

fn node(plan: &LogicalPlan, printing: &Printing) -> Result<Select, Reason> {
    match plan {
        LogicalPlan::TableScan(scan) => table_scan(scan, printing),
        LogicalPlan::SubqueryAlias(alias) => select(&alias.input, printing),
        LogicalPlan::Projection(projection) => project(projection, select(&projection.input, printing)?),
        LogicalPlan::Filter(filter) => restrict(filter, select(&filter.input, printing)?),
        LogicalPlan::Limit(limit) => cut(limit, select(&limit.input, printing)?),
        LogicalPlan::Join(join) => join::join(join, select(&join.left, printing)?, select(&join.right, printing)?),
        LogicalPlan::Aggregate(grouped) => aggregate::aggregate(grouped, select(&grouped.input, printing)?),
        LogicalPlan::Window(windows) => window::window(windows, select(&windows.input, printing)?),
        LogicalPlan::Sort(sort) => order(sort, select(&sort.input, printing)?),
        LogicalPlan::Union(union) => {
            let branches = union.inputs.iter().map(|input| select(input, printing)).collect::<Result<Vec<_>, _>>()?;
            Select::union(branches, &types(&union.schema), printing)
        }
        other => Err(format!("{}: computed locally", node_name(other))),
    }
}

/// The Arrow types of a schema's columns.
pub(crate) fn types(schema: &DFSchemaRef) -> Vec<&DataType> {
    schema.fields().iter().map(|field| field.data_type()).collect()
}

fn node_name(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Distinct(_) => "distinct",
        LogicalPlan::Unnest(_) => "unnest",
        _ => "operation",
    }
}

fn table_scan(scan: &TableScan, printing: &Printing) -> Result<Select, Reason> {
    let table = source_table(&scan.source).ok_or("not a table of this source")?;
    if table.connector.source_key() != *printing.source_key {
        return Err("not a table of this source".to_owned());
    }
    let relation = table.handle.clone().downcast::<Relation>().map_err(|_| "not a table of this source")?;
    let mut select = Select::of(&relation, printing);
    if !scan.filters.is_empty() {
        let whole = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &table.columns);
        let whole = whole.map_err(|_| "its columns have equal names")?;
        scan.filters.iter().try_for_each(|condition| add_filter(&mut select, condition, &whole))?;
    }
    if let Some(columns) = &scan.projection {
        select.keep(columns)?;
    }
    if scan.fetch.is_some() {
        select.limit(0, scan.fetch);
    }
    Ok(select)
}

fn restrict(filter: &Filter, mut select: Select) -> Result<Select, Reason> {
    let schema = filter.input.schema();
    if !select.takes_filter(used(&filter.predicate, schema)) {
        select.wrap();
    }
    add_filter(&mut select, &filter.predicate, schema)?;
    Ok(select)
}

fn add_filter(select: &mut Select, condition: &Expr, schema: &DFSchema) -> Result<(), Reason> {
    let share = match condition {
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => EQUALITY_SHARE,
        _ => RANGE_SHARE,
    };
    let term = printer(select, schema).print(condition)?;
    select.filter(&term, share);
    Ok(())
}

fn project(projection: &Projection, mut select: Select) -> Result<Select, Reason> {
    let schema = projection.input.schema();
    // Columns that are only passed on may be computed ones; everything else must not compute them again.
    let computed = projection.expr.iter().filter(|expr| !is_column(expr));
    let used: Vec<usize> = computed.flat_map(|expr| used(expr, schema)).collect();
    if !select.takes_expressions(used) {
        select.wrap();
    }
    let terms: Result<Vec<Term>, Reason> = {
        let printer = printer(&select, schema);
        projection.expr.iter().map(|expr| printer.print(expr)).collect()
    };
    let terms = terms?;
    for (term, field) in terms.iter().zip(projection.schema.fields()) {
        output(term, field.data_type()).map_err(|why| format!("{}: {why}", field.name()))?;
    }
    select.columns = terms;
    Ok(select)
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_column(&alias.expr),
        Expr::Column(_) => true,
        _ => false,
    }
}

fn cut(limit: &Limit, mut select: Select) -> Result<Select, Reason> {
    match (limit.get_skip_type(), limit.get_fetch_type()) {
        (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) => {
            select.limit(skip, fetch);
            Ok(select)
        }
        _ => Err("limit: not a constant".to_owned()),
    }
}

/// The first rows in an order; an order alone says nothing that a derived table would keep.
fn order(sort: &Sort, mut select: Select) -> Result<Select, Reason> {
    let Some(fetch) = sort.fetch else { return Err("sort: without a limit".to_owned()) };
    select.wrap();
    let keys: Result<Vec<String>, Reason> = {
        let printer = printer(&select, sort.input.schema());
        sort.expr.iter().map(|key| sort_key(&printer, key)).collect()
    };
    select.order(keys?);
    select.limit(0, Some(fetch));
    Ok(select)
}

pub(super) fn sort_key(printer: &ExprPrinter<'_>, key: &SortExpr) -> Result<String, Reason> {
    let term = printer.print(&key.expr)?;
    let ordered = printer.comparer.ordered(&term).map_err(|why| format!("{}: {why}", shown(&key.expr)))?;
    let direction = if key.asc { "ASC" } else { "DESC" };
    let nulls = if key.nulls_first { "FIRST" } else { "LAST" };
    Ok(format!("{ordered} {direction} NULLS {nulls}"))
}

pub(super) fn printer<'a>(select: &'a Select, schema: &'a DFSchema) -> ExprPrinter<'a> {
    let comparer = Comparer { utf8: select.utf8 };
    ExprPrinter { schema, columns: &select.columns, comparer, printing: &select.printing }
}

/// The positions of the columns that `expr` names.
pub(super) fn used(expr: &Expr, schema: &DFSchema) -> Vec<usize> {
    expr.column_refs().into_iter().filter_map(|column| schema.maybe_index_of_column(column)).collect()
}
