//! One SELECT: its list, and what the columns of its result are called.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, NamedWindowDefinition, NamedWindowExpr, ObjectName, Select, SelectFlavor,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableWithJoins, WildcardAdditionalOptions,
};
use meesh_base::Result;

use super::Parser;
use super::literal::{plain_number, text};
use super::query::Term;
use super::relation::Source;
use super::using::Merged;
use crate::keywords::is_implicit_alias;
use crate::labels::OutputColumn;
use crate::lexer::Kind;
use crate::statement::GROUPS_END;

/// A column that the plan calls otherwise than the statement does.
pub(super) struct Renamed {
    /// What it computes.
    expr: Expr,
    /// The alias that the statement gives it.
    alias: Option<String>,
    /// Its name in the plan.
    pub(super) internal: Ident,
}

impl Renamed {
    /// Whether `key` of an ORDER BY means this column: by its alias, or by the same expression.
    pub(super) fn is_meant_by(&self, key: &Expr, by_expression: bool) -> bool {
        let named = match (key, &self.alias) {
            (Expr::Identifier(name), Some(alias)) => name.value == *alias,
            _ => false,
        };
        named || (by_expression && self.alias.is_none() && self.expr == *key)
    }
}

/// One item of the list as it was written.
enum Item {
    Wildcard,
    RelationWildcard(Vec<Ident>),
    Column { expr: Box<Expr>, alias: Option<(String, Ident)>, written: OutputColumn },
}

