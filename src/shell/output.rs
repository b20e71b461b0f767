//! Results on standard output, batch by batch, in the format that was asked for.
//!
//! Only tables hold rows back (as many as they show); every other format is written as rows come.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited, Writer, WriterBuilder};

use super::cells::{Cells, is_number, printable};
use super::render::{Sample, TableStyle, table};

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A box, types under the names, the middle of long results left out
    Table,
    /// A header line; NULL is empty, an empty text is ""
    Csv,
    /// One array of objects
    Json,
    /// One object a line
    Ndjson,
    /// A table for a Markdown page
    Markdown,
    /// An Arrow IPC stream
    Arrow,
}

/// Why a result could not be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Nobody reads any more (`| head`): there is nothing to say about it.
    Closed,
    /// What went wrong.
    Failed(String),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(format!("cannot write the result: {error}")),
        }
    }
}

impl From<ArrowError> for WriteError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => error.into(),
            other => Self::Failed(format!("cannot write the result: {other}")),
        }
    }
}

enum Encoder<W: Write> {
    Table { schema: SchemaRef, sample: Sample, style: TableStyle, out: W },
    Csv(W),
    Json(Writer<W, JsonArray>),
    Ndjson(Writer<W, LineDelimited>),
    Markdown(W),
    Arrow(Box<StreamWriter<W>>),
}

/// Writes one result.
pub(crate) struct ResultWriter<W: Write> {
    encoder: Encoder<W>,
    rows: usize,
}

impl<W: Write> ResultWriter<W> {
    /// Begins a result with these columns.
    ///
    /// # Errors
    /// [`WriteError`] when the header cannot be written.
    pub(crate) fn begin(format: Format, style: TableStyle, schema: SchemaRef, mut out: W) -> Result<Self, WriteError> {
        let encoder = match format {
            Format::Table => Encoder::Table { sample: Sample::new(&style), schema, style, out },
            Format::Csv => {
                let names: Vec<String> = schema.fields().iter().map(|field| csv_text(field.name())).collect();
                writeln!(out, "{}", names.join(","))?;
                Encoder::Csv(out)
            }
            Format::Json => Encoder::Json(json(out)),
            Format::Ndjson => Encoder::Ndjson(json(out)),
            Format::Markdown => {
                markdown_header(&schema, &mut out)?;
                Encoder::Markdown(out)
            }
            Format::Arrow => Encoder::Arrow(Box::new(StreamWriter::try_new(out, &schema)?)),
        };
        Ok(Self { encoder, rows: 0 })
    }

