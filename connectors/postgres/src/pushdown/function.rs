//! Arithmetic and functions.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, IntervalUnit};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::scalar::ScalarValue;

use super::expression::{ExprPrinter, shown};
use super::literal::{self, Reason, is_microseconds};
use super::term::{Binding, Term, is_text};
use super::whitelist::{DATE_PARTS, LOCAL_FUNCTIONS, TRUNCATIONS};
use crate::types::{Form, computed};

type Function = fn(&ExprPrinter<'_>, &[Term], DataType) -> Result<Term, Reason>;

/// The longest operand that is printed twice.
const OPERAND_MAX: usize = 200;

/// The functions that are pushed, by the engine's name.
const FUNCTIONS: &[(&str, Function)] = &[
    ("$negate", negated),
    ("$canonical", canonical),
    ("coalesce", coalesce),
    ("nullif", nullif),
    ("date_part", date_part),
    ("date_trunc", date_trunc),
    ("substr", substr),
    ("character_length", character_length),
];

/// A call as SQL.
pub(super) fn print(
    printer: &ExprPrinter<'_>,
    expr: &Expr,
    call: &ScalarFunction,
    depth: usize,
) -> Result<Term, Reason> {
    let name = call.func.name();
    if let Some(signs) = arithmetic_signs(name) {
        return chain(printer, expr, &signs, &call.args, depth);
    }
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

/// A float in the one form that stands for its value: 0 for -0, one NaN for all.
fn canonical(_: &ExprPrinter<'_>, arguments: &[Term], result: DataType) -> Result<Term, Reason> {
    match (arguments, computed(&result)) {
        ([value], Some((name, _))) if value.form == Form::Plain && value.arrow == result => {
            let value = value.atom();
            let text = format!("CASE WHEN {value} = 'NaN'::{name} THEN 'NaN'::{name} ELSE {value} + '0'::{name} END");
            Ok(Term::computed(text, Binding::Atom, result))
        }
        _ => Err("not translated".to_owned()),
    }
}

/// The sign of a whole number: the smallest has no opposite on either side.
fn negated(_: &ExprPrinter<'_>, arguments: &[Term], result: DataType) -> Result<Term, Reason> {
    match arguments {
        [value] if value.form == Form::Plain && value.arrow == result => {
            Ok(Term::computed(format!("- {}", value.atom()), Binding::Arithmetic, result))
        }
        _ => Err("not translated".to_owned()),
    }
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

/// From a constant place on, counted from the first character; from the end both sides count otherwise.
fn substr(printer: &ExprPrinter<'_>, arguments: &[Term], result: DataType) -> Result<Term, Reason> {
    let (text, rest) = arguments.split_first().ok_or("arguments expected")?;
    let text = unicode(printer, text)?;
    let whole = |term: &Term, least: i64| match term.literal {
        Some(ScalarValue::Int64(Some(value))) if value >= least => i32::try_from(value).ok(),
        _ => None,
    };
    let printed = match rest {
        [start] => whole(start, 1).map(|start| format!("substr({text}, {start})")),
        [start, length] => {
            whole(start, 1).zip(whole(length, 0)).map(|(start, length)| format!("substr({text}, {start}, {length})"))
        }
        _ => None,
    };
    let printed = printed.ok_or("place and length are no constants above 0")?;
    Ok(Term::computed(printed, Binding::Atom, result))
}

/// Characters, on both sides those of Unicode.
fn character_length(printer: &ExprPrinter<'_>, arguments: &[Term], result: DataType) -> Result<Term, Reason> {
    let [text] = arguments else { return Err("one argument expected".to_owned()) };
    let name = computed(&result).map(|(name, _)| name).ok_or("not translated")?;
    Ok(Term::computed(format!("char_length({})::{name}", unicode(printer, text)?), Binding::Atom, result))
}

/// A text whose characters are Unicode's.
pub(super) fn unicode(printer: &ExprPrinter<'_>, term: &Term) -> Result<String, Reason> {
    if !printer.comparer.utf8 {
        return Err("the database is not in UTF-8".to_owned());
    }
    let text = term.value().filter(|text| is_text(&text.arrow));
    text.map(|text| text.atom()).ok_or_else(|| "not translated".to_owned())
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

/// The operators of the engine's function for a chain of them: `$+-` is `a + b - c`.
pub(super) fn arithmetic_signs(name: &str) -> Option<Vec<Operator>> {
    let signs = name.strip_prefix('$').filter(|signs| !signs.is_empty())?;
    let operator = |sign| {
        Some(match sign {
            '+' => Operator::Plus,
            '-' => Operator::Minus,
            '*' => Operator::Multiply,
            '/' => Operator::Divide,
            '%' => Operator::Modulo,
            _ => return None,
        })
    };
    signs.chars().map(operator).collect()
}

/// Operands from left to right, with these operators between them.
fn chain(
    printer: &ExprPrinter<'_>,
    expr: &Expr,
    operators: &[Operator],
    operands: &[Expr],
    depth: usize,
) -> Result<Term, Reason> {
    let named = |why: Reason| format!("{}: {why}", shown(expr));
    let mut operands = operands.iter().map(|operand| printer.walk(operand, depth));
    let mut term = operands.next().ok_or_else(|| named("no operands".to_owned()))??;
    for (op, operand) in operators.iter().zip(operands) {
        let operand = operand?;
        let result = pair_type(*op, &term.arrow, &operand.arrow)
            .ok_or_else(|| named(format!("{} of {} and {}", op_name(*op), term.arrow, operand.arrow)))?;
        term = match (op, &result) {
            (Operator::Divide, DataType::Decimal128(_, scale)) => quotient(&term, &operand, *scale, result.clone()),
            _ => arithmetic(*op, &term, &operand, result),
        }
        .map_err(named)?;
    }
    let result = printer.type_of(expr)?;
    if term.arrow == result { Ok(term) } else { Err(named(format!("a {result} in the engine"))) }
}

/// The type of the engine's `left op right`, where PostgreSQL's has the same values: whole numbers that
/// overflow are an error on both sides, a decimal must not be able to.
fn pair_type(op: Operator, left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType as T;
    let integers = [T::Int16, T::Int32, T::Int64];
    let rank = |data_type: &T| integers.iter().position(|integer| integer == data_type);
    if let (Some(left), Some(right)) = (rank(left), rank(right)) {
        return integers.get(left.max(right)).cloned();
    }
    let digits = |data_type: &T| match data_type {
        T::Decimal128(precision, scale) => Some((i16::from(*precision), i16::from(*scale))),
        T::Int16 => Some((5, 0)),
        T::Int32 => Some((10, 0)),
        T::Int64 => Some((19, 0)),
        _ => None,
    };
    let ((p1, s1), (p2, s2)) = (digits(left)?, digits(right)?);
    let (precision, scale) = match op {
        Operator::Plus | Operator::Minus => ((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2)),
        Operator::Multiply => (p1 + p2, s1 + s2),
        Operator::Divide => (p1 + s2 + (s2 - s1).max(0), s1.max(s2)),
        // A remainder's divisor may be zero.
        _ => return None,
    };
    // What has more digits than that is an error in the engine, here not before it leaves PostgreSQL.
    let precision = u8::try_from(precision).ok()?.min(DECIMAL128_MAX_PRECISION);
    let scale = i8::try_from(scale).ok()?;
    (scale.unsigned_abs() <= precision).then_some(T::Decimal128(precision, scale))
}

/// `left op right`, of type `result`.
pub(super) fn arithmetic(op: Operator, left: &Term, right: &Term, result: DataType) -> Result<Term, Reason> {
    use DataType as T;
    if left.form != Form::Plain || right.form != Form::Plain {
        return Err("not translated".to_owned());
    }
    let exact = match (&left.arrow, &right.arrow, &result) {
        (T::Date32, T::Interval(IntervalUnit::MonthDayNano), T::Date32) => return shift_date(op, left, right),
        (_, _, T::Int16 | T::Int32 | T::Int64) => match op {
            Operator::Divide | Operator::Modulo => is_safe_divisor(right),
            _ => true,
        },
        (_, _, T::Decimal128(..)) => op != Operator::Divide,
        _ => false,
    };
    if !exact {
        return Err(format!("{} of {} and {}", op_name(op), left.arrow, right.arrow));
    }
    Ok(Term::computed(format!("{} {op} {}", left.atom(), right.atom()), Binding::Arithmetic, result))
}

/// A decimal by a constant, rounded half up to the engine's scale. PostgreSQL's own quotient has a scale of
/// its own, from which it would be rounded twice; `div` of whole numbers is exact.
fn quotient(left: &Term, right: &Term, scale: i8, result: DataType) -> Result<Term, Reason> {
    if left.form != Form::Plain || right.form != Form::Plain {
        return Err("not translated".to_owned());
    }
    let refused = || format!("quotient of {} and {}", left.arrow, right.arrow);
    let (divisor, decimals) = match &right.literal {
        Some(ScalarValue::Decimal128(Some(value), _, decimals)) => (*value, *decimals),
        Some(ScalarValue::Int16(Some(value))) => (i128::from(*value), 0),
        Some(ScalarValue::Int32(Some(value))) => (i128::from(*value), 0),
        Some(ScalarValue::Int64(Some(value))) => (i128::from(*value), 0),
        Some(_) => return Err(refused()),
        None => return Err(format!("{} that may be zero", refused())),
    };
    if left.atom().len() > OPERAND_MAX {
        return Err(refused());
    }
    let one = 10_i128.checked_pow(u32::try_from(scale).map_err(|_| refused())?).ok_or_else(refused)?;
    let (twice, magnitude) = one.checked_mul(2).zip(divisor.checked_abs()).ok_or_else(refused)?;
    let double = magnitude.checked_mul(2).filter(|double| *double > 0).ok_or_else(refused)?;
    let number = |unscaled: i128, scale: i8| literal::decimal(&unscaled.to_string(), scale);
    let (value, sign) = (left.atom(), if divisor < 0 { "-" } else { "" });
    let text = format!(
        "({sign}sign({value}::numeric) * div(abs({value}) * {twice}::numeric + {}::numeric, {}::numeric) * {}::numeric)",
        number(magnitude, decimals),
        number(double, decimals),
        number(1, scale),
    );
    Ok(Term::computed(text, Binding::Atom, result))
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
