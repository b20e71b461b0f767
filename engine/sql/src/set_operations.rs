//! The types of set operations' columns, given to their first operand.
//!
//! DataFusion takes a union's columns to be of its first operand's types while it reads the statement around it, and
//! finds out later what they have in common: `coalesce(k, 0)` over `SELECT 1 AS k UNION ALL SELECT 2.5` was one of
//! integers. Where the types differ, the statement is read again with the first operand cast to the common one:
//!
//! ```text
//! SELECT 1 AS k UNION ALL SELECT 2.5
//! SELECT "c0" $cast NULL::decimal(11,1) AS "k" FROM (SELECT 1 AS k) AS "$OPERAND1" ("c0") UNION ALL SELECT 2.5
//! ```

use std::collections::HashMap;
use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins,
    VisitMut, VisitorMut,
};

use crate::assign::sql_type;
use crate::parser::{Parser, no_rows, own_cast, plain_query};

/// What the alias of a first operand begins with; a number follows.
const OPERAND: &str = "$OPERAND";

/// A column of a first operand: its name, and what it is cast to.
pub(crate) type OperandColumn = (String, Option<DataType>);

/// The columns of the first operands, by the numbers that [`mark_first_operands`] gives.
pub type FirstOperands = HashMap<usize, Vec<OperandColumn>>;

/// Names the first operand of every set operation of a statement, and casts the columns of those that are known.
pub fn mark_first_operands(statement: &mut Statement, known: &FirstOperands) {
    let _: ControlFlow<()> = statement.visit(&mut Marker { known, count: 0 });
}

/// The number of the first operand that an alias names.
pub fn first_operand(alias: &str) -> Option<usize> {
    alias.strip_prefix(OPERAND)?.parse().ok()
}

struct Marker<'a> {
    known: &'a FirstOperands,
    count: usize,
}

impl VisitorMut for Marker<'_> {
    type Break = ();

    // The queries within have been visited: what is put around an operand is not.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.mark(&mut query.body);
        ControlFlow::Continue(())
    }
}

impl Marker<'_> {
    fn mark(&mut self, body: &mut SetExpr) {
        let SetExpr::SetOperation { left, right, .. } = body else { return };
        self.mark(left);
        self.mark(right);
        let number = self.count;
        self.count += 1;
        let operand = std::mem::replace(left.as_mut(), no_rows());
        **left = operand_of(number, operand, self.known.get(&number));
    }
}

fn operand_of(number: usize, body: SetExpr, columns: Option<&Vec<OperandColumn>>) -> SetExpr {
    let named = |index: usize| Ident::with_quote('"', format!("c{index}"));
    let projection = match columns {
        None => vec![Parser::wildcard()],
        Some(columns) => {
            let items = columns.iter().enumerate().map(|(index, (name, to))| {
                let column = Expr::Identifier(named(index));
                let expr = match to.as_ref().and_then(sql_type) {
                    Some(to) => own_cast(false, column, to),
                    None => column,
                };
                SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
            });
            items.collect()
        }
    };
    let of_alias = |index: usize| TableAliasColumnDef { name: named(index), data_type: None };
    let alias = TableAlias {
        explicit: true,
        name: Ident::with_quote('"', format!("{OPERAND}{number}")),
        columns: (0..columns.map_or(0, Vec::len)).map(of_alias).collect(),
        at: None,
    };
    let subquery = Box::new(plain_query(body));
    let relation = TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
    let from = vec![TableWithJoins { relation, joins: Vec::new() }];
    SetExpr::Select(Box::new(Parser::plain_select(projection, from)))
}
