//! JSON records to Arrow arrays: one pass over the text, straight into the builders of the wanted fields.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanBuilder, ListArray, NullBufferBuilder, PrimitiveBuilder,
    StringViewBuilder, StructArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, FieldRef, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use meesh_base::{Error, Result};

use super::lex::{JsonFault, Lexer, Token, unescape};
use super::split::JsonLayout;
use crate::piece::{Misfit, Piece, TextColumn};
use crate::scalar;

/// Gathers the wanted fields of records until a batch is full.
pub(crate) struct JsonDecoder {
    columns: Arc<[TextColumn]>,
    /// How columns are declared, for messages.
    remedy: Arc<str>,
    record: ObjectDecoder,
    rows: usize,
}

/// Why a record cannot be read.
#[derive(Debug)]
enum Fault {
    Json(JsonFault),
    Misfit { at: usize, value: Vec<u8>, field: FieldRef, misfit: Misfit },
    TooLong(usize),
}

impl From<JsonFault> for Fault {
    fn from(fault: JsonFault) -> Self {
        Self::Json(fault)
    }
}

impl JsonDecoder {
    pub(crate) fn new(columns: Arc<[TextColumn]>, remedy: Arc<str>) -> Self {
        let fields: Fields = columns.iter().map(|column| Arc::clone(&column.field)).collect();
        let inferred = columns.iter().all(|column| column.inferred);
        Self { record: ObjectDecoder::new(&fields, inferred), columns, remedy, rows: 0 }
    }

    /// Rows gathered so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes records from the front of `piece` until `rows_max` rows are gathered, and leaves the rest.
    ///
    /// # Errors
    /// `SourceData` naming object and line, and column and value where one does not fit.
    pub(crate) fn push(&mut self, piece: &mut Piece, layout: JsonLayout, rows_max: usize) -> Result<()> {
        let text = piece.text.clone();
        let mut lexer = Lexer::new(&text);
        while self.rows < rows_max {
            match self.next_record(&mut lexer, layout) {
                Ok(true) => self.rows += 1,
                Ok(false) => break,
                Err(fault) => return Err(self.error(piece, fault)),
            }
        }
        let used = lexer.at();
        if used < text.len() {
            piece.line = piece.line_at(used);
        }
        piece.text = text.slice(used..);
        Ok(())
    }

    fn next_record(&mut self, lexer: &mut Lexer<'_>, layout: JsonLayout) -> Result<bool, Fault> {
        if layout == JsonLayout::Array {
            // Brackets and commas around records were followed by the splitter.
            while lexer.take(b'[') || lexer.take(b',') || lexer.take(b']') {}
        }
        match lexer.peek() {
            None => Ok(false),
            Some(b'{') => {
                self.record.append(lexer)?;
                Ok(true)
            }
            Some(_) => Err(lexer.fault("a record is expected to be an object").into()),
        }
    }

    /// The gathered rows, one array a column.
    pub(crate) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        let rows = std::mem::take(&mut self.rows);
        let (arrays, _) = self.record.finish_parts();
        if arrays.iter().any(|array| array.len() != rows) {
            return Err(Error::internal("columns of JSON records came out of step"));
        }
        Ok(arrays)
    }

    fn error(&self, piece: &Piece, fault: Fault) -> Error {
        match fault {
            Fault::Json(JsonFault { at, what }) => {
                piece.fault_at(at, &format!("not valid JSON: {what}")).with_hint("correct the record")
            }
            Fault::TooLong(at) => piece.fault_at(at, "the arrays of the records are too long for one batch"),
            Fault::Misfit { at, value, field, misfit } => {
                let inferred = self.columns.iter().any(|column| column.inferred);
                piece.misfit(at, &value, &TextColumn { field, inferred }, misfit, &self.remedy)
            }
        }
    }
}

/// The fields of an object.
struct ObjectDecoder {
    fields: Fields,
    columns: Vec<ValueDecoder>,
    /// Which columns the current object has filled.
    filled: Vec<bool>,
    nulls: NullBufferBuilder,
    /// Declared names are found whatever the case.
    inferred: bool,
}

