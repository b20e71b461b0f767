//! Queries: WITH, set operations, VALUES, TABLE, ORDER BY, LIMIT.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    self, Cte as AstCte, Expr, Ident, LimitClause, Offset, OffsetRows, OrderBy, OrderByExpr, OrderByKind,
    OrderByOptions, Parens, Query as AstQuery, SetExpr, SetOperator, SetQuantifier, TableAlias, TableAliasColumnDef,
    Values, With,
};
use meesh_base::Result;

use super::Parser;
use super::literal::plain_number;
use super::scope::Cte;
use super::select::Renamed;
use crate::balance;
use crate::labels::OutputColumn;
use crate::lexer::Kind;
use crate::limits::{Cost, too_complex};
use crate::statement::Statement;

/// A query with what its surroundings need to know.
pub(super) struct ParsedQuery {
    pub(super) ast: AstQuery,
    pub(super) columns: Vec<OutputColumn>,
    pub(super) cost: Cost,
}

/// One operand of a set operation, or the whole of it.
pub(super) struct Term {
    pub(super) body: SetExpr,
    pub(super) columns: Vec<OutputColumn>,
    pub(super) cost: Cost,
    /// What ORDER BY may call by another name than the plan does.
    pub(super) renamed: Vec<Renamed>,
    /// Whether the expressions of `renamed` can be looked up: not above a set operation.
    pub(super) is_select: bool,
}

impl Term {
    fn of(body: SetExpr, columns: Vec<OutputColumn>, cost: Cost) -> Self {
        Self { body, columns, cost, renamed: Vec::new(), is_select: false }
    }
}

