//! The columns that stand in the files of a table: as declared, or merged from what the files show.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use meesh_base::{Error, Result};

use crate::csv::column_names;
use crate::facts::Sampled;
use crate::format::Format;
use crate::merge::{COLUMNS_MAX, Merger, NameCase, two_spellings};
use crate::sqltype::sql_name;

/// The columns of all files together.
///
/// # Errors
/// As [`Merger::add`].
pub(crate) fn merged_columns(format: Format, sampled: &Sampled, header: bool) -> Result<Fields> {
    let case = if format == Format::Parquet { NameCase::Exact } else { NameCase::Folded };
    let mut merger = Merger::new(case);
    for (url, _, facts) in sampled {
        // An empty file has no say.
        if facts.columns.is_empty() && facts.rows == Some(0) {
            continue;
        }
        let renamed;
        let columns = match &facts.csv {
            // A file of a header alone was taken for data, or the other way round.
            Some(csv) if csv.header != header => {
                let names = column_names(header, &csv.first);
                renamed = names.into_iter().map(|name| Field::new(name, DataType::Null, true)).collect::<Fields>();
                &renamed
            }
            _ => &facts.columns,
        };
        merger.add(url, columns)?;
    }
    Ok(merger.finish())
}

/// The columns that the catalog file declares, of Parquet under the names that the files have: its
/// reader knows no others, and would take a column of another spelling for one that is missing.
///
/// # Errors
/// `Unsupported` for a type that the format cannot hold; `SourceData` naming both objects where files
/// spell a column differently.
pub(crate) fn declared_columns(declared: &Fields, format: Format, sampled: &Sampled) -> Result<Fields> {
    if declared.len() > COLUMNS_MAX {
        let text = format!("{} columns are declared, more than the limit of {COLUMNS_MAX}", declared.len());
        return Err(Error::unsupported(text).with_hint("declare those that you need"));
    }
    let nested = declared.iter().find(|field| format == Format::Csv && field.data_type().is_nested());
    if let Some(field) = nested {
        let text = format!("column {:?}: a CSV field holds no rows and arrays", field.name());
        return Err(Error::unsupported(text).with_hint("declare it as varchar"));
    }
    if format == Format::Parquet {
        return declared.iter().map(|column| spelt_as_in_files(column, sampled)).collect();
    }
    Ok(declared.clone())
}

fn spelt_as_in_files(column: &FieldRef, sampled: &Sampled) -> Result<FieldRef> {
    let mut found: Option<(FieldRef, &str)> = None;
    for (url, _, facts) in sampled {
        let mut twins = facts.columns.iter().filter(|field| same_name(field, column));
        let Some(in_file) = twins.next() else { continue };
        if let Some(twin) = twins.next() {
            return Err(two_spellings((in_file.name(), url), (twin.name(), url)));
        }
        let spelt = spelt_as(column, in_file);
        match &found {
            None => found = Some((spelt, url)),
            Some((first, first_url)) if *first != spelt => {
                return Err(two_spellings((&spelling(first), first_url), (&spelling(&spelt), url)));
            }
            Some(_) => {}
        }
    }
    Ok(found.map_or_else(|| Arc::clone(column), |(spelt, _)| spelt))
}

fn same_name(one: &FieldRef, other: &FieldRef) -> bool {
    one.name().eq_ignore_ascii_case(other.name())
}

/// A declared field under the name of a file's field, and so within rows and arrays.
fn spelt_as(declared: &FieldRef, in_file: &FieldRef) -> FieldRef {
    let data_type = match (declared.data_type(), in_file.data_type()) {
        (DataType::Struct(fields), DataType::Struct(known)) => {
            let spelt = |field: &FieldRef| match known.iter().find(|k| same_name(k, field)) {
                Some(known) => spelt_as(field, known),
                None => Arc::clone(field),
            };
            DataType::Struct(fields.iter().map(spelt).collect())
        }
        (DataType::List(item), DataType::List(known)) => {
            // The name of an item means nothing, and writers differ in it.
            let data_type = spelt_as(item, known).data_type().clone();
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(data_type)))
        }
        (other, _) => other.clone(),
    };
    Arc::new(Field::new(in_file.name(), data_type, declared.is_nullable()))
}

/// The name of a column, with the names within it.
fn spelling(field: &Field) -> String {
    match field.data_type() {
        DataType::Struct(_) | DataType::List(_) => format!("{} {}", field.name(), sql_name(field.data_type())),
        _ => field.name().clone(),
    }
}
