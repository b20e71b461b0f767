//! What the joins above a scan need of its rows.
//!
//! A hash join reads its build side before it asks its probe side for a row, and by then knows which
//! keys can meet a partner. DataFusion hands that down as a *dynamic filter*: an expression that is
//! `true` until the join has updated it. Here it becomes what a source can look up.
//!
//! ```text
//! k >= 3 AND k <= 9 AND k IN (3, 9, 5, 3)               column 0: [3, 5, 9]
//! CASE hash(k) % 2 WHEN 0 THEN … WHEN 1 THEN … END      column 0: what either branch lets through
//! ```
//!
//! Whatever is not understood lets every row through: a filter that keeps too much is never wrong.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array, new_empty_array};
use arrow::compute::{cast, concat, partition, sort, take};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNullExpr, Literal,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use futures::future::join_all;

/// The filters that operators above a scan hand down to it. Clones are the same filters.
#[derive(Debug, Clone)]
pub struct RowFilters {
    /// The scan's columns.
    schema: SchemaRef,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// The expressions that a join will complete; others may change until their last row.
    awaited: Arc<HashSet<u64>>,
}

/// Which rows are needed.
#[derive(Debug, Clone, PartialEq)]
pub enum NeededRows {
    /// None: no key meets a partner.
    None,
    /// Those that pass every one of these; all, if there are none.
    With(Vec<ColumnKeys>),
}

/// What is known of one column's values in the rows that are needed.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnKeys {
    /// The column's place in the scan's schema.
    pub column: usize,
    /// The values.
    pub keys: Keys,
    /// Whether rows with NULL are needed, too.
    pub or_null: bool,
}

/// Values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Keys {
    /// Any of these: of the column's type, ascending, each once, no NULL. May be empty.
    List(ArrayRef),
    /// Those between these, both included; one of them may be open.
    Range {
        /// The least.
        least: Option<ScalarValue>,
        /// The greatest.
        greatest: Option<ScalarValue>,
    },
}

impl RowFilters {
    /// Filters over the scan's columns `schema`, of which those with an id in `awaited` are worth
    /// waiting for.
    pub fn new(schema: SchemaRef, filters: Vec<Arc<dyn PhysicalExpr>>, awaited: Arc<HashSet<u64>>) -> Self {
        Self { schema, filters, awaited }
    }

    /// No filter.
    pub fn none(schema: SchemaRef) -> Self {
        Self::new(schema, Vec::new(), Arc::default())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Waits until the joins know their keys, and says which rows they need. After `patience` it says
    /// what is known by then. Nothing must be held meanwhile: the join may need it.
    pub async fn needed(&self, patience: Duration) -> NeededRows {
        let awaited = self.dynamic(|id| self.awaited.contains(&id));
        let complete = awaited.iter().filter_map(|filter| filter.downcast_ref::<DynamicFilterPhysicalExpr>());
        if tokio::time::timeout(patience, join_all(complete.map(DynamicFilterPhysicalExpr::wait_complete)))
            .await
            .is_err()
        {
            tracing::debug!("a scan starts without the keys of a join: they took longer than {patience:?}");
        }
        self.known()
    }

    /// Which rows are needed, as far as is known now.
    pub fn known(&self) -> NeededRows {
        let reading = Reading { schema: &self.schema };
        match self.filters.iter().map(|filter| reading.shape(filter)).reduce(Shape::and).unwrap_or_default() {
            Shape::Never => NeededRows::None,
            Shape::Columns(columns) => NeededRows::With(columns.into_iter().map(column_keys).collect()),
        }
    }

    fn dynamic(&self, wanted: impl Fn(u64) -> bool) -> Vec<Arc<dyn PhysicalExpr>> {
        let mut found = Vec::new();
        for filter in &self.filters {
            // The closure fails never.
            let _walked = filter.apply(|expr| {
                if expr.downcast_ref::<DynamicFilterPhysicalExpr>().is_some()
                    && expr.expression_id().is_some_and(&wanted)
                {
                    found.push(Arc::clone(expr));
                }
                Ok(TreeNodeRecursion::Continue)
            });
        }
        found
    }
}

fn column_keys((column, domain): (usize, Domain)) -> ColumnKeys {
    let keys = match domain.list {
        Some(list) => Keys::List(list),
        None => Keys::Range { least: domain.least, greatest: domain.greatest },
    };
    ColumnKeys { column, keys, or_null: domain.null }
}

/// What a row must be like for an expression to hold; more rows may be.
#[derive(Debug)]
enum Shape {
    Never,
    /// Every one of these columns has a value of its domain.
    Columns(BTreeMap<usize, Domain>),
}

/// Values of one column. Without list and bounds: any, but NULL only if `null`.
#[derive(Debug, Clone, Default)]
struct Domain {
    list: Option<ArrayRef>,
    least: Option<ScalarValue>,
    greatest: Option<ScalarValue>,
    null: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self::Columns(BTreeMap::new())
    }
}

