//! FROM: tables, CTEs, derived tables, joins.

use datafusion::sql::sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, ObjectName, Query as AstQuery, TableAlias, TableAliasColumnDef,
    TableFactor, TableWithJoins,
};
use meesh_base::{Error, Result};

use super::Parser;
use super::query::{ParsedQuery, Term};
use super::using::{JoinKind, Merged};
use crate::labels::OutputColumn;
use crate::lexer::Token;

/// One entry of a FROM with what `*` would make of it.
pub(super) struct Relation {
    pub(super) item: TableWithJoins,
    pub(super) columns: Vec<OutputColumn>,
    /// The names that qualify its columns, each with the columns behind it.
    pub(super) names: Vec<(Option<String>, Vec<OutputColumn>)>,
    pub(super) merged: Merged,
}

/// A whole FROM.
#[derive(Default)]
pub(super) struct Source {
    pub(super) tables: Vec<TableWithJoins>,
    pub(super) relations: Vec<(Option<String>, Vec<OutputColumn>)>,
    pub(super) merged: Merged,
}

/// What a parenthesis in FROM turned out to hold.
enum Parenthesized {
    Query(ParsedQuery),
    Relation(Relation),
}

impl Parser<'_> {
    pub(super) fn from(&mut self) -> Result<Source> {
        let mut source = Source::default();
        for relation in self.list(Self::relation)? {
            source.tables.push(relation.item);
            source.relations.extend(relation.names);
            source.merged.append(relation.merged);
        }
        Ok(source)
    }

    /// What a MERGE reads, as one operand of a join.
    pub(super) fn merge_source(&mut self) -> Result<TableFactor> {
        let relation = self.relation()?;
        Ok(Self::parenthesized(relation).item.relation)
    }

    fn relation(&mut self) -> Result<Relation> {
        let first = self.relation_primary()?;
        self.joins(first)
    }

    fn joins(&mut self, first: Relation) -> Result<Relation> {
        let mut relation = first;
        while self.begins_join() {
            relation = self.join(relation)?;
        }
        Ok(relation)
    }

    fn begins_join(&self) -> bool {
        ["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL"].iter().any(|word| self.is_word(word))
    }

    /// One join behind `left`. Without a condition of its own, the next join belongs to the right side.
    fn join(&mut self, left: Relation) -> Result<Relation> {
        let token = self.peek();
        if self.is_word("NATURAL") {
            let error = self.unsupported(&token, "NATURAL JOIN");
            return Err(error.with_hint("name the columns: JOIN … USING (…)"));
        }
        if self.eat_words(&["CROSS", "JOIN"]) {
            let right = self.relation_primary()?;
            return Ok(Self::joined(left, right, JoinOperator::CrossJoin(JoinConstraint::None)));
        }
        let kind = if self.eat_word("LEFT") {
            JoinKind::Left
        } else if self.eat_word("RIGHT") {
            JoinKind::Right
        } else if self.eat_word("FULL") {
            JoinKind::Full
        } else {
            self.eat_word("INNER");
            JoinKind::Inner
        };
        if kind != JoinKind::Inner {
            self.eat_word("OUTER");
        }
        self.expect_word("JOIN")?;
        let mut right = self.relation_primary()?;
        while self.begins_join() {
            right = Self::parenthesized(self.nested(|p| p.join(right))?);
        }
        if self.eat_word("ON") {
            let condition = self.root_expression()?;
            return Ok(Self::joined(left, right, kind.operator(JoinConstraint::On(condition))));
        }
        if !self.eat_word("USING") {
            return Err(self.unexpected("'ON', 'USING'"));
        }
        let columns: Vec<Ident> = self.column_aliases()?.into_iter().map(|(_, name)| name).collect();
        self.join_using(left, right, kind, columns, &token)
    }

    fn join_using(
        &mut self,
        mut left: Relation,
        mut right: Relation,
        kind: JoinKind,
        columns: Vec<Ident>,
        token: &Token,
    ) -> Result<Relation> {
        let sides = (std::mem::take(&mut left.merged), std::mem::take(&mut right.merged));
        match Merged::using(&sides.0, &sides.1, kind, &columns) {
            Some((condition, merged)) => {
                let mut relation = Self::joined(left, right, kind.operator(JoinConstraint::On(condition)));
                relation.merged = merged;
                Ok(relation)
            }
            None if kind.keeps_left() && sides.0.is_empty() && sides.1.is_empty() => {
                let columns = columns.into_iter().map(|name| ObjectName::from(vec![name])).collect();
                let mut relation = Self::joined(left, right, kind.operator(JoinConstraint::Using(columns)));
                // The planner shows the column once, where the left side has it.
                relation.columns = vec![OutputColumn::Wildcard];
                relation.names.iter_mut().for_each(|(_, columns)| *columns = vec![OutputColumn::Wildcard]);
                relation.merged = Merged::default();
                Ok(relation)
            }
            None => Err(self
                .unsupported(token, "USING with a column of one of several joined tables")
                .with_hint("write ON with qualified columns")),
        }
    }

    fn joined(mut left: Relation, right: Relation, join_operator: JoinOperator) -> Relation {
        let right = if right.item.joins.is_empty() { right } else { Self::parenthesized(right) };
        left.item.joins.push(Join { relation: right.item.relation, global: false, join_operator });
        left.columns.extend(right.columns);
        left.names.extend(right.names);
        left.merged.append(right.merged);
        left
    }

    /// A join as one operand of another.
    fn parenthesized(relation: Relation) -> Relation {
        if relation.item.joins.is_empty() {
            return relation;
        }
        let nested = TableFactor::NestedJoin { table_with_joins: Box::new(relation.item), alias: None };
        Relation { item: TableWithJoins { relation: nested, joins: Vec::new() }, ..relation }
    }

    fn relation_primary(&mut self) -> Result<Relation> {
        let relation = if self.is_symbol("(") {
            match self.parenthesized_relation()? {
                Parenthesized::Query(query) => self.derived(query, false)?,
                Parenthesized::Relation(relation) => self.with_alias(relation)?,
            }
        } else {
            self.simple_relation()?
        };
        for (word, what) in [("TABLESAMPLE", "TABLESAMPLE"), ("MATCH_RECOGNIZE", "MATCH_RECOGNIZE")] {
            if self.is_word(word) {
                return Err(self.unsupported(&self.peek(), what));
            }
        }
        Ok(relation)
    }

    fn simple_relation(&mut self) -> Result<Relation> {
        let token = self.peek();
        if self.is_word("UNNEST") {
            return self.unnest();
        }
        if self.is_word("LATERAL") && self.is_symbol_at(1, "(") {
            self.at += 2;
            let query = self.query(false)?;
            self.expect_symbol(")")?;
            return self.derived(query, true);
        }
        if self.is_word("TABLE") && self.is_symbol_at(1, "(") {
            return self.passed_query();
        }
        if self.is_word("JSON_TABLE") && self.is_symbol_at(1, "(") {
            return Err(self.unsupported(&token, "JSON_TABLE"));
        }
        self.named_table(true)
    }

    /// `(query)`, `(relation)`, or either in more parentheses, decided without going back.
    fn parenthesized_relation(&mut self) -> Result<Parenthesized> {
        self.nested(|p| {
            p.expect_symbol("(")?;
            let inner = if p.is_query_word_at(0) && !(p.is_word("TABLE") && p.is_symbol_at(1, "(")) {
                Parenthesized::Query(p.query(false)?)
            } else if p.is_symbol("(") {
                match p.parenthesized_relation()? {
                    Parenthesized::Query(query) => p.after_query(query)?,
                    Parenthesized::Relation(relation) => {
                        let relation = p.with_alias(relation)?;
                        Parenthesized::Relation(p.joins(relation)?)
                    }
                }
            } else {
                Parenthesized::Relation(p.relation()?)
            };
            p.expect_symbol(")")?;
            Ok(match inner {
                Parenthesized::Relation(relation) => Parenthesized::Relation(Self::parenthesized(relation)),
                query => query,
            })
        })
    }

    /// What a query in parentheses is part of: nothing, a larger query, or a join.
    fn after_query(&mut self, query: ParsedQuery) -> Result<Parenthesized> {
        let goes_on = ["UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "FETCH"];
        if self.is_symbol(")") {
            return Ok(Parenthesized::Query(query));
        }
        if goes_on.iter().any(|word| self.is_word(word)) {
            let term = Term::of_query(query);
            let term = self.query_body(Some(term), false)?;
            return Ok(Parenthesized::Query(self.query_end(None, term)?));
        }
        let relation = self.derived(query, false)?;
        Ok(Parenthesized::Relation(self.joins(relation)?))
    }

    /// A table or a CTE, with its alias if it may have one.
    pub(super) fn named_table(&mut self, may_have_alias: bool) -> Result<Relation> {
        let token = self.peek();
        let parts: Vec<Ident> = self.qualified_name()?.into_iter().map(|(_, name)| name).collect();
        if self.is_symbol("(") {
            return Err(self.unsupported(&token, "a table function in FROM"));
        }
        if self.is_word("FOR") && (self.is_word_at(1, "VERSION") || self.is_word_at(1, "TIMESTAMP")) {
            return Err(self.unsupported(&self.peek(), "FOR VERSION AS OF"));
        }
        self.block.relations += 1;
        let cte = match parts.as_slice() {
            [name] => self.scopes.find(&name.value).cloned(),
            _ => None,
        };
        let (plan_name, known) = match cte {
            Some(cte) => {
                self.block.hold(cte.cost);
                (vec![cte.internal], cte.columns)
            }
            None => {
                self.reference(&parts, &token)?;
                (parts.clone(), vec![OutputColumn::Wildcard])
            }
        };
        let (mut alias, columns) = if may_have_alias { self.table_alias(known)? } else { (None, known) };
        let last = parts.last().cloned().unwrap_or_else(|| Ident::new(""));
        if alias.is_none() && plan_name.last() != parts.last() {
            alias = Some(TableAlias { explicit: true, name: last.clone(), columns: Vec::new(), at: None });
        }
        let qualifier = match &alias {
            Some(alias) => vec![alias.name.clone()],
            None => parts,
        };
        let name = qualifier.last().map(|name| name.value.clone());
        let factor = table_factor(plan_name, alias);
        Ok(Self::leaf_relation(factor, qualifier, name, columns))
    }

    /// Notes a base table.
    fn reference(&mut self, parts: &[Ident], token: &Token) -> Result<()> {
        let mut names: Vec<String> = parts.iter().map(|part| part.value.clone()).collect();
        if names.len() > 3 {
            let message = format!("too many parts in table name {:?}: at most catalog.schema.table", names.join("."));
            return Err(self.syntax_error(token, &message));
        }
        let table = names.pop().unwrap_or_default();
        let schema = names.pop();
        let position = Some(token.position());
        self.tables.push(crate::statement::TableName { catalog: names.pop(), schema, table, position });
        Ok(())
    }

    fn derived(&mut self, query: ParsedQuery, lateral: bool) -> Result<Relation> {
        self.block.relations += 1;
        self.block.hold(query.cost);
        let (alias, columns) = self.table_alias(query.columns)?;
        let named = alias.is_some();
        let alias = match alias {
            Some(alias) => alias,
            // Keeps equal column names of two derived tables apart.
            None => self.unnamed_alias(),
        };
        let qualifier = vec![alias.name.clone()];
        let name = named.then(|| alias.name.value.clone());
        let subquery: Box<AstQuery> = Box::new(query.ast);
        let factor = TableFactor::Derived { lateral, subquery, alias: Some(alias), sample: None };
        Ok(Self::leaf_relation(factor, qualifier, name, columns))
    }

    fn unnest(&mut self) -> Result<Relation> {
        let token = self.advance();
        self.expect_symbol("(")?;
        let array_exprs = self.list(Self::root_expression)?;
        self.expect_symbol(")")?;
        if self.are_words(&["WITH", "ORDINALITY"]) {
            return Err(self.unsupported(&token, "UNNEST … WITH ORDINALITY"));
        }
        self.block.relations += 1;
        let (alias, columns) = self.table_alias(vec![OutputColumn::Wildcard])?;
        let named = alias.is_some();
        let alias = match alias {
            Some(alias) => alias,
            None => self.unnamed_alias(),
        };
        let qualifier = vec![alias.name.clone()];
        let name = named.then(|| alias.name.value.clone());
        let factor = TableFactor::UNNEST {
            alias: Some(alias),
            array_exprs,
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: false,
        };
        Ok(Self::leaf_relation(factor, qualifier, name, columns))
    }

    pub(super) fn unnamed_alias(&mut self) -> TableAlias {
        let name = self.invent("query", OutputColumn::Unnamed);
        TableAlias { explicit: true, name, columns: Vec::new(), at: None }
    }

    pub(super) fn leaf_relation(
        factor: TableFactor,
        qualifier: Vec<Ident>,
        name: Option<String>,
        columns: Vec<OutputColumn>,
    ) -> Relation {
        Relation {
            item: TableWithJoins { relation: factor, joins: Vec::new() },
            names: vec![(name, columns.clone())],
            columns,
            merged: Merged::of_relation(qualifier),
        }
    }

    /// `[AS] name [(columns)]`, and what the columns are called then.
    pub(super) fn table_alias(&mut self, known: Vec<OutputColumn>) -> Result<(Option<TableAlias>, Vec<OutputColumn>)> {
        let Some((_, name)) = self.alias()? else { return Ok((None, known)) };
        if !self.is_symbol("(") {
            return Ok((Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None }), known));
        }
        let aliases = self.column_aliases()?;
        let labels = aliases.iter().map(|(written, _)| OutputColumn::Named(written.clone())).collect();
        let columns = aliases.into_iter().map(|(_, name)| TableAliasColumnDef { name, data_type: None }).collect();
        Ok((Some(TableAlias { explicit: true, name, columns, at: None }), labels))
    }

    /// A parenthesized join may have an alias, which hides the names inside.
    fn with_alias(&mut self, relation: Relation) -> Result<Relation> {
        let columns = relation.columns.clone();
        let (Some(alias), columns) = self.table_alias(columns)? else { return Ok(relation) };
        if !relation.merged.is_empty() {
            return Err(
                Error::unsupported("an alias of a join with USING is not supported yet").with_code("NOT_SUPPORTED")
            );
        }
        let qualifier = vec![alias.name.clone()];
        let name = Some(alias.name.value.clone());
        let factor = match relation.item.relation {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                TableFactor::NestedJoin { table_with_joins, alias: Some(alias) }
            }
            inner => {
                let join = TableWithJoins { relation: inner, joins: relation.item.joins };
                TableFactor::NestedJoin { table_with_joins: Box::new(join), alias: Some(alias) }
            }
        };
        Ok(Self::leaf_relation(factor, qualifier, name, columns))
    }
}

impl Term {
    /// A query in parentheses as an operand.
    fn of_query(query: ParsedQuery) -> Self {
        use datafusion::sql::sqlparser::ast::SetExpr;
        Self {
            body: SetExpr::Query(Box::new(query.ast)),
            columns: query.columns,
            cost: query.cost,
            renamed: Vec::new(),
            is_select: false,
        }
    }
}

/// A table in a FROM.
pub(super) fn table_factor(name: Vec<Ident>, alias: Option<TableAlias>) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(name),
        alias,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}
