//! MERGE, as one query whose rows say what is to be done with them.
//!
//! ```text
//! MERGE INTO t USING s ON t.id = s.id
//! WHEN MATCHED AND s.gone THEN DELETE
//! WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)
//!
//! SELECT t."$ROW", t."$PART", which AS "$CASE", CASE WHEN which = 1 THEN s.id END AS "$V0"
//! FROM s LEFT JOIN "$TARGET" AS t ON t.id = s.id WHERE which IS NOT NULL
//!   which: CASE WHEN t."$ROW" IS NOT NULL AND s.gone THEN 0 WHEN t."$ROW" IS NULL THEN 1 END
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Ident, Join, JoinConstraint, JoinOperator, Select, TableWithJoins,
    visit_expressions,
};
use meesh_base::{Error, Result};

use super::Parser;
use super::query::number;
use super::special::case;
use super::write::{address, named, numbered, target, target_alias, target_column};
use crate::write::{Action, CASE, ROW, Write};

impl Parser<'_> {
    pub(super) fn merge(&mut self) -> Result<Write> {
        self.advance();
        self.expect_word("INTO")?;
        let table = self.table_name()?;
        // USING is no reserved word, but no alias here either.
        let alias = match self.is_word("USING") {
            true => target_alias(&table),
            false => self.alias()?.map_or_else(|| target_alias(&table), |(_, name)| name),
        };
        let outer = std::mem::take(&mut self.block);
        self.expect_word("USING")?;
        let source = self.merge_source()?;
        self.expect_word("ON")?;
        let on = self.root_expression()?;
        let matched = Expr::IsNotNull(Box::new(target_column(&alias, ROW)));
        let unmatched = Expr::IsNull(Box::new(target_column(&alias, ROW)));
        let (mut actions, mut arms, mut values) = (Vec::new(), Vec::new(), Vec::new());
        while self.eat_word("WHEN") {
            let is_match = !self.eat_word("NOT");
            self.expect_word("MATCHED")?;
            let applies = if is_match { matched.clone() } else { unmatched.clone() };
            let condition = match self.eat_word("AND") {
                true => both(applies, Expr::Nested(Box::new(self.root_expression()?))),
                false => applies,
            };
            self.expect_word("THEN")?;
            let (action, given) = if is_match { self.matched_action()? } else { self.unmatched_action(&alias)? };
            arms.push(CaseWhen { condition, result: number(&actions.len().to_string()) });
            values.extend(given.into_iter().map(|value| (actions.len(), value)));
            actions.push(action);
        }
        if actions.is_empty() {
            return Err(self.unexpected("'WHEN'"));
        }
        self.block.arms += arms.len() * (2 + values.len());
        let which = case(None, arms, None);
        let mut projection = address(&alias);
        projection.push(named(which.clone(), CASE));
        // What another action would compute of the row is not computed, for it may fail.
        let guarded = values.into_iter().map(|(index, result)| {
            let condition = equal(which.clone(), number(&index.to_string()));
            case(None, vec![CaseWhen { condition, result }], None)
        });
        projection.extend(numbered(guarded.collect()));
        let join_operator = JoinOperator::LeftOuter(JoinConstraint::On(on));
        let join = Join { relation: target(alias), global: false, join_operator };
        let from = vec![TableWithJoins { relation: source, joins: vec![join] }];
        let selection = Some(Expr::IsNotNull(Box::new(which)));
        let query = self.change_query(Select { selection, ..Self::plain_select(projection, from) })?;
        self.block = outer;
        Ok(Write::Change { table, query, actions, all: false, merges: true })
    }

    fn matched_action(&mut self) -> Result<(Action, Vec<Expr>)> {
        if self.eat_word("DELETE") {
            return Ok((Action::Delete, Vec::new()));
        }
        if !self.eat_word("UPDATE") {
            return Err(self.unexpected("'DELETE', 'UPDATE'"));
        }
        self.expect_word("SET")?;
        let (columns, values) = self.assignments()?;
        Ok((Action::Update(columns), values))
    }

    fn unmatched_action(&mut self, target: &Ident) -> Result<(Action, Vec<Expr>)> {
        self.expect_word("INSERT")?;
        let columns = if self.is_symbol("(") { Some(self.column_names()?) } else { None };
        self.expect_word("VALUES")?;
        self.expect_symbol("(")?;
        let given = self.list(Self::root_expression)?;
        self.expect_symbol(")")?;
        // There is no row of the target, and its columns would be NULL.
        let of_target = visit_expressions(&given, |expr| match expr {
            Expr::CompoundIdentifier(parts) if parts.len() == 2 && parts[0].value == target.value => {
                ControlFlow::Break(parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join("."))
            }
            _ => ControlFlow::Continue(()),
        });
        if let ControlFlow::Break(column) = of_target {
            return Err(Error::invalid_query(format!(
                "{column} is a column of the target, which has no row to insert"
            ))
            .with_hint("INSERT takes its values from the source")
            .with_code("COLUMN_NOT_FOUND"));
        }
        Ok((Action::Insert { columns, values: given.len() }, given))
    }
}

fn both(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}

fn equal(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Eq, right: Box::new(right) }
}
