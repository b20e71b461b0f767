//! A table out of its files: what they are, which columns they have, how they go together.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Fields, Schema};
use datafusion::common::ScalarValue;
use futures::{StreamExt, TryStreamExt, stream};
use meesh_base::{Error, Result};
use object_store::ObjectMeta;

use crate::columns::{declared_columns, merged_columns};
use crate::config::{DeclaredTable, TextConfig};
use crate::csv::CsvHints;
use crate::discover::{Candidate, CandidateKind, is_data, may_hold_rows};
use crate::facts::{FactsCache, FileFacts, Sampled};
use crate::feed::RecordRules;
use crate::format::{Format, delimiter_of_name, file_name};
use crate::listing::{Lister, PARALLEL};
use crate::partition::{Partition, Partitions, partition_of};
use crate::sample::Sample;
use crate::store::Bucket;
use crate::table::{LakeFile, LakeTable, Shared, TextReading, full_schema};

/// What the building of tables needs.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(crate) lister: Arc<Lister>,
    pub(crate) facts: FactsCache,
    pub(crate) text: TextConfig,
    pub(crate) shared: Arc<Shared>,
}

/// The files of a table and what their folders say.
#[derive(Debug)]
pub(crate) struct TableFiles {
    metas: Vec<ObjectMeta>,
    partitions: Vec<Partition>,
}

impl TableFiles {
    /// Whether these are the same versions of the same files.
    pub(crate) fn same_as(&self, metas: &[ObjectMeta]) -> bool {
        self.metas == metas
    }

    pub(crate) fn metas(&self) -> &[ObjectMeta] {
        &self.metas
    }
}

impl Builder {
    /// The files of a candidate: itself, or what stands in its folder and in `key=value` folders below.
    /// Where the format is declared the names of files need not say it.
    ///
    /// # Errors
    /// As [`Lister::tree`].
    pub(crate) async fn files(&self, candidate: &Candidate, declared: Option<&DeclaredTable>) -> Result<TableFiles> {
        if let CandidateKind::File(meta) = &candidate.kind {
            return Ok(TableFiles { metas: vec![meta.clone()], partitions: vec![Vec::new()] });
        }
        let tree = self.lister.tree(&candidate.bucket, &candidate.path).await?;
        let mut files = TableFiles { metas: Vec::new(), partitions: Vec::new() };
        let belongs = if declared.is_some_and(|table| table.format.is_some()) { may_hold_rows } else { is_data };
        for meta in tree.iter().filter(|meta| belongs(meta)) {
            if let Some(partition) = partition_of(&candidate.path, &meta.location) {
                files.metas.push(meta.clone());
                files.partitions.push(partition);
            }
        }
        Ok(files)
    }

    /// The table that the files make.
    ///
    /// # Errors
    /// `SourceData` naming the object, or both objects, for files that do not go together.
    pub(crate) async fn build(
        &self,
        schema_name: &str,
        candidate: &Candidate,
        files: &TableFiles,
        declared: Option<&DeclaredTable>,
    ) -> Result<LakeTable> {
        let bucket = &candidate.bucket;
        let in_catalog = |error: Error| {
            let known = error.message().starts_with("catalog ");
            if known { error } else { error.in_context(format!("catalog {:?}", self.shared.catalog)) }
        };
        let format = self.format(candidate, files, declared).await.map_err(in_catalog)?;
        let hints = CsvHints {
            delimiter: declared.and_then(|table| table.delimiter).or_else(|| {
                delimiter_of_name(files.metas.first().and_then(|m| m.location.filename()).unwrap_or_default())
            }),
            header: declared.and_then(|table| table.header),
        };
        let declared_fields = declared.and_then(|table| table.columns.as_ref());
        // A sample can only be in the way of who has said it all.
        let settled = format == Format::Json || (hints.delimiter.is_some() && hints.header.is_some());
        let sampled = match declared_fields {
            Some(_) if format != Format::Parquet && settled => Vec::new(),
            _ => self.facts_of(bucket, files, format, hints).await.map_err(in_catalog)?,
        };
        let partitions = self.partitions(bucket, files).map_err(in_catalog)?;
        let csv = csv_reading(&sampled, hints, declared).map_err(in_catalog)?;
        let columns = match declared_fields {
            Some(columns) => declared_columns(columns, format, &sampled),
            None => merged_columns(format, &sampled, csv.header),
        };
        let columns = columns.map_err(in_catalog)?;
        // As in Hive, a folder's value stands for a column of the same name in its files.
        let is_partition =
            |field: &FieldRef| partitions.fields.iter().any(|p| p.name().eq_ignore_ascii_case(field.name()));
        let file_columns: Fields = columns.iter().filter(|field| !is_partition(field)).cloned().collect();
        if file_columns.is_empty() && partitions.fields.is_empty() {
            return Err(in_catalog(
                Error::source_data(format!("{:?} holds no columns", candidate.url())).with_hint("the files are empty"),
            ));
        }
        let rows = estimate_rows(&sampled, &files.metas);
        let lake_files = files
            .metas
            .iter()
            .zip(partitions.values)
            .map(|(meta, mut constants)| {
                constants.push(ScalarValue::Utf8View(Some(bucket.url_of(&meta.location))));
                LakeFile { meta: meta.clone(), constants, statistics: Arc::default() }
            })
            .collect();
        let text = (format != Format::Parquet).then(|| TextReading {
            records: RecordRules { format, delimiter: csv.delimiter, record_bytes_max: self.text.record_bytes_max },
            header: csv.header,
            inferred: declared_fields.is_none(),
        });
        Ok(LakeTable {
            schema_name: schema_name.to_owned(),
            table_name: candidate.name.clone(),
            bucket: Arc::clone(bucket),
            url: candidate.url(),
            format,
            schema: full_schema(&file_columns, &partitions.fields),
            file_columns: Arc::new(Schema::new(file_columns)),
            partition_columns: partitions.fields,
            files: lake_files,
            text,
            rows,
            shared: Arc::clone(&self.shared),
        })
    }

