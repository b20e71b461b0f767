//! One column of a batch, value by value.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeListArray, LargeBinaryArray,
    LargeStringArray, ListArray, PrimitiveArray, StringArray, StringViewArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};

use super::fault::Fault;
use super::numeric;
use super::travel::Encoder;

/// The longest value (`MaxAllocSize`).
const VALUE_BYTES_MAX: usize = (1 << 30) - 1;
/// Days and microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;
/// From 4713 BC on, up to the year 5874897 or 294276 (`timestamp.h`, `date.h`); counted from 2000-01-01.
const DATES: std::ops::Range<i32> = -2_451_545..2_145_031_949;
const TIMESTAMPS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// The version that `jsonb_recv` reads.
const JSONB_VERSION: u8 = 1;

/// The values of a column with what makes their bytes.
pub(super) struct Values<'a> {
    array: &'a dyn Array,
    typed: Typed<'a>,
}

enum Typed<'a> {
    Bool(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    UInt32(&'a PrimitiveArray<UInt32Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal128(&'a PrimitiveArray<Decimal128Type>, i8),
    Decimal256(&'a PrimitiveArray<Decimal256Type>, i8),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    Interval(&'a PrimitiveArray<IntervalMonthDayNanoType>),
    Text(Strings<'a>),
    Jsonb(Strings<'a>),
    Uuid(Strings<'a>),
    Bytes(Strings<'a>),
    List { ends: Ends<'a>, element_oid: u32, elements: Box<Values<'a>> },
}

/// Texts or bytes in any of Arrow's layouts.
enum Strings<'a> {
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
}

impl<'a> Strings<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Utf8 => Self::Utf8(array.as_string_opt()?),
            DataType::LargeUtf8 => Self::LargeUtf8(array.as_string_opt()?),
            DataType::Utf8View => Self::Utf8View(array.as_string_view_opt()?),
            DataType::Binary => Self::Binary(array.as_binary_opt()?),
            DataType::LargeBinary => Self::LargeBinary(array.as_binary_opt()?),
            DataType::BinaryView => Self::BinaryView(array.as_binary_view_opt()?),
            _ => return None,
        })
    }

    fn value(&self, row: usize) -> &'a [u8] {
        match self {
            Self::Utf8(array) => array.value(row).as_bytes(),
            Self::LargeUtf8(array) => array.value(row).as_bytes(),
            Self::Utf8View(array) => array.value(row).as_bytes(),
            Self::Binary(array) => array.value(row),
            Self::LargeBinary(array) => array.value(row),
            Self::BinaryView(array) => array.value(row),
        }
    }
}

/// Where the elements of each list are.
enum Ends<'a> {
    Offsets(&'a ListArray),
    Fixed(usize, &'a FixedSizeListArray),
}

impl Ends<'_> {
    fn of(&self, row: usize) -> std::ops::Range<usize> {
        match self {
            Self::Offsets(list) => {
                let offsets = list.value_offsets();
                let at = |index: usize| offsets.get(index).map_or(0, |offset| *offset as usize);
                at(row)..at(row + 1)
            }
            Self::Fixed(length, list) => {
                let start = list.value_offset(row) as usize;
                start..start + length
            }
        }
    }
}

impl<'a> Values<'a> {
    /// `None` if the column has not the type that its encoder takes.
    pub(super) fn new(encoder: &Encoder, array: &'a ArrayRef) -> Option<Self> {
        fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> Option<&PrimitiveArray<T>> {
            array.as_primitive_opt::<T>()
        }
        let typed = match encoder {
            Encoder::Bool => Typed::Bool(array.as_boolean_opt()?),
            Encoder::Int16 => Typed::Int16(primitive(array)?),
            Encoder::Int32 => Typed::Int32(primitive(array)?),
            Encoder::Int64 => Typed::Int64(primitive(array)?),
            Encoder::UInt32 => Typed::UInt32(primitive(array)?),
            Encoder::Float32 => Typed::Float32(primitive(array)?),
            Encoder::Float64 => Typed::Float64(primitive(array)?),
            Encoder::Numeric => match array.data_type() {
                DataType::Decimal128(_, scale) => Typed::Decimal128(primitive(array)?, *scale),
                DataType::Decimal256(_, scale) => Typed::Decimal256(primitive(array)?, *scale),
                _ => return None,
            },
            Encoder::Date => Typed::Date(primitive(array)?),
            Encoder::Time => Typed::Time(primitive(array)?),
            Encoder::Timestamp => Typed::Timestamp(primitive(array)?),
            Encoder::Interval => Typed::Interval(primitive(array)?),
            Encoder::Text => Typed::Text(Strings::new(array)?),
            Encoder::Jsonb => Typed::Jsonb(Strings::new(array)?),
            Encoder::Uuid => Typed::Uuid(Strings::new(array)?),
            Encoder::Bytes => Typed::Bytes(Strings::new(array)?),
            Encoder::List { element_oid, element } => {
                let (ends, elements) = match array.data_type() {
                    DataType::List(_) => {
                        let list = array.as_list_opt::<i32>()?;
                        (Ends::Offsets(list), list.values())
                    }
                    DataType::FixedSizeList(_, length) => {
                        let list = array.as_fixed_size_list_opt()?;
                        (Ends::Fixed(usize::try_from(*length).ok()?, list), list.values())
                    }
                    _ => return None,
                };
                let elements = Box::new(Values::new(element, elements)?);
                Typed::List { ends, element_oid: *element_oid, elements }
            }
        };
        Some(Self { array: array.as_ref(), typed })
    }

