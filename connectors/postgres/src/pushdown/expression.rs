//! Expressions of the engine as SQL of PostgreSQL's, or the reason why one stays local.
//!
//! Printing and judging are one walk, so that what was taken can always be printed.

use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Case, Cast, Expr, ExprSchemable, Like, Operator};
use datafusion::scalar::ScalarValue;

use super::compare::Comparer;
use super::function;
use super::literal::{self, Reason};
use super::print::{self, Printing};
use super::term::{Binding, Term, is_text};
use super::whitelist::{self, CastText};
use crate::quote::quote_text;
use crate::types::{Collation, Form};

/// Nesting beyond this is not walked: the stack is not ours.
const DEPTH_MAX: usize = 100;

/// Prints expressions over one input.
pub(super) struct ExprPrinter<'a> {
    /// The input's columns as the plan names them.
    pub(super) schema: &'a DFSchema,
    /// The same columns as SQL.
    pub(super) columns: &'a [Term],
    /// What is known of texts.
    pub(super) comparer: Comparer,
    /// How subqueries are printed.
    pub(super) printing: &'a Printing,
}

impl ExprPrinter<'_> {
    /// `expr` as SQL.
    ///
    /// # Errors
    /// The reason why it stays local: `lower(name): collation`.
    pub(super) fn print(&self, expr: &Expr) -> Result<Term, Reason> {
        self.walk(expr, 0)
    }

    /// As [`Self::print`]; the names of expressions in reasons are put in front where they are known.
    pub(super) fn walk(&self, expr: &Expr, depth: usize) -> Result<Term, Reason> {
        if depth > DEPTH_MAX {
            return Err("expression is nested too deep".to_owned());
        }
        let depth = depth + 1;
        match expr {
            Expr::Alias(alias) => self.walk(&alias.expr, depth),
            Expr::Column(column) => self.column(column),
            Expr::Literal(value, _) => self.literal(value),
            Expr::BinaryExpr(binary) => self.binary(expr, binary, depth),
            Expr::Not(inner) => self.not(inner, depth),
            Expr::IsNull(inner) => self.is(inner, "NULL", depth),
            Expr::IsNotNull(inner) => self.is(inner, "NOT NULL", depth),
            Expr::IsTrue(inner) => self.is(inner, "TRUE", depth),
            Expr::IsFalse(inner) => self.is(inner, "FALSE", depth),
            Expr::IsUnknown(inner) => self.is(inner, "UNKNOWN", depth),
            Expr::IsNotTrue(inner) => self.is(inner, "NOT TRUE", depth),
            Expr::IsNotFalse(inner) => self.is(inner, "NOT FALSE", depth),
            Expr::IsNotUnknown(inner) => self.is(inner, "NOT UNKNOWN", depth),
            Expr::Negative(inner) => self.negative(expr, inner, depth),
            Expr::Between(between) => self.between(between, depth),
            Expr::InList(list) => self.in_list(list, depth),
            Expr::Like(like) => self.like(expr, like, depth),
            Expr::Case(case) => self.case(expr, case, depth),
            Expr::Cast(cast) => self.cast(expr, cast, depth),
            Expr::ScalarFunction(call) => function::print(self, expr, call, depth),
            Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty() => {
                let select = print::select(&subquery.subquery, self.printing);
                select.and_then(|select| select.scalar(&self.type_of(expr)?)).map_err(|why| format!("subquery: {why}"))
            }
            _ => Err(format!("{}: not translated", shown(expr))),
        }
    }

    fn literal(&self, value: &ScalarValue) -> Result<Term, Reason> {
        if let Some(Some(text)) = value.try_as_str() {
            self.comparer.has_characters_of(text)?;
        }
        literal::print(value).map(|text| Term::literal(text, value))
    }

    fn column(&self, column: &Column) -> Result<Term, Reason> {
        let index =
            self.schema.index_of_column(column).map_err(|_| format!("{column}: not a column of the fragment"))?;
        self.columns.get(index).cloned().ok_or_else(|| format!("{column}: not a column of the fragment"))
    }

    fn binary(&self, expr: &Expr, binary: &BinaryExpr, depth: usize) -> Result<Term, Reason> {
        match binary.op {
            Operator::And => self.chain(expr, Operator::And, depth),
            Operator::Or => self.chain(expr, Operator::Or, depth),
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => {
                let (left, right) = (self.walk(&binary.left, depth)?, self.walk(&binary.right, depth)?);
                let result = self.type_of(expr)?;
                function::arithmetic(binary.op, &left, &right, result).map_err(|why| format!("{}: {why}", shown(expr)))
            }
            // A NULL makes the whole NULL, on both sides.
            Operator::StringConcat => {
                let (left, right) = (self.walk(&binary.left, depth)?, self.walk(&binary.right, depth)?);
                let texts =
                    function::unicode(self, &left).and_then(|left| Ok((left, function::unicode(self, &right)?)));
                let (left, right) = texts.map_err(|why| format!("{}: {why}", shown(expr)))?;
                Ok(Term::computed(format!("({left} || {right})"), Binding::Atom, self.type_of(expr)?))
            }
            op => {
                if let Some((_, why)) = whitelist::LOCAL_OPERATORS.iter().find(|(known, _)| *known == op) {
                    return Err(format!("{}: {why}", shown(expr)));
                }
                let (left, right) = (self.walk(&binary.left, depth)?, self.walk(&binary.right, depth)?);
                self.comparer.compare(op, &left, &right).map_err(|why| format!("{}: {why}", shown(expr)))
            }
        }
    }

    /// A chain of one connective, however long, without descending for each link.
    fn chain(&self, expr: &Expr, connective: Operator, depth: usize) -> Result<Term, Reason> {
        let mut open = vec![expr];
        let mut links = Vec::new();
        while let Some(next) = open.pop() {
            match next {
                Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == connective => {
                    open.push(right);
                    open.push(left);
                }
                // As deep as it would be alone, which is how it was asked about.
                link => links.push(self.walk(link, depth.saturating_sub(1))?.bound(Binding::Not)),
            }
        }
        let (word, binding) = if connective == Operator::And { (" AND ", Binding::And) } else { (" OR ", Binding::Or) };
        Ok(Term::truth(links.join(word), binding))
    }

    fn not(&self, inner: &Expr, depth: usize) -> Result<Term, Reason> {
        Ok(Term::truth(format!("NOT {}", self.walk(inner, depth)?.atom()), Binding::Not))
    }

    /// `IS …`. A composite value is NULL for PostgreSQL if all its fields are, which its text is not.
    fn is(&self, inner: &Expr, what: &str, depth: usize) -> Result<Term, Reason> {
        let term = self.walk(inner, depth)?;
        let operand = match term.form {
            Form::AsText | Form::Composite => format!("{}::text", term.atom()),
            _ => term.atom(),
        };
        Ok(Term::truth(format!("{operand} IS {what}"), Binding::Compare))
    }

    fn negative(&self, expr: &Expr, inner: &Expr, depth: usize) -> Result<Term, Reason> {
        let term = self.walk(inner, depth)?;
        if term.form != Form::Plain || !term.arrow.is_numeric() {
            return Err(format!("{}: not translated", shown(expr)));
        }
        Ok(Term::computed(format!("- {}", term.atom()), Binding::Arithmetic, term.arrow))
    }

    fn between(&self, between: &Between, depth: usize) -> Result<Term, Reason> {
        let value = self.walk(&between.expr, depth)?;
        let bound = |op, bound: &Expr| {
            let compared = self.comparer.compare(op, &value, &self.walk(bound, depth)?);
            compared.map_err(|why| format!("{}: {why}", shown(&between.expr)))
        };
        let (low, high) = (bound(Operator::GtEq, &between.low)?, bound(Operator::LtEq, &between.high)?);
        let both = format!("{} AND {}", low.text, high.text);
        Ok(if between.negated {
            Term::truth(format!("NOT ({both})"), Binding::Not)
        } else {
            Term::truth(both, Binding::And)
        })
    }

    fn in_list(&self, list: &InList, depth: usize) -> Result<Term, Reason> {
        let value = self.walk(&list.expr, depth)?;
        let items = list.list.iter().map(|item| self.walk(item, depth)).collect::<Result<Vec<_>, _>>()?;
        let printed = self.comparer.in_list(&value, &items, list.negated);
        printed.map_err(|why| format!("{}: {why}", shown(&list.expr)))
    }

    fn like(&self, expr: &Expr, like: &Like, depth: usize) -> Result<Term, Reason> {
        let refuse = |why: &str| Err(format!("{}: {why}", shown(expr)));
        if like.case_insensitive {
            return refuse("letter case depends on the locale");
        }
        if like.escape_char.is_some_and(|escape| escape != '\\') {
            return refuse("escape character");
        }
        let pattern = match like.pattern.as_ref() {
            Expr::Literal(value, _) => value.try_as_str().flatten(),
            _ => None,
        };
        let Some(pattern) = pattern.filter(|pattern| whitelist::is_complete_pattern(pattern)) else {
            return refuse("pattern is no constant, or ends in its escape character");
        };
        let Some(value) = self.walk(&like.expr, depth)?.value().filter(|value| is_text(&value.arrow)) else {
            return refuse("not translated");
        };
        if !self.comparer.utf8 {
            return refuse("the database is not in UTF-8");
        }
        let operand = if value.collation.deterministic || value.collation == Collation::NONE {
            value.atom()
        } else {
            format!("{} COLLATE \"C\"", value.atom())
        };
        let not = if like.negated { "NOT " } else { "" };
        let pattern = quote_text(pattern);
        Ok(Term::truth(format!("{operand} {not}LIKE {pattern}::text"), Binding::Compare))
    }

    /// Every branch must be of the result's type; an operand becomes a comparison per branch.
    fn case(&self, expr: &Expr, case: &Case, depth: usize) -> Result<Term, Reason> {
        let result = self.type_of(expr)?;
        let operand = case.expr.as_ref().map(|operand| self.walk(operand, depth)).transpose()?;
        let mut text = "CASE".to_owned();
        for (when, then) in &case.when_then_expr {
            let mut condition = self.walk(when, depth)?;
            if let Some(operand) = &operand {
                let compared = self.comparer.compare(Operator::Eq, operand, &condition);
                condition = compared.map_err(|why| format!("{}: {why}", shown(expr)))?;
            }
            let then = function::branch(&self.walk(then, depth)?, &result)?;
            text.push_str(&format!(" WHEN {} THEN {then}", condition.text));
        }
        if let Some(otherwise) = &case.else_expr {
            text.push_str(&format!(" ELSE {}", function::branch(&self.walk(otherwise, depth)?, &result)?));
        }
        text.push_str(" END");
        Ok(Term::computed(text, Binding::Atom, result))
    }

    fn cast(&self, expr: &Expr, cast: &Cast, depth: usize) -> Result<Term, Reason> {
        let to = cast.field.data_type();
        let refuse = |from: &Term| format!("{}: the cast from {} can fail or differ", shown(expr), from.arrow);
        let inner = self.walk(&cast.expr, depth)?;
        let kind = whitelist::cast(&inner.arrow, to).ok_or_else(|| refuse(&inner))?;
        let value = inner.value().ok_or_else(|| refuse(&inner))?;
        Ok(match kind {
            CastText::Same => Term { arrow: to.clone(), column: None, ..value },
            CastText::As(pattern) => {
                let term = Term::computed(pattern.replacen("{}", &value.atom(), 1), Binding::Atom, to.clone());
                let collation = Collation { oid: Collation::DEFAULT_OID, deterministic: true, bytewise: false };
                Term { collation, ..term }
            }
        })
    }

    /// The engine's type of an expression.
    pub(super) fn type_of(&self, expr: &Expr) -> Result<arrow::datatypes::DataType, Reason> {
        expr.get_type(self.schema).map_err(|_| format!("{}: type is unknown", shown(expr)))
    }
}