impl Parser<'_> {
    /// Whether a query begins at the current token, a parenthesis included.
    pub(super) fn begins_query(&self) -> bool {
        self.is_symbol("(") || self.is_query_word_at(0)
    }

    /// Whether the token is a word that begins a query.
    pub(super) fn is_query_word_at(&self, ahead: usize) -> bool {
        ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|word| self.is_word_at(ahead, word))
    }

    /// The whole statement is a query.
    pub(super) fn query_statement(&mut self) -> Result<Statement> {
        self.whole_query().map(Statement::Query)
    }

    /// `[WITH …] body [ORDER BY …] [OFFSET …] [LIMIT …]`. The outermost one names the result.
    pub(super) fn query(&mut self, outermost: bool) -> Result<ParsedQuery> {
        self.nested(|p| {
            if !p.is_word("WITH") {
                let term = p.query_body(None, outermost)?;
                return p.query_end(None, term);
            }
            p.scopes.open();
            let with = p.with()?;
            let term = p.query_body(None, outermost)?;
            let parsed = p.query_end(Some(with), term);
            p.scopes.close();
            parsed
        })
    }

    fn with(&mut self) -> Result<With> {
        self.expect_word("WITH")?;
        let recursive = self.eat_word("RECURSIVE");
        let cte_tables = self.list(|p| p.cte(recursive))?;
        Ok(With { with_token: AttachedToken::empty(), recursive, cte_tables })
    }

    fn cte(&mut self, recursive: bool) -> Result<AstCte> {
        let token = self.peek();
        let (_, name) = self.name()?;
        if self.scopes.has_here(&name.value) {
            let message = format!("WITH query name {:?} specified more than once", name.value);
            return Err(self.syntax_error(&token, &message).with_code("DUPLICATE_NAMED_QUERY"));
        }
        let aliases = if self.is_symbol("(") { self.column_aliases()? } else { Vec::new() };
        self.expect_word("AS")?;
        self.expect_symbol("(")?;
        let internal = self.scopes.internal_name(&name);
        let named = |columns: Vec<OutputColumn>| match aliases.as_slice() {
            [] => columns,
            aliases => aliases.iter().map(|(written, _)| OutputColumn::Named(written.clone())).collect(),
        };
        if recursive {
            let cost = Cost { nodes: 1, levels: 1, work: 100 };
            let columns = named(vec![OutputColumn::Wildcard]);
            self.scopes.define(&name.value, Cte { internal: internal.clone(), columns, cost });
        }
        let parsed = self.query(false)?;
        self.expect_symbol(")")?;
        parsed.cost.check(self.limits)?;
        let (columns, cost) = (named(parsed.columns), parsed.cost);
        self.scopes.define(&name.value, Cte { internal: internal.clone(), columns, cost });
        let columns = aliases.into_iter().map(|(_, name)| TableAliasColumnDef { name, data_type: None }).collect();
        Ok(AstCte {
            alias: TableAlias { explicit: true, name: internal, columns, at: None },
            query: Box::new(parsed.ast),
            from: None,
            materialized: None,
            closing_paren_token: AttachedToken::empty(),
        })
    }

    /// `(a, b)` after a table's or a CTE's name, as written and as identifiers.
    pub(super) fn column_aliases(&mut self) -> Result<Vec<(String, Ident)>> {
        self.expect_symbol("(")?;
        let names = self.list(Self::name)?;
        self.expect_symbol(")")?;
        Ok(names)
    }

    /// UNION and EXCEPT of INTERSECTs. `first` has been read already, if it is given.
    pub(super) fn query_body(&mut self, first: Option<Term>, outermost: bool) -> Result<Term> {
        let mut operands = 1;
        let first = self.intersection(first, outermost, &mut operands)?;
        self.set_operations(first, &["UNION", "EXCEPT"], &mut operands, |p, operands| {
            p.intersection(None, false, operands)
        })
    }

    fn intersection(&mut self, first: Option<Term>, outermost: bool, operands: &mut usize) -> Result<Term> {
        let first = match first {
            Some(term) => term,
            None => self.query_primary(outermost)?,
        };
        self.set_operations(first, &["INTERSECT"], operands, |p, _| p.query_primary(false))
    }

    /// Operators of one precedence, from left to right. Operands of one UNION are combined evenly.
    fn set_operations(
        &mut self,
        first: Term,
        words: &[&str],
        operands: &mut usize,
        mut next: impl FnMut(&mut Self, &mut usize) -> Result<Term>,
    ) -> Result<Term> {
        let mut left = first;
        let mut run: Option<(SetOperator, SetQuantifier, Vec<SetExpr>)> = None;
        while words.iter().any(|word| self.is_word(word)) {
            let (op, quantifier) = self.set_operator()?;
            *operands += 1;
            if *operands > self.limits.set_operands {
                return Err(too_complex("queries in one chain of set operations", self.limits.set_operands));
            }
            let right = next(self, operands)?;
            left.cost.add(right.cost);
            left.cost.nodes += 1;
            left.is_select = false;
            let same = matches!(&run, Some((a, b, _)) if *a == op && *b == quantifier && op == SetOperator::Union);
            if !same {
                left.body = joined(run.take(), left.body);
                run = Some((op, quantifier, vec![std::mem::replace(&mut left.body, no_rows())]));
            }
            if let Some((_, _, bodies)) = &mut run {
                bodies.push(right.body);
            }
        }
        left.body = joined(run, left.body);
        Ok(left)
    }

    fn set_operator(&mut self) -> Result<(SetOperator, SetQuantifier)> {
        let token = self.advance();
        let op = match self.text_of(&token).to_ascii_uppercase().as_str() {
            "UNION" => SetOperator::Union,
            "EXCEPT" => SetOperator::Except,
            _ => SetOperator::Intersect,
        };
        let quantifier = if self.eat_word("ALL") {
            SetQuantifier::All
        } else {
            self.eat_word("DISTINCT");
            SetQuantifier::Distinct
        };
        if quantifier == SetQuantifier::All && op != SetOperator::Union {
            // DataFusion plans it as a semi join, which keeps every duplicate of the left side.
            return Err(self.unsupported(&token, &format!("{op} ALL")));
        }
        Ok((op, quantifier))
    }

    fn query_primary(&mut self, outermost: bool) -> Result<Term> {
        if self.is_word("SELECT") {
            self.select(outermost)
        } else if self.eat_word("VALUES") {
            self.values()
        } else if self.eat_word("TABLE") {
            self.table_query()
        } else if self.eat_symbol("(") {
            let parsed = self.query(outermost)?;
            self.expect_symbol(")")?;
            Ok(Term::of(SetExpr::Query(Box::new(parsed.ast)), parsed.columns, parsed.cost))
        } else {
            Err(self.unexpected("'(', 'SELECT', 'TABLE', 'VALUES'"))
        }
    }

    /// Rows; a row of one column needs no parentheses.
    fn values(&mut self) -> Result<Term> {
        let outer = std::mem::take(&mut self.block);
        let rows = self.list(|p| {
            let row = match p.root_expression()? {
                Expr::Tuple(row) => row,
                single => row_values(single),
            };
            Ok(Parens { opening_token: AttachedToken::empty(), content: row, closing_token: AttachedToken::empty() })
        })?;
        let block = std::mem::replace(&mut self.block, outer);
        let width = rows.first().map_or(0, |row| row.content.len());
        let body = SetExpr::Values(Values { explicit_row: false, value_keyword: false, rows });
        Ok(Term::of(body, vec![OutputColumn::Unnamed; width], block.cost()))
    }

    /// `TABLE t` is `SELECT * FROM t`.
    fn table_query(&mut self) -> Result<Term> {
        let outer = std::mem::take(&mut self.block);
        let relation = self.named_table(false)?;
        let select = Self::plain_select(vec![Self::wildcard()], vec![relation.item]);
        let block = std::mem::replace(&mut self.block, outer);
        Ok(Term::of(SetExpr::Select(Box::new(select)), relation.columns, block.cost()))
    }

    /// What follows the body, put together with it.
    pub(super) fn query_end(&mut self, with: Option<With>, term: Term) -> Result<ParsedQuery> {
        let Term { body, columns, mut cost, renamed, is_select } = term;
        let outer = std::mem::take(&mut self.block);
        let mut keys = Vec::new();
        if self.eat_words(&["ORDER", "BY"]) {
            keys = self.sort_keys()?;
            for key in &mut keys {
                if let Some(found) = renamed.iter().find(|renamed| renamed.is_meant_by(&key.expr, is_select)) {
                    key.expr = Expr::Identifier(found.internal.clone());
                }
            }
        }
        let limit_clause = self.limit()?;
        let mut block = std::mem::replace(&mut self.block, outer);
        block.sort_keys = keys.len();
        block.check(self.limits)?;
        let own = block.cost();
        cost.add(Cost { nodes: own.nodes - 1, ..own });
        let order_by = if keys.is_empty() {
            None
        } else {
            Some(OrderBy { kind: OrderByKind::Expressions(keys), interpolate: None })
        };
        let ast = AstQuery { with, order_by, limit_clause, ..plain_query(body) };
        Ok(ParsedQuery { ast, columns, cost })
    }

    /// `key [ASC|DESC] [NULLS FIRST|LAST], …`.
    pub(super) fn sort_keys(&mut self) -> Result<Vec<OrderByExpr>> {
        self.list(|p| {
            let expr = plain_number(p.root_expression()?);
            let asc = if p.eat_word("ASC") {
                Some(true)
            } else if p.eat_word("DESC") {
                Some(false)
            } else {
                None
            };
            let mut nulls_first = None;
            if p.eat_word("NULLS") {
                nulls_first = Some(p.eat_word("FIRST"));
                if nulls_first == Some(false) {
                    p.expect_word("LAST")?;
                }
            }
            Ok(OrderByExpr { expr, options: OrderByOptions { asc, nulls_first }, with_fill: None })
        })
    }

    /// `OFFSET n [ROW|ROWS]`, `LIMIT n|ALL`, `FETCH FIRST n ROWS ONLY`, in either order.
    fn limit(&mut self) -> Result<Option<LimitClause>> {
        let (mut limit, mut offset) = (None, None);
        loop {
            let token = self.peek();
            if offset.is_none() && self.eat_word("OFFSET") {
                offset = Some(Offset { value: self.row_count()?, rows: OffsetRows::None });
                let _ = self.eat_word("ROW") || self.eat_word("ROWS");
            } else if limit.is_none() && self.eat_word("LIMIT") {
                limit = if self.eat_word("ALL") { None } else { Some(self.row_count()?) };
            } else if limit.is_none() && self.eat_word("FETCH") {
                if !self.eat_word("FIRST") && !self.eat_word("NEXT") {
                    return Err(self.unexpected("'FIRST', 'NEXT'"));
                }
                let counted = !self.is_word("ROW") && !self.is_word("ROWS");
                limit = Some(if counted { self.row_count()? } else { number("1") });
                if !self.eat_word("ROW") && !self.eat_word("ROWS") {
                    return Err(self.unexpected("'ROW', 'ROWS'"));
                }
                if self.are_words(&["WITH", "TIES"]) {
                    return Err(self.unsupported(&token, "FETCH FIRST … WITH TIES"));
                }
                self.expect_word("ONLY")?;
            } else if limit.is_none() && offset.is_none() {
                return Ok(None);
            } else {
                return Ok(Some(LimitClause::LimitOffset { limit, offset, limit_by: Vec::new() }));
            }
        }
    }

    fn row_count(&mut self) -> Result<Expr> {
        match self.peek().kind {
            Kind::Integer => Ok(plain_number(self.number()?)),
            Kind::Parameter | Kind::NumberedParameter => self.parameter(),
            _ => Err(self.unexpected("'ALL', <integer>, '?'")),
        }
    }
}

