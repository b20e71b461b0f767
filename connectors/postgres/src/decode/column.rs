//! One column while its batch fills: PostgreSQL's binary values go straight into Arrow's buffers.

use std::mem;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, PrimitiveArray,
    StructArray,
};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, FieldRef, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};

use super::buffers::{Nulls, fitted};
use super::digits::{self, Decimal};
use super::fault::Fault;
use super::field::{split_field, split_fixed};
use super::list::ListBuilder;
use super::numeric::{self, Target};
use super::record::RecordBuilder;
use super::temporal;
use super::text::TextBuilder;
use crate::types::{Decoder, point_fields};
use crate::wire::ValueFormat;

/// Values of fixed width.
#[derive(Debug)]
pub(super) struct Fixed<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: Nulls,
    data_type: DataType,
}

impl<T: ArrowPrimitiveType> Fixed<T> {
    fn new(data_type: &DataType, capacity: usize) -> Self {
        Self { values: Vec::with_capacity(capacity), nulls: Nulls::default(), data_type: data_type.clone() }
    }

    /// Takes the first field, whose value has `WIDTH` bytes.
    #[inline(always)]
    fn take_fixed<'a, const WIDTH: usize>(
        &mut self,
        fields: &'a [u8],
        decode: impl Fn([u8; WIDTH]) -> Result<T::Native, Fault>,
    ) -> Result<&'a [u8], Fault> {
        let Some((value, rest)) = split_fixed(fields) else { return self.take_null(fields) };
        self.values.push(decode(*value)?);
        Ok(rest)
    }

    /// Takes the first field, which is NULL or of another length than it should be.
    #[inline(never)]
    fn take_null<'a>(&mut self, fields: &'a [u8]) -> Result<&'a [u8], Fault> {
        let (None, rest) = split_field(fields)? else { return Err(Fault::Length) };
        self.null();
        Ok(rest)
    }

    fn null(&mut self) {
        self.nulls.push(self.values.len());
        self.values.push(T::Native::default());
    }

    fn finish(&mut self, capacity: usize) -> ArrayRef {
        let values = fitted(mem::replace(&mut self.values, Vec::with_capacity(capacity)));
        let nulls = self.nulls.finish(values.len());
        Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls).with_data_type(self.data_type.clone()))
    }
}

impl<T: ArrowPrimitiveType<Native: TryFrom<i64>>> Fixed<T> {
    /// Takes the first field, an integer as text. Not one method with a closure for each kind of value: those
    /// are left out of line, which cost 15 ns a row.
    #[inline(always)]
    fn take_integer<'a>(&mut self, fields: &'a [u8]) -> Result<&'a [u8], Fault> {
        let (value, rest) = split_field(fields)?;
        match value {
            Some(value) => self.values.push(digits::integer(value)?),
            None => self.null(),
        }
        Ok(rest)
    }
}

impl Fixed<Decimal128Type> {
    /// Takes the first field.
    #[inline(always)]
    fn take_decimal<'a>(&mut self, fields: &'a [u8], target: &Target<i128>) -> Result<&'a [u8], Fault> {
        let (value, rest) = split_field(fields)?;
        match value {
            Some(value) => self.values.push(numeric::decimal128(value, target)?),
            None => self.null(),
        }
        Ok(rest)
    }

    /// The same from text.
    #[inline(always)]
    fn take_decimal_text<'a>(&mut self, fields: &'a [u8], target: &Decimal) -> Result<&'a [u8], Fault> {
        let (value, rest) = split_field(fields)?;
        match value {
            Some(value) => self.values.push(target.unscaled(value)?),
            None => self.null(),
        }
        Ok(rest)
    }
}

