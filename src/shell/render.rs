//! Result tables for people: a box, types under the names, the middle of long results left out.
//!
//! ```text
//! ┌────────┬─────────┐
//! │     id │ name    │
//! │ bigint │ varchar │      numbers stand to the right, NULL is dim,
//! ├────────┼─────────┤      columns and rows that do not fit are left out in the middle
//! │      1 │ Ann     │
//! │      … │ …       │
//! └────────┴─────────┘
//! ```

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width};
use meesh_engine::type_name;

use super::cells::{Cells, is_number, printable};

/// Single lines everywhere, none between rows.
const BOX: &str = "││──├─┼┤│    ┬┴┌┐└┘";

/// What stands for cells that are left out.
const ELLIPSIS: &str = "…";

/// A column on a terminal is never wider than this, so that one long text leaves room for the others.
const COLUMN_WIDTH_MAX: u16 = 60;

/// A column is narrowed down to this before others are left out.
const COLUMN_WIDTH_MIN: u16 = 8;

/// More of a cell than this is never kept: no terminal shows it.
const CELL_CHARS_MAX: usize = 2000;

/// How a table is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableStyle {
    /// Columns of the terminal; `None` leaves everything as wide as it is.
    pub(crate) width: Option<u16>,
    /// Rows to show; of more, the first and the last half.
    pub(crate) rows_max: usize,
    /// Whether NULLs are dimmed by escape sequences.
    pub(crate) color: bool,
}

impl TableStyle {
    /// For standard output as it is: a terminal's width and colour, or everything in plain text.
    pub(crate) fn of_stdout(rows_max: usize) -> Self {
        let width = Table::new().width();
        Self { width, rows_max, color: width.is_some() && std::env::var_os("NO_COLOR").is_none() }
    }
}

/// The first and last rows of a result, as text. Holds at most `rows_max` rows, however many come.
pub(crate) struct Sample {
    rows_max: usize,
    is_cut: bool,
    head: Vec<Vec<Option<String>>>,
    tail: VecDeque<Vec<Option<String>>>,
    rows: usize,
}

