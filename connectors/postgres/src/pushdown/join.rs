//! Joins: each side a derived table, and between them what the engine's join means.

use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, Operator};

use super::expression::ExprPrinter;
use super::literal::Reason;
use super::print::printer;
use super::select::Select;
use super::term::{Binding, Term};

/// Rows of a NOT IN's list, estimated, that PostgreSQL may run through if it makes no hash table of them.
const LISTED_ROWS_MAX: f64 = 1000.0;

/// `join` of two sides that were taken.
pub(super) fn join(join: &Join, mut left: Select, mut right: Select) -> Result<Select, Reason> {
    Select::pair(&mut left, &mut right);
    let condition = condition(join, &left, &right)?;
    let condition = condition.as_deref();
    let correlated = left.printing.correlated && correlate(join, &mut left, &mut right)?;
    match join.join_type {
        JoinType::Inner if correlated => Ok(left.join(right, "JOIN LATERAL", condition)),
        JoinType::Left if correlated => Ok(left.join(right, "LEFT JOIN LATERAL", condition)),
        JoinType::Inner if condition.is_none() => Ok(left.join(right, "CROSS JOIN", None)),
        JoinType::Inner => Ok(left.join(right, "JOIN", condition)),
        JoinType::Left => Ok(left.join(right, "LEFT JOIN", Some(condition.unwrap_or("TRUE")))),
        JoinType::Right => Ok(left.join(right, "RIGHT JOIN", Some(condition.unwrap_or("TRUE")))),
        // PostgreSQL joins so by merging or hashing, for which it needs equalities.
        JoinType::Full if is_hashable(join) => Ok(left.join(right, "FULL JOIN", condition)),
        JoinType::Full => Err("full join: with other conditions than equality".to_owned()),
        JoinType::LeftSemi => semi(left, right, condition, ""),
        JoinType::RightSemi => semi(right, left, condition, ""),
        JoinType::LeftAnti if join.null_aware => not_in(join, left, right),
        JoinType::LeftAnti => semi(left, right, condition, "NOT "),
        JoinType::RightAnti => semi(right, left, condition, "NOT "),
        JoinType::LeftMark | JoinType::RightMark if join.null_aware => Err("IN as a value: NULLs".to_owned()),
        // PostgreSQL makes a hash table for such a value only where the condition is an equality; else it runs through
        // the other side for every row.
        JoinType::LeftMark | JoinType::RightMark if !is_hashable(join) => {
            Err("EXISTS as a value: with other conditions than equality".to_owned())
        }
        JoinType::LeftMark => mark(left, right, condition),
        JoinType::RightMark => mark(right, left, condition),
    }
}

/// Lets groupings on one side read only what the keys of the other select; false if there is none.
fn correlate(join: &Join, left: &mut Select, right: &mut Select) -> Result<bool, Reason> {
    use JoinType::{Full, Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi};
    if join.null_equality != NullEquality::NullEqualsNothing || join.null_aware {
        return Ok(false);
    }
    let (left_schema, right_schema) = (join.left.schema(), join.right.schema());
    let keys = join.on.iter();
    let (outer, outer_schema, inner, inner_schema, keys): (_, _, _, _, Vec<_>) = match join.join_type {
        Inner | Left | LeftSemi | LeftAnti | LeftMark => {
            (left, left_schema, right, right_schema, keys.map(|(outer, inner)| (outer, inner)).collect())
        }
        RightSemi | RightAnti | RightMark => {
            (right, right_schema, left, left_schema, keys.map(|(inner, outer)| (outer, inner)).collect())
        }
        Right | Full => return Ok(false),
    };
    let printer = printer(outer, outer_schema);
    let mut correlated = false;
    for (outer, key) in keys {
        let Expr::Column(key) = key else { continue };
        let Some(key) = inner_schema.maybe_index_of_column(key) else { continue };
        correlated |= inner.correlate(key, &printer.print(outer)?);
    }
    Ok(correlated)
}

fn is_hashable(join: &Join) -> bool {
    !join.on.is_empty() && join.filter.is_none() && join.null_equality == NullEquality::NullEqualsNothing
}