/// A column's builder. An enum, so that the loop over a row's fields is one jump per field.
#[derive(Debug)]
pub(super) enum Builder {
    Bool(Vec<bool>, Nulls),
    Int16(Fixed<Int16Type>),
    Int32(Fixed<Int32Type>),
    Int64(Fixed<Int64Type>),
    UInt32(Fixed<UInt32Type>),
    /// The same from text.
    Int16Text(Fixed<Int16Type>),
    Int32Text(Fixed<Int32Type>),
    Int64Text(Fixed<Int64Type>),
    UInt32Text(Fixed<UInt32Type>),
    Float32(Fixed<Float32Type>),
    Float64(Fixed<Float64Type>),
    Date(Fixed<Date32Type>),
    Time(Fixed<Time64MicrosecondType>),
    Timestamp(Fixed<TimestampMicrosecondType>),
    Interval(Fixed<IntervalMonthDayNanoType>),
    Decimal128(Fixed<Decimal128Type>, Target<i128>),
    Decimal128Text(Fixed<Decimal128Type>, Decimal),
    Decimal256(Fixed<Decimal256Type>, Box<Target<arrow::datatypes::i256>>),
    Text(TextBuilder),
    Point(Vec<f64>, Vec<f64>, Nulls),
    List(Box<ListBuilder>),
    Vector(Vec<f32>, Nulls, usize, FieldRef),
    Record(Box<RecordBuilder>),
}

/// PostgreSQL takes all NaN for equal and greater than any number; Arrow compares their bits, and one
/// with a sign (`'Infinity'::float8 - 'Infinity'::float8` gives it) is less than any number.
#[inline(always)]
fn one_nan64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

#[inline(always)]
fn one_nan32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value }
}

impl Builder {
    /// A builder of a result's column, whose values come in [`Self::format`]; `None` as for [`Self::new`].
    pub(super) fn of_column(decoder: &Decoder, data_type: &DataType, capacity: usize) -> Option<Self> {
        Some(match Self::new(decoder, data_type, capacity)? {
            Self::Int16(values) => Self::Int16Text(values),
            Self::Int32(values) => Self::Int32Text(values),
            Self::Int64(values) => Self::Int64Text(values),
            Self::UInt32(values) => Self::UInt32Text(values),
            Self::Decimal128(values, target) => match Decimal::new(data_type, target) {
                Some(decimal) => Self::Decimal128Text(values, decimal),
                None => Self::Decimal128(values, target),
            },
            other => other,
        })
    }

    /// The format that costs the server least, of those that are read here: `int8send` and its kin reserve a
    /// kilobyte for every value. Dates are dear as text.
    pub(super) fn format(&self) -> ValueFormat {
        match self {
            Self::Int16Text(_) | Self::Int32Text(_) | Self::Int64Text(_) | Self::UInt32Text(_) => ValueFormat::Text,
            Self::Decimal128Text(..) => ValueFormat::Text,
            Self::Text(values) if values.is_plain() => ValueFormat::Text,
            _ => ValueFormat::Binary,
        }
    }

    /// A builder of `data_type` fed by `decoder`, from binary values; `None` if that pair cannot be.
    pub(super) fn new(decoder: &Decoder, data_type: &DataType, capacity: usize) -> Option<Self> {
        Some(match (decoder, data_type) {
            (Decoder::Bool, DataType::Boolean) => Self::Bool(Vec::with_capacity(capacity), Nulls::default()),
            (Decoder::Int16, DataType::Int16) => Self::Int16(Fixed::new(data_type, capacity)),
            (Decoder::Int32, DataType::Int32) => Self::Int32(Fixed::new(data_type, capacity)),
            (Decoder::Int64, DataType::Int64) => Self::Int64(Fixed::new(data_type, capacity)),
            (Decoder::UInt32, DataType::UInt32) => Self::UInt32(Fixed::new(data_type, capacity)),
            (Decoder::Float32, DataType::Float32) => Self::Float32(Fixed::new(data_type, capacity)),
            (Decoder::Float64, DataType::Float64) => Self::Float64(Fixed::new(data_type, capacity)),
            (Decoder::Date, DataType::Date32) => Self::Date(Fixed::new(data_type, capacity)),
            (Decoder::Time, DataType::Time64(_)) => Self::Time(Fixed::new(data_type, capacity)),
            (Decoder::Timestamp, DataType::Timestamp(..)) => Self::Timestamp(Fixed::new(data_type, capacity)),
            (Decoder::Interval, DataType::Interval(_)) => Self::Interval(Fixed::new(data_type, capacity)),
            (Decoder::Numeric(rounding), DataType::Decimal128(precision, scale)) => {
                Self::Decimal128(Fixed::new(data_type, capacity), Target::new(*precision, *scale, *rounding)?)
            }
            (Decoder::Numeric(rounding), DataType::Decimal256(precision, scale)) => {
                Self::Decimal256(Fixed::new(data_type, capacity), Box::new(Target::new(*precision, *scale, *rounding)?))
            }
            (Decoder::Text(form), _) => Self::Text(TextBuilder::text(*form, data_type, capacity)?),
            (Decoder::Bytes, _) => Self::Text(TextBuilder::bytes(data_type, capacity)?),
            (Decoder::Point, DataType::Struct(_)) => Self::Point(Vec::new(), Vec::new(), Nulls::default()),
            (Decoder::List(list), DataType::List(_)) => {
                Self::List(Box::new(ListBuilder::new(list, data_type, capacity)?))
            }
            (Decoder::Vector(length), DataType::FixedSizeList(field, _)) => {
                Self::Vector(Vec::new(), Nulls::default(), usize::try_from(*length).ok()?, Arc::clone(field))
            }
            (Decoder::Record(decoders), DataType::Struct(_)) => {
                Self::Record(Box::new(RecordBuilder::new(decoders, data_type, capacity)?))
            }
            _ => return None,
        })
    }

