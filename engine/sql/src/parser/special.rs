//! Constructs that begin with a word of their own, such as CASE and CAST.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, CaseWhen, DataType, Expr, Ident, TimezoneInfo, TrimWhereField,
};
use meesh_base::Result;

use super::Parser;
use super::data_type::{own_cast, own_operator};
use super::function::{Call, call};
use super::rewrite::cut_to;
use crate::operators::own;

/// One such word.
pub(super) struct Special {
    pub(super) word: &'static str,
    /// What must follow for the word not to be a name.
    followed_by: Option<&'static str>,
    pub(super) read: fn(&mut Parser<'_>) -> Result<Expr>,
}

impl Special {
    pub(super) fn begins(&self, parser: &Parser<'_>) -> bool {
        self.followed_by.is_none_or(|symbol| parser.is_symbol_at(1, symbol))
    }
}

const fn special(
    word: &'static str,
    followed_by: Option<&'static str>,
    read: fn(&mut Parser<'_>) -> Result<Expr>,
) -> Special {
    Special { word, followed_by, read }
}

/// Every special word.
pub(super) const SPECIAL: &[Special] = &[
    special("CASE", None, |p| p.case()),
    special("CAST", Some("("), |p| p.cast_call(false)),
    special("TRY_CAST", Some("("), |p| p.cast_call(true)),
    special("TRY", Some("("), |p| p.try_call()),
    special("EXISTS", Some("("), |p| p.exists()),
    special("EXTRACT", Some("("), |p| p.extract()),
    special("POSITION", Some("("), |p| p.position()),
    special("TRIM", Some("("), |p| p.trim()),
    special("SUBSTRING", Some("("), |p| p.substring()),
    special("ARRAY", Some("["), |p| p.array()),
    special("IF", Some("("), |p| p.if_call()),
    special("LISTAGG", Some("("), |p| p.list_aggregate()),
    special("GROUPING", Some("("), |p| p.reserved_call()),
    special("CURRENT_DATE", None, |p| p.constant("current_date")),
    special("CURRENT_TIMESTAMP", None, |p| p.current_time(Some("now"), true)),
    special("LOCALTIMESTAMP", None, |p| p.current_time(Some("now"), false)),
    special("CURRENT_TIME", None, |p| p.refused_constant("current_time, which has a time zone,")),
    special("LOCALTIME", None, |p| p.current_time(None, false)),
    special("CURRENT_USER", None, |p| p.constant("current_user")),
    special("CURRENT_CATALOG", None, |p| p.constant("current_catalog")),
    special("CURRENT_SCHEMA", None, |p| p.constant("current_schema")),
    special("CURRENT_PATH", None, |p| p.refused_constant("CURRENT_PATH")),
    special("CURRENT_ROLE", None, |p| p.refused_constant("CURRENT_ROLE")),
    special("NORMALIZE", Some("("), |p| p.refused_constant("NORMALIZE")),
    special("JSON_ARRAY", Some("("), |p| p.refused_constant("JSON_ARRAY")),
    special("JSON_EXISTS", Some("("), |p| p.refused_constant("JSON_EXISTS")),
    special("JSON_OBJECT", Some("("), |p| p.refused_constant("JSON_OBJECT")),
    special("JSON_QUERY", Some("("), |p| p.refused_constant("JSON_QUERY")),
    special("JSON_VALUE", Some("("), |p| p.refused_constant("JSON_VALUE")),
];

/// Fields of EXTRACT -> the part that `date_part` computes.
const FIELDS: &[(&str, &str)] = &[
    ("DAY", "day"),
    ("DAY_OF_MONTH", "day"),
    ("DAY_OF_WEEK", "isodow"),
    ("DAY_OF_YEAR", "doy"),
    ("DOW", "isodow"),
    ("DOY", "doy"),
    ("EPOCH", "epoch"),
    ("HOUR", "hour"),
    ("ISODOW", "isodow"),
    ("MINUTE", "minute"),
    ("MONTH", "month"),
    ("QUARTER", "quarter"),
    ("SECOND", "second"),
    ("WEEK", "week"),
    ("YEAR", "year"),
    ("YEAR_OF_WEEK", "isoyear"),
    ("YOW", "isoyear"),
];

impl Parser<'_> {
    /// An expression that is one of several children of a node.
    fn child(&mut self, tallest: &mut usize) -> Result<Expr> {
        let expr = self.expression()?;
        *tallest = (*tallest).max(self.height);
        Ok(expr)
    }

    fn case(&mut self) -> Result<Expr> {
        self.advance();
        let mut tallest = 0;
        let operand = if self.is_word("WHEN") { None } else { Some(Box::new(self.child(&mut tallest)?)) };
        let mut conditions = Vec::new();
        while self.eat_word("WHEN") {
            let condition = self.child(&mut tallest)?;
            self.expect_word("THEN")?;
            let result = self.child(&mut tallest)?;
            conditions.push(CaseWhen { condition, result });
        }
        if conditions.is_empty() {
            return Err(self.unexpected("'WHEN'"));
        }
        let else_result = if self.eat_word("ELSE") { Some(Box::new(self.child(&mut tallest)?)) } else { None };
        self.expect_word("END")?;
        self.block.arms += conditions.len();
        self.node(tallest)?;
        Ok(case(operand, conditions, else_result))
    }

    /// `CAST(value AS type)`.
    fn cast_call(&mut self, lenient: bool) -> Result<Expr> {
        self.advance();
        self.expect_symbol("(")?;
        let expr = self.expression()?;
        let tallest = self.height;
        self.expect_word("AS")?;
        let data_type = self.data_type()?;
        self.expect_symbol(")")?;
        self.node(tallest)?;
        Ok(self.cast(lenient, expr, data_type))
    }

    /// `TRY(CAST(…))`; no other error can be caught yet.
    fn try_call(&mut self) -> Result<Expr> {
        let token = self.advance();
        self.expect_symbol("(")?;
        let expr = self.expression()?;
        self.expect_symbol(")")?;
        match expr {
            Expr::BinaryOp { left, op: BinaryOperator::Custom(name), right } if name == own::CAST => {
                Ok(own_operator(own::TRY_CAST, *left, *right))
            }
            _ => Err(self.unsupported(&token, "TRY of anything but CAST")),
        }
    }

    fn exists(&mut self) -> Result<Expr> {
        self.advance();
        self.expect_symbol("(")?;
        let subquery = Box::new(self.subquery()?);
        self.expect_symbol(")")?;
        Ok(Expr::Exists { subquery, negated: false })
    }

    fn extract(&mut self) -> Result<Expr> {
        self.advance();
        self.expect_symbol("(")?;
        let token = self.advance();
        let field = self.text_of(&token).trim_matches('\'').to_ascii_uppercase();
        let Some((_, part)) = FIELDS.iter().find(|(name, _)| *name == field) else {
            return Err(self.syntax_error(&token, &format!("invalid EXTRACT field: {field}")));
        };
        self.expect_word("FROM")?;
        let value = self.expression()?;
        self.expect_symbol(")")?;
        self.node(self.height)?;
        Ok(super::rewrite::part_of(part, vec![value]))
    }

    /// `POSITION(part IN text)`.
    fn position(&mut self) -> Result<Expr> {
        self.advance();
        self.expect_symbol("(")?;
        let mut tallest = 0;
        let part = self.operand()?;
        tallest = tallest.max(self.height);
        self.expect_word("IN")?;
        let text = self.child(&mut tallest)?;
        self.expect_symbol(")")?;
        self.node(tallest)?;
        Ok(call("strpos", vec![text, part]))
    }

    /// `TRIM([BOTH|LEADING|TRAILING] [characters FROM] text)`, `TRIM(text, characters)`.
    fn trim(&mut self) -> Result<Expr> {
        self.advance();
        self.expect_symbol("(")?;
        let mut tallest = 0;
        let trim_where = if self.eat_word("BOTH") {
            Some(TrimWhereField::Both)
        } else if self.eat_word("LEADING") {
            Some(TrimWhereField::Leading)
        } else if self.eat_word("TRAILING") {
            Some(TrimWhereField::Trailing)
        } else {
            None
        };
        let mut first = None;
        if !self.is_word("FROM") {
            first = Some(self.child(&mut tallest)?);
        }
        let (what, text) = if self.eat_word("FROM") {
            (first, self.child(&mut tallest)?)
        } else {
            let Some(text) = first else { return Err(self.unexpected("<expression>")) };
            let what = if self.eat_symbol(",") { Some(self.child(&mut tallest)?) } else { None };
            (what, text)
        };
        self.expect_symbol(")")?;
        self.node(tallest)?;
        Ok(Expr::Trim { trim_where, trim_what: what.map(Box::new), expr: Box::new(text), trim_characters: None })
    }

    /// `SUBSTRING(text FROM start [FOR length])`, or with commas.
    fn substring(&mut self) -> Result<Expr> {
        self.advance();
        self.expect_symbol("(")?;
        let mut tallest = 0;
        let mut values = vec![self.child(&mut tallest)?];
        for word in ["FROM", "FOR"] {
            if self.eat_word(word) || self.eat_symbol(",") {
                values.push(self.child(&mut tallest)?);
            }
        }
        self.expect_symbol(")")?;
        self.node(tallest)?;
        Ok(call("substr", values))
    }

    /// `ARRAY[…]`.
    fn array(&mut self) -> Result<Expr> {
        self.advance();
        self.expect_symbol("[")?;
        let mut tallest = 0;
        let elem = if self.is_symbol("]") { Vec::new() } else { self.list(|p| p.child(&mut tallest))? };
        self.expect_symbol("]")?;
        self.node(tallest)?;
        Ok(Expr::Array(Array { elem, named: true }))
    }

    /// `IF(condition, value[, otherwise])`.
    fn if_call(&mut self) -> Result<Expr> {
        self.advance();
        self.expect_symbol("(")?;
        let mut tallest = 0;
        let condition = self.child(&mut tallest)?;
        self.expect_symbol(",")?;
        let result = self.child(&mut tallest)?;
        let otherwise = if self.eat_symbol(",") { Some(Box::new(self.child(&mut tallest)?)) } else { None };
        self.expect_symbol(")")?;
        self.node(tallest)?;
        Ok(case(None, vec![CaseWhen { condition, result }], otherwise))
    }

    /// `LISTAGG(text[, separator] [ON OVERFLOW ERROR]) WITHIN GROUP (ORDER BY …)`.
    fn list_aggregate(&mut self) -> Result<Expr> {
        let token = self.advance();
        self.expect_symbol("(")?;
        let mut call = Call::new(token, vec![Ident::with_span(token.span(), "string_agg")]);
        call.distinct = self.eat_word("DISTINCT");
        let mut values = self.list(Self::expression)?;
        if self.eat_words(&["ON", "OVERFLOW"]) && !self.eat_word("ERROR") {
            return Err(self.unsupported(&token, "LISTAGG … ON OVERFLOW TRUNCATE"));
        }
        self.expect_symbol(")")?;
        if values.len() == 1 {
            values.push(super::literal::text(""));
        }
        self.expect_words(&["WITHIN", "GROUP"])?;
        self.expect_symbol("(")?;
        self.expect_words(&["ORDER", "BY"])?;
        call.order_by = self.sort_keys()?;
        self.expect_symbol(")")?;
        if self.is_word("FILTER") && self.is_symbol_at(1, "(") {
            self.at += 2;
            self.expect_word("WHERE")?;
            call.filter = Some(Box::new(self.expression()?));
            self.expect_symbol(")")?;
        }
        self.block.aggregates += 1;
        self.node(self.height)?;
        Ok(call.with_values(values).expression())
    }

    /// A function whose name is reserved.
    fn reserved_call(&mut self) -> Result<Expr> {
        let token = self.advance();
        let name = Ident::with_span(token.span(), self.text_of(&token).to_ascii_lowercase());
        self.call(&token, vec![name])
    }

    /// A constant of the session: a function without parentheses.
    fn constant(&mut self, name: &str) -> Result<Expr> {
        self.advance();
        self.node(0)?;
        Ok(call(name, Vec::new()))
    }

    fn refused_constant(&mut self, what: &str) -> Result<Expr> {
        Err(self.unsupported(&self.peek(), what))
    }

    /// `CURRENT_TIMESTAMP[(p)]` and its like: the start of the query, with as many digits as asked.
    fn current_time(&mut self, function: Option<&str>, with_zone: bool) -> Result<Expr> {
        let token = self.advance();
        let mut digits = 3;
        if self.eat_symbol("(") {
            let number = self.peek();
            digits = match self.text_of(&number).parse::<u64>() {
                Ok(digits @ 0..=9) => digits,
                Ok(digits @ 10..=12) => return Err(self.unsupported(&token, &format!("timestamp({digits})"))),
                _ => return Err(self.unexpected("<integer>")),
            };
            self.advance();
            self.expect_symbol(")")?;
        }
        let stored = Some(super::data_type::stored_digits(digits));
        self.node(0)?;
        let Some(function) = function else {
            return Ok(cut_to(call("current_time", Vec::new()), DataType::Time(stored, TimezoneInfo::None)));
        };
        let instant = cut_to(call(function, Vec::new()), DataType::Timestamp(stored, TimezoneInfo::WithTimeZone));
        Ok(match with_zone {
            true => instant,
            // What the clocks of the session's zone show.
            false => own_cast(false, instant, DataType::Timestamp(stored, TimezoneInfo::None)),
        })
    }
}

/// A CASE expression.
pub(super) fn case(operand: Option<Box<Expr>>, conditions: Vec<CaseWhen>, else_result: Option<Box<Expr>>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand,
        conditions,
        else_result,
    }
}
