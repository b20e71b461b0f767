//! Arithmetic and functions.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::scalar::ScalarValue;

use super::expression::{ExprPrinter, shown};
use super::literal::{Reason, is_microseconds};
use super::term::{Binding, Term, is_text};
use super::whitelist::{DATE_PARTS, LOCAL_FUNCTIONS, TRUNCATIONS};
use crate::types::Form;

type Function = fn(&ExprPrinter<'_>, &[Term], DataType) -> Result<Term, Reason>;

/// The functions that are pushed, by the engine's name.
const FUNCTIONS: &[(&str, Function)] =
    &[("coalesce", coalesce), ("nullif", nullif), ("date_part", date_part), ("date_trunc", date_trunc)];

/// A call as SQL.
pub(super) fn print(
    printer: &ExprPrinter<'_>,
    expr: &Expr,
    call: &ScalarFunction,
    depth: usize,
) -> Result<Term, Reason> {
    let name = call.func.name();
    let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
        let why = LOCAL_FUNCTIONS.iter().find(|(known, _)| *known == name).map_or("not translated", |(_, why)| why);
        return Err(format!("{}: {why}", shown(expr)));
    };
    let arguments = call.args.iter().map(|argument| printer.walk(argument, depth)).collect::<Result<Vec<_>, _>>()?;
    function(printer, &arguments, printer.type_of(expr)?).map_err(|why| format!("{}: {why}", shown(expr)))
}

/// A branch of CASE or COALESCE: a value of just the result's type.
pub(super) fn branch(term: &Term, result: &DataType) -> Result<String, Reason> {
    let alike = term.arrow == *result || (is_text(&term.arrow) && is_text(result));
    let value = term.value().filter(|_| alike);
    value.map(|value| value.text).ok_or_else(|| format!("branch of type {} in a {result}", term.arrow))
}

fn coalesce(_: &ExprPrinter<'_>, arguments: &[Term], result: DataType) -> Result<Term, Reason> {
    let branches = arguments.iter().map(|argument| branch(argument, &result)).collect::<Result<Vec<_>, _>>()?;
    Ok(Term::computed(format!("COALESCE({})", branches.join(", ")), Binding::Atom, result))
}

/// Spelled out, so that the comparison is ours.
fn nullif(printer: &ExprPrinter<'_>, arguments: &[Term], result: DataType) -> Result<Term, Reason> {
    let [value, other] = arguments else { return Err("two arguments expected".to_owned()) };
    let equal = printer.comparer.compare(Operator::Eq, value, other)?;
    let value = branch(value, &result)?;
    Ok(Term::computed(format!("CASE WHEN {} THEN NULL ELSE {value} END", equal.text), Binding::Atom, result))
}

/// Under UTC, and with the engine's year 0, which PostgreSQL calls -1.
fn date_part(_: &ExprPrinter<'_>, arguments: &[Term], result: DataType) -> Result<Term, Reason> {
    let [part, value] = arguments else { return Err("two arguments expected".to_owned()) };
    let part = constant(part)?;
    let timed = is_microseconds(&value.arrow) && matches!(value.arrow, DataType::Timestamp(..));
    let known = DATE_PARTS.iter().find(|(names, ..)| names.contains(&part.as_str()));
    let Some((_, part, _)) = known.filter(|(.., of_time)| timed || (!of_time && value.arrow == DataType::Date32))
    else {
        return Err(format!("part {part} of {}", value.arrow));
    };
    if value.form != Form::Plain || result != DataType::Int32 {
        return Err("not translated".to_owned());
    }
    let source = at_utc(value);
    let extracted = format!("extract({part} from {source})");
    let text = match *part {
        "year" => format!("({extracted} + ({source} < '0001-01-01')::int)::int"),
        _ => format!("{extracted}::int"),
    };
    Ok(Term::computed(text, Binding::Atom, result))
}

