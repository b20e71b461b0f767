//! Trino's functions and predicates in DataFusion's words, where the words differ and the meaning
//! does not.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, ExactNumberInfo, Expr, TimezoneInfo, Value,
};
use meesh_base::{Error, Result};

use super::Parser;
use super::data_type::own_cast;
use super::function::{Call, call};
use super::literal::text;
use super::query::number;
use super::special::case;
use crate::balance;
use crate::lexer::Token;

/// Trino's name -> DataFusion's, for functions that are the same.
const RENAMED: &[(&str, &str)] = &[
    ("arbitrary", "any_value"),
    ("bitwise_and_agg", "bit_and"),
    ("bitwise_or_agg", "bit_or"),
    ("bitwise_xor_agg", "bit_xor"),
    ("ceiling", "ceil"),
    ("char_length", "length"),
    ("character_length", "length"),
    ("codepoint", "ascii"),
    ("every", "bool_and"),
    ("is_nan", "isnan"),
    ("levenshtein_distance", "levenshtein"),
    ("pow", "power"),
    ("rand", "random"),
    // Trino repeats into an array; DataFusion repeats a text.
    ("repeat", "array_repeat"),
    ("split", "string_to_array"),
    ("substring", "substr"),
    ("variance", "var_samp"),
];

/// Functions that are a part of a date or time -> the part's name in `date_part`.
const PARTS: &[(&str, &str)] = &[
    ("day", "day"),
    ("day_of_month", "day"),
    ("day_of_week", "isodow"),
    ("day_of_year", "doy"),
    ("dow", "isodow"),
    ("doy", "doy"),
    ("hour", "hour"),
    ("millisecond", "millisecond"),
    ("minute", "minute"),
    ("month", "month"),
    ("quarter", "quarter"),
    ("second", "second"),
    ("to_unixtime", "epoch"),
    ("week", "week"),
    ("week_of_year", "week"),
    ("year", "year"),
    ("year_of_week", "isoyear"),
    ("yow", "isoyear"),
];

