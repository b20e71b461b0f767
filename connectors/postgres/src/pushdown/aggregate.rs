//! Grouping and aggregate functions.

use arrow::datatypes::DataType;
use datafusion::logical_expr::expr::AggregateFunctionParams;
use datafusion::logical_expr::{Aggregate, Cast, Expr};

use super::expression::{ExprPrinter, shown};
use super::literal::Reason;
use super::print::{printer, used};
use super::select::{Select, output};
use super::term::{Binding, Term, is_text};
use crate::types::{Collation, Form};

/// `grouped` over an input that was taken.
pub(super) fn aggregate(grouped: &Aggregate, mut select: Select) -> Result<Select, Reason> {
    let schema = grouped.input.schema();
    let expressions = grouped.group_expr.iter().chain(&grouped.aggr_expr);
    let columns: Vec<usize> = expressions.flat_map(|expr| used(expr, schema)).collect();
    if !select.takes_filter(columns) {
        select.wrap();
    }
    let terms: Result<Vec<Term>, Reason> = {
        let printer = printer(&select, schema);
        let keys = grouped.group_expr.iter().map(|expr| key(&printer, expr));
        let values = grouped.aggr_expr.iter().map(|expr| value(&printer, expr));
        keys.chain(values).collect()
    };
    let terms = terms?;
    for (term, field) in terms.iter().zip(grouped.schema.fields()) {
        output(term, field.data_type()).map_err(|why| format!("{}: {why}", field.name()))?;
    }
    select.group(terms, grouped.group_expr.len());
    Ok(select)
}

fn key(printer: &ExprPrinter<'_>, expr: &Expr) -> Result<Term, Reason> {
    if matches!(expr, Expr::GroupingSet(_)) {
        return Err("grouping sets: computed locally".to_owned());
    }
    let term = printer.print(expr)?;
    printer.comparer.groupable(&term).map_err(|why| format!("{}: {why}", shown(expr)))
}

fn value(printer: &ExprPrinter<'_>, expr: &Expr) -> Result<Term, Reason> {
    match expr {
        Expr::Alias(alias) => value(printer, &alias.expr),
        Expr::AggregateFunction(call) => {
            let (name, result) = (call.func.name(), printer.type_of(expr)?);
            let call = Call::of(printer, &call.params).map_err(|why| format!("{name}: {why}"))?;
            function(printer, name, &call, result).map_err(|why| format!("{name}: {why}"))
        }
        other => Err(format!("{}: not translated", shown(other))),
    }
}

/// A call of an aggregate function, but for its name.
pub(super) struct Call<'a> {
    pub(super) argument: &'a Expr,
    pub(super) distinct: bool,
    /// What follows the argument: ` FILTER (WHERE …)`, ` OVER (…)`, or nothing.
    pub(super) behind: String,
}

impl<'a> Call<'a> {
    fn of(printer: &ExprPrinter<'_>, parameters: &'a AggregateFunctionParams) -> Result<Self, Reason> {
        if !parameters.order_by.is_empty() || parameters.null_treatment.is_some() {
            return Err("in an order".to_owned());
        }
        let [argument] = parameters.args.as_slice() else { return Err("several arguments".to_owned()) };
        let behind = filter(printer, parameters.filter.as_deref())?;
        Ok(Self { argument, distinct: parameters.distinct, behind })
    }

    fn text(&self, name: &str, argument: &str) -> String {
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        format!("{name}({distinct}{argument}){}", self.behind)
    }
}

/// ` FILTER (WHERE …)`, or nothing.
pub(super) fn filter(printer: &ExprPrinter<'_>, condition: Option<&Expr>) -> Result<String, Reason> {
    match condition {
        Some(condition) => Ok(format!(" FILTER (WHERE {})", printer.print(condition)?.text)),
        None => Ok(String::new()),
    }
}

/// The call of the aggregate function `name`, of type `result`.
pub(super) fn function(
    printer: &ExprPrinter<'_>,
    name: &str,
    call: &Call<'_>,
    result: DataType,
) -> Result<Term, Reason> {
    let text = match name {
        "count" => count(printer, call)?,
        "sum" => sum(printer, call, &result)?,
        "avg" => average(printer, call, &result)?,
        "min" | "max" => extreme(printer, name, call)?,
        "bool_and" | "bool_or" => call.text(name, &plain(printer.print(call.argument)?)?.text),
        _ => return Err("computed locally".to_owned()),
    };
    // The least text was found among those of COLLATE "C", which the column then has.
    let collation = if is_text(&result) { Collation { bytewise: true, ..Collation::NONE } } else { Collation::MIXED };
    Ok(Term { collation, ..Term::computed(text, Binding::Atom, result) })
}

