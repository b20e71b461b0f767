//! Function calls, with their clauses, and the rewrites of Trino's functions that are others' under
//! another name.

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, NullTreatment, ObjectName, OrderByExpr, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};
use meesh_base::Result;

use super::Parser;
use super::literal::plain_number;
use super::rewrite::rewritten;
use crate::functions::is_aggregate;
use crate::lexer::Token;

/// A call as it was written.
pub(super) struct Call {
    pub(super) token: Token,
    pub(super) name: Vec<Ident>,
    pub(super) arguments: Vec<FunctionArg>,
    pub(super) distinct: bool,
    pub(super) order_by: Vec<OrderByExpr>,
    pub(super) within_group: Vec<OrderByExpr>,
    pub(super) filter: Option<Box<Expr>>,
    pub(super) null_treatment: Option<NullTreatment>,
    pub(super) over: Option<WindowType>,
}

impl Call {
    pub(super) fn new(token: Token, name: Vec<Ident>) -> Self {
        Self {
            token,
            name,
            arguments: Vec::new(),
            distinct: false,
            order_by: Vec::new(),
            within_group: Vec::new(),
            filter: None,
            null_treatment: None,
            over: None,
        }
    }

    /// Whether nothing but arguments was written.
    pub(super) fn is_plain(&self) -> bool {
        !self.distinct
            && self.order_by.is_empty()
            && self.within_group.is_empty()
            && self.filter.is_none()
            && self.null_treatment.is_none()
            && self.over.is_none()
    }

    /// The arguments, if none of them is named or a star.
    pub(super) fn values(&self) -> Option<Vec<Expr>> {
        let value = |argument: &FunctionArg| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
            _ => None,
        };
        self.arguments.iter().map(value).collect()
    }

    pub(super) fn renamed(mut self, name: &str) -> Self {
        let span = self.name.first().map_or_else(|| self.token.span(), |name| name.span);
        self.name = vec![Ident::with_span(span, name)];
        self
    }

    pub(super) fn with_values(mut self, values: Vec<Expr>) -> Self {
        self.arguments = values.into_iter().map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value))).collect();
        self
    }

    pub(super) fn expression(self) -> Expr {
        let clauses = match self.order_by.is_empty() {
            true => Vec::new(),
            false => vec![FunctionArgumentClause::OrderBy(self.order_by)],
        };
        Expr::Function(Function {
            name: ObjectName::from(self.name),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: self.distinct.then_some(DuplicateTreatment::Distinct),
                args: self.arguments,
                clauses,
            }),
            filter: self.filter,
            null_treatment: self.null_treatment,
            over: self.over,
            within_group: self.within_group,
        })
    }
}

/// A call of `name` with nothing but values.
pub(super) fn call(name: &str, values: Vec<Expr>) -> Expr {
    let token = Token { kind: crate::lexer::Kind::End, start: 0, end: 0, line: 0, column: 0 };
    Call::new(token, vec![Ident::new(name)]).with_values(values).expression()
}