impl Shape {
    fn one(column: usize, domain: Domain) -> Self {
        Self::Columns(BTreeMap::from([(column, domain)]))
    }

    fn and(self, other: Self) -> Self {
        let (Self::Columns(mut both), Self::Columns(other)) = (self, other) else { return Self::Never };
        for (column, domain) in other {
            let joint = match both.remove(&column) {
                Some(first) => first.and(domain),
                None => domain,
            };
            both.insert(column, joint);
        }
        Self::Columns(both)
    }

    fn or(self, other: Self) -> Self {
        let (mut first, mut second) = match (self, other) {
            (Self::Never, shape) | (shape, Self::Never) => return shape,
            (Self::Columns(first), Self::Columns(second)) => (first, second),
        };
        let either = |(column, domain): (usize, Domain)| Some((column, domain.or(second.remove(&column)?)?));
        Self::Columns(std::mem::take(&mut first).into_iter().filter_map(either).collect())
    }
}

impl Domain {
    fn and(self, other: Self) -> Self {
        let list = match (self.list, other.list) {
            (Some(a), Some(b)) => Some(if a.len() <= b.len() { a } else { b }),
            (a, b) => a.or(b),
        };
        Self {
            list,
            least: pick(self.least, other.least, |a, b| a >= b),
            greatest: pick(self.greatest, other.greatest, |a, b| a <= b),
            null: self.null && other.null,
        }
    }

    /// `None`: any value.
    fn or(self, other: Self) -> Option<Self> {
        let null = self.null || other.null;
        let list = match (&self.list, &other.list) {
            (Some(a), Some(b)) => concat(&[a, b]).ok().and_then(|all| distinct(&all)),
            _ => None,
        };
        // The bounds of a list are its ends, if nobody has said them.
        let bound = |domain: &Self, end: fn(&ArrayRef) -> Option<ScalarValue>, said: &Option<ScalarValue>| {
            said.clone().or_else(|| domain.list.as_ref().and_then(end))
        };
        let both = |a: Option<ScalarValue>, b: Option<ScalarValue>, first: fn(&ScalarValue, &ScalarValue) -> bool| {
            let (a, b) = (a?, b?);
            Some(if first(&a, &b) { a } else { b })
        };
        // A list without values adds nothing to the other side's bounds.
        let (least, greatest) = if self.is_empty() {
            (other.least.clone(), other.greatest.clone())
        } else if other.is_empty() {
            (self.least.clone(), self.greatest.clone())
        } else {
            let least = both(bound(&self, first, &self.least), bound(&other, first, &other.least), |a, b| a <= b);
            let greatest =
                both(bound(&self, last, &self.greatest), bound(&other, last, &other.greatest), |a, b| a >= b);
            (least, greatest)
        };
        let list = list.or_else(|| match (self.is_empty(), other.is_empty()) {
            (true, _) => other.list.clone(),
            (_, true) => self.list.clone(),
            _ => None,
        });
        let any = list.is_none() && least.is_none() && greatest.is_none();
        (!any).then_some(Self { list, least, greatest, null })
    }

    fn is_empty(&self) -> bool {
        self.list.as_ref().is_some_and(|list| list.is_empty())
    }
}

fn pick(
    a: Option<ScalarValue>,
    b: Option<ScalarValue>,
    first: fn(&ScalarValue, &ScalarValue) -> bool,
) -> Option<ScalarValue> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if first(&a, &b) { a } else { b }),
        (a, b) => a.or(b),
    }
}

fn first(list: &ArrayRef) -> Option<ScalarValue> {
    if list.is_empty() { None } else { ScalarValue::try_from_array(list, 0).ok() }
}

fn last(list: &ArrayRef) -> Option<ScalarValue> {
    ScalarValue::try_from_array(list, list.len().checked_sub(1)?).ok()
}

/// Reads expressions over a scan's columns.
struct Reading<'a> {
    schema: &'a Schema,
}