type Rewrite = fn(&Parser<'_>, Call, Vec<Expr>) -> Result<Expr>;

/// Functions that become another expression, with the numbers of arguments that they take.
const REWRITTEN: &[(&str, usize, usize, Rewrite)] = &[
    ("concat", 2, usize::MAX, |_, _, values| Ok(concatenation(values))),
    ("mod", 2, 2, |_, _, values| Ok(binary(values, BinaryOperator::Modulo))),
    ("date", 1, 1, |_, _, values| Ok(cast(values, DataType::Date))),
    ("now", 0, 0, |_, _, _| Ok(cut_to(call("now", Vec::new()), timestamp_with_zone()))),
    ("count_if", 1, 1, |_, call, values| Ok(count_if(call, values))),
    ("regexp_replace", 2, 3, |parser, call, values| regexp_replace(parser, &call.token, values)),
    ("approx_percentile", 2, 2, approx_percentile),
    ("from_unixtime", 1, 3, from_unixtime),
    ("element_at", 2, 2, |parser, call, _| Err(parser.unsupported(&call.token, "element_at"))),
    ("contains", 2, 2, |parser, call, _| Err(parser.unsupported(&call.token, "contains"))),
    ("json_extract", 2, 2, |parser, call, _| Err(parser.unsupported(&call.token, "json_extract"))),
    ("json_parse", 1, 1, |parser, call, _| Err(parser.unsupported(&call.token, "json_parse"))),
];

/// The call as DataFusion knows it.
pub(super) fn rewritten(parser: &Parser<'_>, call: Call) -> Result<Expr> {
    let [name] = call.name.as_slice() else {
        return Err(function_not_found(&call));
    };
    let name = name.value.clone();
    if let Some((_, own)) = RENAMED.iter().find(|(trino, _)| *trino == name) {
        return Ok(call.renamed(own).expression());
    }
    if let Some((_, part)) = PARTS.iter().find(|(trino, _)| *trino == name) {
        let values = call.values().filter(|values| values.len() == 1 && call.is_plain());
        return values.map(|values| part_of(part, values)).ok_or_else(|| wrong_arguments(&call, &name));
    }
    let Some((_, min, max, rewrite)) = REWRITTEN.iter().find(|(trino, ..)| *trino == name) else {
        return Ok(call.expression());
    };
    let (Some(values), count) = (call.values(), call.arguments.len()) else {
        return Ok(call.expression());
    };
    if !(*min..=*max).contains(&count) {
        return Err(wrong_arguments(&call, &name));
    }
    if !call.is_plain() && name != "count_if" && name != "approx_percentile" {
        let error = Error::invalid_query(format!("function {name} is not an aggregate or window function"));
        return Err(error.with_position(call.token.position()).with_code("FUNCTION_NOT_AGGREGATE"));
    }
    rewrite(parser, call, values)
}

fn function_not_found(call: &Call) -> Error {
    let name: Vec<&str> = call.name.iter().map(|part| part.value.as_str()).collect();
    Error::not_found(format!("function {:?} does not exist", name.join(".")))
        .with_position(call.token.position())
        .with_code("FUNCTION_NOT_FOUND")
}

fn wrong_arguments(call: &Call, name: &str) -> Error {
    let count = call.arguments.len();
    let error = Error::invalid_query(format!("unexpected number of arguments for function {name}: {count}"));
    error.with_position(call.token.position()).with_code("FUNCTION_NOT_FOUND")
}

/// A part of a date or time, for functions and EXTRACT: DataFusion's `date_part`, which sources and
/// pruning know, as a bigint.
pub(super) fn part_of(part: &str, values: Vec<Expr>) -> Expr {
    let value = call("date_part", [vec![text(part)], values].concat());
    match part {
        "epoch" => cast(vec![value], DataType::Double(ExactNumberInfo::None)),
        // DataFusion counts whole seconds, too.
        "millisecond" => {
            binary(vec![cast(vec![value], DataType::BigInt(None)), number("1000")], BinaryOperator::Modulo)
        }
        _ => cast(vec![value], DataType::BigInt(None)),
    }
}

/// `from_unixtime(seconds[, zone])`.
fn from_unixtime(parser: &Parser<'_>, call_: Call, values: Vec<Expr>) -> Result<Expr> {
    let mut values = values.into_iter();
    let instant = call("from_unixtime", values.by_ref().take(1).collect());
    match (values.next(), values.next()) {
        (None, _) => Ok(cast(vec![instant], timestamp_with_zone())),
        (Some(zone), None) => Ok(call("at_timezone", vec![instant, zone])),
        _ => Err(parser.unsupported(&call_.token, "from_unixtime with hours and minutes")),
    }
}

fn binary(values: Vec<Expr>, op: BinaryOperator) -> Expr {
    let join = |left, right| Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) };
    balance::combine(values, join).unwrap_or_else(|| text(""))
}

/// Unlike DataFusion's `concat`, `||` is NULL if an operand is, and joins arrays.
fn concatenation(values: Vec<Expr>) -> Expr {
    binary(values, BinaryOperator::StringConcat)
}

fn cast(values: Vec<Expr>, data_type: DataType) -> Expr {
    own_cast(false, values.into_iter().next().unwrap_or_else(|| text("")), data_type)
}

/// A moment in fewer digits, the same for all of its kind: the others are cut off, not rounded.
pub(super) fn cut_to(moment: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(moment), data_type, array: false, format: None }
}

fn timestamp_with_zone() -> DataType {
    DataType::Timestamp(Some(3), TimezoneInfo::WithTimeZone)
}

/// `count_if(x)` is `count(CASE WHEN x THEN 1 END)`.
fn count_if(call: Call, values: Vec<Expr>) -> Expr {
    let arms = values.into_iter().map(|condition| CaseWhen { condition, result: number("1") }).collect();
    let mut call = call.renamed("count").with_values(vec![case(None, arms, None)]);
    // All true values are one.
    call.distinct = call.distinct && call.over.is_none();
    call.expression()
}

/// Every match, not the first one; `$1` may be followed by a letter.
fn regexp_replace(parser: &Parser<'_>, token: &Token, mut values: Vec<Expr>) -> Result<Expr> {
    if values.len() == 2 {
        values.push(text(""));
    }
    match values.get_mut(2) {
        Some(Expr::Value(value)) => {
            if let Value::SingleQuotedString(replacement) = &mut value.value {
                *replacement = rust_replacement(replacement).ok_or_else(|| {
                    parser.syntax_error(token, "illegal replacement sequence").with_code("INVALID_FUNCTION_ARGUMENT")
                })?;
            }
        }
        Some(Expr::Lambda(_)) => return Err(parser.unsupported(token, "regexp_replace with a lambda")),
        _ => return Err(parser.unsupported(token, "regexp_replace with a replacement that is not a constant")),
    }
    values.push(text("g"));
    Ok(call("regexp_replace", values))
}

