//! Expressions, from OR down to the operand of an operator.
//!
//! Precedence as in Trino's grammar, lowest first: OR, AND, NOT, one predicate, `||`, `+ -`,
//! `* / %`, a sign, AT TIME ZONE, then `[…]`, `.name` and `::type`.

use datafusion::sql::sqlparser::ast::{AccessExpr, BinaryOperator, CaseWhen, Expr, Subscript, UnaryOperator, Value};
use meesh_base::Result;

use super::Parser;
use super::data_type::own_operator;
use crate::balance;
use crate::lexer::Kind;
use crate::limits::too_complex;
use crate::operators::own;

const COMPARISONS: &[(&str, BinaryOperator)] = &[
    ("=", BinaryOperator::Eq),
    ("<>", BinaryOperator::NotEq),
    ("!=", BinaryOperator::NotEq),
    ("<", BinaryOperator::Lt),
    ("<=", BinaryOperator::LtEq),
    (">", BinaryOperator::Gt),
    (">=", BinaryOperator::GtEq),
];
const CONCATENATION: &[(&str, BinaryOperator)] = &[("||", BinaryOperator::StringConcat)];
const SUMS: &[(&str, BinaryOperator)] = &[("+", BinaryOperator::Plus), ("-", BinaryOperator::Minus)];
const PRODUCTS: &[(&str, BinaryOperator)] =
    &[("*", BinaryOperator::Multiply), ("/", BinaryOperator::Divide), ("%", BinaryOperator::Modulo)];

/// Whether an expression is written as NULL, of any type.
fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => value.value == Value::Null,
        Expr::BinaryOp { left, op: BinaryOperator::Custom(name), .. } if name == own::CAST => is_null(left),
        _ => false,
    }
}

/// `expr [NOT] IN (list, NULL)`: known only where the list without NULL has the value. Spelled out, for
/// DataFusion's optimizer drops the NULL when it merges conditions on one column.
fn in_list_with_null(expr: Expr, list: Vec<Expr>, negated: bool) -> Expr {
    if list.is_empty() {
        return Expr::InList { expr: Box::new(expr), list: vec![Expr::Value(Value::Null.with_empty_span())], negated };
    }
    let condition = Expr::InList { expr: Box::new(expr), list, negated: false };
    let result = Expr::Value(Value::Boolean(!negated).with_empty_span());
    super::special::case(None, vec![CaseWhen { condition, result }], None)
}

