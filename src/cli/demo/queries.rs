//! The demo's three federated queries: their texts, and whether an answer is the expected one.

use anyhow::Result;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// One query of `examples/queries`.
pub(super) struct ShownQuery {
    /// What it shows.
    pub(super) title: &'static str,
    /// Its text, comments included.
    pub(super) text: &'static str,
    /// Its result as another engine computed it, as CSV.
    expected: &'static str,
}

macro_rules! query {
    ($title:literal, $name:literal) => {
        ShownQuery {
            title: $title,
            text: include_str!(concat!("../../../examples/queries/", $name, ".sql")),
            expected: include_str!(concat!("../../../examples/queries/", $name, ".expected.csv")),
        }
    };
}

/// The queries, in the order they are shown.
pub(super) const QUERIES: &[ShownQuery] = &[
    query!("lead-to-customer journey: marketing x sales", "lead_journey"),
    query!("campaign return: marketing x sales x CSV", "campaign_return"),
    query!("customer activity: sales x Parquet x JSON", "customer_activity"),
];

impl ShownQuery {
    /// The statement without the comment lines above it.
    pub(super) fn sql(&self) -> &'static str {
        let mut sql = self.text;
        while let Some((line, rest)) = sql.split_once('\n') {
            if !line.starts_with("--") {
                break;
            }
            sql = rest;
        }
        sql.trim_end()
    }

    /// The first difference between an answer and the expected one, or `None` if they are the same.
    ///
    /// # Errors
    /// When a cell cannot be written as text.
    pub(super) fn difference(&self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Option<String>> {
        let actual = csv(schema, batches)?;
        if actual == self.expected {
            return Ok(None);
        }
        let (mut left, mut right) = (actual.lines(), self.expected.lines());
        for number in 1.. {
            let (got, wanted) = (left.next(), right.next());
            if got != wanted || got.is_none() {
                let shown = |line: Option<&str>| line.unwrap_or("(nothing)").to_owned();
                return Ok(Some(format!("line {number} is\n    {}\nand not\n    {}", shown(got), shown(wanted))));
            }
        }
        Ok(None)
    }
}

/// A whole result as CSV: NULL is empty, numbers carry no trailing zeros, quotes only where needed.
fn csv(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String> {
    let mut text = String::new();
    let names: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
    text.push_str(&names.join(","));
    text.push('\n');
    let options = FormatOptions::default().with_display_error(true);
    for batch in batches {
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<_> = std::iter::zip(batch.columns(), &formatters).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|(column, shown)| cell(column, shown, row)).collect();
            text.push_str(&cells.join(","));
            text.push('\n');
        }
    }
    Ok(text)
}

fn cell(column: &ArrayRef, shown: &ArrayFormatter<'_>, row: usize) -> String {
    if column.is_null(row) {
        return String::new();
    }
    let text = shown.value(row).to_string();
    let has_fraction = column.data_type().is_decimal() || column.data_type().is_floating();
    if has_fraction && text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    quoted(&text)
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Decimal128Array, Float64Array, StringArray};

    use super::*;

    #[test]
    fn a_result_reads_as_its_expected_text() {
        let amounts = Decimal128Array::from(vec![Some(1_069_600), None]).with_precision_and_scale(12, 2).unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("manager", Arc::new(StringArray::from(vec!["Rossi, Gianna", "Kim \"K\""]))),
            ("amount", Arc::new(amounts)),
            ("share", Arc::new(Float64Array::from(vec![15.54, 0.0]))),
            ("day", Arc::new(Date32Array::from(vec![20_513, 20_514]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let text = csv(&batch.schema(), &[batch]).unwrap();
        assert_eq!(
            text,
            "manager,amount,share,day\n\"Rossi, Gianna\",10696,15.54,2026-03-01\n\"Kim \"\"K\"\"\",,0,2026-03-02\n"
        );
    }

    #[test]
    fn a_difference_names_its_line() {
        let query = ShownQuery { title: "t", text: "-- about\nselect 1\n", expected: "a\n1\n2\n" };
        let batch = RecordBatch::try_from_iter([("a", Arc::new(StringArray::from(vec!["1"])) as ArrayRef)]).unwrap();
        assert_eq!(query.sql(), "select 1");
        let difference = query.difference(&batch.schema(), &[batch]).unwrap().unwrap();
        assert!(difference.starts_with("line 3 is\n    (nothing)\nand not\n    2"), "{difference}");
    }
}