/// The operands of one set operator as one tree.
fn joined(run: Option<(SetOperator, SetQuantifier, Vec<SetExpr>)>, otherwise: SetExpr) -> SetExpr {
    let Some((op, set_quantifier, bodies)) = run else { return otherwise };
    let join = |left, right| SetExpr::SetOperation { op, set_quantifier, left: Box::new(left), right: Box::new(right) };
    balance::combine(bodies, join).unwrap_or(otherwise)
}

/// Stands where a body is about to be put.
pub(crate) fn no_rows() -> SetExpr {
    SetExpr::Values(Values { explicit_row: false, value_keyword: false, rows: Vec::new() })
}

/// `ROW(1, 2)` is a row of two columns, anything else a row of one.
fn row_values(expr: Expr) -> Vec<Expr> {
    use ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
    let is_row = matches!(&expr, Expr::Function(call) if call.name.to_string() == "row");
    match expr {
        Expr::Function(ast::Function { args: FunctionArguments::List(list), .. }) if is_row => list
            .args
            .into_iter()
            .filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
                _ => None,
            })
            .collect(),
        other => vec![other],
    }
}

pub(super) fn number(text: &str) -> Expr {
    Expr::Value(ast::Value::Number(text.to_owned(), false).with_empty_span())
}

/// A query of nothing but a body.
pub(crate) fn plain_query(body: SetExpr) -> AstQuery {
    AstQuery {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
