//! How the columns of a result are called: as they were written, whatever the plan calls them.
//!
//! DataFusion refuses two columns of one name and folds case; Trino does neither in a result. So the
//! plan works with names of our own where it must, and the labels travel beside it.

use std::collections::{HashMap, HashSet};

/// One column of a query's result, or several that only the plan knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutputColumn {
    /// Called by an alias or an identifier, as written.
    Named(String),
    /// An expression without a name.
    Unnamed,
    /// What `*` stands for: any number of columns.
    Wildcard,
}

/// The labels of one query's columns.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    columns: Vec<OutputColumn>,
    /// Names that were given to columns for the plan's sake -> what was written.
    invented: HashMap<String, OutputColumn>,
}

impl Labels {
    pub(crate) fn new(columns: Vec<OutputColumn>, invented: HashMap<String, OutputColumn>) -> Self {
        Self { columns, invented }
    }

    /// The label of every column, given the names that the plan has for them.
    ///
    /// A label is the alias, else the last part of the identifier, each as it was written; else
    /// `_colN` by its position. Two may be equal. Where the statement said `*` the number of columns
    /// is whatever the rest of the list leaves over, and the plan's names are the labels.
    pub fn apply(&self, planned: &[String]) -> Vec<String> {
        let is_wildcard = |column: &OutputColumn| *column == OutputColumn::Wildcard;
        let first = self.columns.iter().position(is_wildcard).unwrap_or(self.columns.len());
        let behind =
            self.columns.len() - self.columns.iter().rposition(is_wildcard).map_or(self.columns.len(), |last| last + 1);
        let fits = if first == self.columns.len() { planned.len() == first } else { planned.len() >= first + behind };
        let known: HashSet<&str> = planned.iter().map(String::as_str).collect();
        let between = self.between(first, self.columns.len() - behind);
        let label = |(position, name): (usize, &String)| {
            let from_end = planned.len() - position;
            let column = if !fits {
                None
            } else if position < first {
                self.columns.get(position)
            } else if from_end <= behind {
                self.columns.get(self.columns.len() - from_end)
            } else {
                None
            };
            match column.or_else(|| self.invented.get(name)) {
                Some(OutputColumn::Named(label)) => label.clone(),
                Some(OutputColumn::Unnamed) => format!("_col{position}"),
                Some(OutputColumn::Wildcard) | None => {
                    let name = unnumbered(name, &known);
                    between.get(name).copied().unwrap_or(name).to_owned()
                }
            }
        };
        planned.iter().enumerate().map(label).collect()
    }

    /// Labels between two wildcards: their positions are unknown, their names are not.
    fn between(&self, first: usize, end: usize) -> HashMap<String, &str> {
        let columns = self.columns.get(first..end).unwrap_or_default();
        let named = columns.iter().filter_map(|column| match column {
            OutputColumn::Named(label) => Some((label.to_lowercase(), label.as_str())),
            OutputColumn::Unnamed | OutputColumn::Wildcard => None,
        });
        named.collect()
    }
}

/// The planner's `id:1` is a second `id` of the same derived table.
fn unnumbered<'a>(name: &'a str, known: &HashSet<&str>) -> &'a str {
    match name.rsplit_once(':') {
        Some((base, number)) if number.parse::<u32>().is_ok() && known.contains(base) => base,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::OutputColumn::*;
    use super::*;

    fn apply(columns: &[OutputColumn], planned: &[&str]) -> Vec<String> {
        let invented = HashMap::from([("expr$1".to_owned(), Unnamed), ("a$2".to_owned(), Named("A".to_owned()))]);
        Labels::new(columns.to_vec(), invented)
            .apply(&planned.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn labels_are_as_written() {
        assert_eq!(
            apply(&[Named("A".into()), Unnamed, Named("A".into())], &["a", "expr$1", "a$2"]),
            ["A", "_col1", "A"]
        );
    }

    #[test]
    fn a_wildcard_takes_what_is_left_over() {
        let columns = [Named("X".into()), Wildcard, Unnamed];
        assert_eq!(apply(&columns, &["x", "id", "id:1", "a$2", "expr$1"]), ["X", "id", "id", "A", "_col4"]);
        assert_eq!(apply(&columns, &["x", "expr$1"]), ["X", "_col1"]);
        assert_eq!(apply(&[Wildcard, Named("M".into()), Wildcard], &["a", "m", "c"]), ["a", "M", "c"]);
    }

    #[test]
    fn a_count_that_does_not_fit_leaves_the_planned_names() {
        assert_eq!(apply(&[Named("X".into())], &["p", "q"]), ["p", "q"]);
    }
}