/// What must hold of a pair of rows; `None`: nothing.
fn condition(join: &Join, left: &Select, right: &Select) -> Result<Option<String>, Reason> {
    let operator = match join.null_equality {
        NullEquality::NullEqualsNothing => Operator::Eq,
        NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
    };
    let (left_printer, right_printer) = (printer(left, join.left.schema()), printer(right, join.right.schema()));
    let mut conjuncts = Vec::new();
    for (a, b) in &join.on {
        let (a, b) = (left_printer.print(a)?, right_printer.print(b)?);
        let equal = left_printer.comparer.compare(operator, &a, &b).map_err(|why| format!("join: {why}"))?;
        conjuncts.push(equal.bound(Binding::And));
    }
    if let Some(filter) = &join.filter {
        let schema = join.left.schema().join(join.right.schema()).map_err(|_| "join: columns have equal names")?;
        let columns: Vec<Term> = [left.columns.as_slice(), right.columns.as_slice()].concat();
        let both = ExprPrinter { schema: &schema, columns: &columns, ..left_printer };
        conjuncts.push(both.print(filter)?.bound(Binding::And));
    }
    Ok(if conjuncts.is_empty() { None } else { Some(conjuncts.join(" AND ")) })
}

/// The rows of `kept` that have a partner, or (`NOT `) that have none.
fn semi(mut kept: Select, other: Select, condition: Option<&str>, not: &str) -> Result<Select, Reason> {
    let exists = kept.exists(other, condition);
    kept.filter(&Term::truth(format!("{not}{exists}"), Binding::Not), 0.5);
    kept.relation = None;
    Ok(kept)
}

/// `NOT IN`: with a NULL among the values no row is known to be left, and a NULL is in no list but the
/// empty one. PostgreSQL makes a hash table of a short list alone, and runs through a long one for every row. So a
/// long one is asked three questions: whether it has the value, which is a join, and once each whether it has a
/// NULL and whether it has anything.
fn not_in(join: &Join, mut left: Select, right: Select) -> Result<Select, Reason> {
    let ([(value, item)], None) = (join.on.as_slice(), &join.filter) else {
        return Err("NOT IN: of several columns".to_owned());
    };
    let unknown = |_| "NOT IN: of an unknown type".to_owned();
    let value_nullable = value.nullable(join.left.schema()).map_err(unknown)?;
    let item_nullable = item.nullable(join.right.schema()).map_err(unknown)?;
    let (value, item, equal) = {
        let (left_printer, right_printer) = (printer(&left, join.left.schema()), printer(&right, join.right.schema()));
        let (value, item) = (left_printer.print(value)?, right_printer.print(item)?);
        let equal = left_printer.comparer.compare(Operator::Eq, &value, &item);
        (value, item, equal.map_err(|why| format!("NOT IN: {why}"))?)
    };
    if right.rows.is_some_and(|rows| rows <= LISTED_ROWS_MAX) {
        let (value, item) = printer(&left, join.left.schema()).comparer.operands(&value, &item)?;
        let list = left.list_of(right, &item);
        left.filter(&Term::truth(format!("{value} NOT IN {list}"), Binding::Compare), 0.5);
    } else {
        let found = left.exists(right.clone(), Some(&equal.bound(Binding::And)));
        left.filter(&Term::truth(format!("NOT {found}"), Binding::Not), 0.5);
        if item_nullable {
            let null = left.exists(right.clone(), Some(&format!("{} IS NULL", item.atom())));
            left.filter(&Term::truth(format!("NOT {null}"), Binding::Not), 1.0);
        }
        if value_nullable {
            let any = left.exists(right, None);
            left.filter(&Term::truth(format!("{} IS NOT NULL OR NOT {any}", value.atom()), Binding::Or), 1.0);
        }
    }
    left.relation = None;
    Ok(left)
}

/// Every row of `kept`, and whether it has a partner.
fn mark(mut kept: Select, other: Select, condition: Option<&str>) -> Result<Select, Reason> {
    let exists = kept.exists(other, condition);
    kept.columns.push(Term::truth(exists, Binding::Atom));
    kept.relation = None;
    Ok(kept)
}
