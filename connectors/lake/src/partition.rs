//! Columns that stand in the names of folders: `day=2026-11-23/hour=7`, as Hive writes them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use meesh_base::{Error, Result};
use object_store::path::Path;
use percent_encoding::percent_decode_str;

use crate::infer::Guess;
use crate::scalar;

/// What Hive writes for NULL.
const NULL_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Keys and values of the folders above a file, the outermost first.
pub(crate) type Partition = Vec<(String, Option<String>)>;

/// Whether a folder's name is `key=value`.
pub(crate) fn is_partition(name: &str) -> bool {
    name.split_once('=').is_some_and(|(key, _)| !key.is_empty() && !key.starts_with(['_', '.']))
}

/// The keys and values of the folders between `table` and `file`; `None` where another kind of
/// folder stands between them, and the file is not of the table.
pub(crate) fn partition_of(table: &Path, file: &Path) -> Option<Partition> {
    let mut parts: Vec<_> = file.prefix_match(table)?.map(|part| part.as_ref().to_owned()).collect();
    parts.pop()?;
    parts
        .into_iter()
        .map(|part| {
            let (key, value) = part.split_once('=').filter(|_| is_partition(&part))?;
            let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            Some((decode(key), Some(decode(value)).filter(|value| value != NULL_VALUE)))
        })
        .collect()
}

/// The partition columns of a table, and each file's values for them.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    pub(crate) fields: Vec<FieldRef>,
    /// One row a file.
    pub(crate) values: Vec<Vec<ScalarValue>>,
}

impl Partitions {
    /// Gives each column the type that all its values have. `files` are URLs with their keys and values.
    ///
    /// # Errors
    /// `SourceData` naming two files whose folders have different keys.
    pub(crate) fn new(files: &[(String, Partition)]) -> Result<Self> {
        let Some((first_url, first)) = files.first() else { return Ok(Self::default()) };
        let keys = |partition: &Partition| -> Vec<String> { partition.iter().map(|(key, _)| key.clone()).collect() };
        let names = keys(first);
        let mut guesses = vec![Guess::default(); names.len()];
        for (url, partition) in files {
            if keys(partition) != names {
                return Err(Error::source_data(format!(
                    "the folders of {first_url:?} have the partition columns {names:?}, those of {url:?} have {:?}",
                    keys(partition)
                ))
                .with_hint("give every file of a table the same key=value folders"));
            }
            for (guess, (_, value)) in guesses.iter_mut().zip(partition) {
                value.iter().for_each(|value| guess.observe(value.as_bytes()));
            }
        }
        let types: Vec<DataType> = guesses.iter().map(column_type).collect();
        let values: Vec<Vec<ScalarValue>> = files
            .iter()
            .map(|(_, partition)| {
                types.iter().zip(partition).map(|(t, (_, text))| value_of(t, text.as_deref())).collect()
            })
            .collect();
        let nullable = |at: usize| values.iter().any(|row| row[at].is_null());
        let fields = names.iter().zip(types).enumerate();
        let fields = fields.map(|(at, (name, t))| Arc::new(Field::new(name, t, nullable(at))) as FieldRef).collect();
        Ok(Self { fields, values })
    }
}

fn column_type(guess: &Guess) -> DataType {
    match guess.data_type() {
        DataType::Null => DataType::Utf8View,
        other => other,
    }
}

/// A folder's text as a value of the column; the type was chosen so that it reads. An empty one is an
/// empty text and no number, as in DuckDB.
fn value_of(data_type: &DataType, text: Option<&str>) -> ScalarValue {
    let bytes = text.map(|text| text.trim().as_bytes());
    match data_type {
        DataType::Boolean => ScalarValue::Boolean(bytes.and_then(|b| scalar::boolean(b).ok())),
        DataType::Int64 => ScalarValue::Int64(bytes.and_then(|b| scalar::integer(b).ok())),
        DataType::Float64 => ScalarValue::Float64(bytes.and_then(|b| scalar::double(b).ok())),
        DataType::Date32 => ScalarValue::Date32(bytes.and_then(|b| scalar::date(b).ok())),
        DataType::Timestamp(unit, zone) => {
            let micros = bytes.and_then(|b| scalar::timestamp(b, *unit, zone.is_some()).ok());
            ScalarValue::TimestampMicrosecond(micros, zone.clone())
        }
        _ => ScalarValue::Utf8View(text.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(files: &[&str]) -> Result<Partitions> {
        let table = Path::from("t");
        let files: Vec<_> = files
            .iter()
            .map(|file| ((*file).to_owned(), partition_of(&table, &Path::parse(format!("t/{file}")).unwrap()).unwrap()))
            .collect();
        Partitions::new(&files)
    }

    #[test]
    fn values_have_real_types() {
        let found =
            partitions(&["day=2026-11-23/n=1/at=10%3A00/a", "day=2026-11-24/n=__HIVE_DEFAULT_PARTITION__/at=x%20y/b"])
                .unwrap();
        let types: Vec<&DataType> = found.fields.iter().map(|f| f.data_type()).collect();
        assert_eq!(types, [&DataType::Date32, &DataType::Int64, &DataType::Utf8View]);
        assert_eq!(found.fields.iter().map(|f| f.is_nullable()).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(found.values[1][1], ScalarValue::Int64(None));
        assert_eq!(found.values[1][2], ScalarValue::Utf8View(Some("x y".to_owned())));
        assert_eq!(found.values[0][2], ScalarValue::Utf8View(Some("10:00".to_owned())));
        assert_eq!(partitions(&["m=01/a", "m=12/b"]).unwrap().fields[0].data_type(), &DataType::Utf8View);
    }

    #[test]
    fn an_empty_value_is_an_empty_text_and_no_number() {
        let found = partitions(&["n=/s=/a", "n=7/s=x/b", "n=%20/s=y/c"]).unwrap();
        assert_eq!(found.fields.iter().map(|f| f.is_nullable()).collect::<Vec<_>>(), [true, false]);
        assert_eq!(found.values[0], [ScalarValue::Int64(None), ScalarValue::Utf8View(Some(String::new()))]);
        assert_eq!(found.values[2][0], ScalarValue::Int64(None));
    }

    #[test]
    fn keys_must_agree() {
        let error = partitions(&["day=1/a", "b"]).unwrap_err().to_string();
        assert!(error.contains("\"day=1/a\"") && error.contains("\"b\""), "{error}");
    }

    #[test]
    fn other_folders_are_not_of_the_table() {
        let of = |file: &str| partition_of(&Path::from("t"), &Path::from(file));
        assert_eq!(of("t/a.csv"), Some(vec![]));
        assert_eq!(of("t/old/a.csv"), None);
        assert_eq!(of("t/_tmp=1/a.csv"), None);
        assert_eq!(of("u/a.csv"), None);
        assert_eq!(of("t/d=/a.csv"), Some(vec![("d".to_owned(), Some(String::new()))]));
    }
}
