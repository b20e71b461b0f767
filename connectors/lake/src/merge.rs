//! One schema for all files of a table.
//!
//! | one file | another | the table |
//! |---|---|---|
//! | has the column | lacks it | the column, NULL where it is missing |
//! | integer | wider integer | the wider one |
//! | float | double | double |
//! | integer | double | double; a value that is not exact fails when it is read |
//! | integer, decimal | decimal | a decimal that holds both |
//! | date | timestamp | timestamp |
//! | timestamp | finer timestamp | the finer one |
//! | row, array | row, array | the same rules inside |
//! | only NULLs | anything | the other |
//! | anything else | | an error that names both files |

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use meesh_base::{Error, Result};

use crate::sqltype::sql_name;

/// Tables have no more columns: each costs every batch of every scan, and what has more is mostly
/// no table but a file whose delimiter or line breaks are others than it seems.
pub(crate) const COLUMNS_MAX: usize = 10_000;

/// How column names of two files are held against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameCase {
    /// `Id` and `id` are one column.
    Folded,
    /// They are an error: the reader finds columns by their exact names.
    Exact,
}

/// Gathers the columns of a table file by file.
#[derive(Debug)]
pub(crate) struct Merger {
    case: NameCase,
    columns: Vec<Merged>,
    /// Where each column stands, by its folded name.
    places: HashMap<String, usize>,
    files: usize,
}

#[derive(Debug)]
struct Merged {
    field: FieldRef,
    /// URL of the file that its type comes from.
    origin: Arc<str>,
    /// How many files have it.
    files: usize,
    /// Number of the last file that has it.
    last: usize,
}

impl Merger {
    pub(crate) fn new(case: NameCase) -> Self {
        Self { case, columns: Vec::new(), places: HashMap::new(), files: 0 }
    }

    /// Takes in the columns of the file at `url`.
    ///
    /// # Errors
    /// `SourceData` naming both files and both types of a column that has no common type, both names
    /// of one column, or the file by which the table has too many columns.
    pub(crate) fn add(&mut self, url: &str, fields: &Fields) -> Result<()> {
        let origin: Arc<str> = url.into();
        self.files += 1;
        for field in fields {
            let place = *self.places.entry(field.name().to_ascii_lowercase()).or_insert(self.columns.len());
            let Some(merged) = self.columns.get_mut(place) else {
                let (field, origin) = (Arc::clone(field), Arc::clone(&origin));
                self.columns.push(Merged { field, origin, files: 1, last: self.files });
                continue;
            };
            if merged.last == self.files {
                let twin = fields.iter().find(|twin| twin.name().eq_ignore_ascii_case(field.name()));
                let error = two_spellings((twin.map_or("", |twin| twin.name()), url), (field.name(), url));
                let hint = "write the name alike in all records, or declare the table's columns in the catalog file";
                return Err(if self.case == NameCase::Folded { error.with_hint(hint) } else { error });
            }
            if self.case == NameCase::Exact && merged.field.name() != field.name() {
                return Err(two_spellings((merged.field.name(), &merged.origin), (field.name(), url)));
            }
            merged.files += 1;
            merged.last = self.files;
            merged.widen(field, &origin)?;
        }
        match self.columns.len() {
            count if count > COLUMNS_MAX => Err(too_wide(url, count)),
            _ => Ok(()),
        }
    }

    /// The table's columns. One that some file lacks may be NULL; one of NULLs only is varchar.
    pub(crate) fn finish(self) -> Fields {
        let files = self.files;
        self.columns
            .into_iter()
            .map(|merged| {
                let field = merged.field;
                let unknown = field.data_type() == &DataType::Null;
                if !unknown && (field.is_nullable() || merged.files == files) {
                    return field;
                }
                let data_type = if unknown { DataType::Utf8View } else { field.data_type().clone() };
                Arc::new(field.as_ref().clone().with_data_type(data_type).with_nullable(true))
            })
            .collect()
    }
}

impl Merged {
    /// Gives the column the type that holds its values and those of `field` of the file at `origin`.
    fn widen(&mut self, field: &FieldRef, origin: &Arc<str>) -> Result<()> {
        if self.field == *field {
            return Ok(());
        }
        let Some(data_type) = common_type(self.field.data_type(), field.data_type()) else {
            return Err(Error::source_data(format!(
                "column {:?} is {} in object {:?} and {} in object {origin:?}",
                field.name(),
                sql_name(self.field.data_type()),
                self.origin,
                sql_name(field.data_type())
            ))
            .with_hint("rewrite one of the files, or declare the table's columns in the catalog file"));
        };
        if data_type != *self.field.data_type() {
            self.origin = Arc::clone(origin);
        }
        let nullable = self.field.is_nullable() || field.is_nullable();
        let mut wider = Field::new(self.field.name(), data_type, nullable);
        if self.field.metadata() == field.metadata() {
            wider.set_metadata(field.metadata().clone());
        }
        self.field = Arc::new(wider);
        Ok(())
    }
}

