//! One SELECT while a plan's nodes are folded into it, from the leaf up.
//!
//! ```text
//! Projection: a, b + 1                   SELECT "a", ("b" + 1::bigint)::bigint
//!   Filter: c = 'x'             ==>        FROM "public"."t" WHERE "c" = 'x'::text
//!     TableScan: t [a, b, c]
//! ```
//!
//! A node that cannot be folded in exactly (a filter above a LIMIT, a use of a computed column) makes
//! the SELECT so far a derived table `(…) AS q1(c0, c1)`: PostgreSQL flattens those, and no generated
//! name is ever longer than its 63 bytes.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::Operator;
use meesh_base::quote_identifier;
use meesh_connector_spi::ColumnKeys;

use super::compare::Comparer;
use super::literal::Reason;
use super::print::Printing;
use super::term::{Binding, Term};
use crate::catalog::{Relation, RemoteColumn};
use crate::types::{Decoder, computed};

/// Groups among rows, where nothing is known: the planner's guess is a tenth, too (`selfuncs.c`).
const GROUPS_SHARE: f64 = 0.1;
/// PostgreSQL's own limit (`MaxTupleAttributeNumber`).
const COLUMNS_MAX: usize = 1_664;

/// What a SELECT reads from.
#[derive(Debug, Clone)]
enum From {
    /// A relation, by its quoted name.
    Relation(String),
    /// The rows of a SELECT.
    Derived { inner: Box<Select>, list: String, alias: String },
    /// Anything else, printed.
    Text(String),
}

impl From {
    /// As it stands after FROM; of a relation only the pages that `pages` admits.
    fn text(&self, pages: Option<&str>) -> String {
        match self {
            Self::Relation(text) | Self::Text(text) => text.clone(),
            Self::Derived { inner, list, alias } => {
                format!("({}) AS {alias}{}", inner.text(list, pages), column_names(inner.columns.len()))
            }
        }
    }
}

/// A SELECT being put together.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    /// How its plan is being printed.
    pub(super) printing: Printing,
    from: From,
    /// The output columns, one for each field of the plan's schema.
    pub(crate) columns: Vec<Term>,
    filters: Vec<String>,
    /// How many columns, from the first on, the rows are grouped by; `None` if they are not.
    group: Option<usize>,
    order: Vec<String>,
    fetch: Option<usize>,
    skip: usize,
    /// Whether columns depend on other rows, of which none may be left out before them.
    windowed: bool,
    /// The relation, as long as every row is a row of it: then the scan may be split.
    pub(crate) relation: Option<Arc<Relation>>,
    /// Every relation that is read.
    pub(crate) relations: Vec<Arc<Relation>>,
    /// Rows of the result, estimated.
    pub(crate) rows: Option<f64>,
    /// Whether texts are ordered by code points under `COLLATE "C"`.
    pub(super) utf8: bool,
    /// How many derived tables have been made.
    derived: usize,
}

/// One column of a finished SELECT.
#[derive(Debug)]
pub(super) struct Output {
    /// What stands in the SELECT list.
    pub(super) text: String,
    /// What decodes it.
    pub(super) decoder: Decoder,
}

impl Select {
    /// All of a relation's columns.
    pub(super) fn of(relation: &Arc<Relation>, printing: &Printing) -> Self {
        let column = |column: &Arc<RemoteColumn>| Term::column(quote_identifier(&column.name), column);
        Self {
            printing: printing.clone(),
            from: From::Relation(relation.quoted_name()),
            columns: relation.columns.iter().map(column).collect(),
            filters: Vec::new(),
            group: None,
            order: Vec::new(),
            fetch: None,
            skip: 0,
            windowed: false,
            relation: Some(Arc::clone(relation)),
            relations: vec![Arc::clone(relation)],
            rows: relation.rows.map(|rows| rows as f64),
            utf8: relation.utf8,
            derived: 0,
        }
    }

    /// The same rows, with these of the columns.
    pub(super) fn keep(&mut self, columns: &[usize]) -> Result<(), Reason> {
        let kept = columns.iter().map(|index| self.columns.get(*index).cloned()).collect::<Option<Vec<_>>>();
        self.columns = kept.ok_or("the table has fewer columns than the plan")?;
        Ok(())
    }

