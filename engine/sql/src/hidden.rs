//! `*` without hidden columns.
//!
//! A statement that names a hidden column, such as `"$path"`, sees it among its table's columns. `*`
//! must leave it out all the same:
//!
//! ```text
//! SELECT *, "$path" FROM t JOIN u ON …    ->    SELECT t.* EXCLUDE ("$path"), u.*, "$path" FROM t JOIN u ON …
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Ident, JoinConstraint, JoinOperator, ObjectName, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use crate::statement::{Query, TableName};

impl Query {
    /// Takes hidden columns out of what every `*` stands for. `hidden` lists those of a base table.
    pub fn hide(&mut self, hidden: impl Fn(&TableName) -> Vec<String>) {
        let _ = self.ast.visit(&mut Hider { hidden });
    }
}

struct Hider<F> {
    hidden: F,
}

/// One relation of a FROM: what qualifies its columns, and those that `*` leaves out.
struct Leaf {
    qualifier: ObjectName,
    hidden: Vec<String>,
}

impl<F: Fn(&TableName) -> Vec<String>> VisitorMut for Hider<F> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut leaves = Vec::new();
        // A USING that was left to the planner shows its columns once: qualified, they would be two.
        let known = select.from.iter().all(|relation| self.leaves(relation, &mut leaves));
        if known && leaves.iter().any(|leaf| !leaf.hidden.is_empty()) {
            let items = std::mem::take(&mut select.projection);
            select.projection = items.into_iter().flat_map(|item| without_hidden(item, &leaves)).collect();
        }
        ControlFlow::Continue(())
    }
}

impl<F: Fn(&TableName) -> Vec<String>> Hider<F> {
    /// Adds the relations of one entry of a FROM, in order; false where `*` cannot be written out.
    fn leaves(&self, relation: &TableWithJoins, leaves: &mut Vec<Leaf>) -> bool {
        let joins = relation.joins.iter().all(|join| !is_using(&join.join_operator));
        let relations = std::iter::once(&relation.relation).chain(relation.joins.iter().map(|join| &join.relation));
        joins && relations.into_iter().all(|factor| self.leaf(factor, leaves))
    }

    fn leaf(&self, factor: &TableFactor, leaves: &mut Vec<Leaf>) -> bool {
        let (name, alias) = match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.leaves(table_with_joins, leaves),
            TableFactor::Table { name, alias, .. } => (Some(name), alias),
            TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => (None, alias),
            _ => return false,
        };
        let qualifier = match (alias, name) {
            (Some(alias), _) => ObjectName::from(vec![alias.name.clone()]),
            (None, Some(name)) => name.clone(),
            (None, None) => return false,
        };
        let hidden = name.and_then(table_name).map(|name| (self.hidden)(&name)).unwrap_or_default();
        leaves.push(Leaf { qualifier, hidden });
        true
    }
}

fn is_using(operator: &JoinOperator) -> bool {
    match operator {
        JoinOperator::Inner(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => matches!(constraint, JoinConstraint::Using(_)),
        _ => false,
    }
}

fn table_name(name: &ObjectName) -> Option<TableName> {
    let mut parts = name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.clone()));
    let parts = parts.by_ref().collect::<Option<Vec<String>>>()?;
    let mut parts = parts.into_iter().rev();
    Some(TableName { table: parts.next()?, schema: parts.next(), catalog: parts.next(), position: None })
}

/// The item, or what it stands for relation by relation.
fn without_hidden(item: SelectItem, leaves: &[Leaf]) -> Vec<SelectItem> {
    match item {
        SelectItem::Wildcard(_) => leaves.iter().map(|leaf| all_of(&leaf.qualifier, &[], leaf)).collect(),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
            let meant = leaves.iter().find(|leaf| leaf.qualifier.0.ends_with(&name.0));
            vec![match meant {
                Some(leaf) => all_of(&name, &excluded(&options), leaf),
                None => SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options),
            }]
        }
        item => vec![item],
    }
}

fn excluded(options: &WildcardAdditionalOptions) -> Vec<ObjectName> {
    match &options.opt_exclude {
        Some(ExcludeSelectItem::Multiple(names)) => names.clone(),
        Some(ExcludeSelectItem::Single(name)) => vec![name.clone()],
        None => Vec::new(),
    }
}

fn all_of(qualifier: &ObjectName, excluded: &[ObjectName], leaf: &Leaf) -> SelectItem {
    let hidden = leaf.hidden.iter().map(|name| ObjectName::from(vec![Ident::with_quote('"', name)]));
    let names: Vec<ObjectName> = excluded.iter().cloned().chain(hidden).collect();
    let opt_exclude = if names.is_empty() { None } else { Some(ExcludeSelectItem::Multiple(names)) };
    let options = WildcardAdditionalOptions { opt_exclude, ..WildcardAdditionalOptions::default() };
    SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(qualifier.clone()), options)
}

#[cfg(test)]
mod tests {
    use crate::{Statement, parse};

    #[test]
    fn stars_leave_hidden_columns_out() {
        for (sql, expected) in [
            ("SELECT *, \"$path\" FROM t", "SELECT t.* EXCLUDE (\"$path\"), \"$path\" AS \"$path$1\" FROM t"),
            ("SELECT * FROM c.s.t x, u", "SELECT x.* EXCLUDE (\"$path\"), u.* FROM c.s.t AS x, u"),
            ("SELECT u.* FROM t JOIN u ON true", "SELECT u.* FROM t INNER JOIN u ON true"),
            (
                "SELECT q.a FROM (SELECT * FROM t) q",
                "SELECT q.a AS \"a\" FROM (SELECT t.* EXCLUDE (\"$path\") FROM t) AS q",
            ),
            ("SELECT * FROM u", "SELECT * FROM u"),
        ] {
            let Statement::Query(mut query) = parse(sql).unwrap() else { panic!("{sql}") };
            query.hide(|name| if name.table == "t" { vec!["$path".to_owned()] } else { Vec::new() });
            let text = query.ast.to_string();
            assert_eq!(text.split(" ORDER BY").next().unwrap(), expected, "{sql}");
        }
    }
}