/// An expression for people, not too long. What is deep in a tree is left out: nobody would read it,
/// and writing it out recurses.
pub(super) fn shown(expr: &Expr) -> String {
    const LENGTH_MAX: usize = 60;
    let text = shown_above(expr, 2);
    match text.char_indices().nth(LENGTH_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn shown_above(expr: &Expr, levels: usize) -> String {
    let Some(below) = levels.checked_sub(1) else { return leaf(expr).unwrap_or_else(|| "…".to_owned()) };
    let inner = |expr: &Expr| shown_above(expr, below);
    match expr {
        Expr::Alias(alias) => shown_above(&alias.expr, levels),
        Expr::ScalarFunction(call) => {
            let arguments: Vec<String> = call.args.iter().map(inner).collect();
            match function::arithmetic_signs(call.func.name()) {
                Some(signs) => {
                    let signs = std::iter::once(String::new()).chain(signs.iter().map(|sign| format!(" {sign} ")));
                    signs.zip(arguments).map(|(sign, argument)| sign + &argument).collect()
                }
                None => format!("{}({})", call.func.name().trim_start_matches('$'), arguments.join(", ")),
            }
        }
        Expr::BinaryExpr(binary) => format!("{} {} {}", inner(&binary.left), binary.op, inner(&binary.right)),
        Expr::Like(like) => {
            let word = if like.case_insensitive { "ILIKE" } else { "LIKE" };
            format!("{} {word} {}", inner(&like.expr), inner(&like.pattern))
        }
        Expr::Cast(cast) => format!("cast({} as {})", inner(&cast.expr), cast.field.data_type()),
        other => leaf(other).unwrap_or_else(|| other.variant_name().to_owned()),
    }
}

fn leaf(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(column) => Some(column.to_string()),
        Expr::Literal(value, _) => Some(match value.try_as_str().flatten() {
            Some(text) => format!("'{text}'"),
            None => value.to_string(),
        }),
        _ => None,
    }
}
