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

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use meesh_base::{Error, Result};

use crate::sqltype::sql_name;

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
    files: usize,
}

#[derive(Debug)]
struct Merged {
    field: FieldRef,
    /// URL of the file that its type comes from.
    origin: Arc<str>,
    /// How many files have it.
    files: usize,
}

impl Merger {
    pub(crate) fn new(case: NameCase) -> Self {
        Self { case, columns: Vec::new(), files: 0 }
    }

    /// Takes in the columns of the file at `url`.
    ///
    /// # Errors
    /// `SourceData` naming both files and both types of a column that has no common type.
    pub(crate) fn add(&mut self, url: &str, fields: &Fields) -> Result<()> {
        let origin: Arc<str> = url.into();
        self.files += 1;
        for field in fields {
            let Some(merged) = self.columns.iter_mut().find(|m| m.field.name().eq_ignore_ascii_case(field.name()))
            else {
                let merged = Merged { field: Arc::clone(field), origin: Arc::clone(&origin), files: 1 };
                self.columns.push(merged);
                continue;
            };
            if self.case == NameCase::Exact && merged.field.name() != field.name() {
                return Err(Error::source_data(format!(
                    "column {:?} of object {:?} is written {:?} in object {url:?}",
                    merged.field.name(),
                    merged.origin,
                    field.name()
                ))
                .with_hint("write the column's name alike in all files of the table"));
            }
            merged.files += 1;
            if merged.field == *field {
                continue;
            }
            let Some(data_type) = common_type(merged.field.data_type(), field.data_type()) else {
                return Err(Error::source_data(format!(
                    "column {:?} is {} in object {:?} and {} in object {url:?}",
                    field.name(),
                    sql_name(merged.field.data_type()),
                    merged.origin,
                    sql_name(field.data_type())
                ))
                .with_hint("rewrite one of the files, or declare the table's columns in the catalog file"));
            };
            if data_type != *merged.field.data_type() {
                merged.origin = Arc::clone(&origin);
            }
            let nullable = merged.field.is_nullable() || field.is_nullable();
            let same_metadata = merged.field.metadata() == field.metadata();
            let mut wider = Field::new(merged.field.name(), data_type, nullable);
            if same_metadata {
                wider.set_metadata(field.metadata().clone());
            }
            merged.field = Arc::new(wider);
        }
        Ok(())
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
