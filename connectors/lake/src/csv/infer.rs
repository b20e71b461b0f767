//! What a CSV file looks like: its delimiter, whether its first line names the columns, and what
//! types they have, all from the whole of a sample.

use std::collections::{HashMap, HashSet};

use meesh_base::Result;

use super::records::{Field, records};
use crate::infer::Guess;
use crate::merge::COLUMNS_MAX;
use crate::pinned::PinnedObject;

/// Delimiters that are tried, the likeliest first.
const DELIMITERS: &[u8] = b",;\t|";

/// What is known before the sample is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CsvHints {
    pub(crate) delimiter: Option<u8>,
    pub(crate) header: Option<bool>,
}

/// What a sample of one file shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CsvFacts {
    pub(crate) delimiter: u8,
    pub(crate) header: bool,
    /// The first record, as it stands.
    pub(crate) first: Vec<String>,
    /// One a field, of all records after a header.
    pub(crate) guesses: Vec<Guess>,
    /// Records of the sample, without the header.
    pub(crate) rows: usize,
}

/// Looks at a sample of whole records. `None` if it holds none.
pub(crate) fn infer(sample: &[u8], hints: CsvHints) -> Option<CsvFacts> {
    let delimiter = hints.delimiter.unwrap_or_else(|| likeliest_delimiter(sample));
    let mut all = records(sample, delimiter);
    let first = all.next()?;
    let mut guesses = vec![Guess::default(); first.len()];
    let mut rows = 0;
    for record in all {
        rows += 1;
        observe(&mut guesses, &record);
    }
    let header = hints.header.unwrap_or_else(|| is_header(&first, &guesses));
    if !header {
        rows += 1;
        observe(&mut guesses, &first);
    }
    let first = first.into_iter().map(|field| String::from_utf8_lossy(&field.text).into_owned()).collect();
    Some(CsvFacts { delimiter, header, first, guesses, rows })
}

fn observe(guesses: &mut [Guess], record: &[Field]) {
    for (guess, field) in guesses.iter_mut().zip(record) {
        guess.observe(&field.text);
    }
}

/// The delimiter by which most records have as many fields as the first, and more than one.
fn likeliest_delimiter(sample: &[u8]) -> u8 {
    let mut best = (0, 1, DELIMITERS[0]);
    for &delimiter in DELIMITERS {
        let mut counts = records(sample, delimiter).map(|record| record.len());
        let fields = counts.next().unwrap_or(0);
        if fields < 2 {
            continue;
        }
        let (mut alike, mut rows) = (1usize, 1usize);
        for count in counts {
            rows += 1;
            alike += usize::from(count == fields);
        }
        let share = alike * 1000 / rows;
        if (share, fields) > (best.0, best.1) {
            best = (share, fields, delimiter);
        }
    }
    best.2
}

/// Whether the first record names the columns. Where columns below have a type, it does if none of
/// its fields is of that type; where all are text, if its fields are distinct and no value of another type.
fn is_header(first: &[Field], below: &[Guess]) -> bool {
    let typed = || first.iter().zip(below).filter(|(_, guess)| guess.is_typed());
    if typed().next().is_some() {
        let excluded = |field: &Field, guess: &Guess| guess.excludes(&field.text);
        return typed().all(|(field, guess)| field.text.is_empty() || excluded(field, guess))
            && typed().any(|(field, guess)| excluded(field, guess));
    }
    let mut seen = HashSet::new();
    first.iter().all(|field| {
        let name = field.text.trim_ascii();
        !name.is_empty() && !Guess::reads_as_value(name) && seen.insert(name.to_ascii_lowercase())
    })
}

/// Refuses a file whose first record has more fields than a table may have columns.
pub(crate) fn check_width(object: &PinnedObject, fields: usize) -> Result<()> {
    if fields <= COLUMNS_MAX {
        return Ok(());
    }
    let text = format!("line 1: has more than {COLUMNS_MAX} fields, the limit of a table's columns");
    Err(object.fault(&text).with_hint(
        "check its line breaks and its delimiter, which can be declared in the catalog file, or write fewer columns",
    ))
}

/// Names for columns: trimmed, `column3` where there is none, `name_1` for a second `name`.
pub(crate) fn column_names(header: bool, first: &[String]) -> Vec<String> {
    let mut taken = HashSet::new();
    // Counted on from name to name: a line of one name alone would be quadratic otherwise.
    let mut copies: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::with_capacity(first.len());
    for (number, text) in first.iter().enumerate() {
        let plain = match text.trim() {
            name if header && !name.is_empty() => name.to_owned(),
            _ => format!("column{}", number + 1),
        };
        let mut name = plain.clone();
        while !taken.insert(name.to_lowercase()) {
            let copy = copies.entry(plain.to_lowercase()).or_default();
            *copy += 1;
            name = format!("{plain}_{copy}");
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType;

    fn facts(sample: &str) -> CsvFacts {
        infer(sample.as_bytes(), CsvHints::default()).unwrap()
    }

    fn types(facts: &CsvFacts) -> Vec<DataType> {
        facts.guesses.iter().map(Guess::data_type).collect()
    }

    #[test]
    fn types_come_from_all_rows_and_not_the_first() {
        let found = facts("id,zip,amount\n1,2134,1\n2,02134,2.5\n");
        assert!(found.header);
        assert_eq!(types(&found), [DataType::Int64, DataType::Utf8View, DataType::Float64]);
        assert_eq!(found.rows, 2);
    }

    #[test]
    fn a_header_is_told_from_data() {
        assert!(facts("region,target\nnorth,10\n").header);
        assert!(facts("name,city\nann,bonn\n").header);
        assert!(facts("name,city\n").header);
        assert!(!facts("1,2\n3,4\n").header);
        assert!(!facts("north,10\nsouth,20\n").header);
        assert!(!facts("region,2025,2026\nnorth,1.5,x\nsouth,2.5,y\n").header);
        assert!(!facts("n/a,5\n1,6\n2,7\n").header);
        assert!(facts("a,a\n1,2\n").header);
        assert!(!facts(",a\n0,x\n").header && facts(",a\n0,1\n").header);
        let told = CsvHints { header: Some(false), ..CsvHints::default() };
        assert!(!infer(b"name\nann\n", told).unwrap().header);
    }

    #[test]
    fn the_delimiter_is_the_one_that_fits_most_rows() {
        assert_eq!(facts("a;b;c\n1,5;2;3\n4,5;5;6\n").delimiter, b';');
        assert_eq!(facts("a\tb\n1\t2\n").delimiter, b'\t');
        assert_eq!(facts("a|b\n\"x,y\"|2\n").delimiter, b'|');
        assert_eq!(facts("alone\n1\n").delimiter, b',');
    }

    #[test]
    fn names_are_made_unique() {
        let first = ["id", "", " ID ", "id_1"].map(str::to_owned);
        assert_eq!(column_names(true, &first), ["id", "column2", "ID_1", "id_1_1"]);
        assert_eq!(column_names(false, &first), ["column1", "column2", "column3", "column4"]);
        let started = std::time::Instant::now();
        assert_eq!(column_names(true, &vec!["a".to_owned(); 200_000])[199_999], "a_199999");
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
