//! Numbers, texts, parameters, and literals with a type in front.

use arrow::array::timezone::Tz;
use chrono::{LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, ExactNumberInfo, Expr, TimezoneInfo, TypedString, Value, ValueWithSpan,
};
use meesh_base::{Error, Result};

use super::data_type::own_operator;
use super::{Parameters, Parser};
use crate::lexer::{Kind, Token, unquote};
use crate::operators::own;

/// Digits that a decimal can have.
const PRECISION_MAX: usize = 38;

impl Parser<'_> {
    pub(super) fn value(&mut self, token: &Token, value: Value) -> Result<Expr> {
        self.node(0)?;
        Ok(Expr::Value(ValueWithSpan { value, span: token.span() }))
    }

    /// A number by its spelling: `1` is an integer or a bigint, `1.0` a decimal, `1e0` a double.
    pub(super) fn number(&mut self) -> Result<Expr> {
        let negative = self.eat_symbol("-");
        let token = self.advance();
        let text = self.text_of(&token).replace('_', "");
        match token.kind {
            Kind::Integer => {
                let lower = text.to_ascii_lowercase();
                let (radix, digits) = match lower.split_at_checked(2) {
                    Some(("0x", digits)) => (16, digits),
                    Some(("0o", digits)) => (8, digits),
                    Some(("0b", digits)) => (2, digits),
                    _ => (10, lower.as_str()),
                };
                let signed = format!("{}{digits}", if negative { "-" } else { "" });
                let number = i64::from_str_radix(&signed, radix)
                    .map_err(|_| self.syntax_error(&token, &format!("invalid numeric literal: {text}")))?;
                let number = self.value(&token, Value::Number(number.to_string(), false))?;
                Ok(own_operator(own::INTEGER, number, Expr::Value(Value::Null.with_empty_span())))
            }
            Kind::Double => self.typed(&token, DataType::Double(ExactNumberInfo::None), text),
            _ => self.decimal(&token, &text),
        }
    }

    /// A decimal with as many digits as were written; leading zeros of the whole part do not count.
    fn decimal(&mut self, token: &Token, text: &str) -> Result<Expr> {
        let unsigned = text.trim_start_matches(['-', '+']);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let is_number = !(whole.is_empty() && fraction.is_empty())
            && whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit());
        if !is_number {
            return Err(self.invalid_literal(token, "decimal", text));
        }
        let precision = (whole.trim_start_matches('0').len() + fraction.len()).max(1);
        if precision > PRECISION_MAX {
            return Err(self.invalid_literal(token, "decimal", text).with_hint("a decimal has at most 38 digits"));
        }
        if !fraction.is_empty() && unsigned.len() == text.len() {
            let whole = if whole.is_empty() { "0" } else { whole };
            return self.value(token, Value::Number(format!("{whole}.{fraction}"), false));
        }
        let info = ExactNumberInfo::PrecisionAndScale(precision as u64, fraction.len() as i64);
        let digits =
            format!("{}{}", if whole.is_empty() { "0" } else { whole }, if fraction.is_empty() { "" } else { "." });
        let sign = if text.starts_with('-') { "-" } else { "" };
        self.typed(token, DataType::Decimal(info), format!("{sign}{digits}{fraction}"))
    }

    fn invalid_literal(&self, token: &Token, kind: &str, text: &str) -> Error {
        Error::invalid_query(format!("'{text}' is not a valid {kind} literal"))
            .with_position(token.position())
            .with_code("INVALID_LITERAL")
    }

    fn typed(&mut self, token: &Token, data_type: DataType, text: String) -> Result<Expr> {
        self.node(1)?;
        let value = Value::SingleQuotedString(text).with_span(token.span());
        Ok(Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }))
    }

    /// The text of a string token, `U&'…'` decoded.
    pub(super) fn string_value(&mut self) -> Result<String> {
        let token = self.advance();
        let text = unquote(self.text_of(&token), '\'');
        if token.kind != Kind::Unicode {
            return Ok(text);
        }
        let mut escape = '\\';
        if self.eat_word("UESCAPE") {
            let mark = self.peek();
            let marks = self.text_literal()?;
            escape = match marks.chars().collect::<Vec<_>>().as_slice() {
                [c] if !c.is_ascii_hexdigit() && !matches!(c, '+' | '"' | '\'' | ' ') => *c,
                _ => return Err(self.syntax_error(&mark, "invalid Unicode escape character")),
            };
        }
        decode_unicode(&text, escape).ok_or_else(|| self.syntax_error(&token, "invalid Unicode escape sequence"))
    }

    pub(super) fn text_expression(&mut self) -> Result<Expr> {
        let token = self.peek();
        let text = self.string_value()?;
        self.value(&token, Value::SingleQuotedString(text))
    }

    /// `X'00ff'`; blanks between digits are allowed.
    pub(super) fn binary(&mut self) -> Result<Expr> {
        let token = self.advance();
        let mut digits = unquote(self.text_of(&token), '\'');
        digits.retain(|c| !c.is_ascii_whitespace());
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(self.syntax_error(&token, "binary literal can only contain hexadecimal digits"));
        }
        if digits.len() % 2 == 1 {
            return Err(self.syntax_error(&token, "binary literal must contain an even number of digits"));
        }
        self.value(&token, Value::HexStringLiteral(digits))
    }

    /// `?` or `$n`.
    pub(super) fn parameter(&mut self) -> Result<Expr> {
        let token = self.advance();
        let written = self.text_of(&token).trim_start_matches('$').parse::<usize>();
        let number = match (token.kind, &self.parameters) {
            (Kind::Parameter, Parameters::None) => 1,
            (Kind::Parameter, Parameters::InOrder(count)) => count + 1,
            (Kind::NumberedParameter, Parameters::None | Parameters::Numbered(_)) => match written {
                Ok(number @ 1..=65_535) => number,
                _ => return Err(self.syntax_error(&token, "parameters are numbered from $1 to $65535")),
            },
            _ => return Err(self.syntax_error(&token, "a statement has parameters written ? or $1, not both")),
        };
        self.parameters = match (token.kind, &self.parameters) {
            (Kind::Parameter, _) => Parameters::InOrder(number),
            (_, Parameters::Numbered(highest)) => Parameters::Numbered(number.max(*highest)),
            _ => Parameters::Numbered(number),
        };
        self.value(&token, Value::Placeholder(format!("${number}")))
    }

    /// Whether a type's name and a text follow: `DATE '2020-01-31'`.
    pub(super) fn begins_typed_literal(&self) -> bool {
        let is_text = |ahead| matches!(self.peek_at(ahead).kind, Kind::Text | Kind::Unicode);
        self.peek().kind == Kind::Word
            && ((self.is_name_at(0) && is_text(1)) || (self.are_words(&["DOUBLE", "PRECISION"]) && is_text(2)))
    }

    /// `TYPE 'text'`.
    pub(super) fn typed_literal(&mut self) -> Result<Expr> {
        let token = self.advance();
        self.eat_word("PRECISION");
        let name = self.text_of(&token).to_ascii_lowercase();
        let text = self.string_value()?;
        let integer = |kind: fn(Option<u64>) -> DataType| kind(None);
        let data_type = match name.as_str() {
            "date" => DataType::Date,
            "timestamp" => return self.timestamp_literal(&token, &text),
            "time" => return self.time_literal(&token, text),
            "decimal" | "numeric" => return self.decimal(&token, text.trim()),
            "double" | "float8" => DataType::Double(ExactNumberInfo::None),
            "real" | "float4" => DataType::Real,
            "tinyint" => integer(DataType::TinyInt),
            "smallint" | "int2" => integer(DataType::SmallInt),
            "integer" | "int" | "int4" => integer(DataType::Integer),
            "bigint" | "int8" => integer(DataType::BigInt),
            "boolean" | "bool" => DataType::Boolean,
            "varchar" | "text" => return self.value(&token, Value::SingleQuotedString(text)),
            "char" => return self.value(&token, Value::SingleQuotedString(text)),
            "varbinary" | "bytea" | "json" | "uuid" | "ipaddress" | "hyperloglog" => {
                return Err(self.unsupported(&token, &format!("a literal of type {name}")));
            }
            _ => {
                let error = Error::invalid_query(format!("unknown type: {name}")).with_code("TYPE_NOT_FOUND");
                return Err(error.with_position(token.position()));
            }
        };
        self.typed(&token, data_type, text)
    }

    /// A timestamp has the digits that were written, and a zone if one was.
    fn timestamp_literal(&mut self, token: &Token, text: &str) -> Result<Expr> {
        let Some(parts) = super::interval::timestamp_parts(text) else {
            return Err(self.invalid_literal(token, "timestamp", text));
        };
        if parts.fraction.len() > 9 {
            return Err(self.unsupported(token, &format!("timestamp({})", parts.fraction.len())));
        }
        let digits = super::data_type::stored_digits(parts.fraction.len() as u64);
        let Some(zone) = parts.zone else {
            return self.typed(token, DataType::Timestamp(Some(digits), TimezoneInfo::None), parts.local());
        };
        let unit = match digits {
            3 => "ms",
            6 => "us",
            _ => "ns",
        };
        let Some(instant) = instant(&parts.local(), zone) else {
            return Err(self.invalid_literal(token, "timestamp", text));
        };
        let literal = self.value(token, Value::SingleQuotedString(instant))?;
        let kind = self.value(token, Value::SingleQuotedString(format!("Timestamp({unit}, \"{zone}\")")))?;
        self.node(1)?;
        Ok(super::function::call("arrow_cast", vec![literal, kind]))
    }

    fn time_literal(&mut self, token: &Token, text: String) -> Result<Expr> {
        let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end().len());
        if text.contains(['+', '-']) || text.trim_end().ends_with(|c: char| c.is_alphabetic()) {
            return Err(self.unsupported(token, "time with time zone"));
        }
        if digits > 9 {
            return Err(self.unsupported(token, &format!("time({digits})")));
        }
        self.typed(
            token,
            DataType::Time(Some(super::data_type::stored_digits(digits as u64)), TimezoneInfo::None),
            text,
        )
    }
}