    /// Whether a condition leaves rows out.
    pub(crate) fn is_filtered(&self) -> bool {
        !self.filters.is_empty() || matches!(&self.from, From::Derived { inner, .. } if inner.is_filtered())
    }

    /// Whether a condition on these columns can stand in this very SELECT.
    pub(super) fn takes_filter(&self, used: impl IntoIterator<Item = usize>) -> bool {
        self.fetch.is_none() && self.skip == 0 && self.takes_expressions(used)
    }

    /// Whether expressions over these columns can: a computed column would be computed twice.
    pub(super) fn takes_expressions(&self, used: impl IntoIterator<Item = usize>) -> bool {
        used.into_iter().all(|index| self.columns.get(index).is_some_and(|column| column.plain))
    }

    /// Leaves out rows whose value in a column is none of the keys.
    ///
    /// # Errors
    /// The reason why PostgreSQL cannot tell; nothing is changed then.
    pub(crate) fn restrict(&mut self, keys: &ColumnKeys) -> Result<(), Reason> {
        let mut restricted = self.clone();
        if !restricted.takes_filter([keys.column]) {
            restricted.wrap();
        }
        let column = restricted.columns.get(keys.column).ok_or("no such column")?;
        let condition = Comparer { utf8: restricted.utf8 }.within(column, keys)?;
        restricted.filter(&condition, 1.0);
        *self = restricted;
        Ok(())
    }

    /// Adds a condition; [`Self::takes_filter`] was asked. `share`: how many rows are left of one.
    pub(super) fn filter(&mut self, condition: &Term, share: f64) {
        self.filters.push(condition.bound(Binding::And));
        self.rows = self.rows.map(|rows| (rows * share).max(1.0));
    }

    /// Cuts the result: of what an earlier cut left, some rows are skipped and some are kept.
    pub(super) fn limit(&mut self, skip: usize, fetch: Option<usize>) {
        let left = self.fetch.map(|fetch| fetch.saturating_sub(skip));
        self.fetch = [left, fetch].into_iter().flatten().min();
        self.skip = self.skip.saturating_add(skip);
        self.relation = self.relation.take().filter(|_| self.skip == 0 && self.fetch.is_none());
        let skipped = self.rows.map(|rows| (rows - skip as f64).max(0.0));
        self.rows = skipped.map(|rows| self.fetch.map_or(rows, |fetch| rows.min(fetch as f64)));
    }

    /// Replaces the columns and groups by the first `keys` of them, which [`Self::takes_filter`] was
    /// asked for; the result is a derived table.
    pub(super) fn group(&mut self, columns: Vec<Term>, keys: usize) {
        self.columns = columns;
        self.group = Some(keys);
        self.relation = None;
        self.rows = if keys == 0 { Some(1.0) } else { self.rows.map(|rows| (rows * GROUPS_SHARE).max(1.0)) };
        self.wrap();
    }

    /// Adds the columns of window functions; the result is a derived table.
    pub(super) fn window(&mut self, columns: Vec<Term>) {
        self.columns.extend(columns);
        self.windowed = true;
        self.relation = None;
        // A condition above is one on the functions' results, which the same SELECT does not know.
        self.wrap();
    }

    /// Lets the grouping whose key a column is read only the rows with the key `outer`, a value of the
    /// query around this one. False, and nothing is changed, if the column is no key of a grouping.
    ///
    /// Exact where only the rows that equal `outer` are asked for: the others are in other groups.
    pub(super) fn correlate(&mut self, column: usize, outer: &Term) -> bool {
        let Some(term) = self.columns.get(column) else { return false };
        if let Some(keys) = self.group {
            let condition = Comparer { utf8: self.utf8 }.compare(Operator::Eq, term, outer);
            let Some(condition) = condition.ok().filter(|_| column < keys) else { return false };
            self.filters.push(condition.bound(Binding::And));
            return true;
        }
        if self.windowed || self.fetch.is_some() || self.skip > 0 {
            return false;
        }
        let From::Derived { inner, alias, .. } = &mut self.from else { return false };
        let place = term.text.strip_prefix(alias.as_str()).and_then(|rest| rest.strip_prefix(".c")?.parse().ok());
        place.is_some_and(|place| inner.correlate(place, outer))
    }

    /// Orders the rows, for the sake of the limit that is put on them next. The columns must be those of
    /// a derived table: a bare name might be read as one of the output's.
    pub(super) fn order(&mut self, keys: Vec<String>) {
        self.order = keys;
    }