    /// Appends one value with its length in front; a length of -1 is NULL.
    pub(super) fn append(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.array.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            return Ok(());
        }
        match &self.typed {
            Typed::Bool(array) => fixed(out, [u8::from(array.value(row))]),
            Typed::Int16(array) => fixed(out, array.value(row).to_be_bytes()),
            Typed::Int32(array) => fixed(out, array.value(row).to_be_bytes()),
            Typed::Int64(array) => fixed(out, array.value(row).to_be_bytes()),
            Typed::UInt32(array) => fixed(out, array.value(row).to_be_bytes()),
            Typed::Float32(array) => fixed(out, array.value(row).to_be_bytes()),
            Typed::Float64(array) => fixed(out, array.value(row).to_be_bytes()),
            Typed::Decimal128(array, scale) => numeric::append(&array.value(row).to_string(), *scale, out),
            Typed::Decimal256(array, scale) => numeric::append(&array.value(row).to_string(), *scale, out),
            Typed::Date(array) => {
                let days = array.value(row).checked_sub(EPOCH_DAYS).filter(|days| DATES.contains(days));
                fixed(out, days.ok_or(Fault::OutOfRange)?.to_be_bytes());
            }
            Typed::Time(array) => {
                let time = Some(array.value(row)).filter(|time| (0..DAY_MICROSECONDS).contains(time));
                fixed(out, time.ok_or(Fault::OutOfRange)?.to_be_bytes());
            }
            Typed::Timestamp(array) => {
                let since = array.value(row).checked_sub(EPOCH_MICROSECONDS).filter(|since| TIMESTAMPS.contains(since));
                fixed(out, since.ok_or(Fault::OutOfRange)?.to_be_bytes());
            }
            Typed::Interval(array) => {
                let value = array.value(row);
                if value.nanoseconds % 1000 != 0 {
                    return Err(Fault::Nanoseconds);
                }
                out.extend_from_slice(&16i32.to_be_bytes());
                out.extend_from_slice(&(value.nanoseconds / 1000).to_be_bytes());
                out.extend_from_slice(&value.days.to_be_bytes());
                out.extend_from_slice(&value.months.to_be_bytes());
            }
            Typed::Text(texts) => variable(out, &[], without_zero(texts.value(row))?)?,
            Typed::Jsonb(texts) => variable(out, &[JSONB_VERSION], without_zero(texts.value(row))?)?,
            Typed::Uuid(texts) => fixed(out, uuid(texts.value(row)).ok_or(Fault::NotUuid)?),
            Typed::Bytes(bytes) => variable(out, &[], bytes.value(row))?,
            Typed::List { ends, element_oid, elements } => list(ends.of(row), *element_oid, elements, out)?,
        }
        Ok(())
    }
}

fn fixed<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

fn variable(out: &mut Vec<u8>, before: &[u8], bytes: &[u8]) -> Result<(), Fault> {
    let length = before.len() + bytes.len();
    if length > VALUE_BYTES_MAX {
        return Err(Fault::TooLarge);
    }
    out.extend_from_slice(&(length as i32).to_be_bytes());
    out.extend_from_slice(before);
    out.extend_from_slice(bytes);
    Ok(())
}

fn without_zero(text: &[u8]) -> Result<&[u8], Fault> {
    if memchr::memchr(0, text).is_some() { Err(Fault::Zero) } else { Ok(text) }
}

/// An array of one dimension (`array_send`): dimensions, whether it holds NULLs, element type, length and
/// lower bound; then the elements. An empty one has no dimension.
fn list(
    range: std::ops::Range<usize>,
    element_oid: u32,
    elements: &Values<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let count = i32::try_from(range.len()).map_err(|_| Fault::TooLarge)?;
    let has_nulls = range.clone().any(|row| elements.array.is_null(row));
    out.extend_from_slice(&i32::from(count > 0).to_be_bytes());
    out.extend_from_slice(&i32::from(has_nulls).to_be_bytes());
    out.extend_from_slice(&element_oid.to_be_bytes());
    if count > 0 {
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
    }
    for row in range {
        elements.append(row, out)?;
    }
    let length = out.len() - start - 4;
    if length > VALUE_BYTES_MAX {
        return Err(Fault::TooLarge);
    }
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&(length as i32).to_be_bytes());
    }
    Ok(())
}

/// The forms that `uuid_in` reads: 32 digits of any case, hyphens behind every fourth, braces around.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let text = match text {
        [b'{', inner @ .., b'}'] => inner,
        other => other,
    };
    let (mut bytes, mut digits) = ([0u8; 16], 0usize);
    let mut hyphen_allowed = false;
    for c in text {
        if *c == b'-' && hyphen_allowed {
            hyphen_allowed = false;
            continue;
        }
        let value = char::from(*c).to_digit(16)? as u8;
        let byte = bytes.get_mut(digits / 2)?;
        *byte = (*byte << 4) | value;
        digits += 1;
        hyphen_allowed = digits % 4 == 0 && digits < 32;
    }
    (digits == 32).then_some(bytes)
}
