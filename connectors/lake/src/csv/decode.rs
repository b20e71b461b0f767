//! Spans to Arrow arrays, a column at a time.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, NullBufferBuilder, PrimitiveArray,
    StringViewBuilder, new_null_array,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use meesh_base::{Error, Result};

use super::tokenize::{RecordFault, RecordFaultKind, RecordLayout, SKIP, Span, TEXT_BYTES_MAX, tokenize};
use crate::piece::{Misfit, Piece, TextColumn};
use crate::scalar;

/// Gathers records until a batch is full, then turns them into arrays.
#[derive(Debug)]
pub(crate) struct CsvDecoder {
    columns: Arc<[TextColumn]>,
    /// How columns are declared, for messages.
    remedy: Arc<str>,
    segments: Vec<Segment>,
    rows: usize,
}

/// Records of one piece.
#[derive(Debug)]
struct Segment {
    piece: Piece,
    rows: usize,
    /// A column's fields; none at all where the file does not have the column.
    spans: Vec<Vec<Span>>,
}

impl CsvDecoder {
    pub(crate) fn new(columns: Arc<[TextColumn]>, remedy: Arc<str>) -> Self {
        Self { columns, remedy, segments: Vec::new(), rows: 0 }
    }

    /// Rows gathered so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How the records of a file are read, given for each of its fields the index of the column in
    /// this decoder, if it is wanted.
    ///
    /// # Errors
    /// `Internal` for more columns than slots: tables are narrower.
    pub(crate) fn layout(delimiter: u8, fields: &[Option<usize>]) -> Result<RecordLayout> {
        let slot = |column: &Option<usize>| match column {
            None => Ok(SKIP),
            Some(column) => u16::try_from(*column)
                .ok()
                .filter(|slot| *slot != SKIP)
                .ok_or_else(|| Error::internal("a record has more columns than slots")),
        };
        Ok(RecordLayout { delimiter, slots: fields.iter().map(slot).collect::<Result<_>>()? })
    }

    /// Takes records from the front of `piece` until `rows_max` rows are gathered, and leaves the rest.
    ///
    /// # Errors
    /// `SourceData` naming object and line, for a record that has another number of fields or wrong quotes.
    pub(crate) fn push(&mut self, piece: &mut Piece, layout: &RecordLayout, rows_max: usize) -> Result<()> {
        if piece.text.len() > TEXT_BYTES_MAX {
            return Err(piece.fault_at(0, "the records are too long"));
        }
        let room = rows_max.saturating_sub(self.rows);
        // A field takes a byte at least, its delimiter.
        let capacity = room.min(piece.text.len() / layout.slots.len().max(1) + 1);
        let mut spans = vec![Vec::new(); self.columns.len()];
        for slot in layout.slots.iter().filter(|slot| **slot != SKIP) {
            spans[usize::from(*slot)].reserve(capacity);
        }
        let (rows, used) = tokenize(&piece.text, layout, room, &mut spans)
            .map_err(|fault| record_error(piece, fault, layout.slots.len()))?;
        let segment = Piece { text: piece.text.slice(..used), line: piece.line, object: Arc::clone(&piece.object) };
        if used < piece.text.len() {
            piece.line = piece.line_at(used);
        }
        piece.text = piece.text.slice(used..);
        if rows > 0 {
            self.rows += rows;
            self.segments.push(Segment { piece: segment, rows, spans });
        }
        Ok(())
    }

    /// The gathered rows, one array a column.
    ///
    /// # Errors
    /// `SourceData` naming object, line, column and value, for a value that does not fit its column.
    pub(crate) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        let segments = std::mem::take(&mut self.segments);
        let rows = std::mem::take(&mut self.rows);
        let columns = Arc::clone(&self.columns);
        columns
            .iter()
            .enumerate()
            .map(|(slot, column)| {
                let fields = Fields { segments: &segments, slot, rows };
                decode(fields, column).map_err(|fault| self.value_error(&segments, column, slot, fault))
            })
            .collect()
    }

    fn value_error(&self, segments: &[Segment], column: &TextColumn, slot: usize, fault: ValueFault) -> Error {
        let place = segments.get(fault.segment).and_then(|s| Some((s, s.spans.get(slot)?.get(fault.row)?)));
        let Some((segment, span)) = place else {
            return Error::internal("a value that does not fit was not found again");
        };
        let value = segment.piece.text.get(span.start()..span.end()).unwrap_or_default();
        segment.piece.misfit(span.start(), value, column, fault.misfit, &self.remedy)
    }
}

fn record_error(piece: &Piece, fault: RecordFault, expected: usize) -> Error {
    // A record that turns out wrong at its line break belongs to the line before it.
    let text = match fault.kind {
        RecordFaultKind::Fields(found) => format!("the record has {found} fields where {expected} are expected"),
        RecordFaultKind::MoreFields => format!("the record has more than the expected {expected} fields"),
        RecordFaultKind::TextAfterQuote => "text follows a closing quote".to_owned(),
        RecordFaultKind::OpenQuote => "a quoted field is not closed".to_owned(),
    };
    piece
        .fault_at(fault.at, &text)
        .with_hint("correct the line; a field that holds the delimiter or a quote needs quotes")
}

/// The fields of one column.
#[derive(Clone, Copy)]
struct Fields<'a> {
    segments: &'a [Segment],
    slot: usize,
    rows: usize,
}

/// A value that does not fit.
struct ValueFault {
    segment: usize,
    row: usize,
    misfit: Misfit,
}