    /// Puts two SELECTs beside each other as derived tables, to print what joins them.
    pub(super) fn pair(left: &mut Self, right: &mut Self) {
        let number = left.derived.max(right.derived);
        left.derive(number + 1);
        right.derive(number + 2);
    }

    /// The join of two that [`Self::pair`] put beside each other: `kind` stands between them.
    pub(super) fn join(self, right: Self, kind: &str, condition: Option<&str>) -> Self {
        let condition = condition.map(|condition| format!(" ON {condition}")).unwrap_or_default();
        let rows = self.rows.zip(right.rows).map(|(left, right)| left.max(right));
        Self {
            from: From::Text(format!("{} {kind} {}{condition}", self.from.text(None), right.from.text(None))),
            columns: [self.columns, right.columns].concat(),
            relations: [self.relations, right.relations].concat(),
            relation: None,
            rows,
            derived: self.derived.max(right.derived),
            ..self
        }
    }

    /// Keeps the rows for which `other`, which [`Self::pair`] put beside this one, has a row that
    /// meets the condition. As an expression: `EXISTS (…)`.
    pub(super) fn exists(&mut self, other: Self, condition: Option<&str>) -> String {
        self.relations.extend(other.relations);
        self.derived = self.derived.max(other.derived);
        let condition = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
        format!("EXISTS (SELECT FROM {}{condition})", other.from.text(None))
    }

    /// As [`Self::exists`], of a column that must equal one of the other's values: `(SELECT q2.c0 FROM …)`.
    pub(super) fn list_of(&mut self, other: Self, value: &str) -> String {
        self.relations.extend(other.relations);
        self.derived = self.derived.max(other.derived);
        format!("(SELECT {value} FROM {})", other.from.text(None))
    }

    /// All rows of all branches, each of which prints its columns as `types`.
    ///
    /// # Errors
    /// The reason, if a column's type cannot travel.
    pub(super) fn union(branches: Vec<Self>, types: &[&DataType], printing: &Printing) -> Result<Self, Reason> {
        let mut texts = Vec::new();
        let (mut relations, mut derived, mut rows, mut utf8) = (Vec::new(), 0, Some(0.0), true);
        for branch in branches {
            texts.push(format!("({})", branch.values(types)?));
            relations.extend(branch.relations);
            derived = derived.max(branch.derived);
            rows = rows.zip(branch.rows).map(|(sum, rows)| sum + rows);
            utf8 &= branch.utf8;
        }
        let alias = format!("q{}", derived + 1);
        let columns: Vec<Term> = types
            .iter()
            .enumerate()
            .map(|(index, arrow)| Term {
                plain: true,
                ..Term::computed(format!("{alias}.c{index}"), Binding::Atom, (*arrow).clone())
            })
            .collect();
        Ok(Self {
            printing: printing.clone(),
            from: From::Text(format!("({}) AS {alias}{}", texts.join(" UNION ALL "), column_names(columns.len()))),
            columns,
            filters: Vec::new(),
            group: None,
            order: Vec::new(),
            fetch: None,
            skip: 0,
            windowed: false,
            relation: None,
            relations,
            rows,
            utf8,
            derived: derived + 1,
        })
    }

    /// Its only column as a value: NULL without a row, an error with several.
    ///
    /// # Errors
    /// The reason, if the column has no value that can be computed with.
    pub(super) fn scalar(&self, arrow: &DataType) -> Result<Term, Reason> {
        let text = self.values(&[arrow])?;
        Ok(Term::computed(format!("({text})"), Binding::Atom, arrow.clone()))
    }

    /// Makes what there is a derived table and goes on with a SELECT over it.
    pub(super) fn wrap(&mut self) {
        self.derive(self.derived + 1);
    }

    fn derive(&mut self, number: usize) {
        let alias = format!("q{number}");
        let list: Vec<&str> = self.columns.iter().map(|column| column.text.as_str()).collect();
        let list = list.join(", ");
        let mut columns = self.columns.clone();
        for (index, column) in columns.iter_mut().enumerate() {
            column.text = format!("{alias}.c{index}");
            (column.binding, column.literal, column.plain) = (Binding::Atom, None, true);
        }
        let outer = Self {
            printing: self.printing.clone(),
            from: From::Text(String::new()),
            columns,
            filters: Vec::new(),
            group: None,
            order: Vec::new(),
            fetch: None,
            skip: 0,
            windowed: false,
            relation: self.relation.clone(),
            relations: std::mem::take(&mut self.relations),
            rows: self.rows,
            utf8: self.utf8,
            derived: number,
        };
        let inner = std::mem::replace(self, outer);
        self.from = From::Derived { inner: Box::new(inner), list, alias };
    }