    /// Writes (or keeps, for a table) the rows of a batch.
    ///
    /// # Errors
    /// [`WriteError`] when they cannot be written or have no text.
    pub(crate) fn batch(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        self.rows += batch.num_rows();
        match &mut self.encoder {
            Encoder::Table { sample, .. } => sample.push(batch)?,
            Encoder::Csv(out) => lines(batch, out, csv_line)?,
            Encoder::Json(writer) => writer.write(batch)?,
            Encoder::Ndjson(writer) => writer.write(batch)?,
            Encoder::Markdown(out) => lines(batch, out, markdown_line)?,
            Encoder::Arrow(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    /// Whether everything so far is on standard output, so that a line of progress would mix with it.
    pub(crate) fn shows_rows(&self) -> bool {
        self.rows > 0 && !matches!(self.encoder, Encoder::Table { .. })
    }

    /// Ends the result. Returns how many rows a table left out.
    ///
    /// # Errors
    /// [`WriteError`] when the rest cannot be written.
    pub(crate) fn finish(self) -> Result<usize, WriteError> {
        match self.encoder {
            Encoder::Table { schema, sample, style, mut out } => {
                out.write_all(table(&schema, &sample, &style).as_bytes())?;
                out.flush()?;
                return Ok(sample.left_out());
            }
            Encoder::Csv(mut out) | Encoder::Markdown(mut out) => out.flush()?,
            Encoder::Json(mut writer) => {
                writer.finish()?;
                let mut out = writer.into_inner();
                out.write_all(b"\n")?;
                out.flush()?;
            }
            Encoder::Ndjson(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            Encoder::Arrow(mut writer) => {
                writer.finish()?;
                writer.get_mut().flush()?;
            }
        }
        Ok(0)
    }
}

fn json<W: Write, F: JsonFormat>(out: W) -> Writer<W, F> {
    WriterBuilder::new().with_explicit_nulls(true).build::<W, F>(out)
}

/// Writes the rows of a batch, one line each.
fn lines<W: Write>(
    batch: &RecordBatch,
    out: &mut W,
    line: impl Fn(&mut String, &[Option<String>]),
) -> Result<(), WriteError> {
    let cells = Cells::new(batch)?;
    let mut text = String::new();
    let mut row = Vec::with_capacity(cells.width());
    for index in 0..batch.num_rows() {
        row.clear();
        for column in 0..cells.width() {
            row.push(cells.text(column, index)?);
        }
        text.clear();
        line(&mut text, &row);
        out.write_all(text.as_bytes())?;
    }
    Ok(out.flush()?)
}

fn csv_line(line: &mut String, row: &[Option<String>]) {
    for (index, cell) in row.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        if let Some(text) = cell {
            line.push_str(&csv_text(text));
        }
    }
    line.push('\n');
}

/// A text as RFC 4180 wants it; an empty one is quoted, which tells it from NULL.
fn csv_text(text: &str) -> String {
    let is_plain = !text.is_empty() && !text.contains(['"', ',', '\n', '\r']);
    if is_plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn markdown_header<W: Write>(schema: &SchemaRef, out: &mut W) -> io::Result<()> {
    let names: Vec<String> = schema.fields().iter().map(|field| markdown_text(field.name())).collect();
    let rules = schema.fields().iter().map(|field| if is_number(field.data_type()) { "---:" } else { "---" });
    let rules: Vec<&str> = rules.collect();
    writeln!(out, "| {} |\n|{}|", names.join(" | "), rules.join("|"))
}

fn markdown_line(line: &mut String, row: &[Option<String>]) {
    let cells: Vec<String> =
        row.iter().map(|cell| cell.as_deref().map_or_else(|| "NULL".to_owned(), markdown_text)).collect();
    line.push_str(&format!("| {} |\n", cells.join(" | ")));
}

fn markdown_text(text: &str) -> String {
    printable(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::ipc::reader::StreamReader;

    use super::*;

    fn write(format: Format) -> Vec<u8> {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a \"b\", c|d"), None, Some("")]));
        let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("name", names, true)]).unwrap();
        let style = TableStyle { width: None, rows_max: 40, color: false };
        let mut out = Vec::new();
        let mut writer = ResultWriter::begin(format, style, batch.schema(), &mut out).unwrap();
        writer.batch(&batch).unwrap();
        writer.finish().unwrap();
        out
    }

    fn text(format: Format) -> String {
        String::from_utf8(write(format)).unwrap()
    }

    #[test]
    fn csv_tells_null_from_empty() {
        assert_eq!(text(Format::Csv), "id,name\n1,\"a \"\"b\"\", c|d\"\n2,\n3,\"\"\n");
    }

    #[test]
    fn json_is_one_array_and_ndjson_lines() {
        let rows: serde_json::Value = serde_json::from_str(&text(Format::Json)).unwrap();
        assert_eq!(rows[1], serde_json::json!({"id": 2, "name": null}));
        assert_eq!(text(Format::Ndjson).lines().count(), 3);
    }

    #[test]
    fn markdown_escapes_its_bars() {
        let text = text(Format::Markdown);
        assert_eq!(text.lines().nth(1), Some("|---:|---|"));
        assert_eq!(text.lines().nth(2), Some("| 1 | a \"b\", c\\|d |"));
    }

    #[test]
    fn arrow_comes_back() {
        let bytes = write(Format::Arrow);
        let rows: usize = StreamReader::try_new(bytes.as_slice(), None).unwrap().map(|b| b.unwrap().num_rows()).sum();
        assert_eq!(rows, 3);
    }
}