/// The error of two names, each with the URL of its file, that are one column.
pub(crate) fn two_spellings((name, url): (&str, &str), (other, other_url): (&str, &str)) -> Error {
    if url == other_url {
        let text = format!("object {url:?} has the columns {name:?} and {other:?}, which differ in case only");
        return Error::source_data(text).with_hint("give one of them another name");
    }
    Error::source_data(format!("column {name:?} of object {url:?} is written {other:?} in object {other_url:?}"))
        .with_hint("write the column's name alike in all files of the table")
}

fn too_wide(url: &str, count: usize) -> Error {
    Error::source_data(format!(
        "with object {url:?} the table has {count} columns, more than the limit of {COLUMNS_MAX}"
    ))
    .with_hint("declare those that you need in the catalog file, or move the file into a folder of its own")
}

/// Integer types by width.
const INTEGERS: &[DataType] = &[DataType::Int8, DataType::Int16, DataType::Int32, DataType::Int64];
/// Decimal digits that each of them needs.
const DIGITS: &[u8] = &[3, 5, 10, 19];

/// The type that holds the values of both, if one does.
fn common_type(one: &DataType, other: &DataType) -> Option<DataType> {
    widen(one, other).or_else(|| widen(other, one))
}

fn widen(from: &DataType, to: &DataType) -> Option<DataType> {
    let width = |data_type: &DataType| INTEGERS.iter().position(|integer| integer == data_type);
    match (from, to) {
        _ if from == to => Some(to.clone()),
        (DataType::Null, _) => Some(to.clone()),
        (DataType::Float32, DataType::Float64) => Some(DataType::Float64),
        (DataType::Date32, DataType::Timestamp(_, None)) => Some(to.clone()),
        (DataType::Timestamp(a, zone), DataType::Timestamp(b, other)) if zone == other && rank(*a) < rank(*b) => {
            Some(to.clone())
        }
        (DataType::Decimal128(p, s), DataType::Decimal128(q, t)) => decimal((*p, *s), (*q, *t)),
        (_, DataType::Decimal128(p, s)) => {
            let digits = DIGITS.get(width(from)?)?;
            decimal((*digits, 0), (*p, *s))
        }
        (_, DataType::Float32 | DataType::Float64) => width(from).map(|_| DataType::Float64),
        (DataType::Struct(a), DataType::Struct(b)) => merge_structs(a, b),
        (DataType::List(a), DataType::List(b)) => {
            let item = nested_type(a.data_type(), b.data_type())?;
            let nullable = a.is_nullable() || b.is_nullable();
            Some(DataType::List(Arc::new(Field::new(a.name(), item, nullable))))
        }
        _ => (width(from)? < width(to)?).then(|| to.clone()),
    }
}

/// Within rows and arrays a whole number does not become a double: nothing there would check it.
fn nested_type(one: &DataType, other: &DataType) -> Option<DataType> {
    let whole = |t: &DataType| INTEGERS.contains(t);
    let float = |t: &DataType| matches!(t, DataType::Float32 | DataType::Float64);
    if whole(one) && float(other) || float(one) && whole(other) {
        return None;
    }
    common_type(one, other)
}

fn merge_structs(one: &Fields, other: &Fields) -> Option<DataType> {
    let mut fields: Vec<FieldRef> = Vec::new();
    for field in one {
        match other.iter().find(|f| f.name() == field.name()) {
            None => fields.push(Arc::new(field.as_ref().clone().with_nullable(true))),
            Some(twin) => {
                let data_type = nested_type(field.data_type(), twin.data_type())?;
                let nullable = field.is_nullable() || twin.is_nullable();
                fields.push(Arc::new(Field::new(field.name(), data_type, nullable)));
            }
        }
    }
    let new = other.iter().filter(|field| !one.iter().any(|f| f.name() == field.name()));
    fields.extend(new.map(|field| Arc::new(field.as_ref().clone().with_nullable(true))));
    Some(DataType::Struct(fields.into()))
}

fn decimal((p, s): (u8, i8), (q, t): (u8, i8)) -> Option<DataType> {
    let scale = s.max(t);
    let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(t));
    let precision = u8::try_from(whole + i16::from(scale)).ok().filter(|precision| *precision <= 38)?;
    Some(DataType::Decimal128(precision, scale))
}