    /// Takes the first of `fields` in; says what follows it.
    #[inline(always)]
    pub(super) fn take<'a>(&mut self, fields: &'a [u8]) -> Result<&'a [u8], Fault> {
        match self {
            Self::Int64Text(values) => values.take_integer(fields),
            Self::Int32Text(values) => values.take_integer(fields),
            Self::Int16Text(values) => values.take_integer(fields),
            Self::UInt32Text(values) => values.take_integer(fields),
            Self::Decimal128Text(values, target) => values.take_decimal_text(fields, target),
            Self::Int64(values) => values.take_fixed(fields, |value| Ok(i64::from_be_bytes(value))),
            Self::Int32(values) => values.take_fixed(fields, |value| Ok(i32::from_be_bytes(value))),
            Self::Int16(values) => values.take_fixed(fields, |value| Ok(i16::from_be_bytes(value))),
            Self::UInt32(values) => values.take_fixed(fields, |value| Ok(u32::from_be_bytes(value))),
            Self::Float64(values) => values.take_fixed(fields, |value| Ok(one_nan64(f64::from_be_bytes(value)))),
            Self::Float32(values) => values.take_fixed(fields, |value| Ok(one_nan32(f32::from_be_bytes(value)))),
            Self::Date(values) => values.take_fixed(fields, |value| temporal::date(i32::from_be_bytes(value))),
            Self::Time(values) => values.take_fixed(fields, |value| temporal::time(i64::from_be_bytes(value))),
            Self::Timestamp(values) => {
                values.take_fixed(fields, |value| temporal::timestamp(i64::from_be_bytes(value)))
            }
            Self::Decimal128(values, target) => values.take_decimal(fields, target),
            Self::Text(values) => values.take(fields),
            rare => rare.take_rare(fields),
        }
    }

    #[inline(never)]
    fn take_rare<'a>(&mut self, fields: &'a [u8]) -> Result<&'a [u8], Fault> {
        let (value, rest) = split_field(fields)?;
        match value {
            Some(value) => self.append(value.bytes())?,
            None => self.null(),
        }
        Ok(rest)
    }

    fn append(&mut self, value: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Bool(values, _) => match value {
                [byte] => values.push(*byte != 0),
                _ => return Err(Fault::Length),
            },
            Self::Interval(values) => values.values.push(temporal::interval(value)?),
            Self::Decimal256(values, target) => values.values.push(numeric::decimal256(value, target)?),
            Self::Point(xs, ys, _) => {
                let [x, y] = value.as_chunks::<8>().0 else { return Err(Fault::Length) };
                xs.push(f64::from_be_bytes(*x));
                ys.push(f64::from_be_bytes(*y));
            }
            Self::List(values) => values.append(value)?,
            Self::Record(values) => values.append(value)?,
            Self::Vector(values, _, length, _) => append_vector(values, *length, value)?,
            // Every other kind takes its fields itself.
            _ => return Err(Fault::Corrupt),
        }
        Ok(())
    }

    /// Appends NULL.
    pub(super) fn null(&mut self) {
        match self {
            Self::Bool(values, nulls) => {
                nulls.push(values.len());
                values.push(false);
            }
            Self::Int16(values) | Self::Int16Text(values) => values.null(),
            Self::Int32(values) | Self::Int32Text(values) => values.null(),
            Self::Int64(values) | Self::Int64Text(values) => values.null(),
            Self::UInt32(values) | Self::UInt32Text(values) => values.null(),
            Self::Float32(values) => values.null(),
            Self::Float64(values) => values.null(),
            Self::Date(values) => values.null(),
            Self::Time(values) => values.null(),
            Self::Timestamp(values) => values.null(),
            Self::Interval(values) => values.null(),
            Self::Decimal128(values, _) | Self::Decimal128Text(values, _) => values.null(),
            Self::Decimal256(values, _) => values.null(),
            Self::Text(values) => values.null(),
            Self::Point(xs, ys, nulls) => {
                nulls.push(xs.len());
                xs.push(0.0);
                ys.push(0.0);
            }
            Self::List(values) => values.null(),
            Self::Record(values) => values.null(),
            Self::Vector(values, nulls, length, _) => {
                nulls.push(values.len() / (*length).max(1));
                values.resize(values.len() + *length, 0.0);
            }
        }
    }

    /// The values so far as an array; the builder starts over with room for `capacity` values.
    ///
    /// # Errors
    /// [`Fault::NotUtf8`] with the position of the value.
    pub(super) fn finish(&mut self, capacity: usize) -> Result<ArrayRef, (Fault, usize)> {
        Ok(match self {
            Self::Bool(values, nulls) => {
                let values = mem::replace(values, Vec::with_capacity(capacity));
                let nulls = nulls.finish(values.len());
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            Self::Int16(values) | Self::Int16Text(values) => values.finish(capacity),
            Self::Int32(values) | Self::Int32Text(values) => values.finish(capacity),
            Self::Int64(values) | Self::Int64Text(values) => values.finish(capacity),
            Self::UInt32(values) | Self::UInt32Text(values) => values.finish(capacity),
            Self::Float32(values) => values.finish(capacity),
            Self::Float64(values) => values.finish(capacity),
            Self::Date(values) => values.finish(capacity),
            Self::Time(values) => values.finish(capacity),
            Self::Timestamp(values) => values.finish(capacity),
            Self::Interval(values) => values.finish(capacity),
            Self::Decimal128(values, _) | Self::Decimal128Text(values, _) => values.finish(capacity),
            Self::Decimal256(values, _) => values.finish(capacity),
            Self::Text(values) => values.finish()?,
            Self::Point(xs, ys, nulls) => {
                let nulls = nulls.finish(xs.len());
                let columns: [ArrayRef; 2] = [xs, ys].map(|axis| Arc::new(Float64Array::from(mem::take(axis))) as _);
                Arc::new(StructArray::new(point_fields(), columns.into(), nulls))
            }
            Self::List(values) => values.finish(capacity)?,
            Self::Record(values) => values.finish(capacity)?,
            Self::Vector(values, nulls, length, field) => {
                let values = mem::take(values);
                let nulls = nulls.finish(values.len() / (*length).max(1));
                let values = Arc::new(Float32Array::from(values));
                let length = i32::try_from(*length).unwrap_or(i32::MAX);
                Arc::new(FixedSizeListArray::new(Arc::clone(field), length, values, nulls))
            }
        })
    }
}

/// `real[]` with one dimension of `length`, no NULLs.
fn append_vector(values: &mut Vec<f32>, length: usize, value: &[u8]) -> Result<(), Fault> {
    let (header, mut elements) = value.split_first_chunk::<20>().ok_or(Fault::Length)?;
    let word = |at: usize| header.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_be_bytes);
    if word(0) != 1 || usize::try_from(word(12)) != Ok(length) {
        return Err(Fault::Dimensions);
    }
    for _ in 0..length {
        let (&[0, 0, 0, 4, b0, b1, b2, b3], rest) = elements.split_first_chunk::<8>().ok_or(Fault::Truncated)? else {
            return Err(Fault::Corrupt);
        };
        values.push(f32::from_be_bytes([b0, b1, b2, b3]));
        elements = rest;
    }
    if elements.is_empty() { Ok(()) } else { Err(Fault::Length) }
}
