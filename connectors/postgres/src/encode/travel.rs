//! Which bytes a column's values travel as.

use std::borrow::Cow;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use meesh_connector_spi::in_sql_words;

use crate::pushdown::literal::Reason;
use crate::types::is_utc;

/// What makes the bytes of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// `bool`
    Bool,
    /// `int2`
    Int16,
    /// `int4`
    Int32,
    /// `int8`
    Int64,
    /// `oid`
    UInt32,
    /// `float4`
    Float32,
    /// `float8`
    Float64,
    /// `numeric`
    Numeric,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp` and `timestamptz`
    Timestamp,
    /// `interval`
    Interval,
    /// `text` and what is sent alike
    Text,
    /// `jsonb`
    Jsonb,
    /// `uuid`
    Uuid,
    /// `bytea`
    Bytes,
    /// An array of one dimension.
    List {
        /// The type that its header names.
        element_oid: u32,
        /// What makes an element's bytes.
        element: Box<Encoder>,
    },
}

/// What carries values to where a cast makes them those of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Carrier {
    /// What makes the bytes.
    pub(crate) encoder: Encoder,
    /// The PostgreSQL type that they are of.
    pub(crate) type_name: Cow<'static, str>,
}

/// Oid, name and encoder of the types whose binary form is known.
#[rustfmt::skip]
const KNOWN: &[(u32, &str, Encoder)] = &[
    (16,   "boolean",          Encoder::Bool),
    (21,   "smallint",         Encoder::Int16),
    (23,   "integer",          Encoder::Int32),
    (20,   "bigint",           Encoder::Int64),
    (26,   "oid",              Encoder::UInt32),
    (700,  "real",             Encoder::Float32),
    (701,  "double precision", Encoder::Float64),
    (1700, "numeric",          Encoder::Numeric),
    (1082, "date",             Encoder::Date),
    (1083, "time",             Encoder::Time),
    (1114, "timestamp",        Encoder::Timestamp),
    (1184, "timestamptz",      Encoder::Timestamp),
    (1186, "interval",         Encoder::Interval),
    (25,   "text",             Encoder::Text),
    (17,   "bytea",            Encoder::Bytes),
    // Behind those of the same Arrow type that stand for it.
    (1043, "varchar",          Encoder::Text),
    (1042, "bpchar",           Encoder::Text),
    (19,   "name",             Encoder::Text),
    (114,  "json",             Encoder::Text),
    (142,  "xml",              Encoder::Text),
    (3802, "jsonb",            Encoder::Jsonb),
    (2950, "uuid",             Encoder::Uuid),
];

impl Encoder {
    /// Whether it takes values of an Arrow type.
    fn takes(&self, arrow: &DataType) -> bool {
        use DataType as T;
        match self {
            Self::Bool => *arrow == T::Boolean,
            Self::Int16 => *arrow == T::Int16,
            Self::Int32 => *arrow == T::Int32,
            Self::Int64 => *arrow == T::Int64,
            Self::UInt32 => *arrow == T::UInt32,
            Self::Float32 => *arrow == T::Float32,
            Self::Float64 => *arrow == T::Float64,
            Self::Numeric => matches!(arrow, T::Decimal128(..) | T::Decimal256(..)),
            Self::Date => *arrow == T::Date32,
            Self::Time => *arrow == T::Time64(TimeUnit::Microsecond),
            Self::Timestamp => {
                matches!(arrow, T::Timestamp(TimeUnit::Microsecond, zone) if zone.as_deref().is_none_or(is_utc))
            }
            Self::Interval => *arrow == T::Interval(IntervalUnit::MonthDayNano),
            Self::Text | Self::Jsonb | Self::Uuid => matches!(arrow, T::Utf8 | T::LargeUtf8 | T::Utf8View),
            Self::Bytes => matches!(arrow, T::Binary | T::LargeBinary | T::BinaryView),
            Self::List { element, .. } => item(arrow).is_some_and(|item| element.takes(item)),
        }
    }
}

/// What writes values of `arrow` straight into a column of the type `oid` (of domains: what they are built
/// on), which is an array of `element` or an enum; `None` if only a cast makes them the column's.
pub(crate) fn direct(arrow: &DataType, oid: u32, element: Option<(u32, bool)>, is_enum: bool) -> Option<Encoder> {
    let own = |oid: u32, is_enum: bool, arrow: &DataType| {
        let known = KNOWN.iter().find(|(known, ..)| *known == oid).map(|(.., encoder)| encoder.clone());
        known.or_else(|| is_enum.then_some(Encoder::Text)).filter(|encoder| encoder.takes(arrow))
    };
    match (element, item(arrow)) {
        (Some((element_oid, is_enum)), Some(item)) => {
            let element = Box::new(own(element_oid, is_enum, item)?);
            Some(Encoder::List { element_oid, element })
        }
        _ => own(oid, is_enum, arrow),
    }
}

/// The type of PostgreSQL's that stands for `arrow`.
///
/// # Errors
/// The reason, if there is none.
pub(crate) fn carrier(arrow: &DataType) -> Result<Carrier, Reason> {
    let plain = |arrow: &DataType| {
        let zoned = matches!(arrow, DataType::Timestamp(_, Some(_)));
        KNOWN.iter().find(|(oid, _, encoder)| encoder.takes(arrow) && (*oid == 1184) == zoned)
    };
    if let Some((_, name, encoder)) = plain(arrow) {
        return Ok(Carrier { encoder: encoder.clone(), type_name: Cow::Borrowed(name) });
    }
    match item(arrow).and_then(plain) {
        Some((element_oid, name, encoder)) => {
            let encoder = Encoder::List { element_oid: *element_oid, element: Box::new(encoder.clone()) };
            Ok(Carrier { encoder, type_name: Cow::Owned(format!("{name}[]")) })
        }
        None => Err(format!("values of type {} cannot be written", in_sql_words(&arrow.to_string()))),
    }
}

/// The type of an array's elements.
fn item(arrow: &DataType) -> Option<&DataType> {
    match arrow {
        DataType::List(item) | DataType::FixedSizeList(item, _) => Some(item.data_type()),
        _ => None,
    }
}