impl Parser<'_> {
    /// `(arguments) [FILTER …] [IGNORE NULLS] [OVER …]` behind a function's name.
    pub(super) fn call(&mut self, token: &Token, name: Vec<Ident>) -> Result<Expr> {
        let mut call = Call::new(*token, name);
        let mut tallest = 0;
        self.expect_symbol("(")?;
        if !self.is_symbol(")") {
            call.distinct = self.eat_word("DISTINCT");
            if !call.distinct && self.is_word("ALL") {
                self.advance();
            }
            call.arguments = self.list(|p| {
                let argument = p.function_argument()?;
                tallest = tallest.max(p.height);
                Ok(argument)
            })?;
            if self.eat_words(&["ORDER", "BY"]) {
                call.order_by = self.inner_sort_keys(&mut tallest)?;
            }
        }
        self.expect_symbol(")")?;
        self.call_clauses(&mut call, &mut tallest)?;
        match (&call.over, call.name.as_slice()) {
            (Some(_), _) => self.block.windows += 1,
            (None, [name]) if is_aggregate(&name.value) => self.block.aggregates += 1,
            _ => {}
        }
        self.node(tallest)?;
        rewritten(self, call)
    }

    fn call_clauses(&mut self, call: &mut Call, tallest: &mut usize) -> Result<()> {
        if self.eat_words(&["WITHIN", "GROUP"]) {
            self.expect_symbol("(")?;
            self.expect_words(&["ORDER", "BY"])?;
            call.within_group = self.inner_sort_keys(tallest)?;
            self.expect_symbol(")")?;
        }
        if self.is_word("FILTER") && self.is_symbol_at(1, "(") {
            self.at += 2;
            self.expect_word("WHERE")?;
            call.filter = Some(Box::new(self.expression()?));
            *tallest = (*tallest).max(self.height);
            self.expect_symbol(")")?;
        }
        if self.eat_words(&["IGNORE", "NULLS"]) {
            call.null_treatment = Some(NullTreatment::IgnoreNulls);
        } else {
            // What happens anyway; DataFusion refuses to be told so by some functions.
            self.eat_words(&["RESPECT", "NULLS"]);
        }
        if self.is_word("OVER") && (self.is_symbol_at(1, "(") || self.is_name_at(1)) {
            self.advance();
            call.over = Some(if self.is_symbol("(") {
                WindowType::WindowSpec(self.window_specification()?)
            } else {
                WindowType::NamedWindow(self.name()?.1)
            });
        }
        Ok(())
    }

    /// The keys of an ORDER BY inside of a call.
    fn inner_sort_keys(&mut self, tallest: &mut usize) -> Result<Vec<OrderByExpr>> {
        let keys = self.sort_keys()?;
        *tallest = (*tallest).max(self.height);
        Ok(keys)
    }

    fn function_argument(&mut self) -> Result<FunctionArg> {
        if self.eat_symbol("*") {
            self.node(0)?;
            return Ok(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
        }
        if self.is_name_at(0) && self.is_symbol_at(1, "=>") {
            let (_, name) = self.name()?;
            self.advance();
            let arg = FunctionArgExpr::Expr(self.expression()?);
            return Ok(FunctionArg::Named { name, arg, operator: FunctionArgOperator::RightArrow });
        }
        Ok(FunctionArg::Unnamed(FunctionArgExpr::Expr(self.expression()?)))
    }

    /// `([name] [PARTITION BY …] [ORDER BY …] [frame])`.
    pub(super) fn window_specification(&mut self) -> Result<WindowSpec> {
        self.expect_symbol("(")?;
        let is_clause = ["PARTITION", "ORDER", "ROWS", "RANGE", "GROUPS"].iter().any(|word| self.is_word(word));
        let window_name = if self.is_name_at(0) && !is_clause { Some(self.name()?.1) } else { None };
        let partition_by = match self.eat_words(&["PARTITION", "BY"]) {
            true => self.list(Self::root_expression)?,
            false => Vec::new(),
        };
        let order_by = if self.eat_words(&["ORDER", "BY"]) { self.sort_keys()? } else { Vec::new() };
        let window_frame = self.window_frame()?;
        self.expect_symbol(")")?;
        Ok(WindowSpec { window_name, partition_by, order_by, window_frame })
    }

    fn window_frame(&mut self) -> Result<Option<WindowFrame>> {
        let token = self.peek();
        let units = if self.eat_word("ROWS") {
            WindowFrameUnits::Rows
        } else if self.eat_word("RANGE") {
            WindowFrameUnits::Range
        } else if self.eat_word("GROUPS") {
            WindowFrameUnits::Groups
        } else {
            return Ok(None);
        };
        let (start_bound, end_bound) = if self.eat_word("BETWEEN") {
            let start = self.frame_bound()?;
            self.expect_word("AND")?;
            (start, Some(self.frame_bound()?))
        } else {
            (self.frame_bound()?, None)
        };
        if self.is_word("EXCLUDE") {
            return Err(self.unsupported(&token, "EXCLUDE in a window frame"));
        }
        Ok(Some(WindowFrame { units, start_bound, end_bound }))
    }

    fn frame_bound(&mut self) -> Result<WindowFrameBound> {
        if self.eat_words(&["CURRENT", "ROW"]) {
            return Ok(WindowFrameBound::CurrentRow);
        }
        let distance = if self.eat_word("UNBOUNDED") { None } else { Some(Box::new(plain_number(self.operand()?))) };
        if self.eat_word("PRECEDING") {
            Ok(WindowFrameBound::Preceding(distance))
        } else if self.eat_word("FOLLOWING") {
            Ok(WindowFrameBound::Following(distance))
        } else {
            Err(self.unexpected("'FOLLOWING', 'PRECEDING'"))
        }
    }
}