fn rank(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqltype::parse_columns;

    fn merge(files: &[&str]) -> Result<String> {
        let mut merger = Merger::new(NameCase::Folded);
        for (number, columns) in files.iter().enumerate() {
            merger.add(&format!("s3://raw/{number}"), &parse_columns(columns)?)?;
        }
        let columns = merger.finish();
        Ok(columns.iter().map(|f| format!("{} {}", f.name(), sql_name(f.data_type()))).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn what_files_may_differ_in() {
        for (files, expected) in [
            (["a bigint", "a bigint"], "a bigint"),
            (["a integer", "a bigint"], "a bigint"),
            (["a bigint", "a tinyint"], "a bigint"),
            (["a real", "a double"], "a double"),
            (["a bigint", "a double"], "a double"),
            (["a integer", "a real"], "a double"),
            (["a decimal(5,2)", "a decimal(6,1)"], "a decimal(7,2)"),
            (["a integer", "a decimal(5,2)"], "a decimal(12,2)"),
            (["a date", "a timestamp(3)"], "a timestamp(3)"),
            (["a timestamp(3)", "a timestamp(6)"], "a timestamp(6)"),
            (["a bigint", "A bigint, b date"], "a bigint, b date"),
            (["a row(x integer)", "a row(x bigint, y date)"], "a row(x bigint, y date)"),
            (["a array(integer)", "a array(bigint)"], "a array(bigint)"),
        ] {
            assert_eq!(merge(&files).unwrap(), expected, "{files:?}");
        }
    }

    #[test]
    fn what_they_may_not_names_both_files_and_types() {
        for files in [
            ["a bigint", "a varchar"],
            ["a boolean", "a bigint"],
            ["a date", "a timestamp with time zone"],
            ["a decimal(38,0)", "a decimal(5,2)"],
            ["a row(x integer)", "a row(x double)"],
            ["a row(x integer)", "a array(integer)"],
            ["a double", "a decimal(5,2)"],
        ] {
            let error = merge(&files).unwrap_err().to_string();
            assert!(error.contains("\"s3://raw/0\"") && error.contains("\"s3://raw/1\""), "{error}");
        }
    }

    #[test]
    fn two_columns_of_one_file_that_differ_in_case_only_are_named() {
        let columns = Fields::from(vec![
            Field::new("Id", DataType::Int64, true),
            Field::new("x", DataType::Int64, true),
            Field::new("id", DataType::Int64, true),
        ]);
        for case in [NameCase::Folded, NameCase::Exact] {
            let error = Merger::new(case).add("s3://raw/a.json", &columns).unwrap_err().to_string();
            assert!(error.contains("\"s3://raw/a.json\" has the columns \"Id\" and \"id\""), "{error}");
        }
    }

    #[test]
    fn very_many_columns_are_refused_at_once() {
        let of = |from: usize, to: usize| -> Fields {
            (from..to).map(|n| Field::new(format!("c{n}"), DataType::Int64, true)).collect()
        };
        let mut merger = Merger::new(NameCase::Folded);
        merger.add("s3://raw/a", &of(0, COLUMNS_MAX)).unwrap();
        let started = std::time::Instant::now();
        let error = merger.add("s3://raw/b", &of(0, 100_000)).unwrap_err().to_string();
        for part in ["s3://raw/b", "100000 columns", "limit of 10000", "declare"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        // Each name against each other would be ten thousand million comparisons.
        assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    }

    #[test]
    fn nulls_and_missing_columns() {
        let of = |data_type, nullable| Fields::from(vec![Field::new("a", data_type, nullable)]);
        let finish = |files: &[Fields]| {
            let mut merger = Merger::new(NameCase::Exact);
            files.iter().for_each(|fields| merger.add("f", fields).unwrap());
            merger.finish()
        };
        assert_eq!(finish(&[of(DataType::Null, true), of(DataType::Int64, false)])[0].data_type(), &DataType::Int64);
        assert_eq!(finish(&[of(DataType::Null, true)])[0].data_type(), &DataType::Utf8View);
        assert!(!finish(&[of(DataType::Int64, false), of(DataType::Int64, false)])[0].is_nullable());
        assert!(finish(&[of(DataType::Int64, false), Fields::empty()])[0].is_nullable());
        let mut merger = Merger::new(NameCase::Exact);
        merger.add("f", &of(DataType::Int64, true)).unwrap();
        assert!(merger.add("g", &Fields::from(vec![Field::new("A", DataType::Int64, true)])).is_err());
    }
}