impl Reading<'_> {
    fn shape(&self, expr: &Arc<dyn PhysicalExpr>) -> Shape {
        self.understood(expr).unwrap_or_default()
    }

    /// `None`: not understood.
    fn understood(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<Shape> {
        if let Some(filter) = expr.downcast_ref::<DynamicFilterPhysicalExpr>() {
            return self.understood(&filter.current().ok()?);
        }
        if let Some(literal) = expr.downcast_ref::<Literal>() {
            let holds = matches!(literal.value(), ScalarValue::Boolean(Some(true)));
            return Some(if holds { Shape::default() } else { Shape::Never });
        }
        if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            return match binary.op() {
                Operator::And => Some(self.shape(binary.left()).and(self.shape(binary.right()))),
                Operator::Or => Some(self.understood(binary.left())?.or(self.understood(binary.right())?)),
                op => self.compared(binary.left(), *op, binary.right()),
            };
        }
        if let Some(list) = expr.downcast_ref::<InListExpr>() {
            return if list.negated() { None } else { self.listed(list) };
        }
        if let Some(is_null) = expr.downcast_ref::<IsNullExpr>() {
            let column = is_null.arg().downcast_ref::<Column>()?.index();
            let list = Some(new_empty_array(self.schema.fields().get(column)?.data_type()));
            return Some(Shape::one(column, Domain { list, null: true, ..Domain::default() }));
        }
        if let Some(case) = expr.downcast_ref::<CaseExpr>() {
            let otherwise = case.else_expr().map_or(Some(Shape::Never), |otherwise| self.understood(otherwise))?;
            let mut branches = case.when_then_expr().iter();
            return branches.try_fold(otherwise, |all, (_, then)| Some(all.or(self.understood(then)?)));
        }
        None
    }

    fn compared(&self, left: &Arc<dyn PhysicalExpr>, op: Operator, right: &Arc<dyn PhysicalExpr>) -> Option<Shape> {
        let (key, op, value) = match (self.key(left), self.key(right)) {
            (Some(key), None) => (key, op, right),
            (None, Some(key)) => (key, op.swap()?, left),
            _ => return None,
        };
        let value = value.downcast_ref::<Literal>()?.value();
        if value.is_null() {
            return Some(Shape::Never);
        }
        let domain = match op {
            Operator::Eq => Domain { list: key.list(&value.to_array().ok()?), ..Domain::default() },
            // A bound without equality is one with it that keeps a value more.
            Operator::Gt | Operator::GtEq => Domain { least: key.bound(value), ..Domain::default() },
            Operator::Lt | Operator::LtEq => Domain { greatest: key.bound(value), ..Domain::default() },
            _ => return None,
        };
        let any = domain.list.is_none() && domain.least.is_none() && domain.greatest.is_none();
        Some(if any { Shape::default() } else { Shape::one(key.column, domain) })
    }

    /// `key IN (…)`, or `struct(key, key) IN (…)`: then each column has the values that it has there.
    fn listed(&self, list: &InListExpr) -> Option<Shape> {
        let values = list.list().iter().map(|item| Some(item.downcast_ref::<Literal>()?.value().clone()));
        let values = ScalarValue::iter_to_array(values.collect::<Option<Vec<_>>>()?).ok()?;
        let one = |key: Key<'_>, values: &ArrayRef| match key.list(values) {
            Some(list) => Shape::one(key.column, Domain { list: Some(list), ..Domain::default() }),
            None => Shape::default(),
        };
        if let Some(key) = self.key(list.expr()) {
            return Some(one(key, &values));
        }
        let keys = list.expr().downcast_ref::<ScalarFunctionExpr>().filter(|call| call.name() == "struct")?;
        let columns = values.as_struct_opt()?.columns();
        let known = keys.args().iter().zip(columns).filter_map(|(key, values)| Some(one(self.key(key)?, values)));
        Some(known.fold(Shape::default(), Shape::and))
    }

    fn key(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<Key<'_>> {
        if let Some(column) = expr.downcast_ref::<Column>() {
            return Some(Key { column: column.index(), narrow: None });
        }
        let cast = expr.downcast_ref::<CastExpr>()?;
        let column = cast.expr().downcast_ref::<Column>()?.index();
        let narrow = self.schema.fields().get(column)?.data_type();
        let wide = cast.cast_type();
        let widens = narrow.is_signed_integer()
            && wide.is_signed_integer()
            && narrow.primitive_width() <= wide.primitive_width();
        widens.then_some(Key { column, narrow: Some(narrow) })
    }
}

/// A column, or a whole number's column made wider for the join.
struct Key<'a> {
    column: usize,
    /// The column's own type, where the join's is wider.
    narrow: Option<&'a DataType>,
}

impl Key<'_> {
    /// The values as the column can have them; `None` if they have no order.
    fn list(&self, values: &ArrayRef) -> Option<ArrayRef> {
        match self.narrow {
            // What does not fit becomes NULL, and no row has it.
            Some(narrow) => distinct(&cast(values, narrow).ok()?),
            None => distinct(values),
        }
    }

    /// A bound as the column can have it; `None`: it is beyond all of the column's values.
    fn bound(&self, value: &ScalarValue) -> Option<ScalarValue> {
        match self.narrow {
            Some(narrow) => value.cast_to(narrow).ok().filter(|value| !value.is_null()),
            None => Some(value.clone()),
        }
    }
}

/// Ascending, each value once, no NULL; `None` for what has no order.
fn distinct(values: &ArrayRef) -> Option<ArrayRef> {
    let sorted = sort(values, None).ok()?;
    let nulls = sorted.logical_null_count();
    let sorted = sorted.slice(nulls, sorted.len() - nulls);
    let groups = partition(&[Arc::clone(&sorted)]).ok()?;
    let firsts = UInt64Array::from_iter_values(groups.ranges().into_iter().map(|group| group.start as u64));
    take(&sorted, &firsts, None).ok()
}

#[cfg(test)]
mod tests;