    /// The one format of all files.
    async fn format(
        &self,
        candidate: &Candidate,
        files: &TableFiles,
        declared: Option<&DeclaredTable>,
    ) -> Result<Format> {
        if let Some(format) = declared.and_then(|table| table.format) {
            return Ok(format);
        }
        let bucket = &candidate.bucket;
        let mut found: Option<(Format, String)> = None;
        for meta in &files.metas {
            let url = bucket.url_of(&meta.location);
            let named = meta.location.filename().and_then(file_name).and_then(|name| name.format);
            let format = match (named, &found) {
                (Some(format), _) => format,
                // Files without an ending are taken to be alike: Hive writes them so.
                (None, Some((format, first))) if !has_ending(first) => *format,
                (None, _) => Sample::format(&self.facts.object(bucket, meta)).await?,
            };
            match &found {
                None => found = Some((format, url)),
                Some((first, first_url)) if *first != format => {
                    let (a, b) = (first.name(), format.name());
                    return Err(Error::source_data(format!(
                        "{first_url:?} is {a} and {url:?} of the same table is {b}"
                    ))
                    .with_hint("put files of one format into a folder"));
                }
                Some(_) => {}
            }
        }
        found.map(|(format, _)| format).ok_or_else(|| {
            Error::source_data(format!("{:?} holds no files", candidate.url()))
                .with_hint("add files, or declare the table's format and columns in the catalog file")
        })
    }

    /// What the files show, or a sample of them where there are many text files.
    async fn facts_of(
        &self,
        bucket: &Arc<Bucket>,
        files: &TableFiles,
        format: Format,
        hints: CsvHints,
    ) -> Result<Vec<(String, u64, Arc<FileFacts>)>> {
        let all = files.metas.len();
        let wanted = if format == Format::Parquet { all } else { all.min(self.text.sample_files) };
        // Spread over the table, the first and the last file among them.
        let chosen = (0..wanted).map(|n| if wanted < 2 { 0 } else { n * (all - 1) / (wanted - 1) });
        stream::iter(chosen)
            .map(|number| async move {
                let Some(meta) = files.metas.get(number) else { return Err(Error::internal("a file was lost")) };
                let facts = self.facts.of(bucket, meta, format, hints, wanted).await?;
                Ok((bucket.url_of(&meta.location), meta.size, facts))
            })
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    fn partitions(&self, bucket: &Bucket, files: &TableFiles) -> Result<Partitions> {
        let named: Vec<_> = files
            .metas
            .iter()
            .zip(&files.partitions)
            .map(|(meta, partition)| (bucket.url_of(&meta.location), partition.clone()))
            .collect();
        Partitions::new(&named)
    }
}

fn has_ending(url: &str) -> bool {
    let name = url.rsplit('/').next().unwrap_or(url);
    file_name(name).is_some_and(|name| name.format.is_some())
}

/// How the CSV files of a table are read.
struct CsvReading {
    delimiter: u8,
    header: bool,
}

/// One delimiter and one answer to "does the first line name the columns?" for all files.
fn csv_reading(sampled: &Sampled, hints: CsvHints, declared: Option<&DeclaredTable>) -> Result<CsvReading> {
    let mut found: Option<(&str, &crate::csv::CsvFacts)> = None;
    for (url, _, facts) in sampled {
        let Some(csv) = &facts.csv else { continue };
        match found {
            None => found = Some((url, csv)),
            // A file of one column shows no delimiter.
            Some((_, first)) if first.first.len() == 1 && csv.first.len() > 1 => found = Some((url, csv)),
            Some((first_url, first)) if first.delimiter != csv.delimiter && csv.first.len() > 1 => {
                let (a, b) = (char::from(first.delimiter), char::from(csv.delimiter));
                return Err(Error::source_data(format!(
                    "the fields of {first_url:?} end with {a:?}, those of {url:?} with {b:?}"
                ))
                .with_hint("write the files alike, or declare the table's delimiter in the catalog file"));
            }
            Some((first_url, first)) if first.header != csv.header && csv.rows > 0 && first.rows > 0 => {
                // The same names in the first line settle it; a file of text alone may hide them.
                let (with, without) = if first.header { (first_url, url.as_str()) } else { (url.as_str(), first_url) };
                return Err(Error::source_data(format!(
                    "the first line of {with:?} seems to name the columns, the one of {without:?} does not"
                ))
                .with_hint("write the files alike, or declare the table's header in the catalog file"));
            }
            Some(_) => {}
        }
    }
    let facts = found.map(|(_, facts)| facts);
    // Declared columns without a word about a header: files made by hand have one.
    let header = hints.header.or(facts.map(|facts| facts.header)).unwrap_or(declared.is_some());
    let delimiter = hints.delimiter.or(facts.map(|facts| facts.delimiter)).unwrap_or(b',');
    Ok(CsvReading { delimiter, header })
}

/// Rows of all files, from those of the sampled ones.
fn estimate_rows(sampled: &Sampled, metas: &[ObjectMeta]) -> Option<u64> {
    let mut rows = 0u64;
    let mut bytes = 0u64;
    for (_, size, facts) in sampled {
        rows += facts.rows?;
        bytes += size;
    }
    if sampled.len() == metas.len() {
        return Some(rows);
    }
    let all: u64 = metas.iter().map(|meta| meta.size).sum();
    (bytes > 0).then(|| (rows as f64 * all as f64 / bytes as f64).round() as u64)
}
