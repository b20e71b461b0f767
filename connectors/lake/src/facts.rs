//! What one file shows of itself: format, columns, rows. Remembered as long as the file is the same.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Fields};
use meesh_base::Result;
use object_store::ObjectMeta;
use parking_lot::Mutex;

use crate::config::TextConfig;
use crate::csv::{self, CsvFacts, CsvHints};
use crate::format::Format;
use crate::json::{self, JsonLayout};
use crate::parquet::FooterCache;
use crate::pinned::{PinnedObject, Staleness};
use crate::sample::Sample;
use crate::store::Bucket;

/// Files remembered; beyond that all are forgotten.
const FILES_MAX: usize = 50_000;

/// What is known of a file.
#[derive(Debug)]
pub(crate) struct FileFacts {
    pub(crate) columns: Fields,
    /// Exact for Parquet, an estimate for text; `None` if nothing tells.
    pub(crate) rows: Option<u64>,
    /// Of CSV.
    pub(crate) csv: Option<CsvFacts>,
}

/// Facts of files of one table, with their URLs and sizes: of all of them, or of a sample.
pub(crate) type Sampled = [(String, u64, Arc<FileFacts>)];

/// Finds facts and keeps them.
#[derive(Debug)]
pub(crate) struct FactsCache {
    text: TextConfig,
    footers: Arc<FooterCache>,
    staleness: Arc<Staleness>,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Debug)]
struct Known {
    meta: ObjectMeta,
    facts: Arc<FileFacts>,
}

impl FactsCache {
    pub(crate) fn new(text: TextConfig, footers: Arc<FooterCache>, staleness: Arc<Staleness>) -> Self {
        Self { text, footers, staleness, known: Mutex::default() }
    }

    pub(crate) fn object(&self, bucket: &Arc<Bucket>, meta: &ObjectMeta) -> Arc<PinnedObject> {
        Arc::new(PinnedObject::listed(Arc::clone(bucket), meta, Arc::clone(&self.staleness)))
    }

    /// Facts of a file read as `format`. `share` is how many files are sampled for the same table:
    /// the more, the less of each.
    ///
    /// # Errors
    /// As [`PinnedObject::read`]; `SourceData` for content that is not of the format.
    pub(crate) async fn of(
        &self,
        bucket: &Arc<Bucket>,
        meta: &ObjectMeta,
        format: Format,
        hints: CsvHints,
        share: usize,
    ) -> Result<Arc<FileFacts>> {
        let bytes_max = self.sample_bytes(share);
        let key = format!("{}|{format:?}|{hints:?}|{bytes_max}", bucket.url_of(&meta.location));
        if let Some(known) = self.known.lock().get(&key).filter(|known| known.meta == *meta) {
            return Ok(Arc::clone(&known.facts));
        }
        let object = self.object(bucket, meta);
        let facts = Arc::new(match format {
            Format::Parquet => {
                let footer = self.footers.load(&object).await?;
                let columns = footer.columns().map_err(|error| error.in_context(object.subject()))?;
                FileFacts { columns, rows: Some(footer.rows()), csv: None }
            }
            Format::Csv => csv_facts(&object, hints, bytes_max).await?,
            Format::Json => json_facts(&object, bytes_max).await?,
        });
        let mut known = self.known.lock();
        if known.len() >= FILES_MAX {
            known.clear();
        }
        known.insert(key, Known { meta: meta.clone(), facts: Arc::clone(&facts) });
        Ok(facts)
    }

    /// Sixteen full samples are the budget of one table.
    fn sample_bytes(&self, share: usize) -> u64 {
        let full = self.text.sample_bytes;
        let part = full.saturating_mul(16) / (share as u64).max(1);
        // Rounded, so that a table with one file more keeps what is known of the others.
        part.clamp(full.min(64 << 10), full).next_power_of_two().min(full)
    }
}

async fn csv_facts(object: &Arc<PinnedObject>, hints: CsvHints, bytes_max: u64) -> Result<FileFacts> {
    let sample = Sample::read(object, bytes_max).await?;
    check_not_parquet(object, &sample, Format::Csv)?;
    // Where records end depends on the delimiter only by a quote behind it.
    let guess = hints.delimiter.unwrap_or(b',');
    let mut records = sample.csv_records(guess);
    let mut facts = csv::infer(&records, hints);
    if let Some(found) = facts.as_ref().filter(|found| found.delimiter != guess) {
        records = sample.csv_records(found.delimiter);
        facts = csv::infer(&records, CsvHints { delimiter: Some(found.delimiter), ..hints });
    }
    let Some(facts) = facts else {
        return match sample.text.iter().all(u8::is_ascii_whitespace) {
            true => Ok(FileFacts { columns: Fields::empty(), rows: Some(0), csv: None }),
            false => Err(first_record_too_long(object)),
        };
    };
    csv::check_width(object, facts.first.len())?;
    let names = csv::column_names(facts.header, &facts.first);
    let columns =
        names.into_iter().zip(&facts.guesses).map(|(name, guess)| Field::new(name, guess.data_type(), true)).collect();
    let rows = estimate(object, &sample, records.len(), facts.rows);
    Ok(FileFacts { columns, rows, csv: Some(facts) })
}

async fn json_facts(object: &Arc<PinnedObject>, bytes_max: u64) -> Result<FileFacts> {
    let sample = Sample::read(object, bytes_max).await?;
    check_not_parquet(object, &sample, Format::Json)?;
    let layout = JsonLayout::of(&sample.text);
    let records = sample.json_records(layout);
    if records.is_empty() && !sample.text.iter().all(u8::is_ascii_whitespace) {
        return Err(first_record_too_long(object));
    }
    let facts = json::infer(&records, layout).map_err(|fault| {
        let line = json::line_of_fault(&records, layout, fault.at);
        object.fault(&format!("line {line}: not valid JSON: {}", fault.what)).with_hint("correct the record")
    })?;
    let columns: Fields = facts.root.columns().into_iter().map(|(name, t)| Field::new(name, t, true)).collect();
    if facts.root.is_too_wide() {
        return Err(object
            .fault(&format!("has records of more than {} fields", json::FIELDS_MAX))
            .with_hint("declare the columns that you need in the catalog file"));
    }
    let rows = estimate(object, &sample, records.len(), facts.rows);
    Ok(FileFacts { columns, rows, csv: None })
}

/// Rows of the whole file, if it goes on as the sample does.
fn estimate(object: &PinnedObject, sample: &Sample, record_bytes: usize, rows: usize) -> Option<u64> {
    let unpacked_per_packed = sample.text.len() as f64 / sample.packed_bytes.max(1) as f64;
    let bytes = object.meta().size as f64 * unpacked_per_packed;
    (record_bytes > 0).then(|| (bytes * rows as f64 / record_bytes as f64).round() as u64)
}

fn check_not_parquet(object: &PinnedObject, sample: &Sample, format: Format) -> Result<()> {
    if Format::of_content(&sample.text) != Format::Parquet {
        return Ok(());
    }
    let text = format!("holds Parquet where {} is expected", format.name());
    Err(object.fault(&text).with_hint("name it .parquet, or move it out of the table's folder"))
}

fn first_record_too_long(object: &PinnedObject) -> meesh_base::Error {
    object
        .fault("line 1: the first record does not end within the sample")
        .with_hint("raise lake.sample-size, or look for a quote that is not closed")
}
