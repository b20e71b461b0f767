//! Comparisons: the engine compares texts by code points and floats by their bits; PostgreSQL by
//! collation and by value. What is printed here means the same on both sides.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::logical_expr::Operator;
use datafusion::scalar::ScalarValue;
use meesh_connector_spi::{ColumnKeys, Keys};

use super::literal::{self, Reason};
use super::term::{Binding, Term};
use super::whitelist::{COMPARISONS, Family, family, is_canonical_uuid};
use crate::quote::quote_text;
use crate::types::{Collation, Form};

/// Prints comparisons for one source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparer {
    /// Whether the source's texts are in UTF-8: only then is the order of bytes that of code points.
    pub(super) utf8: bool,
}

impl Comparer {
    /// `left op right`.
    pub(super) fn compare(self, op: Operator, left: &Term, right: &Term) -> Result<Term, Reason> {
        let Some((_, symbol, ordered)) = COMPARISONS.iter().find(|(known, ..)| *known == op) else {
            return Err(format!("operator {op} is not translated"));
        };
        let (left, right) = self.sides(left, right, *ordered, true)?;
        Ok(Term::truth(format!("{left} {symbol} {right}"), Binding::Compare))
    }

    /// Both sides of an equality.
    pub(super) fn operands(self, left: &Term, right: &Term) -> Result<(String, String), Reason> {
        self.sides(left, right, false, true)
    }

    /// `value IN (items)`.
    pub(super) fn in_list(self, value: &Term, items: &[Term], negated: bool) -> Result<Term, Reason> {
        let sides = |native: bool| {
            items.iter().map(|item| self.sides(value, item, false, native)).collect::<Result<Vec<_>, _>>()
        };
        let mut printed = sides(true)?;
        // Items of one kind may be compared in the column's own type, others only as texts.
        if printed.windows(2).any(|pair| pair[0].0 != pair[1].0) {
            printed = sides(false)?;
        }
        let same = |pair: &[(String, String)]| pair[0].0 == pair[1].0;
        let Some(left) = printed.first().map(|(left, _)| left.clone()).filter(|_| printed.windows(2).all(same)) else {
            return Err("list items are of several kinds".to_owned());
        };
        let items: Vec<String> = printed.into_iter().map(|(_, item)| item).collect();
        let not = if negated { "NOT " } else { "" };
        Ok(Term::truth(format!("{left} {not}IN ({})", items.join(", ")), Binding::Compare))
    }

    /// A condition that every row passes whose `value` is one of the keys.
    pub(super) fn within(self, value: &Term, keys: &ColumnKeys) -> Result<Term, Reason> {
        let met = match &keys.keys {
            Keys::List(list) if list.is_empty() => "FALSE".to_owned(),
            Keys::List(list) => self.any_of(value, list)?,
            Keys::Range { least, greatest } => self.between(value, least.as_ref(), greatest.as_ref())?,
        };
        Ok(match keys.or_null {
            true => Term::truth(format!("({met} OR {} IS NULL)", value.atom()), Binding::Atom),
            false => Term::truth(met, Binding::And),
        })
    }

    /// Another encoding may have no such character: an error there, a text that nothing equals here.
    pub(super) fn has_characters_of(self, text: &str) -> Result<(), Reason> {
        if self.utf8 || text.is_ascii() { Ok(()) } else { Err("the database is not in UTF-8".to_owned()) }
    }

    /// `value = ANY (list)`, in the column's own type where that is exact. A key that no value of the
    /// column equals is left out.
    fn any_of(self, value: &Term, list: &ArrayRef) -> Result<String, Reason> {
        if family(&value.arrow, list.data_type()) != Some(Family::Text) {
            return match (value.form, family(&value.arrow, list.data_type())) {
                (Form::Plain, Some(Family::Exact)) => {
                    Ok(format!("{} = ANY ({})", value.bound(Binding::Arithmetic), literal::array(list)?))
                }
                _ => Err(format!("comparison of {}", value.arrow)),
            };
        }
        let texts = cast(list, &DataType::Utf8).map_err(|error| error.to_string())?;
        let texts = texts.as_string_opt::<i32>().ok_or("not a text")?.iter().flatten();
        for text in texts.clone() {
            self.has_characters_of(text)?;
        }
        // No text of PostgreSQL's holds it.
        let texts = texts.filter(|text| !text.contains('\0'));
        let any = |left: String, list: String| Ok(format!("{left} = ANY ({list})"));
        match value.form {
            Form::Uuid => any(value.atom(), literal::texts_array(texts.filter(|text| is_canonical_uuid(text)), "uuid")),
            Form::Padded if value.collation.deterministic => {
                any(value.atom(), literal::texts_array(texts.filter(|text| !text.ends_with(' ')), "bpchar"))
            }
            _ => {
                let text = value.value().ok_or_else(|| format!("comparison of {}", value.arrow))?;
                let collate = if equal_alike(text.collation, Collation::NONE) { "" } else { " COLLATE \"C\"" };
                any(format!("{}{collate}", text.atom()), literal::texts_array(texts, "text"))
            }
        }
    }

    fn between(
        self,
        value: &Term,
        least: Option<&ScalarValue>,
        greatest: Option<&ScalarValue>,
    ) -> Result<String, Reason> {
        let bounds = [(Operator::GtEq, least), (Operator::LtEq, greatest)];
        let bounds = bounds.into_iter().filter_map(|(op, bound)| Some((op, bound?)));
        let compared = bounds.map(|(op, bound)| {
            let bound = Term::literal(literal::print(bound)?, bound);
            Ok(self.compare(op, value, &bound)?.bound(Binding::And))
        });
        Ok(compared.collect::<Result<Vec<_>, Reason>>()?.join(" AND "))
    }