impl Parser<'_> {
    pub(super) fn select(&mut self, outermost: bool) -> Result<Term> {
        self.expect_word("SELECT")?;
        let outer = std::mem::take(&mut self.block);
        let distinct = self.distinct()?;
        let items = self.list(Self::item)?;
        let source = if self.eat_word("FROM") { self.from()? } else { Source::default() };
        let mut select = Self::plain_select(Vec::new(), source.tables);
        select.distinct = distinct;
        if self.eat_word("WHERE") {
            select.selection = Some(self.root_expression()?);
        }
        select.group_by = self.group_by()?;
        if self.eat_word("HAVING") {
            select.having = Some(self.root_expression()?);
        }
        if self.is_word("WINDOW") && self.is_name_at(1) && self.is_word_at(2, "AS") {
            self.advance();
            select.named_window = self.list(Self::named_window)?;
        }
        if self.is_word("QUALIFY") {
            return Err(self.unsupported(&self.peek(), "QUALIFY"));
        }
        let merged = source.merged;
        let (projection, columns, mut renamed) = self.projection(items, &source.relations, &merged, outermost)?;
        select.projection = projection;
        if select.distinct.is_some() {
            // DataFusion orders distinct rows by what they have, and knows it by its alias alone.
            let aliased = select.projection.iter().filter_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } => Some((expr.clone(), alias.clone())),
                _ => None,
            });
            renamed.extend(aliased.map(|(expr, internal)| Renamed { expr, alias: None, internal }));
        }
        merged.resolve(&mut select);
        renamed.iter_mut().for_each(|renamed| merged.resolve_in(&mut renamed.expr));
        self.block.columns = select.projection.len();
        self.block.check(self.limits)?;
        let block = std::mem::replace(&mut self.block, outer);
        let body = SetExpr::Select(Box::new(select));
        Ok(Term { body, columns, cost: block.cost(), renamed, is_select: true })
    }

    fn distinct(&mut self) -> Result<Option<Distinct>> {
        if self.eat_word("DISTINCT") {
            if self.is_word("ON") {
                return Err(self.unsupported(&self.peek(), "DISTINCT ON"));
            }
            return Ok(Some(Distinct::Distinct));
        }
        self.eat_word("ALL");
        Ok(None)
    }

    fn item(&mut self) -> Result<Item> {
        if self.eat_symbol("*") {
            return Ok(Item::Wildcard);
        }
        if let Some(parts) = self.relation_before_wildcard() {
            let qualifier = (0..parts).map(|_| self.qualifier_part()).collect::<Result<Vec<_>>>()?;
            self.advance();
            return Ok(Item::RelationWildcard(qualifier));
        }
        let start = self.at;
        let expr = self.root_expression()?;
        let end = self.at;
        let alias = self.alias()?;
        let written = match (&alias, &expr) {
            (Some((written, _)), _) => OutputColumn::Named(written.clone()),
            (None, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. }) => {
                self.last_name(start, end)?
            }
            _ => OutputColumn::Unnamed,
        };
        Ok(Item::Column { expr: Box::new(expr), alias, written })
    }

    /// `Name` of `t.Name`, `(t.Name)`: what an expression that is a column is called.
    fn last_name(&mut self, start: usize, end: usize) -> Result<OutputColumn> {
        let tokens = self.tokens.get(start..end).unwrap_or_default();
        let last = tokens.iter().rev().find(|token| self.text_of(token) != ")").copied();
        match last {
            Some(last) if matches!(last.kind, Kind::Word | Kind::QuotedWord) => {
                Ok(OutputColumn::Named(self.name_of(&last)?.0))
            }
            _ => Ok(OutputColumn::Unnamed),
        }
    }

    /// For `a.b.*`: how many names stand before the star.
    fn relation_before_wildcard(&self) -> Option<usize> {
        let mut parts = 0;
        loop {
            if !self.is_name_at(2 * parts) || !self.is_symbol_at(2 * parts + 1, ".") {
                return None;
            }
            parts += 1;
            if self.is_symbol_at(2 * parts, "*") {
                return Some(parts);
            }
        }
    }

    fn qualifier_part(&mut self) -> Result<Ident> {
        let (_, name) = self.name()?;
        self.expect_symbol(".")?;
        Ok(name)
    }

    /// `[AS] name`.
    pub(super) fn alias(&mut self) -> Result<Option<(String, Ident)>> {
        if self.eat_word("AS") {
            return self.name().map(Some);
        }
        let token = self.peek();
        let implicit = match token.kind {
            Kind::QuotedWord => true,
            Kind::Word => is_implicit_alias(self.text_of(&token)),
            _ => false,
        };
        if implicit { self.name().map(Some) } else { Ok(None) }
    }

    fn named_window(&mut self) -> Result<NamedWindowDefinition> {
        let (_, name) = self.name()?;
        self.expect_word("AS")?;
        Ok(NamedWindowDefinition(name, NamedWindowExpr::WindowSpec(self.window_specification()?)))
    }

    /// The list as the plan gets it: every column has a name of its own, so that DataFusion accepts
    /// `SELECT 1, 1`, `SELECT a, a` and derived tables of unnamed columns.
    fn projection(
        &mut self,
        items: Vec<Item>,
        relations: &[(Option<String>, Vec<OutputColumn>)],
        merged: &Merged,
        outermost: bool,
    ) -> Result<(Vec<SelectItem>, Vec<OutputColumn>, Vec<Renamed>)> {
        let has_wildcard = items.iter().any(|item| !matches!(item, Item::Column { .. }));
        let mut uses: HashMap<String, usize> = HashMap::new();
        for item in &items {
            if let Item::Column { written: OutputColumn::Named(name), .. } = item {
                *uses.entry(name.to_lowercase()).or_default() += 1;
            }
        }
        let (mut projection, mut columns, mut renamed) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Wildcard => {
                    merged.wildcard(&mut projection);
                    match merged.is_empty() {
                        true => columns.extend(relations.iter().flat_map(|(_, columns)| columns.iter().cloned())),
                        false => columns.push(OutputColumn::Wildcard),
                    }
                }
                Item::RelationWildcard(qualifier) => {
                    let last = qualifier.last().map(|name| name.value.clone());
                    let of_name = relations.iter().filter(|(name, _)| name.is_some() && *name == last);
                    match of_name.collect::<Vec<_>>().as_slice() {
                        [(_, known)] => columns.extend(known.iter().cloned()),
                        _ => columns.push(OutputColumn::Wildcard),
                    }
                    let qualifier = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(qualifier));
                    projection.push(SelectItem::QualifiedWildcard(qualifier, WildcardAdditionalOptions::default()));
                }
                Item::Column { expr, alias, written } => {
                    let expr = *expr;
                    let is_shared = match &written {
                        OutputColumn::Named(name) => {
                            uses.get(&name.to_lowercase()).is_some_and(|count| *count > 1)
                                || (outermost && has_wildcard)
                        }
                        _ => true,
                    };
                    let internal = match (&written, &alias, &expr) {
                        (OutputColumn::Named(name), ..) if is_shared => {
                            Some(self.invent(&name.to_lowercase(), written.clone()))
                        }
                        (_, Some((_, alias)), _) => Some(alias.clone()),
                        (OutputColumn::Named(_), None, Expr::Identifier(name)) if !merged.contains(name) => None,
                        (OutputColumn::Named(name), ..) => Some(Ident::with_quote('"', name.to_lowercase())),
                        _ => Some(self.invent("expr", OutputColumn::Unnamed)),
                    };
                    columns.push(written.clone());
                    let Some(internal) = internal else {
                        projection.push(SelectItem::UnnamedExpr(expr));
                        continue;
                    };
                    let own_alias = alias.as_ref().is_some_and(|(_, alias)| alias.value == internal.value);
                    let is_unique =
                        matches!(&written, OutputColumn::Named(name) if uses.get(&name.to_lowercase()) == Some(&1));
                    if !own_alias {
                        let alias = alias.filter(|_| is_unique).map(|(_, alias)| alias.value);
                        renamed.push(Renamed { expr: expr.clone(), alias, internal: internal.clone() });
                    }
                    projection.push(SelectItem::ExprWithAlias { expr, alias: internal });
                }
            }
        }
        Ok((projection, columns, renamed))
    }

    fn group_by(&mut self) -> Result<GroupByExpr> {
        if !self.eat_words(&["GROUP", "BY"]) {
            return Ok(GroupByExpr::Expressions(Vec::new(), Vec::new()));
        }
        if self.is_word("DISTINCT") {
            return Err(self.unsupported(&self.peek(), "GROUP BY DISTINCT"));
        }
        self.eat_word("ALL");
        let elements = self.list(Self::grouping_element)?;
        let expressions = elements.into_iter().flat_map(|element| match element {
            Expr::Tuple(columns) => columns,
            other => vec![other],
        });
        let mut expressions: Vec<Expr> = expressions.map(plain_number).collect();
        // DataFusion adds nothing to what is grouping sets alone.
        let is_set = |element: &Expr| matches!(element, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
        if !expressions.iter().all(is_set) {
            expressions.push(text(GROUPS_END));
        }
        Ok(GroupByExpr::Expressions(expressions, Vec::new()))
    }

    fn grouping_element(&mut self) -> Result<Expr> {
        if self.eat_word("ROLLUP") {
            return Ok(Expr::Rollup(self.grouping_list(Self::grouping_set)?));
        }
        if self.eat_word("CUBE") {
            let (token, sets) = (self.peek(), self.grouping_list(Self::grouping_set)?);
            if sets.len() > 12 {
                return Err(self.unsupported(&token, "CUBE of more than 12 expressions"));
            }
            return Ok(Expr::Cube(sets));
        }
        if self.eat_words(&["GROUPING", "SETS"]) {
            return Ok(Expr::GroupingSets(self.grouping_list(Self::grouping_set)?));
        }
        if self.is_symbol("(") && self.is_symbol_at(1, ")") {
            self.at += 2;
            return Ok(Expr::GroupingSets(vec![Vec::new()]));
        }
        self.root_expression()
    }

    fn grouping_list<T>(&mut self, read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_symbol("(")?;
        let items = self.list(read)?;
        self.expect_symbol(")")?;
        Ok(items)
    }

    /// `a`, `(a, b)` or `()`.
    fn grouping_set(&mut self) -> Result<Vec<Expr>> {
        if self.is_symbol("(") && self.is_symbol_at(1, ")") {
            self.at += 2;
            return Ok(Vec::new());
        }
        Ok(match self.root_expression()? {
            Expr::Tuple(columns) => columns.into_iter().map(plain_number).collect(),
            column => vec![plain_number(column)],
        })
    }

    pub(crate) fn wildcard() -> SelectItem {
        SelectItem::Wildcard(WildcardAdditionalOptions::default())
    }

    /// A SELECT of nothing but a list and a FROM.
    pub(crate) fn plain_select(projection: Vec<SelectItem>, from: Vec<TableWithJoins>) -> Select {
        Select {
            select_token: AttachedToken::empty(),
            optimizer_hints: Vec::new(),
            distinct: None,
            select_modifiers: None,
            top: None,
            top_before_distinct: false,
            projection,
            exclude: None,
            into: None,
            from,
            lateral_views: Vec::new(),
            prewhere: None,
            selection: None,
            connect_by: Vec::new(),
            group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
            cluster_by: Vec::new(),
            distribute_by: Vec::new(),
            sort_by: Vec::new(),
            having: None,
            named_window: Vec::new(),
            qualify: None,
            window_before_qualify: false,
            value_table_mode: None,
            flavor: SelectFlavor::Standard,
        }
    }
}
