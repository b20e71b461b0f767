//! Values to Arrow builders, however deep they nest.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanBuilder, ListArray, NullBufferBuilder, PrimitiveBuilder, StringViewBuilder,
    StructArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, FieldRef, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};

use super::lex::{JsonFault, Lexer, Token, unescape};
use crate::piece::Misfit;
use crate::scalar;

/// Places that the arrays of one record may fill beside the others: `[{},{}]` fills thousands as well.
const SLOTS_MAX: usize = 8 << 20;

/// Why a record cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    Json(JsonFault),
    Misfit { at: usize, value: Vec<u8>, field: FieldRef, misfit: Misfit },
    TooLong { at: usize, field: FieldRef },
}

impl From<JsonFault> for Fault {
    fn from(fault: JsonFault) -> Self {
        Self::Json(fault)
    }
}

/// The fields of an object.
pub(super) struct ObjectDecoder {
    fields: Fields,
    columns: Vec<ValueDecoder>,
    /// Which columns the current object has filled, and whether by their exact names.
    filled: Vec<Option<bool>>,
    nulls: NullBufferBuilder,
    /// Names are found whatever their case: those of columns, which are merged so, and declared ones.
    folded: bool,
}

impl ObjectDecoder {
    /// The columns of records.
    pub(super) fn of_record(fields: &Fields, inferred: bool) -> Self {
        Self { folded: true, ..Self::new(fields, inferred) }
    }

    fn new(fields: &Fields, inferred: bool) -> Self {
        Self {
            columns: fields.iter().map(|field| ValueDecoder::new(field, inferred)).collect(),
            filled: vec![None; fields.len()],
            fields: fields.clone(),
            nulls: NullBufferBuilder::new(0),
            folded: !inferred,
        }
    }

    /// Consumes an object, and adds the items of its arrays to `slots`.
    pub(super) fn append(&mut self, lexer: &mut Lexer<'_>, slots: &mut usize) -> Result<(), Fault> {
        lexer.enter()?;
        lexer.take(b'{');
        self.filled.fill(None);
        let mut likely = 0;
        let mut failed = None;
        let outcome = lexer.members(|lexer, key| {
            let found = if key.escaped {
                unescape(key.bytes).and_then(|name| self.position(name.as_bytes(), likely))
            } else {
                self.position(key.bytes, likely)
            };
            let Some((at, exact)) = found else { return lexer.skip_value().map(drop) };
            match self.filled[at] {
                None => self.filled[at] = Some(exact),
                // Of a key that stands twice the first value counts; two keys are another matter.
                Some(before) if before == exact => return lexer.skip_value().map(drop),
                Some(_) => return Err(lexer.fault("two keys of the record differ in case only")),
            }
            likely = at + 1;
            match self.columns[at].append(lexer, slots) {
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
            if filled.is_none() {
                column.append_null();
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// The column of a key, and whether the key is exactly its name. Objects of one file mostly have
    /// their keys in one order.
    #[inline]
    fn position(&self, key: &[u8], likely: usize) -> Option<(usize, bool)> {
        let is_exact = |field: &FieldRef| field.name().as_bytes() == key;
        if self.fields.get(likely).is_some_and(is_exact) {
            return Some((likely, true));
        }
        let is_folded = |field: &FieldRef| field.name().as_bytes().eq_ignore_ascii_case(key);
        let found = |field: &FieldRef| if self.folded { is_folded(field) } else { is_exact(field) };
        let at = self.fields.iter().position(found)?;
        Some((at, is_exact(&self.fields[at])))
    }

    /// Places that one object fills.
    pub(super) fn width(&self) -> usize {
        self.columns.iter().map(ValueDecoder::width).sum::<usize>() + 1
    }

    fn append_null(&mut self) {
        self.columns.iter_mut().for_each(ValueDecoder::append_null);
        self.nulls.append_null();
    }

    /// The columns gathered so far, and which objects were NULL.
    pub(super) fn finish_parts(&mut self) -> (Vec<ArrayRef>, Option<NullBuffer>) {
        (self.columns.iter_mut().map(ValueDecoder::finish).collect(), self.nulls.finish())
    }
}

/// The items of an array.
struct ListDecoder {
    field: FieldRef,
    items: ValueDecoder,
    /// Places that one item fills.
    width: usize,
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
            DataType::List(item) => {
                let items = ValueDecoder::new(item, inferred);
                Values::List(Box::new(ListDecoder {
                    field: Arc::clone(item),
                    width: items.width(),
                    items,
                    offsets: vec![0],
                    count: 0,
                    nulls: NullBufferBuilder::new(0),
                }))
            }
            DataType::Null => Values::Null(0),
            _ => Values::Text(StringViewBuilder::new()),
        };
        Self { field: Arc::clone(field), inferred, values }
    }

    /// Places that one value fills; items of arrays are counted as they come.
    fn width(&self) -> usize {
        match &self.values {
            Values::Object(object) => object.width(),
            _ => 1,
        }
    }

    fn append(&mut self, lexer: &mut Lexer<'_>, slots: &mut usize) -> Result<(), Fault> {
        let token = lexer.token()?;
        if token == Token::Null {
            lexer.word(b"null")?;
            self.append_null();
            return Ok(());
        }
        match (&mut self.values, token) {
            (Values::Object(object), Token::Object) => object.append(lexer, slots),
            (Values::List(list), Token::Array) => list.append(lexer, slots).map_err(|fault| match fault {
                // The items of arrays have no names of their own.
                Fault::TooLong { at, .. } => Fault::TooLong { at, field: Arc::clone(&self.field) },
                other => other,
            }),
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
            (_, Token::Number) if inferred && !scalar::is_plain(value) => Err(Misfit::Syntax),
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
    fn append(&mut self, lexer: &mut Lexer<'_>, slots: &mut usize) -> Result<(), Fault> {
        let start = lexer.at();
        lexer.enter()?;
        lexer.take(b'[');
        let mut failed = None;
        let outcome = lexer.items(|lexer| {
            *slots += self.width;
            let item = if *slots > SLOTS_MAX {
                Err(Fault::TooLong { at: start, field: Arc::clone(&self.field) })
            } else {
                // Below the limit of slots, and so of its type.
                self.count += 1;
                self.items.append(lexer, slots)
            };
            match item {
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