/// Java's replacement text in the words of Rust's regular expressions.
fn rust_replacement(java: &str) -> Option<String> {
    let mut rust = String::with_capacity(java.len());
    let mut rest = java.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next()? {
                '$' => rust.push_str("$$"),
                other => rust.push(other),
            },
            '$' => {
                let mut group = String::new();
                if rest.next_if_eq(&'{').is_some() {
                    loop {
                        match rest.next()? {
                            '}' => break,
                            other => group.push(other),
                        }
                    }
                } else {
                    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                        group.push(digit);
                    }
                }
                if group.is_empty() {
                    return None;
                }
                rust.push_str(&format!("${{{group}}}"));
            }
            other => rust.push(other),
        }
    }
    Some(rust)
}

fn approx_percentile(parser: &Parser<'_>, call: Call, values: Vec<Expr>) -> Result<Expr> {
    match values.get(1) {
        Some(Expr::Array(_)) => Err(parser.unsupported(&call.token, "approx_percentile of an array")),
        _ => Ok(call.renamed("approx_percentile_cont").expression()),
    }
}

impl Parser<'_> {
    /// `x [NOT] LIKE pattern [ESCAPE 'c']`.
    ///
    /// Arrow's patterns have `\` as their escape, Trino's none: so the pattern is translated.
    pub(super) fn like_predicate(
        &mut self,
        expr: Expr,
        negated: bool,
        insensitive: bool,
        tallest: usize,
    ) -> Result<Expr> {
        let token = self.peek();
        let mut pattern = self.operand()?;
        let tallest = tallest.max(self.height);
        let escape = if self.eat_word("ESCAPE") { Some(self.escape_character()?) } else { None };
        pattern = match pattern {
            Expr::Value(mut value) => {
                if let Value::SingleQuotedString(text) = &mut value.value {
                    *text = self.backslashed(&token, text, escape)?;
                }
                Expr::Value(value)
            }
            other if escape.is_none() => call("replace", vec![other, text("\\"), text("\\\\")]),
            other if escape == Some('\\') => other,
            _ => return Err(self.unsupported(&token, "ESCAPE with a pattern that is not a constant")),
        };
        self.node(tallest + 1)?;
        let (expr, pattern) = (Box::new(expr), Box::new(pattern));
        Ok(match insensitive {
            false => Expr::Like { negated, any: false, expr, pattern, escape_char: None },
            true => Expr::ILike { negated, any: false, expr, pattern, escape_char: None },
        })
    }

    /// The character behind ESCAPE.
    pub(super) fn escape_character(&mut self) -> Result<char> {
        let token = self.peek();
        let text = self.text_literal()?;
        match text.chars().collect::<Vec<_>>().as_slice() {
            [c] => Ok(*c),
            _ => {
                let error = self.syntax_error(&token, "escape string must be a single character");
                Err(error.with_code("INVALID_FUNCTION_ARGUMENT"))
            }
        }
    }

    /// A pattern whose escape is `escape`, or that has none, as one whose escape is `\`.
    pub(super) fn backslashed(&self, token: &Token, pattern: &str, escape: Option<char>) -> Result<String> {
        let mut result = String::with_capacity(pattern.len());
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            if Some(c) == escape {
                match rest.next() {
                    Some(next) if next == c || matches!(next, '%' | '_') => {
                        if matches!(next, '%' | '_' | '\\') {
                            result.push('\\');
                        }
                        result.push(next);
                    }
                    _ => {
                        let message = "escape character must be followed by '%', '_' or the escape character itself";
                        return Err(self.syntax_error(token, message).with_code("INVALID_FUNCTION_ARGUMENT"));
                    }
                }
            } else {
                if c == '\\' {
                    result.push('\\');
                }
                result.push(c);
            }
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::rust_replacement;

    #[test]
    fn replacements_in_rust() {
        assert_eq!(rust_replacement("$1X").as_deref(), Some("${1}X"));
        assert_eq!(rust_replacement("a\\$b\\\\").as_deref(), Some("a$$b\\"));
        assert_eq!(rust_replacement("${name}").as_deref(), Some("${name}"));
        assert_eq!(rust_replacement("$x"), None);
    }
}