impl Parser<'_> {
    /// An expression that is no part of another one; its size counts towards the block's work.
    pub(super) fn root_expression(&mut self) -> Result<Expr> {
        let before = self.nodes;
        let expr = self.expression()?;
        let size = (self.nodes - before).saturating_mul(self.height as u64);
        self.block.expressions = self.block.expressions.saturating_add(size);
        Ok(expr)
    }

    /// Any expression. Sets `height` to its height.
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.conditions("OR", BinaryOperator::Or, |p| p.conditions("AND", BinaryOperator::And, Self::negation))
    }

    /// A node above operands of which the highest is `tallest` high.
    pub(super) fn node(&mut self, tallest: usize) -> Result<()> {
        self.nodes += 1;
        self.height = tallest + 1;
        if self.height > self.limits.operators + self.limits.nesting {
            let error = too_complex("operators above one another", self.limits.operators + self.limits.nesting);
            return Err(error.with_position(self.peek().position()));
        }
        Ok(())
    }

    /// A chain of AND or of OR: collected flat, then combined evenly.
    fn conditions(
        &mut self,
        word: &str,
        op: BinaryOperator,
        mut operand: impl FnMut(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        let first = operand(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let (mut operands, mut tallest) = (vec![first], self.height);
        while self.eat_word(word) {
            if operands.len() >= self.limits.conditions {
                return Err(too_complex(&format!("conditions in one chain of {word}"), self.limits.conditions));
            }
            operands.push(operand(self)?);
            tallest = tallest.max(self.height);
        }
        self.nodes += operands.len() as u64 - 1;
        self.node(tallest + balance::height(operands.len()) - 1)?;
        let join = |left, right| Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) };
        balance::combine(operands, join).ok_or_else(|| self.unexpected("<expression>"))
    }

    fn negation(&mut self) -> Result<Expr> {
        if !self.eat_word("NOT") {
            return self.predicates();
        }
        let inner = self.nested(Self::negation)?;
        self.node(self.height)?;
        Ok(match inner {
            Expr::Exists { subquery, negated: false } => Expr::Exists { subquery, negated: true },
            inner => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(inner) },
        })
    }

    /// One operand with at most one comparison, and IS checks behind it.
    fn predicates(&mut self) -> Result<Expr> {
        let mut expr = self.operand()?;
        if !self.is_word("IS") {
            expr = self.predicate(expr)?;
        }
        while self.eat_word("IS") {
            expr = self.is_check(expr)?;
        }
        Ok(expr)
    }

    fn predicate(&mut self, expr: Expr) -> Result<Expr> {
        if let Some((symbol, op)) = COMPARISONS.iter().find(|(symbol, _)| self.is_symbol(symbol)) {
            self.eat_symbol(symbol);
            return self.comparison(expr, op.clone());
        }
        let negated = self.is_word("NOT")
            && ["BETWEEN", "IN", "LIKE", "ILIKE"].iter().any(|word| self.is_word_at(1, word))
            && self.eat_word("NOT");
        let tallest = self.height;
        if self.eat_word("BETWEEN") {
            if self.is_word("SYMMETRIC") && !self.is_word_at(1, "AND") {
                return Err(self.unsupported(&self.peek(), "BETWEEN SYMMETRIC"));
            }
            let low = Box::new(self.operand()?);
            let tallest = tallest.max(self.height);
            self.expect_word("AND")?;
            let high = Box::new(self.operand()?);
            self.node(tallest.max(self.height))?;
            return Ok(Expr::Between { expr: Box::new(expr), negated, low, high });
        }
        if self.eat_word("IN") {
            return self.in_predicate(expr, negated, tallest);
        }
        for (word, insensitive) in [("LIKE", false), ("ILIKE", true)] {
            if self.eat_word(word) {
                return self.like_predicate(expr, negated, insensitive, tallest);
            }
        }
        if self.is_word("SIMILAR") && self.is_word_at(1, "TO") {
            return Err(self.unsupported(&self.peek(), "SIMILAR TO").with_hint("use regexp_like"));
        }
        Ok(expr)
    }

    fn comparison(&mut self, left: Expr, op: BinaryOperator) -> Result<Expr> {
        let tallest = self.height;
        let left = Box::new(left);
        for word in ["ALL", "ANY", "SOME"] {
            if self.is_word(word) && self.is_symbol_at(1, "(") {
                self.advance();
                let right = Box::new(self.parenthesized_operand()?);
                self.node(tallest.max(self.height))?;
                // These two are IN and NOT IN, which may stand anywhere.
                let negated = op == BinaryOperator::NotEq;
                if let Expr::Subquery(subquery) = right.as_ref()
                    && ((word != "ALL" && op == BinaryOperator::Eq) || (word == "ALL" && negated))
                {
                    return Ok(Expr::InSubquery { expr: left, subquery: subquery.clone(), negated });
                }
                return Ok(match word {
                    "ALL" => Expr::AllOp { left, compare_op: op, right },
                    _ => Expr::AnyOp { left, compare_op: op, right, is_some: word == "SOME" },
                });
            }
        }
        let right = Box::new(self.operand()?);
        self.node(tallest.max(self.height))?;
        if let Some((symbol, _)) = COMPARISONS.iter().find(|(symbol, _)| self.is_symbol(symbol)) {
            let token = self.peek();
            let message = format!("mismatched input '{symbol}'. Comparisons do not chain: join them with AND");
            return Err(self.syntax_error(&token, &message));
        }
        Ok(Expr::BinaryOp { left, op, right })
    }

    /// `(query)` or `(expression)`.
    fn parenthesized_operand(&mut self) -> Result<Expr> {
        self.expect_symbol("(")?;
        let operand = if self.is_query_word_at(0) {
            Expr::Subquery(Box::new(self.subquery()?))
        } else {
            self.nested(Self::expression)?
        };
        self.expect_symbol(")")?;
        Ok(operand)
    }

    fn in_predicate(&mut self, expr: Expr, negated: bool, tallest: usize) -> Result<Expr> {
        let token = self.expect_symbol("(")?;
        if self.is_query_word_at(0) {
            if matches!(expr, Expr::Tuple(_)) {
                return Err(self.unsupported(&token, "comparing a row with a subquery").with_hint("use EXISTS"));
            }
            let subquery = Box::new(self.subquery()?);
            self.expect_symbol(")")?;
            self.node(tallest.max(self.height))?;
            return Ok(Expr::InSubquery { expr: Box::new(expr), subquery, negated });
        }
        let (list, tallest) = self.nested(|p| {
            let mut highest = tallest;
            let list = p.list(|p| {
                let value = p.expression()?;
                highest = highest.max(p.height);
                Ok(value)
            })?;
            Ok((list, highest))
        })?;
        self.expect_symbol(")")?;
        self.node(tallest)?;
        let (nulls, list): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(is_null);
        if nulls.is_empty() {
            return Ok(Expr::InList { expr: Box::new(expr), list, negated });
        }
        self.node(self.height)?;
        Ok(in_list_with_null(expr, list, negated))
    }

    fn is_check(&mut self, expr: Expr) -> Result<Expr> {
        let negated = self.eat_word("NOT");
        let tallest = self.height;
        if self.eat_words(&["DISTINCT", "FROM"]) {
            let other = Box::new(self.operand()?);
            self.node(tallest.max(self.height))?;
            let expr = Box::new(expr);
            return Ok(if negated { Expr::IsNotDistinctFrom(expr, other) } else { Expr::IsDistinctFrom(expr, other) });
        }
        type Check = fn(Box<Expr>) -> Expr;
        const CHECKS: &[(&str, Check, Check)] = &[
            ("NULL", Expr::IsNull, Expr::IsNotNull),
            ("TRUE", Expr::IsTrue, Expr::IsNotTrue),
            ("FALSE", Expr::IsFalse, Expr::IsNotFalse),
            ("UNKNOWN", Expr::IsUnknown, Expr::IsNotUnknown),
        ];
        let Some((word, positive, negative)) = CHECKS.iter().find(|(word, ..)| self.is_word(word)) else {
            return Err(self.unexpected(if negated { "'DISTINCT', 'NULL'" } else { "'DISTINCT', 'NOT', 'NULL'" }));
        };
        self.eat_word(word);
        self.node(tallest)?;
        Ok(if negated { negative(Box::new(expr)) } else { positive(Box::new(expr)) })
    }

    /// What a predicate compares.
    pub(super) fn operand(&mut self) -> Result<Expr> {
        self.chain(CONCATENATION, |p| p.chain(SUMS, |p| p.chain(PRODUCTS, Self::signed)))
    }

    /// Operators of one precedence, from left to right.
    fn chain(
        &mut self,
        operators: &[(&str, BinaryOperator)],
        mut next: impl FnMut(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        let mut left = next(self)?;
        let mut count = 0;
        while let Some((symbol, op)) = operators.iter().find(|(symbol, _)| self.is_symbol(symbol)) {
            let tallest = self.height;
            count += 1;
            if count >= self.limits.operators {
                let error = too_complex("operands in one chain of operators", self.limits.operators);
                return Err(error.with_position(self.peek().position()));
            }
            self.eat_symbol(symbol);
            let right = next(self)?;
            self.node(tallest.max(self.height))?;
            left = Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) };
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expr> {
        if self.eat_symbol("+") {
            let expr = self.nested(Self::signed)?;
            self.node(self.height)?;
            return Ok(Expr::UnaryOp { op: UnaryOperator::Plus, expr: Box::new(expr) });
        }
        // A sign before digits is a part of the number: only so is the smallest of a type one.
        if !self.is_symbol("-") || self.peek_at(1).kind == Kind::Integer {
            return self.at_time_zone();
        }
        self.advance();
        let expr = self.nested(Self::signed)?;
        self.node(self.height)?;
        Ok(own_operator(own::NEGATE, expr, Expr::Value(Value::Null.with_empty_span())))
    }

    fn at_time_zone(&mut self) -> Result<Expr> {
        let mut expr = self.postfix()?;
        while self.eat_words(&["AT", "TIME", "ZONE"]) {
            let tallest = self.height;
            let zone = self.postfix()?;
            self.node(tallest.max(self.height))?;
            expr = super::function::call("at_timezone", vec![expr, zone]);
        }
        Ok(expr)
    }

    /// An operand with what hangs on it.
    fn postfix(&mut self) -> Result<Expr> {
        let mut expr = self.primary()?;
        loop {
            let tallest = self.height;
            let access = if self.eat_symbol("[") {
                let index = self.nested(Self::expression)?;
                self.expect_symbol("]")?;
                AccessExpr::Subscript(Subscript::Index { index })
            } else if self.is_symbol(".") && self.is_name_at(1) {
                self.advance();
                AccessExpr::Dot(Expr::Identifier(self.name()?.1))
            } else if self.eat_symbol("::") {
                let data_type = self.data_type()?;
                self.node(tallest)?;
                expr = self.cast(false, expr, data_type);
                continue;
            } else {
                return Ok(expr);
            };
            self.node(tallest.max(self.height))?;
            expr = match expr {
                Expr::CompoundFieldAccess { root, mut access_chain } => {
                    access_chain.push(access);
                    Expr::CompoundFieldAccess { root, access_chain }
                }
                root => Expr::CompoundFieldAccess { root: Box::new(root), access_chain: vec![access] },
            };
        }
    }
}