/// What the clocks of a zone show, in UTC. An hour that they show twice is the first one; one that they
/// skip lies as far behind the last one that they showed.
fn instant(local: &str, zone: &str) -> Option<String> {
    const FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.f";
    let zone: Tz = zone.parse().ok()?;
    let local = NaiveDateTime::parse_from_str(local, FORMAT).ok()?;
    let utc = match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.naive_utc(),
        LocalResult::None => {
            // A day before there is no gap; its offset is the one that held until the gap.
            let before = zone.from_local_datetime(&(local - TimeDelta::days(1))).earliest()?;
            local - before.offset().fix()
        }
    };
    Some(format!("{}Z", utc.format("%Y-%m-%dT%H:%M:%S%.f")))
}

/// A number as DataFusion reads it where only a number can stand: a position, a limit, a frame's bound.
pub(super) fn plain_number(expr: Expr) -> Expr {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::Custom(name), .. } if name == own::INTEGER => *left,
        expr => expr,
    }
}

/// A text as an expression.
pub(super) fn text(value: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.to_owned()).with_empty_span())
}

/// `\0041` and `\+01F600`; the mark doubled stands for itself.
fn decode_unicode(text: &str, escape: char) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != escape {
            decoded.push(c);
            continue;
        }
        let digits = match rest.peek()? {
            c if *c == escape => {
                rest.next();
                decoded.push(escape);
                continue;
            }
            '+' => {
                rest.next();
                6
            }
            _ => 4,
        };
        let code: String = rest.by_ref().take(digits).collect();
        let is_complete = code.len() == digits && code.bytes().all(|digit| digit.is_ascii_hexdigit());
        decoded.push(char::from_u32(u32::from_str_radix(&code, 16).ok().filter(|_| is_complete)?)?);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::decode_unicode;

    #[test]
    fn unicode_escapes() {
        assert_eq!(decode_unicode("a\\0041\\\\\\+01F600", '\\').as_deref(), Some("aA\\😀"));
        assert_eq!(decode_unicode("#00e9", '#').as_deref(), Some("é"));
        assert_eq!(decode_unicode("\\00", '\\'), None);
        assert_eq!(decode_unicode("\\D800", '\\'), None);
    }
}