    /// The SELECT with each column cast to what its field's type travels as. `pages`: a condition on the
    /// relation's `ctid`, if every row is a row of one ([`Self::relation`]).
    ///
    /// # Errors
    /// The reason, if a column's type cannot travel.
    pub(crate) fn finish(&self, types: &[&DataType], pages: Option<&str>) -> Result<(String, Vec<Decoder>), Reason> {
        if self.columns.len() != types.len() || types.len() > COLUMNS_MAX {
            return Err(format!("{} columns", self.columns.len()));
        }
        let outputs = self
            .columns
            .iter()
            .zip(types)
            .map(|(column, arrow)| output(column, arrow))
            .collect::<Result<Vec<_>, _>>()?;
        let list: Vec<&str> = outputs.iter().map(|output| output.text.as_str()).collect();
        let text = self.text(&list.join(", "), pages);
        Ok((text, outputs.into_iter().map(|output| output.decoder).collect()))
    }

    /// The SELECT with each column as a value of the type that PostgreSQL has for the engine's: what the
    /// branches of a UNION must agree on.
    fn values(&self, types: &[&DataType]) -> Result<String, Reason> {
        if self.columns.len() != types.len() {
            return Err(format!("{} columns", self.columns.len()));
        }
        let value = |(column, arrow): (&Term, &&DataType)| {
            let (value, (name, _)) =
                column.value().zip(computed(arrow)).ok_or_else(|| format!("column of type {arrow}"))?;
            Ok(format!("{}::{name}", value.atom()))
        };
        let list = self.columns.iter().zip(types).map(value).collect::<Result<Vec<_>, Reason>>()?;
        Ok(self.text(&list.join(", "), None))
    }

    fn text(&self, list: &str, pages: Option<&str>) -> String {
        let space = if list.is_empty() { "" } else { " " };
        let mut text = format!("SELECT{space}{list} FROM {}", self.from.text(pages));
        let pages = pages.filter(|_| matches!(self.from, From::Relation(_)));
        let filters: Vec<&str> = pages.into_iter().chain(self.filters.iter().map(String::as_str)).collect();
        if !filters.is_empty() {
            text.push_str(&format!(" WHERE {}", filters.join(" AND ")));
        }
        // By their places: a constant would be read as one.
        let places: Vec<String> = (1..=self.group.unwrap_or(0)).map(|place| place.to_string()).collect();
        if !places.is_empty() {
            text.push_str(&format!(" GROUP BY {}", places.join(", ")));
        }
        if !self.order.is_empty() {
            text.push_str(&format!(" ORDER BY {}", self.order.join(", ")));
        }
        if let Some(fetch) = self.fetch {
            text.push_str(&format!(" LIMIT {fetch}"));
        }
        if self.skip > 0 {
            text.push_str(&format!(" OFFSET {}", self.skip));
        }
        text
    }
}

/// The names of a derived table's columns; one without columns cannot have a list of them.
fn column_names(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|index| format!("c{index}")).collect();
    if names.is_empty() { String::new() } else { format!("({})", names.join(", ")) }
}

/// How one column stands in the outermost SELECT.
pub(super) fn output(term: &Term, arrow: &DataType) -> Result<Output, Reason> {
    if let Some(column) = term.column.as_ref().filter(|column| column.column_type.arrow == *arrow) {
        let wire = &column.column_type.wire;
        let text = match &wire.cast {
            Some(cast) => format!("{}::{cast}", term.atom()),
            None => term.text.clone(),
        };
        return Ok(Output { text, decoder: wire.decoder.clone() });
    }
    let value = term.value().ok_or_else(|| format!("column of type {arrow}"))?;
    let (name, decoder) = computed(arrow).ok_or_else(|| format!("column of type {arrow}"))?;
    // A literal carries its type already.
    let text = if value.literal.is_some() { value.text } else { format!("{}::{name}", value.atom()) };
    Ok(Output { text, decoder })
}
