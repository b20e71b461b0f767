//! JOIN … USING, as Trino means it.
//!
//! DataFusion takes an unqualified USING column from the left side, which is NULL for rows of the
//! right side in RIGHT and FULL joins, refuses three tables that share one, and leaves the column
//! where the left table has it in `*`. So USING becomes ON, and what stands for the column is known:
//! the left one, the right one, or the first that is not NULL.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

/// The kinds of join that take a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

impl JoinKind {
    pub(super) fn operator(self, constraint: JoinConstraint) -> JoinOperator {
        match self {
            Self::Inner => JoinOperator::Inner(constraint),
            Self::Left => JoinOperator::LeftOuter(constraint),
            Self::Right => JoinOperator::RightOuter(constraint),
            Self::Full => JoinOperator::FullOuter(constraint),
        }
    }

    /// Whether a column of the left side is never NULL for want of a partner.
    pub(super) fn keeps_left(self) -> bool {
        matches!(self, Self::Inner | Self::Left)
    }
}

/// What `*` stands for, in order.
#[derive(Debug, Clone)]
enum Field {
    Merged(Ident),
    Relation { qualifier: Vec<Ident>, without: Vec<Ident> },
}

/// The columns that USING made one of, and the order of all.
#[derive(Debug, Clone, Default)]
pub(super) struct Merged {
    columns: Vec<(Ident, Expr)>,
    fields: Vec<Field>,
}

impl Merged {
    pub(super) fn of_relation(qualifier: Vec<Ident>) -> Self {
        Self { columns: Vec::new(), fields: vec![Field::Relation { qualifier, without: Vec::new() }] }
    }

    /// Whether no column is merged.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub(super) fn contains(&self, name: &Ident) -> bool {
        self.value(name).is_some()
    }

    fn value(&self, name: &Ident) -> Option<&Expr> {
        self.columns.iter().find(|(column, _)| column.value == name.value).map(|(_, value)| value)
    }

    /// Puts a relation behind this one.
    pub(super) fn append(&mut self, other: Merged) {
        self.columns.extend(other.columns);
        self.fields.extend(other.fields);
    }

    /// The column as this side has it, if that is known.
    fn side(&self, name: &Ident) -> Option<Expr> {
        if let Some(value) = self.value(name) {
            return Some(value.clone());
        }
        match self.fields.as_slice() {
            [Field::Relation { qualifier, .. }] => {
                Some(Expr::CompoundIdentifier(qualifier.iter().chain([name]).cloned().collect()))
            }
            _ => None,
        }
    }

    /// The ON condition and the merged columns of `left JOIN right USING (columns)`; `None` if a side
    /// consists of several relations and it is not known which one has a column.
    pub(super) fn using(left: &Merged, right: &Merged, kind: JoinKind, columns: &[Ident]) -> Option<(Expr, Merged)> {
        let mut merged = Merged::default();
        let mut conditions = Vec::new();
        for name in columns {
            let (l, r) = (left.side(name)?, right.side(name)?);
            let value = match kind {
                JoinKind::Inner | JoinKind::Left => l.clone(),
                JoinKind::Right => r.clone(),
                JoinKind::Full => coalesce(l.clone(), r.clone()),
            };
            merged.columns.push((name.clone(), value));
            merged.fields.push(Field::Merged(name.clone()));
            conditions.push(Expr::BinaryOp { left: Box::new(l), op: BinaryOperator::Eq, right: Box::new(r) });
        }
        for side in [left, right] {
            let is_new = |name: &Ident| !columns.iter().any(|column| column.value == name.value);
            merged.columns.extend(side.columns.iter().filter(|(name, _)| is_new(name)).cloned());
            merged.fields.extend(side.fields.iter().filter_map(|field| match field {
                Field::Merged(name) => is_new(name).then(|| field.clone()),
                Field::Relation { qualifier, without } => {
                    let mut without = without.clone();
                    without.retain(is_new);
                    without.extend(columns.iter().cloned());
                    Some(Field::Relation { qualifier: qualifier.clone(), without })
                }
            }));
        }
        let and =
            |left, right| Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) };
        Some((conditions.into_iter().reduce(and)?, merged))
    }

    /// Puts what `*` stands for into a SELECT list.
    pub(super) fn wildcard(&self, projection: &mut Vec<SelectItem>) {
        if self.is_empty() {
            projection.push(SelectItem::Wildcard(WildcardAdditionalOptions::default()));
            return;
        }
        projection.extend(self.fields.iter().map(|field| match field {
            Field::Merged(name) => {
                SelectItem::ExprWithAlias { expr: Expr::Identifier(name.clone()), alias: name.clone() }
            }
            Field::Relation { qualifier, without } => {
                let mut options = WildcardAdditionalOptions::default();
                if !without.is_empty() {
                    let names = without.iter().map(|name| ObjectName::from(vec![name.clone()])).collect();
                    options.opt_exclude = Some(ExcludeSelectItem::Multiple(names));
                }
                let qualifier = ObjectName::from(qualifier.clone());
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(qualifier), options)
            }
        }));
    }

    /// Replaces the unqualified merged columns of a SELECT by what they stand for. Nested queries
    /// are left alone: a name there is one of their own.
    pub(super) fn resolve(&self, select: &mut Select) {
        if !self.is_empty() {
            let _ = select.visit(&mut Resolver { merged: self, depth: 0 });
        }
    }

    /// The same for one expression.
    pub(super) fn resolve_in(&self, expr: &mut Expr) {
        if !self.is_empty() {
            let _ = expr.visit(&mut Resolver { merged: self, depth: 0 });
        }
    }
}

fn coalesce(left: Expr, right: Expr) -> Expr {
    let arguments = [left, right].map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("coalesce")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.to_vec(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

struct Resolver<'a> {
    merged: &'a Merged,
    depth: usize,
}

impl VisitorMut for Resolver<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(name) = expr
            && let Some(value) = self.merged.value(name)
        {
            *expr = value.clone();
        }
        ControlFlow::Continue(())
    }
}