fn plain(term: Term) -> Result<Term, Reason> {
    if term.form == Form::Plain { Ok(term) } else { Err(format!("of {}", term.arrow)) }
}

fn count(printer: &ExprPrinter<'_>, call: &Call<'_>) -> Result<String, Reason> {
    let argument = call.argument;
    if let (Expr::Literal(value, _), false) = (argument, call.distinct) {
        // Of nothing but NULL it is still a call: without one, a SELECT that groups by nothing groups not at all.
        return Ok(call.text("count", if value.is_null() { "NULL" } else { "*" }));
    }
    let term = printer.print(argument)?;
    if call.distinct {
        return Ok(call.text("count", &printer.comparer.groupable(&term)?.text));
    }
    let value = match term.form {
        // A composite value of NULLs is NULL, its text is not.
        Form::AsText | Form::Composite => format!("{}::text", term.atom()),
        _ => term.text,
    };
    Ok(call.text("count", &value))
}

/// Sums of integers are exact on both sides, and an error if no bigint holds them.
fn sum(printer: &ExprPrinter<'_>, call: &Call<'_>, result: &DataType) -> Result<String, Reason> {
    // The engine widens first; PostgreSQL adds small integers faster as they are.
    let argument = match call.argument {
        Expr::Cast(Cast { expr, .. }) if matches!(printer.type_of(expr), Ok(DataType::Int16 | DataType::Int32)) => expr,
        argument => argument,
    };
    let term = plain(printer.print(argument)?)?;
    match (&term.arrow, result) {
        (DataType::Int16 | DataType::Int32 | DataType::Int64, DataType::Int64) => {
            Ok(format!("{}::bigint", call.text("sum", &term.text)))
        }
        (DataType::Decimal128(..), DataType::Decimal128(..)) => Ok(call.text("sum", &term.text)),
        (DataType::Float32, DataType::Float32) if !call.distinct => {
            Ok(format!("{}::real", call.text("sum", &format!("{}::double precision", term.atom()))))
        }
        (DataType::Float64, DataType::Float64) if !call.distinct => Ok(call.text("sum", &term.text)),
        (from, _) => Err(format!("of {from}")),
    }
}

/// An average of decimals is rounded half up to the argument's scale, from the exact quotient: PostgreSQL
/// would round it to some digits first.
fn average(printer: &ExprPrinter<'_>, call: &Call<'_>, result: &DataType) -> Result<String, Reason> {
    let term = plain(printer.print(call.argument)?)?;
    match (&term.arrow, result) {
        (DataType::Decimal128(_, scale), DataType::Decimal128(_, to)) if scale == to => {
            let zeros = "0".repeat(usize::try_from(*scale).unwrap_or(0));
            let unit = match zeros.len() {
                0 => "1".to_owned(),
                digits => format!("0.{}1", "0".repeat(digits - 1)),
            };
            let (sum, count) = (call.text("sum", &term.text), call.text("count", &term.text));
            Ok(format!("(sign({sum}) * div(abs({sum}) * 2{zeros} + {count}, 2 * {count}) * {unit})"))
        }
        (DataType::Float32, DataType::Float32) if !call.distinct => {
            Ok(format!("{}::real", call.text("avg", &format!("{}::double precision", term.atom()))))
        }
        (DataType::Float64, DataType::Float64) if !call.distinct => Ok(call.text("avg", &term.text)),
        (from, _) => Err(format!("of {from}")),
    }
}

fn extreme(printer: &ExprPrinter<'_>, name: &str, call: &Call<'_>) -> Result<String, Reason> {
    let term = printer.print(call.argument)?;
    match (&term.arrow, term.form) {
        (DataType::Float32 | DataType::Float64, _) => Err("NaN is ordered otherwise".to_owned()),
        // PostgreSQL has them for few versions, or not at all.
        (DataType::Boolean, _) => Err("of boolean".to_owned()),
        (arrow, Form::Plain) if super::term::is_binary(arrow) => Err("of varbinary".to_owned()),
        (_, Form::Uuid) => {
            let value = term.value().ok_or("not translated")?;
            Ok(call.text(name, &format!("{} COLLATE \"C\"", value.atom())))
        }
        _ => Ok(call.text(name, &printer.comparer.ordered(&term)?)),
    }
}
