//! What stands between operators: literals, names, calls, parentheses and the constructs that begin
//! with a word of their own.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, LambdaFunction, LambdaFunctionParameter, LambdaSyntax, OneOrManyWithParens, Query as AstQuery, Value,
};
use meesh_base::Result;

use super::Parser;
use super::special::SPECIAL;
use crate::lexer::Kind;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Expr> {
        let token = self.peek();
        match token.kind {
            Kind::Integer | Kind::Decimal | Kind::Double => self.number(),
            Kind::Text | Kind::Unicode => self.text_expression(),
            Kind::Binary => self.binary(),
            Kind::Parameter | Kind::NumberedParameter => self.parameter(),
            Kind::QuotedWord => self.column_or_call(),
            Kind::Word => self.word(),
            Kind::Symbol if self.is_symbol("(") => self.parenthesis(),
            Kind::Symbol if self.is_symbol("-") && self.peek_at(1).kind == Kind::Integer => self.number(),
            Kind::Symbol | Kind::End => Err(self.unexpected("<expression>")),
        }
    }

    fn word(&mut self) -> Result<Expr> {
        let token = self.peek();
        for (word, value) in [("NULL", Value::Null), ("TRUE", Value::Boolean(true)), ("FALSE", Value::Boolean(false))] {
            if self.eat_word(word) {
                return self.value(&token, value);
            }
        }
        if self.begins_interval() {
            return self.interval();
        }
        if self.begins_typed_literal() {
            return self.typed_literal();
        }
        let word = self.text_of(&token).to_ascii_uppercase();
        let special = SPECIAL.iter().find(|special| special.word == word && special.begins(self));
        if let Some(special) = special {
            return self.nested(|p| (special.read)(p));
        }
        if self.is_symbol_at(1, "->") && self.is_name_at(0) {
            let (_, name) = self.name()?;
            return self.lambda(OneOrManyWithParens::One(parameter(name)));
        }
        if !self.is_name_at(0) {
            return Err(self.unexpected("<expression>"));
        }
        self.column_or_call()
    }

    /// `a`, `a.b.c`, `f(…)`, `a.b.f(…)`.
    fn column_or_call(&mut self) -> Result<Expr> {
        let token = self.peek();
        let mut parts = vec![self.name()?.1];
        while self.is_symbol(".") && self.is_name_at(1) {
            self.advance();
            parts.push(self.name()?.1);
        }
        if self.is_symbol("(") {
            return self.nested(|p| p.call(&token, parts));
        }
        self.node(0)?;
        Ok(match (parts.len(), parts.pop()) {
            (1, Some(name)) => Expr::Identifier(name),
            (_, last) => {
                parts.extend(last);
                Expr::CompoundIdentifier(parts)
            }
        })
    }

    /// `(query)`, `(expression)`, `(a, b)`, `(x, y) -> …`.
    fn parenthesis(&mut self) -> Result<Expr> {
        if let Some(parameters) = self.lambda_parameters()? {
            return self.lambda(OneOrManyWithParens::Many(parameters));
        }
        self.expect_symbol("(")?;
        if self.is_query_word_at(0) {
            let query = self.subquery()?;
            self.expect_symbol(")")?;
            return Ok(Expr::Subquery(Box::new(query)));
        }
        let mut tallest = 0;
        let mut items = self.nested(|p| {
            p.list(|p| {
                let item = p.expression()?;
                tallest = tallest.max(p.height);
                Ok(item)
            })
        })?;
        self.expect_symbol(")")?;
        self.height = tallest;
        if items.len() > 1 {
            self.node(tallest)?;
            return Ok(Expr::Tuple(items));
        }
        items.pop().ok_or_else(|| self.unexpected("<expression>"))
    }

    /// `()`, `(x)` or `(x, y)` in front of `->`.
    fn lambda_parameters(&mut self) -> Result<Option<Vec<LambdaFunctionParameter>>> {
        let mut ahead = 1;
        while self.is_name_at(ahead) && self.is_symbol_at(ahead + 1, ",") {
            ahead += 2;
        }
        let close = if self.is_symbol_at(ahead, ")") { ahead } else { ahead + 1 };
        if !self.is_symbol_at(close, ")") || !self.is_symbol_at(close + 1, "->") {
            return Ok(None);
        }
        self.expect_symbol("(")?;
        let names = if self.is_symbol(")") { Vec::new() } else { self.list(Self::name)? };
        self.expect_symbol(")")?;
        Ok(Some(names.into_iter().map(|(_, name)| parameter(name)).collect()))
    }

    fn lambda(&mut self, params: OneOrManyWithParens<LambdaFunctionParameter>) -> Result<Expr> {
        self.expect_symbol("->")?;
        let body = Box::new(self.nested(Self::expression)?);
        self.node(self.height)?;
        Ok(Expr::Lambda(LambdaFunction { params, body, syntax: LambdaSyntax::Arrow }))
    }

    /// A query inside an expression. Its expressions are its own block's; here it is one node.
    pub(super) fn subquery(&mut self) -> Result<AstQuery> {
        let parsed = self.query(false)?;
        self.block.subqueries += 1;
        self.block.hold(parsed.cost);
        self.node(0)?;
        Ok(parsed.ast)
    }
}

fn parameter(name: Ident) -> LambdaFunctionParameter {
    LambdaFunctionParameter { name, data_type: None }
}
