//! INSERT, UPDATE, DELETE, TRUNCATE, and the queries that find the rows which they change.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query as AstQuery, Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins,
};
use meesh_base::{Definition, Result};

use super::query::{ParsedQuery, plain_query};
use super::relation::table_factor;
use super::{Parameters, Parser};
use crate::labels::{Labels, OutputColumn};
use crate::statement::{Query, Statement, TableName};
use crate::write::{Action, ColumnName, PART, ROW, SchemaName, TARGET, Write};

impl Parser<'_> {
    /// The statement that begins here, if it is one that changes something.
    pub(super) fn write_statement(&mut self) -> Result<Option<Statement>> {
        let write = if self.is_word("INSERT") {
            self.insert()?
        } else if self.is_word("DELETE") {
            self.delete()?
        } else if self.is_word("UPDATE") {
            self.update()?
        } else if self.is_word("MERGE") {
            self.merge()?
        } else if self.eat_word("TRUNCATE") {
            self.expect_word("TABLE")?;
            Write::Define { table: self.table_name()?, definition: Definition::Truncate }
        } else {
            match self.define()? {
                Some(write) => write,
                None => return Ok(None),
            }
        };
        Ok(Some(Statement::Write(Box::new(write))))
    }

    fn insert(&mut self) -> Result<Write> {
        self.advance();
        self.expect_word("INTO")?;
        let table = self.table_name()?;
        let has_columns = self.is_symbol("(") && !self.is_query_word_at(1) && self.is_name_at(1);
        let columns = if has_columns { Some(self.column_names()?) } else { None };
        if !self.begins_query() {
            return Err(self.unexpected("'(', 'SELECT', 'TABLE', 'VALUES', 'WITH'"));
        }
        let query = self.whole_query()?;
        Ok(Write::Insert { table, columns, query })
    }

    fn delete(&mut self) -> Result<Write> {
        self.advance();
        self.expect_word("FROM")?;
        let table = self.table_name()?;
        let alias = target_alias(&table);
        let outer = std::mem::take(&mut self.block);
        let selection = self.optional_condition()?;
        let all = selection.is_none();
        let from = vec![TableWithJoins { relation: target(alias.clone()), joins: Vec::new() }];
        let select = Select { selection, ..Self::plain_select(address(&alias), from) };
        let query = self.change_query(select)?;
        self.block = outer;
        Ok(Write::Change { table, query, actions: vec![Action::Delete], all, merges: false })
    }

    fn update(&mut self) -> Result<Write> {
        self.advance();
        let table = self.table_name()?;
        let alias = target_alias(&table);
        self.expect_word("SET")?;
        let outer = std::mem::take(&mut self.block);
        let (columns, values) = self.assignments()?;
        let selection = self.optional_condition()?;
        let from = vec![TableWithJoins { relation: target(alias.clone()), joins: Vec::new() }];
        let mut projection = address(&alias);
        projection.extend(numbered(values));
        let select = Select { selection, ..Self::plain_select(projection, from) };
        let query = self.change_query(select)?;
        self.block = outer;
        Ok(Write::Change { table, query, actions: vec![Action::Update(columns)], all: false, merges: false })
    }

    /// `column = value, …`.
    pub(super) fn assignments(&mut self) -> Result<(Vec<ColumnName>, Vec<Expr>)> {
        let pairs = self.list(|p| {
            let column = p.column_name()?;
            p.expect_symbol("=")?;
            Ok((column, p.root_expression()?))
        })?;
        let (columns, values): (Vec<ColumnName>, Vec<Expr>) = pairs.into_iter().unzip();
        self.check_distinct(&columns)?;
        Ok((columns, values))
    }

    fn optional_condition(&mut self) -> Result<Option<Expr>> {
        if self.eat_word("WHERE") { self.root_expression().map(Some) } else { Ok(None) }
    }

    /// The query that finds the rows of a change; the block holds all of it.
    pub(super) fn change_query(&mut self, select: Select) -> Result<Query> {
        self.block.relations += 1;
        self.block.columns = select.projection.len();
        self.block.check(self.limits)?;
        let ast: AstQuery = plain_query(SetExpr::Select(Box::new(select)));
        self.finished(ParsedQuery { ast, columns: vec![OutputColumn::Wildcard], cost: self.block.cost() })
    }

    /// A query that is all that is left of the statement, or nearly so.
    pub(super) fn whole_query(&mut self) -> Result<Query> {
        let parsed = self.query(true)?;
        self.finished(parsed)
    }

    /// The query with what was noted while it was read.
    pub(super) fn finished(&mut self, parsed: ParsedQuery) -> Result<Query> {
        let ParsedQuery { ast, columns, cost } = parsed;
        cost.check(self.limits)?;
        Ok(Query {
            ast: Box::new(ast),
            labels: Labels::new(columns, std::mem::take(&mut self.invented)),
            parameters: match self.parameters {
                Parameters::None => 0,
                Parameters::InOrder(count) | Parameters::Numbered(count) => count,
            },
            tables: std::mem::take(&mut self.tables),
            passed: std::mem::take(&mut self.passed),
            names_hidden: self.names_hidden,
        })
    }

    /// `(a, b)`, each name once.
    pub(super) fn column_names(&mut self) -> Result<Vec<ColumnName>> {
        self.expect_symbol("(")?;
        let columns = self.list(Self::column_name)?;
        self.expect_symbol(")")?;
        self.check_distinct(&columns)?;
        Ok(columns)
    }

    pub(super) fn column_name(&mut self) -> Result<ColumnName> {
        let position = self.peek().position();
        Ok(ColumnName { name: self.name()?.1.value, position })
    }

    fn check_distinct(&self, columns: &[ColumnName]) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        match columns.iter().find(|column| !seen.insert(&column.name)) {
            None => Ok(()),
            Some(twice) => {
                Err(meesh_base::Error::invalid_query(format!("column {:?} is specified more than once", twice.name))
                    .with_position(twice.position)
                    .with_code("DUPLICATE_COLUMN_NAME"))
            }
        }
    }

    /// `[catalog.]schema`.
    pub(super) fn schema_to_define(&mut self) -> Result<SchemaName> {
        let position = self.peek().position();
        let first = self.name()?.1.value;
        if self.eat_symbol(".") {
            return Ok(SchemaName { catalog: Some(first), schema: self.name()?.1.value, position });
        }
        Ok(SchemaName { catalog: None, schema: first, position })
    }
}

/// What the target's columns are qualified by.
pub(super) fn target_alias(table: &TableName) -> Ident {
    Ident::with_quote('"', table.table.clone())
}

/// The target in a FROM.
pub(super) fn target(alias: Ident) -> TableFactor {
    table_factor(
        vec![Ident::with_quote('"', TARGET)],
        Some(TableAlias { explicit: true, name: alias, columns: Vec::new(), at: None }),
    )
}

/// A column of the target.
pub(super) fn target_column(alias: &Ident, name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![alias.clone(), Ident::with_quote('"', name)])
}

/// The address of a row of the target.
pub(super) fn address(alias: &Ident) -> Vec<SelectItem> {
    [ROW, PART].into_iter().map(|name| named(target_column(alias, name), name)).collect()
}

pub(super) fn named(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
}

/// Values under names that no two have.
pub(super) fn numbered(values: Vec<Expr>) -> impl Iterator<Item = SelectItem> {
    values.into_iter().enumerate().map(|(index, value)| named(value, &format!("$V{index}")))
}
