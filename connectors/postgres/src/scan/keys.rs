//! The keys of joins above a scan, as conditions of its SELECT: which are worth sending, and which turn
//! the scan into a lookup.

use datafusion::scalar::ScalarValue;
use meesh_connector_spi::{ColumnKeys, Keys};

use crate::catalog::{ColumnValues, Relation};
use crate::pushdown::Select;

/// A list of more than this share of a column's values is not worth its bytes.
const LIST_SHARE_MAX: f64 = 0.5;
/// Up to this share of its values an index finds rows faster than a scan by several sessions.
const LOOKUP_SHARE_MAX: f64 = 0.1;
/// The same where nothing is known of the values.
const LOOKUP_KEYS_MAX: usize = 1_000;
/// As many values cost a server little that goes through the list for every row.
const SEARCHED_KEYS_MAX: usize = 100;

/// What became of the keys.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// One line for each column, for people.
    pub(super) report: Vec<String>,
    /// Whether an index finds the rows of a list.
    pub(super) looks_up: bool,
    /// Whether bounds were added: whether an index finds those rows is the server's to say.
    pub(super) bounded: bool,
}

/// Adds to `select` what PostgreSQL can tell of the keys, and what is worth telling.
pub(super) fn apply(select: &mut Select, keys: &[ColumnKeys]) -> Applied {
    let mut applied = Applied::default();
    for keys in keys {
        let column = select.columns.get(keys.column).and_then(|term| term.column.clone());
        let name = column.as_ref().map_or_else(|| format!("column {}", keys.column + 1), |column| column.name.clone());
        let values = column.as_ref().and_then(|column| column.values.as_ref());
        let outcome = worthwhile(keys, values)
            .and_then(|()| affordable(keys, select, &name))
            .and_then(|()| select.restrict(keys));
        let sent = match outcome {
            Err(reason) => format!("not sent: {reason}"),
            Ok(()) => {
                match &keys.keys {
                    Keys::List(list) => {
                        let relation = select.relation.as_deref();
                        applied.looks_up |= relation.is_some_and(|relation| has_index(relation, &name))
                            && is_lookup(list.len(), values);
                    }
                    Keys::Range { .. } => applied.bounded = true,
                }
                "sent".to_owned()
            }
        };
        applied.report.push(format!("{name}: {}, {sent}", shown(keys)));
    }
    applied
}

fn worthwhile(keys: &ColumnKeys, values: Option<&ColumnValues>) -> Result<(), String> {
    match (&keys.keys, values) {
        (Keys::List(list), Some(ColumnValues { distinct: Some(distinct), .. }))
            if list.len() as f64 > distinct * LIST_SHARE_MAX =>
        {
            Err(format!("the column has about {distinct:.0}"))
        }
        (Keys::Range { least, greatest }, Some(ColumnValues { ends: Some((first, last)), .. })) => {
            let all = |bound: &Option<ScalarValue>, all: fn(&ScalarValue, &ScalarValue) -> bool, end| {
                bound.as_ref().is_none_or(|bound| all(bound, end))
            };
            if all(least, |bound, end| bound <= end, first) && all(greatest, |bound, end| bound >= end, last) {
                return Err("it spans the column".to_owned());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether the server finds a row's value in the list without reading all of it.
fn affordable(keys: &ColumnKeys, select: &Select, column: &str) -> Result<(), String> {
    let Keys::List(list) = &keys.keys else { return Ok(()) };
    let indexed = select.relation.as_deref().is_some_and(|relation| has_index(relation, column));
    if indexed || list.len() <= SEARCHED_KEYS_MAX || select.relations.iter().all(|relation| relation.hashes_lists) {
        return Ok(());
    }
    Err("PostgreSQL before 14 compares every row with each of them".to_owned())
}

fn has_index(relation: &Relation, column: &str) -> bool {
    relation.indexed.iter().any(|indexed| indexed == column)
}

fn is_lookup(keys: usize, values: Option<&ColumnValues>) -> bool {
    match values.and_then(|values| values.distinct) {
        Some(distinct) => keys as f64 <= distinct * LOOKUP_SHARE_MAX,
        None => keys <= LOOKUP_KEYS_MAX,
    }
}

fn shown(keys: &ColumnKeys) -> String {
    let or_null = if keys.or_null { " or NULL" } else { "" };
    match &keys.keys {
        Keys::List(list) if list.len() == 1 => format!("1 value{or_null}"),
        Keys::List(list) => format!("{} values{or_null}", list.len()),
        Keys::Range { least, greatest } => {
            let end = |bound: &Option<ScalarValue>| bound.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{}..{}{or_null}", end(least), end(greatest))
        }
    }
}
