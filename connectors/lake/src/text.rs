//! How the text files of one scan are read, and the reading of one piece after the other.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use meesh_base::Result;

use crate::csv::{CsvDecoder, RecordLayout, check_width, column_names};
use crate::feed::{FileFeed, RecordRules};
use crate::format::Format;
use crate::json::{JsonDecoder, JsonLayout};
use crate::piece::{Piece, TextColumn};
use crate::pinned::PinnedObject;

/// Names that a message repeats.
const NAMES_SHOWN: usize = 10;

/// One file to read.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    pub(crate) object: Arc<PinnedObject>,
    /// Values of the columns that do not stand in the file.
    pub(crate) constants: Vec<ScalarValue>,
}

/// How all files of a table are read.
#[derive(Debug, Clone)]
pub(crate) struct TextRules {
    pub(crate) records: RecordRules,
    /// Whether the first record of a CSV file names its columns.
    pub(crate) header: bool,
    /// The wanted columns.
    pub(crate) columns: Arc<[TextColumn]>,
    /// Every column of the table by its folded name, with its place among the wanted ones.
    pub(crate) by_name: HashMap<String, Option<usize>>,
    /// The columns that stand in the files, in the order of a CSV file without header, likewise.
    pub(crate) by_position: Vec<Option<usize>>,
    /// How columns are declared, for messages.
    pub(crate) remedy: Arc<str>,
}

/// How the records of one file are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordReading {
    Csv(RecordLayout),
    Json(JsonLayout),
}

impl TextRules {
    /// Opens a file and finds out how its records are to be read. `None` if it has none.
    ///
    /// # Errors
    /// `SourceData` for a CSV file whose first line names none of the table's columns, or too many.
    pub(crate) async fn open(&self, file: &TextFile) -> Result<Option<(FileFeed, RecordReading)>> {
        let mut feed = FileFeed::open(Arc::clone(&file.object), self.records).await?;
        if self.records.format == Format::Json {
            let layout = feed.json_layout();
            return Ok(Some((feed, RecordReading::Json(layout))));
        }
        let Some(first) = feed.first_csv_record(self.header).await? else { return Ok(None) };
        check_width(&file.object, first.len())?;
        let fields = if self.header {
            self.fields_by_name(&column_names(true, &first), &file.object)?
        } else {
            (0..first.len()).map(|field| self.by_position.get(field).copied().flatten()).collect()
        };
        let layout = CsvDecoder::layout(self.records.delimiter, &fields)?;
        Ok(Some((feed, RecordReading::Csv(layout))))
    }

    /// The wanted column that each field of a file fills. A line that names no column of the table,
    /// wanted or not, is taken for data that lacks its header.
    fn fields_by_name(&self, names: &[String], object: &PinnedObject) -> Result<Vec<Option<usize>>> {
        let known: Vec<Option<&Option<usize>>> =
            names.iter().map(|name| self.by_name.get(&name.to_ascii_lowercase())).collect();
        if known.iter().all(Option::is_none) {
            let shown: Vec<&String> = names.iter().take(NAMES_SHOWN).collect();
            let hint = format!("correct the line, or set {}", self.remedy.replace(".columns", ".header"));
            return Err(object.fault(&format!("line 1: names no column of the table: {shown:?}")).with_hint(hint));
        }
        Ok(known.into_iter().map(|column| column.copied().flatten()).collect())
    }
}

/// Gathers rows of whatever format.
pub(crate) enum TextDecoder {
    Csv(CsvDecoder),
    Json(JsonDecoder),
}

impl TextDecoder {
    pub(crate) fn new(rules: &TextRules) -> Self {
        let (columns, remedy) = (Arc::clone(&rules.columns), Arc::clone(&rules.remedy));
        match rules.records.format {
            Format::Json => Self::Json(JsonDecoder::new(columns, remedy)),
            _ => Self::Csv(CsvDecoder::new(columns, remedy)),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Csv(decoder) => decoder.rows(),
            Self::Json(decoder) => decoder.rows(),
        }
    }

    /// Whether the gathered rows are as much as a batch should hold, however few they are.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Json(decoder) if decoder.is_full())
    }

    /// Takes records from the front of `piece` until `rows_max` rows are gathered or the batch is full.
    pub(crate) fn push(&mut self, piece: &mut Piece, reading: &RecordReading, rows_max: usize) -> Result<()> {
        match (self, reading) {
            (Self::Csv(decoder), RecordReading::Csv(layout)) => decoder.push(piece, layout, rows_max),
            (Self::Json(decoder), RecordReading::Json(layout)) => decoder.push(piece, *layout, rows_max),
            _ => Err(meesh_base::Error::internal("a file was opened as another format")),
        }
    }

    pub(crate) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Csv(decoder) => decoder.finish(),
            Self::Json(decoder) => decoder.finish(),
        }
    }
}