impl Sample {
    /// An empty sample for a table of this style.
    pub(crate) fn new(style: &TableStyle) -> Self {
        Self {
            rows_max: style.rows_max.max(2),
            is_cut: style.width.is_some(),
            head: Vec::new(),
            tail: VecDeque::new(),
            rows: 0,
        }
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// Arrow's, for a value that has no text.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let cells = Cells::new(batch)?;
        let first = self.head_max().saturating_sub(self.head.len()).min(batch.num_rows());
        let last = first.max(batch.num_rows().saturating_sub(self.tail_max()));
        for row in 0..first {
            let row = self.row(&cells, row)?;
            self.head.push(row);
        }
        for row in last..batch.num_rows() {
            let row = self.row(&cells, row)?;
            if self.tail.len() == self.tail_max() {
                self.tail.pop_front();
            }
            self.tail.push_back(row);
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// How many rows the table leaves out.
    pub(crate) fn left_out(&self) -> usize {
        self.rows - self.head.len() - self.tail.len()
    }

    fn head_max(&self) -> usize {
        self.rows_max - self.tail_max()
    }

    fn tail_max(&self) -> usize {
        self.rows_max / 2
    }

    fn row(&self, cells: &Cells<'_>, row: usize) -> Result<Vec<Option<String>>, ArrowError> {
        (0..cells.width()).map(|column| Ok(cells.text(column, row)?.map(|text| self.shown(&text)))).collect()
    }

    fn shown(&self, text: &str) -> String {
        match text.char_indices().nth(CELL_CHARS_MAX) {
            Some((end, _)) if self.is_cut => printable(&text[..end]),
            _ => printable(text),
        }
    }
}

/// A whole result as a table, with a line end.
///
/// # Errors
/// Arrow's, for a value that has no text.
pub(crate) fn table_of(schema: &SchemaRef, batches: &[RecordBatch], style: &TableStyle) -> Result<String, ArrowError> {
    let mut sample = Sample::new(style);
    for batch in batches {
        sample.push(batch)?;
    }
    Ok(table(schema, &sample, style))
}

/// The table of a sample, with a line end.
pub(crate) fn table(schema: &Schema, sample: &Sample, style: &TableStyle) -> String {
    let columns: Vec<Option<usize>> = (0..schema.fields().len()).map(Some).collect();
    let whole = draw(schema, sample, style, &columns);
    let Some(width) = style.width else { return text_of(&whole) };
    match fitting(&whole.column_max_content_widths(), width) {
        None => text_of(&whole),
        Some(columns) => text_of(&draw(schema, sample, style, &columns)),
    }
}

fn text_of(table: &Table) -> String {
    format!("{table}\n")
}

/// Draws these columns of the sample; `None` is a column of ellipses.
fn draw(schema: &Schema, sample: &Sample, style: &TableStyle, columns: &[Option<usize>]) -> Table {
    let mut table = Table::new();
    table.load_preset(BOX).set_truncation_indicator(ELLIPSIS).force_no_tty();
    // Cells are cut at any character, not between words: nothing is wrapped.
    table.set_delimiter('\u{1}');
    if style.color {
        table.enforce_styling();
    }
    table.set_header(columns.iter().map(|column| header(schema, *column)));
    if let Some(width) = style.width {
        table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
        let limit = ColumnConstraint::UpperBoundary(Width::Fixed(COLUMN_WIDTH_MAX));
        table.set_constraints(columns.iter().map(|_| limit));
    }
    for (column, index) in table.column_iter_mut().zip(columns) {
        if index.is_some_and(|index| is_number(schema.field(index).data_type())) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in &sample.head {
        table.add_row(line(row, columns));
    }
    if sample.left_out() > 0 {
        table.add_row(columns.iter().map(|_| ELLIPSIS));
    }
    for row in &sample.tail {
        table.add_row(line(row, columns));
    }
    table
}

fn header(schema: &Schema, column: Option<usize>) -> Cell {
    match column {
        None => Cell::new(ELLIPSIS),
        Some(index) => {
            let field = schema.field(index);
            let cell = Cell::new(format!("{}\n{}", printable(field.name()), type_name(field.data_type())));
            if is_number(field.data_type()) { cell.set_alignment(CellAlignment::Right) } else { cell }
        }
    }
}

fn line(row: &[Option<String>], columns: &[Option<usize>]) -> Row {
    let cells: Vec<Cell> = columns
        .iter()
        .map(|column| match column.map(|index| row.get(index).and_then(Option::as_ref)) {
            None => Cell::new(ELLIPSIS),
            Some(Some(text)) => Cell::new(text),
            Some(None) => Cell::new("NULL").add_attribute(Attribute::Dim),
        })
        .collect();
    let mut line = Row::from(cells);
    line.max_height(1);
    line
}

/// The columns to show in `width`, taken from both ends, or `None` if all fit when narrowed.
fn fitting(widths: &[u16], width: u16) -> Option<Vec<Option<usize>>> {
    // Two blanks and a line beside each column.
    let needed = |index: usize| usize::from(widths[index].min(COLUMN_WIDTH_MIN)) + 3;
    let room = usize::from(width).saturating_sub(1);
    if (0..widths.len()).map(needed).sum::<usize>() <= room {
        return None;
    }
    let mut left = room.saturating_sub(4);
    let (mut front, mut back) = (0, widths.len());
    while front < back {
        let next = if front <= widths.len() - back { front } else { back - 1 };
        let Some(rest) = left.checked_sub(needed(next)) else { break };
        left = rest;
        if next == front { front += 1 } else { back -= 1 }
    }
    let shown = (0..front).map(Some).chain([None]).chain((back..widths.len()).map(Some));
    Some(shown.collect())
}

/// A small table of texts with a header, for commands.
pub(crate) fn text_table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut table = Table::new();
    table.load_preset(BOX).force_no_tty().set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|text| printable(text)));
    }
    text_of(&table)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    const PLAIN: TableStyle = TableStyle { width: None, rows_max: 40, color: false };

    fn batch(rows: i64) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let names = (0..rows).map(|id| (id != 1).then(|| format!("name {id}")));
        let names: ArrayRef = Arc::new(StringArray::from_iter(names));
        RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap()
    }

    fn draw(batch: &RecordBatch, style: &TableStyle) -> String {
        table_of(&batch.schema(), std::slice::from_ref(batch), style).unwrap()
    }

    #[test]
    fn a_small_result() {
        let expected = "\
┌────────┬─────────┐
│     id │ name    │
│ bigint │ varchar │
├────────┼─────────┤
│      0 │ name 0  │
│      1 │ NULL    │
└────────┴─────────┘
";
        assert_eq!(draw(&batch(2), &PLAIN), expected);
    }

    #[test]
    fn the_middle_of_long_results_is_left_out() {
        let style = TableStyle { rows_max: 4, ..PLAIN };
        let mut sample = Sample::new(&style);
        for _ in 0..3 {
            sample.push(&batch(5)).unwrap();
        }
        assert_eq!((sample.rows, sample.left_out()), (15, 11));
        let text = table(&batch(0).schema(), &sample, &style);
        let rows: Vec<&str> = text.lines().skip(4).collect();
        assert!(rows[0].contains("name 0") && rows[1].contains("NULL") && rows[2].contains('…'), "{text}");
        assert!(rows[3].contains("name 3") && rows[4].contains("name 4"), "{text}");
    }

    #[test]
    fn a_result_that_fits_is_shown_whole() {
        let style = TableStyle { rows_max: 4, ..PLAIN };
        let text = draw(&batch(4), &style);
        assert!(!text.contains('…') && text.contains("name 3"), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long: ArrayRef = Arc::new(StringArray::from(vec!["word ".repeat(50)]));
        let columns = (0..30).map(|index| (format!("column_{index}"), Arc::clone(&long)));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let text = draw(&batch, &TableStyle { width: Some(80), ..PLAIN });
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("column_0") && text.contains("column_29") && text.lines().count() == 6, "{text}");
    }

    #[test]
    fn colour_dims_nulls_only() {
        let text = draw(&batch(2), &TableStyle { color: true, ..PLAIN });
        assert_eq!(text.matches("\u{1b}[2m").count(), 1, "{text:?}");
    }
}