    /// `term` as a key to group by, whose equal values are the engine's.
    pub(super) fn groupable(self, term: &Term) -> Result<Term, Reason> {
        match (term.form, &term.arrow) {
            (Form::Plain, DataType::Float32 | DataType::Float64) => Err("NaN and -0 are grouped otherwise".to_owned()),
            (Form::Plain, _) | (Form::Uuid | Form::Padded, _) => Ok(term.clone()),
            (Form::Text | Form::AsText, _) => {
                let value = term.value().ok_or("not translated")?;
                if value.collation.deterministic || value.collation == Collation::NONE {
                    return Ok(value);
                }
                let text = format!("{} COLLATE \"C\"", value.atom());
                let collation = Collation { bytewise: true, ..Collation::NONE };
                Ok(Term { text, binding: Binding::Not, collation, column: None, plain: false, ..value })
            }
            (Form::Opaque | Form::Composite, arrow) => Err(format!("equality of {arrow}")),
        }
    }

    /// `term` as a key to order by, or to find the least of: in the engine's order.
    pub(super) fn ordered(self, term: &Term) -> Result<String, Reason> {
        match term.form {
            Form::Plain | Form::Uuid => Ok(term.bound(Binding::Arithmetic)),
            Form::Text | Form::Padded | Form::AsText if !self.utf8 => Err("the database is not in UTF-8".to_owned()),
            Form::Text | Form::Padded | Form::AsText => {
                let value = term.value().ok_or("not translated")?;
                let collate = if value.collation.bytewise { "" } else { " COLLATE \"C\"" };
                Ok(format!("{}{collate}", value.atom()))
            }
            Form::Opaque | Form::Composite => Err(format!("order of {}", term.arrow)),
        }
    }

    /// Both sides, so that PostgreSQL's operator between them means the engine's. `native`: in the
    /// column's own type where that is exact, for the sake of its indexes.
    fn sides(self, left: &Term, right: &Term, ordered: bool, native: bool) -> Result<(String, String), Reason> {
        let types = || format!("comparison of {} and {}", left.arrow, right.arrow);
        match family(&left.arrow, &right.arrow).ok_or_else(types)? {
            Family::Text => self.text_sides(left, right, ordered, native),
            _ if left.form != Form::Plain || right.form != Form::Plain => Err(types()),
            Family::Exact => Ok((left.bound(Binding::Arithmetic), right.bound(Binding::Arithmetic))),
            Family::Float if is_ordinary(left) || is_ordinary(right) => {
                Ok((left.bound(Binding::Arithmetic), right.bound(Binding::Arithmetic)))
            }
            Family::Float => Err("NaN and -0 compare differently".to_owned()),
        }
    }

    fn text_sides(self, left: &Term, right: &Term, ordered: bool, native: bool) -> Result<(String, String), Reason> {
        if native && !ordered {
            if let Some(literal) = native_literal(left, right)? {
                return Ok((left.atom(), literal));
            }
            if let Some(literal) = native_literal(right, left)? {
                return Ok((literal, right.atom()));
            }
        }
        let (Some(a), Some(b)) = (left.value(), right.value()) else {
            return Err(format!("comparison of {} and {}", left.arrow, right.arrow));
        };
        if ordered && !self.utf8 {
            return Err("the database is not in UTF-8".to_owned());
        }
        let exact =
            if ordered { ordered_alike(a.collation, b.collation) } else { equal_alike(a.collation, b.collation) };
        let collate = if exact { "" } else { " COLLATE \"C\"" };
        // To make the rows of a semi join's other side unique, PostgreSQL hashes them by that side's own collation.
        let other = if !exact && b.collation == Collation::MIXED { collate } else { "" };
        Ok((format!("{}{collate}", a.atom()), format!("{}{other}", b.atom())))
    }
}

/// A float that is neither NaN nor a zero: every value compares with it alike on both sides.
fn is_ordinary(term: &Term) -> bool {
    match term.literal {
        Some(ScalarValue::Float32(Some(value))) => !value.is_nan() && value != 0.0,
        Some(ScalarValue::Float64(Some(value))) => !value.is_nan() && value != 0.0,
        _ => false,
    }
}

/// The literal `right` in the type of the column `left`, where equality with it means equality of
/// the texts: a canonical UUID, or a text without blanks at its end for `char(n)`.
fn native_literal(left: &Term, right: &Term) -> Result<Option<String>, Reason> {
    let Some(text) = right.literal.as_ref().and_then(|value| value.try_as_str().flatten()) else { return Ok(None) };
    // Checks that PostgreSQL can hold it.
    literal::print(&ScalarValue::from(text))?;
    Ok(match left.form {
        Form::Uuid if is_canonical_uuid(text) => Some(format!("{}::uuid", quote_text(text))),
        Form::Padded if left.collation.deterministic && !text.ends_with(' ') => {
            Some(format!("{}::bpchar", quote_text(text)))
        }
        _ => None,
    })
}

/// Whether equality under these collations is equality of bytes, and PostgreSQL can tell which to use.
fn equal_alike(a: Collation, b: Collation) -> bool {
    a.deterministic && b.deterministic && one_of(a, b)
}

/// Whether the order under these collations is that of bytes.
fn ordered_alike(a: Collation, b: Collation) -> bool {
    let bytewise = |collation: Collation| collation.bytewise || collation == Collation::NONE;
    bytewise(a) && bytewise(b) && (a.bytewise || b.bytewise) && one_of(a, b)
}

fn one_of(a: Collation, b: Collation) -> bool {
    a.oid == b.oid || a == Collation::NONE || b == Collation::NONE
}