impl ObjectDecoder {
    fn new(fields: &Fields, inferred: bool) -> Self {
        Self {
            columns: fields.iter().map(|field| ValueDecoder::new(field, inferred)).collect(),
            filled: vec![false; fields.len()],
            fields: fields.clone(),
            nulls: NullBufferBuilder::new(0),
            inferred,
        }
    }

    fn append(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Fault> {
        lexer.enter()?;
        lexer.take(b'{');
        self.filled.fill(false);
        let mut likely = 0;
        let mut failed = None;
        let outcome = lexer.members(|lexer, key| {
            let found = if key.escaped {
                unescape(key.bytes).and_then(|name| self.position(name.as_bytes(), likely))
            } else {
                self.position(key.bytes, likely)
            };
            // Of a key that stands twice the first value counts.
            let Some(at) = found.filter(|at| !self.filled[*at]) else { return lexer.skip_value().map(drop) };
            likely = at + 1;
            self.filled[at] = true;
            match self.columns[at].append(lexer) {
                Ok(()) => Ok(()),
                Err(Fault::Json(fault)) => Err(fault),
                Err(other) => {
                    failed = Some(other);
                    Err(lexer.fault(""))
                }
            }
        });
        if let Some(fault) = failed {
            return Err(fault);
        }
        outcome?;
        lexer.leave();
        for (column, filled) in self.columns.iter_mut().zip(&self.filled) {
            if !filled {
                column.append_null();
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Objects of one file mostly have their keys in one order.
    #[inline]
    fn position(&self, key: &[u8], likely: usize) -> Option<usize> {
        if self.fields.get(likely).is_some_and(|field| field.name().as_bytes() == key) {
            return Some(likely);
        }
        let exact = self.fields.iter().position(|field| field.name().as_bytes() == key);
        if exact.is_some() || self.inferred {
            return exact;
        }
        self.fields.iter().position(|field| field.name().as_bytes().eq_ignore_ascii_case(key))
    }

    fn append_null(&mut self) {
        self.columns.iter_mut().for_each(ValueDecoder::append_null);
        self.nulls.append_null();
    }

    fn finish_parts(&mut self) -> (Vec<ArrayRef>, Option<arrow::buffer::NullBuffer>) {
        (self.columns.iter_mut().map(ValueDecoder::finish).collect(), self.nulls.finish())
    }
}

/// The items of an array.
struct ListDecoder {
    field: FieldRef,
    items: ValueDecoder,
    offsets: Vec<i32>,
    count: i32,
    nulls: NullBufferBuilder,
}

/// The values of one field.
struct ValueDecoder {
    field: FieldRef,
    inferred: bool,
    values: Values,
}

enum Values {
    Bool(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal(PrimitiveBuilder<Decimal128Type>),
    Date(PrimitiveBuilder<Date32Type>),
    Second(PrimitiveBuilder<TimestampSecondType>),
    Millisecond(PrimitiveBuilder<TimestampMillisecondType>),
    Microsecond(PrimitiveBuilder<TimestampMicrosecondType>),
    Nanosecond(PrimitiveBuilder<TimestampNanosecondType>),
    Text(StringViewBuilder),
    Object(ObjectDecoder),
    List(Box<ListDecoder>),
    /// Nulls only, so many.
    Null(usize),
}

/// Does the same to the builder of whatever type.
macro_rules! for_builder {
    ($values:expr, $builder:ident => $action:expr, $($pattern:pat => $other:expr),+ $(,)?) => {
        match $values {
            Values::Bool($builder) => $action,
            Values::Int8($builder) => $action,
            Values::Int16($builder) => $action,
            Values::Int32($builder) => $action,
            Values::Int64($builder) => $action,
            Values::Float32($builder) => $action,
            Values::Float64($builder) => $action,
            Values::Decimal($builder) => $action,
            Values::Date($builder) => $action,
            Values::Second($builder) => $action,
            Values::Millisecond($builder) => $action,
            Values::Microsecond($builder) => $action,
            Values::Nanosecond($builder) => $action,
            Values::Text($builder) => $action,
            $($pattern => $other),+
        }
    };
}

impl ValueDecoder {
    fn new(field: &FieldRef, inferred: bool) -> Self {
        let data_type = field.data_type();
        let values = match data_type {
            DataType::Boolean => Values::Bool(BooleanBuilder::new()),
            DataType::Int8 => Values::Int8(PrimitiveBuilder::new()),
            DataType::Int16 => Values::Int16(PrimitiveBuilder::new()),
            DataType::Int32 => Values::Int32(PrimitiveBuilder::new()),
            DataType::Int64 => Values::Int64(PrimitiveBuilder::new()),
            DataType::Float32 => Values::Float32(PrimitiveBuilder::new()),
            DataType::Float64 => Values::Float64(PrimitiveBuilder::new()),
            DataType::Decimal128(..) => Values::Decimal(PrimitiveBuilder::new().with_data_type(data_type.clone())),
            DataType::Date32 => Values::Date(PrimitiveBuilder::new()),
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Second => Values::Second(PrimitiveBuilder::new().with_data_type(data_type.clone())),
                TimeUnit::Millisecond => Values::Millisecond(PrimitiveBuilder::new().with_data_type(data_type.clone())),
                TimeUnit::Microsecond => Values::Microsecond(PrimitiveBuilder::new().with_data_type(data_type.clone())),
                TimeUnit::Nanosecond => Values::Nanosecond(PrimitiveBuilder::new().with_data_type(data_type.clone())),
            },
            DataType::Struct(fields) => Values::Object(ObjectDecoder::new(fields, inferred)),
            DataType::List(item) => Values::List(Box::new(ListDecoder {
                field: Arc::clone(item),
                items: ValueDecoder::new(item, inferred),
                offsets: vec![0],
                count: 0,
                nulls: NullBufferBuilder::new(0),
            })),
            DataType::Null => Values::Null(0),
            _ => Values::Text(StringViewBuilder::new()),
        };
        Self { field: Arc::clone(field), inferred, values }
    }

    fn append(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Fault> {
        let token = lexer.token()?;
        if token == Token::Null {
            lexer.word(b"null")?;
            self.append_null();
            return Ok(());
        }
        match (&mut self.values, token) {
            (Values::Object(object), Token::Object) => object.append(lexer),
            (Values::List(list), Token::Array) => list.append(lexer),
            (Values::Text(builder), Token::Text) => {
                let at = lexer.at();
                let raw = lexer.string()?;
                let plain = if raw.escaped {
                    unescape(raw.bytes).map(|text| builder.append_value(text))
                } else {
                    std::str::from_utf8(raw.bytes).ok().map(|text| builder.append_value(text))
                };
                plain.ok_or_else(|| self.misfit(at, raw.bytes, Misfit::Encoding))
            }
            // Whatever else stands in a text column is kept as its JSON text.
            (Values::Text(builder), _) => {
                let at = lexer.at();
                let raw = lexer.skip_value()?;
                let plain = std::str::from_utf8(raw).ok().map(|text| builder.append_value(text));
                plain.ok_or_else(|| self.misfit(at, raw, Misfit::Encoding))
            }
            _ => self.append_scalar(lexer, token),
        }
    }

    fn append_scalar(&mut self, lexer: &mut Lexer<'_>, token: Token) -> Result<(), Fault> {
        let at = lexer.at();
        let (value, raw) = match token {
            Token::Text => {
                let raw = lexer.string()?.bytes;
                (raw, raw)
            }
            _ => {
                let raw = lexer.skip_value()?;
                (raw, raw)
            }
        };
        let zoned = matches!(self.field.data_type(), DataType::Timestamp(_, Some(_)));
        let inferred = self.inferred;
        let decimal = match self.field.data_type() {
            DataType::Decimal128(p, s) => (*p, *s),
            _ => (19, 0),
        };
        let outcome = match (&mut self.values, token) {
            (Values::Bool(b), Token::True | Token::False) => {
                b.append_value(token == Token::True);
                Ok(())
            }
            (Values::Int8(b), Token::Number) => put(b, scalar::integer(value)),
            (Values::Int16(b), Token::Number) => put(b, scalar::integer(value)),
            (Values::Int32(b), Token::Number) => put(b, scalar::integer(value)),
            (Values::Int64(b), Token::Number) => put(b, scalar::integer(value).or_else(|_| whole(value))),
            (Values::Float32(b), Token::Number) => put(b, scalar::real(value)),
            (Values::Float64(b), Token::Number) => put(b, scalar::double(value)),
            (Values::Decimal(b), Token::Number) => put(b, scalar::decimal(value, decimal.0, decimal.1)),
            (Values::Date(b), Token::Text) => put(b, scalar::date(value)),
            (Values::Second(b), Token::Text) => put(b, scalar::timestamp(value, TimeUnit::Second, zoned)),
            (Values::Millisecond(b), Token::Text) => put(b, scalar::timestamp(value, TimeUnit::Millisecond, zoned)),
            (Values::Microsecond(b), Token::Text) => put(b, scalar::timestamp(value, TimeUnit::Microsecond, zoned)),
            (Values::Nanosecond(b), Token::Text) => put(b, scalar::timestamp(value, TimeUnit::Nanosecond, zoned)),
            // A declared number may be written in quotes, as some writers do to keep it exact.
            (Values::Int64(b), Token::Text) if !inferred => put(b, scalar::integer(value)),
            (Values::Decimal(b), Token::Text) if !inferred => put(b, scalar::decimal(value, decimal.0, decimal.1)),
            _ => Err(Misfit::Syntax),
        };
        outcome.map_err(|misfit| self.misfit(at, raw, misfit))
    }

    fn misfit(&self, at: usize, value: &[u8], misfit: Misfit) -> Fault {
        Fault::Misfit { at, value: value.to_vec(), field: Arc::clone(&self.field), misfit }
    }

    fn append_null(&mut self) {
        for_builder!(&mut self.values,
            builder => builder.append_null(),
            Values::Object(object) => object.append_null(),
            Values::List(list) => list.append_null(),
            Values::Null(count) => *count += 1,
        );
    }

    fn finish(&mut self) -> ArrayRef {
        for_builder!(&mut self.values,
            builder => Arc::new(builder.finish()),
            Values::Object(object) => {
                let (arrays, nulls) = object.finish_parts();
                let fields = object.fields.clone();
                // The parts were filled in step, so the checks of the constructor hold.
                match StructArray::try_new(fields, arrays, nulls) {
                    Ok(array) => Arc::new(array),
                    Err(_) => new_null_array(self.field.data_type(), 0),
                }
            },
            Values::List(list) => list.finish(self.field.data_type()),
            Values::Null(count) => new_null_array(&DataType::Null, std::mem::take(count)),
        )
    }
}

/// A whole number written as `1.0` or `1e3`.
fn whole(text: &[u8]) -> Result<i64, Misfit> {
    scalar::decimal(text, 19, 0).and_then(|value| i64::try_from(value).map_err(|_| Misfit::Syntax))
}

#[inline]
fn put<T: ArrowPrimitiveType>(
    builder: &mut PrimitiveBuilder<T>,
    value: Result<T::Native, Misfit>,
) -> Result<(), Misfit> {
    builder.append_value(value?);
    Ok(())
}

impl ListDecoder {
    fn append(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Fault> {
        let start = lexer.at();
        lexer.enter()?;
        lexer.take(b'[');
        let mut failed = None;
        let outcome = lexer.items(|lexer| {
            self.count = match self.count.checked_add(1) {
                Some(count) => count,
                None => {
                    failed = Some(Fault::TooLong(start));
                    return Err(lexer.fault(""));
                }
            };
            match self.items.append(lexer) {
                Ok(()) => Ok(()),
                Err(Fault::Json(fault)) => Err(fault),
                Err(other) => {
                    failed = Some(other);
                    Err(lexer.fault(""))
                }
            }
        });
        if let Some(fault) = failed {
            return Err(fault);
        }
        outcome?;
        lexer.leave();
        self.offsets.push(self.count);
        self.nulls.append_non_null();
        Ok(())
    }

    fn append_null(&mut self) {
        self.offsets.push(self.count);
        self.nulls.append_null();
    }

    fn finish(&mut self, data_type: &DataType) -> ArrayRef {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        self.count = 0;
        let items = self.items.finish();
        let field = Arc::clone(&self.field);
        match ListArray::try_new(field, OffsetBuffer::new(offsets.into()), items, self.nulls.finish()) {
            Ok(array) => Arc::new(array),
            Err(_) => new_null_array(data_type, 0),
        }
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