fn date_trunc(_: &ExprPrinter<'_>, arguments: &[Term], result: DataType) -> Result<Term, Reason> {
    let [unit, value] = arguments else { return Err("two arguments expected".to_owned()) };
    let unit = constant(unit)?;
    let timed = is_microseconds(&value.arrow) && matches!(value.arrow, DataType::Timestamp(..));
    if !TRUNCATIONS.contains(&unit.as_str()) || !timed || value.form != Form::Plain || result != value.arrow {
        return Err(format!("{unit} of {}", value.arrow));
    }
    let zone = if is_zoned(value) { ", 'UTC'" } else { "" };
    Ok(Term::computed(format!("date_trunc('{unit}', {}{zone})", value.text), Binding::Atom, result))
}

fn constant(term: &Term) -> Result<String, Reason> {
    let text = term.literal.as_ref().and_then(|value| value.try_as_str().flatten());
    text.map(str::to_lowercase).ok_or_else(|| "the unit is no constant".to_owned())
}

fn is_zoned(term: &Term) -> bool {
    matches!(term.arrow, DataType::Timestamp(_, Some(_)))
}

fn at_utc(term: &Term) -> String {
    if is_zoned(term) { format!("({} AT TIME ZONE 'UTC')", term.atom()) } else { term.atom() }
}

/// `left op right`, of type `result`.
pub(super) fn arithmetic(op: Operator, left: &Term, right: &Term, result: DataType) -> Result<Term, Reason> {
    use DataType as T;
    if left.form != Form::Plain || right.form != Form::Plain {
        return Err("not translated".to_owned());
    }
    let exact = match (&left.arrow, &right.arrow, &result) {
        (T::Int16, T::Int16, T::Int16) | (T::Int32, T::Int32, T::Int32) | (T::Int64, T::Int64, T::Int64) => match op {
            Operator::Divide | Operator::Modulo => is_safe_divisor(right),
            _ => true,
        },
        (T::Decimal128(_, a), T::Decimal128(_, b), T::Decimal128(_, scale)) => match op {
            Operator::Plus | Operator::Minus => scale == a.max(b),
            Operator::Multiply => i16::from(*scale) == i16::from(*a) + i16::from(*b),
            // The quotient's digits end elsewhere.
            _ => false,
        },
        (T::Date32, T::Interval(IntervalUnit::MonthDayNano), T::Date32) => return shift_date(op, left, right),
        _ => false,
    };
    if !exact {
        return Err(format!("{} of {} and {}", op_name(op), left.arrow, right.arrow));
    }
    Ok(Term::computed(format!("{} {op} {}", left.atom(), right.atom()), Binding::Arithmetic, result))
}

/// Neither zero nor -1, which makes the smallest integer overflow.
fn is_safe_divisor(term: &Term) -> bool {
    let divisor = match term.literal {
        Some(ScalarValue::Int16(Some(value))) => i64::from(value),
        Some(ScalarValue::Int32(Some(value))) => i64::from(value),
        Some(ScalarValue::Int64(Some(value))) => value,
        _ => 0,
    };
    !matches!(divisor, 0 | -1)
}

/// A date and whole months or days: both sides clamp to the end of the month.
fn shift_date(op: Operator, date: &Term, interval: &Term) -> Result<Term, Reason> {
    match &interval.literal {
        Some(ScalarValue::IntervalMonthDayNano(Some(value)))
            if value.nanoseconds == 0 && matches!(op, Operator::Plus | Operator::Minus) =>
        {
            let text = format!("({} {op} {})::date", date.atom(), interval.atom());
            Ok(Term::computed(text, Binding::Atom, DataType::Date32))
        }
        _ => Err("only constant months and days are added to a date".to_owned()),
    }
}

fn op_name(op: Operator) -> &'static str {
    match op {
        Operator::Plus => "sum",
        Operator::Minus => "difference",
        Operator::Multiply => "product",
        Operator::Divide => "quotient",
        _ => "remainder",
    }
}