impl<'a> Fields<'a> {
    /// Calls `f` for each field in order; `None` where the file lacks the column.
    #[inline]
    fn for_each(self, mut f: impl FnMut(Option<(&'a [u8], Span)>) -> Result<(), Misfit>) -> Result<(), ValueFault> {
        for (number, segment) in self.segments.iter().enumerate() {
            let text: &[u8] = &segment.piece.text;
            let spans = segment.spans.get(self.slot).map_or(&[][..], Vec::as_slice);
            for (row, span) in spans.iter().enumerate() {
                f(Some((&text[span.start()..span.end()], *span))).map_err(|misfit| ValueFault {
                    segment: number,
                    row,
                    misfit,
                })?;
            }
            for _ in spans.len()..segment.rows {
                f(None).map_err(|misfit| ValueFault { segment: number, row: 0, misfit })?;
            }
        }
        Ok(())
    }

    /// An array of numbers. Empty fields are NULL, in quotes or not; blanks around a number are not looked at.
    fn primitive<T: ArrowPrimitiveType>(
        self,
        parse: impl Fn(&[u8]) -> Result<T::Native, Misfit>,
    ) -> Result<PrimitiveArray<T>, ValueFault> {
        let mut values: Vec<T::Native> = Vec::with_capacity(self.rows);
        let mut nulls = NullBufferBuilder::new(self.rows);
        self.for_each(|field| {
            match field {
                Some((text, _)) if !text.is_empty() => match parse(text) {
                    Ok(value) => values.push(value),
                    Err(misfit) => match text.trim_ascii() {
                        [] => {
                            values.push(T::Native::default());
                            nulls.append_null();
                            return Ok(());
                        }
                        trimmed if trimmed.len() < text.len() => values.push(parse(trimmed)?),
                        _ => return Err(misfit),
                    },
                },
                _ => {
                    values.push(T::Native::default());
                    nulls.append_null();
                    return Ok(());
                }
            }
            nulls.append_non_null();
            Ok(())
        })?;
        Ok(PrimitiveArray::new(ScalarBuffer::from(values), nulls.finish()))
    }

    fn booleans(self) -> Result<BooleanArray, ValueFault> {
        let mut values = BooleanBufferBuilder::new(self.rows);
        let mut nulls = NullBufferBuilder::new(self.rows);
        self.for_each(|field| {
            let text = field.map_or(&[][..], |(text, _)| text.trim_ascii());
            nulls.append(!text.is_empty());
            values.append(!text.is_empty() && scalar::boolean(text)?);
            Ok(())
        })?;
        Ok(BooleanArray::new(values.finish(), nulls.finish()))
    }

    /// An array of texts. An empty field is NULL unless it stood in quotes.
    fn texts(self) -> Result<ArrayRef, ValueFault> {
        let mut builder = StringViewBuilder::with_capacity(self.rows);
        self.for_each(|field| {
            match field {
                Some((text, span)) if span.is_quoted() || !text.is_empty() => {
                    let text = std::str::from_utf8(text).map_err(|_| Misfit::Encoding)?;
                    if span.is_escaped() {
                        builder.append_value(text.replace("\"\"", "\""));
                    } else {
                        builder.append_value(text);
                    }
                }
                _ => builder.append_null(),
            }
            Ok(())
        })?;
        Ok(Arc::new(builder.finish()))
    }
}

fn decode(fields: Fields<'_>, column: &TextColumn) -> Result<ArrayRef, ValueFault> {
    let array: ArrayRef = match column.field.data_type() {
        DataType::Boolean => Arc::new(fields.booleans()?),
        DataType::Int8 => Arc::new(fields.primitive::<Int8Type>(scalar::integer)?),
        DataType::Int16 => Arc::new(fields.primitive::<Int16Type>(scalar::integer)?),
        DataType::Int32 => Arc::new(fields.primitive::<Int32Type>(scalar::integer)?),
        DataType::Int64 if column.inferred => Arc::new(fields.primitive::<Int64Type>(scalar::plain_integer)?),
        DataType::Int64 => Arc::new(fields.primitive::<Int64Type>(scalar::integer)?),
        DataType::Float32 => Arc::new(fields.primitive::<Float32Type>(scalar::real)?),
        DataType::Float64 if column.inferred => Arc::new(fields.primitive::<Float64Type>(scalar::plain_double)?),
        DataType::Float64 => Arc::new(fields.primitive::<Float64Type>(scalar::double)?),
        DataType::Decimal128(p, s) => {
            let array = fields.primitive::<Decimal128Type>(|text| scalar::decimal(text, *p, *s))?;
            Arc::new(array.with_data_type(DataType::Decimal128(*p, *s)))
        }
        DataType::Date32 => Arc::new(fields.primitive::<Date32Type>(scalar::date)?),
        DataType::Timestamp(unit, zone) => {
            let parse = |text: &[u8]| scalar::timestamp(text, *unit, zone.is_some());
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => Arc::new(fields.primitive::<TimestampSecondType>(parse)?.with_timezone_opt(zone)),
                TimeUnit::Millisecond => {
                    Arc::new(fields.primitive::<TimestampMillisecondType>(parse)?.with_timezone_opt(zone))
                }
                TimeUnit::Microsecond => {
                    Arc::new(fields.primitive::<TimestampMicrosecondType>(parse)?.with_timezone_opt(zone))
                }
                TimeUnit::Nanosecond => {
                    Arc::new(fields.primitive::<TimestampNanosecondType>(parse)?.with_timezone_opt(zone))
                }
            }
        }
        DataType::Null => new_null_array(&DataType::Null, fields.rows),
        _ => fields.texts()?,
    };
    Ok(array)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
