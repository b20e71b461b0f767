//! PostgreSQL's types: what each becomes in Arrow, how its values travel, and what may be said of
//! them in pushed SQL.
//!
//! ```text
//! column's type -> domains resolved -> array? element type : table below -> ColumnType
//!                                                                           |- arrow   what the engine sees
//!                                                                           |- wire    cast in the SELECT + decoder
//!                                                                           `- form    which operators mean the same
//! ```
//!
//! No type makes a table unreadable: what is not in the table travels as its text.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};

use crate::config::{NumericMapping, Rounding};

/// The time zone of every `timestamptz`: PostgreSQL keeps instants, not zones.
pub(crate) const UTC: &str = "UTC";

/// How the bytes of one value become Arrow's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decoder {
    /// `bool`.
    Bool,
    /// `int2`.
    Int16,
    /// `int4`.
    Int32,
    /// `int8`.
    Int64,
    /// `oid`, `xid` and `cid`.
    UInt32,
    /// `float4`.
    Float32,
    /// `float8`.
    Float64,
    /// Days since 2000.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 2000, with or without zone.
    Timestamp,
    /// Characters.
    Text(TextForm),
    /// `bytea` and what is sent alike.
    Bytes,
    /// `numeric`, into a decimal of the column's precision and scale.
    Numeric(Rounding),
    /// `interval`.
    Interval,
    /// `point`, into a struct of `x` and `y`.
    Point,
    /// An array; every dimension is a list.
    List(Box<ListDecoder>),
    /// `real[]` of fixed length, for pgvector.
    Vector(i32),
    /// A composite value, into a struct: for each attribute the type that its value must name, and its
    /// decoder.
    Record(Vec<(u32, Decoder)>),
}

/// How the elements of an array are decoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListDecoder {
    /// The element type that the array's header must name.
    pub(crate) element_oid: u32,
    /// The number of dimensions.
    pub(crate) dimensions: usize,
    /// The decoder of one element.
    pub(crate) element: Decoder,
}

/// What surrounds the characters of a text value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextForm {
    /// Nothing.
    Plain,
    /// Blanks at the end that mean nothing: `char(n)`.
    Padded,
    /// A version byte: `jsonb`.
    Versioned,
    /// There are none: 16 bytes of a `uuid`, written as text here.
    Uuid,
}

/// Which of PostgreSQL's operators mean on a column what the engine's mean on its Arrow values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Those of the type itself.
    Plain,
    /// Those of `text`, with an eye on the collation.
    Text,
    /// Those of its `::text`, and equality with a literal that does not end in blanks.
    Padded,
    /// Those of its `::text`, and equality with a canonical literal.
    Uuid,
    /// Those of its `::text`: the type's own differ (`citext`, enums) or are missing (`json`).
    AsText,
    /// None: it is read and held against NULL, no more.
    Opaque,
    /// None, and only its `::text` is NULL when it is: a composite value of NULLs is not.
    Composite,
}

/// The collation that a text expression carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collation {
    /// Its oid in `pg_collation`; 0 for a literal, which takes its neighbour's.
    pub(crate) oid: u32,
    /// Whether equality is equality of bytes.
    pub(crate) deterministic: bool,
    /// Whether the order is that of code points.
    pub(crate) bytewise: bool,
}

impl Collation {
    /// Of literals and of expressions that are no text.
    pub(crate) const NONE: Self = Self { oid: 0, deterministic: true, bytewise: false };
    /// Of the database's default.
    pub(crate) const DEFAULT_OID: u32 = 100;
    /// Of expressions over several columns: unknown until printed with `COLLATE`.
    pub(crate) const MIXED: Self = Self { oid: u32::MAX, deterministic: false, bytewise: false };
}

/// How a column travels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wire {
    /// The cast in the outermost SELECT; `None` where the type's own binary form is decoded.
    pub(crate) cast: Option<Cow<'static, str>>,
    /// What reads it here.
    pub(crate) decoder: Decoder,
}

/// All there is to know of a column's type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnType {
    /// What the engine sees.
    pub(crate) arrow: DataType,
    /// How it travels.
    pub(crate) wire: Wire,
    /// What can be pushed about it.
    pub(crate) form: Form,
}

/// One row of `pg_type`.
#[derive(Debug, Clone, Default)]
pub(crate) struct TypeRow {
    /// `typname`.
    pub(crate) name: String,
    /// `typtype`: `d` a domain, `e` an enum.
    pub(crate) kind: String,
    /// `typbasetype` of a domain.
    pub(crate) base: u32,
    /// `typtypmod` of a domain.
    pub(crate) base_typmod: i32,
    /// `typndims` of a domain over an array.
    pub(crate) base_dimensions: usize,
    /// `typelem` of a true array, else 0.
    pub(crate) element: u32,
    /// The attributes of a composite type, in order.
    pub(crate) attributes: Vec<Attribute>,
}

/// One attribute of a composite type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attribute {
    /// `attname`.
    pub(crate) name: String,
    /// `atttypid`.
    pub(crate) oid: u32,
    /// `atttypmod`.
    pub(crate) typmod: i32,
    /// `attndims`.
    pub(crate) dimensions: usize,
}

/// Types whose oid is the same in every server: oid, cast, decoder, form.
/// The oids are those of `pg_type.dat` in PostgreSQL's sources.
#[rustfmt::skip]
const BUILT_IN: &[(u32, Option<&str>, Decoder, Form)] = &[
    (16,   None,            Decoder::Bool,                       Form::Plain),
    (21,   None,            Decoder::Int16,                      Form::Plain),
    (23,   None,            Decoder::Int32,                      Form::Plain),
    (20,   None,            Decoder::Int64,                      Form::Plain),
    (26,   None,            Decoder::UInt32,                     Form::Plain),
    (28,   None,            Decoder::UInt32,                     Form::Opaque), // xid has no order
    (29,   None,            Decoder::UInt32,                     Form::Opaque), // cid neither
    (700,  None,            Decoder::Float32,                    Form::Plain),
    (701,  None,            Decoder::Float64,                    Form::Plain),
    (1082, None,            Decoder::Date,                       Form::Plain),
    (1083, None,            Decoder::Time,                       Form::Plain),
    (1114, None,            Decoder::Timestamp,                  Form::Plain),
    (1184, None,            Decoder::Timestamp,                  Form::Plain),
    (1186, None,            Decoder::Interval,                   Form::Opaque), // 30 days = 1 mon there
    (25,   None,            Decoder::Text(TextForm::Plain),      Form::Text),
    (1043, None,            Decoder::Text(TextForm::Plain),      Form::Text),
    (1042, None,            Decoder::Text(TextForm::Padded),     Form::Padded),
    (19,   None,            Decoder::Text(TextForm::Plain),      Form::AsText), // name
    (114,  None,            Decoder::Text(TextForm::Plain),      Form::AsText), // json
    (3802, None,            Decoder::Text(TextForm::Versioned),  Form::AsText), // jsonb
    (2950, None,            Decoder::Text(TextForm::Uuid),       Form::Uuid),
    (17,   None,            Decoder::Bytes,                      Form::Plain),
    (600,  None,            Decoder::Point,                      Form::Opaque),
    (1700, None,            Decoder::Numeric(Rounding::Unnecessary), Form::Plain),
    (790,  Some("numeric"), Decoder::Numeric(Rounding::Unnecessary), Form::Opaque), // money
];

/// Types of extensions, whose oid differs from server to server.
#[rustfmt::skip]
const BY_NAME: &[(&str, Option<&str>, Decoder, Form)] = &[
    ("citext",    None, Decoder::Text(TextForm::Plain), Form::AsText),
    ("geometry",  None, Decoder::Bytes,                 Form::Opaque), // EWKB
    ("geography", None, Decoder::Bytes,                 Form::Opaque),
];

const TIMESTAMPTZ: u32 = 1184;
const NUMERIC: u32 = 1700;
const MONEY: u32 = 790;
const TEXT: u32 = 25;
const REAL: u32 = 700;
/// Domains may be built on domains; a loop cannot exist in a sound catalog.
const DOMAIN_DEPTH_MAX: usize = 64;

/// Resolves the types of columns.
#[derive(Debug)]
pub(crate) struct TypeResolver<'a> {
    /// Every type that the columns reach, by oid.
    pub(crate) types: &'a HashMap<u32, TypeRow>,
    /// What becomes of a bare `numeric`.
    pub(crate) numeric: NumericMapping,
    /// Names of types that are read as text because the catalog file says so.
    pub(crate) as_text: &'a [String],
}

impl TypeResolver<'_> {
    /// The type of a column with this `atttypid`, `atttypmod` and `attndims`.
    pub(crate) fn column(&self, oid: u32, typmod: i32, dimensions: usize) -> ColumnType {
        let (mut oid, mut typmod, mut dimensions) = (oid, typmod, dimensions);
        for _ in 0..DOMAIN_DEPTH_MAX {
            let Some(row) = self.types.get(&oid) else { break };
            if self.as_text.contains(&row.name.to_lowercase()) {
                return text_cast();
            }
            if row.kind != "d" {
                break;
            }
            (oid, typmod, dimensions) = (row.base, row.base_typmod, row.base_dimensions);
        }
        match self.types.get(&oid) {
            Some(row) if row.element != 0 => self.array(row.element, typmod, dimensions.max(1)),
            row => self.scalar(oid, typmod, row),
        }
    }

    fn scalar(&self, oid: u32, typmod: i32, row: Option<&TypeRow>) -> ColumnType {
        if oid == NUMERIC {
            return numeric(typmod, self.numeric);
        }
        if let Some((_, cast, decoder, form)) = BUILT_IN.iter().find(|(known, ..)| *known == oid) {
            let arrow =
                if oid == MONEY { DataType::Decimal128(19, 2) } else { arrow_type(decoder, oid == TIMESTAMPTZ) };
            return direct(arrow, *cast, decoder.clone(), *form);
        }
        let Some(row) = row else { return text_cast() };
        if row.kind == "e" {
            return direct(DataType::Utf8View, None, Decoder::Text(TextForm::Plain), Form::AsText);
        }
        if row.name == "vector" && typmod > 0 {
            let decoder = Decoder::Vector(typmod);
            return direct(arrow_type(&decoder, false), Some("real[]"), decoder, Form::Opaque);
        }
        if let Some(composite) = self.composite(row) {
            return composite;
        }
        match BY_NAME.iter().find(|(name, ..)| *name == row.name) {
            Some((_, cast, decoder, form)) => direct(arrow_type(decoder, false), *cast, decoder.clone(), *form),
            None => text_cast(),
        }
    }

    /// A composite type all of whose attributes have a binary form that is decoded; the value of one
    /// cannot be cast on its way.
    fn composite(&self, row: &TypeRow) -> Option<ColumnType> {
        let (mut fields, mut decoders) = (Vec::new(), Vec::new());
        for attribute in &row.attributes {
            let of = self.column(attribute.oid, attribute.typmod, attribute.dimensions);
            if of.wire.cast.is_some() {
                return None;
            }
            fields.push(Field::new(&attribute.name, of.arrow, true));
            decoders.push((attribute.oid, of.wire.decoder));
        }
        let arrow = DataType::Struct(Fields::from(fields));
        (!decoders.is_empty()).then(|| direct(arrow, None, Decoder::Record(decoders), Form::Composite))
    }

    fn array(&self, element_oid: u32, typmod: i32, dimensions: usize) -> ColumnType {
        let element = self.column(element_oid, typmod, 0);
        if matches!(element.wire.decoder, Decoder::List(_) | Decoder::Vector(_)) {
            // An array of a domain over an array: rare, and no binary form of its own.
            return text_cast();
        }
        let cast = element.wire.cast.map(|cast| Cow::Owned(format!("{cast}[]")));
        let element_oid = match cast.as_deref() {
            Some("numeric[]") => NUMERIC,
            Some("real[]") => REAL,
            Some(_) => TEXT,
            None => element_oid,
        };
        let arrow = (0..dimensions).fold(element.arrow, |item, _| DataType::new_list(item, true));
        let decoder = Decoder::List(Box::new(ListDecoder { element_oid, dimensions, element: element.wire.decoder }));
        ColumnType { arrow, wire: Wire { cast, decoder }, form: Form::Opaque }
    }
}

fn direct(arrow: DataType, cast: Option<&'static str>, decoder: Decoder, form: Form) -> ColumnType {
    ColumnType { arrow, wire: Wire { cast: cast.map(Cow::Borrowed), decoder }, form }
}

fn text_cast() -> ColumnType {
    direct(DataType::Utf8View, Some("text"), Decoder::Text(TextForm::Plain), Form::AsText)
}

/// `numeric(p, s)`; the modifier holds both, above `VARHDRSZ` (`numeric.c`), the scale in 11 signed bits.
fn numeric(typmod: i32, mapping: NumericMapping) -> ColumnType {
    let bare = || {
        let form = if mapping.rounding == Rounding::Unnecessary { Form::Plain } else { Form::Opaque };
        direct(DataType::Decimal128(38, mapping.scale), None, Decoder::Numeric(mapping.rounding), form)
    };
    let exact = |arrow| direct(arrow, None, Decoder::Numeric(Rounding::Unnecessary), Form::Plain);
    let Some(modifier) = typmod.checked_sub(4).filter(|modifier| *modifier >= 0) else { return bare() };
    let precision = (modifier >> 16) & 0xffff;
    let scale = ((modifier & 0x7ff) ^ 1024) - 1024;
    // Since PostgreSQL 15 a scale may be negative, or exceed the precision; Arrow's kernels know neither.
    let (precision, scale) = if scale < 0 { (precision - scale, 0) } else { (precision.max(scale), scale) };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if precision <= 38 => exact(DataType::Decimal128(precision, scale)),
        (Ok(precision), Ok(scale)) if precision <= 76 && mapping.rounding == Rounding::Unnecessary => {
            exact(DataType::Decimal256(precision, scale))
        }
        _ => bare(),
    }
}

fn arrow_type(decoder: &Decoder, zoned: bool) -> DataType {
    match decoder {
        Decoder::Bool => DataType::Boolean,
        Decoder::Int16 => DataType::Int16,
        Decoder::Int32 => DataType::Int32,
        Decoder::Int64 => DataType::Int64,
        Decoder::UInt32 => DataType::UInt32,
        Decoder::Float32 => DataType::Float32,
        Decoder::Float64 => DataType::Float64,
        Decoder::Date => DataType::Date32,
        Decoder::Time => DataType::Time64(TimeUnit::Microsecond),
        Decoder::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| UTC.into())),
        Decoder::Text(_) => DataType::Utf8View,
        Decoder::Bytes => DataType::BinaryView,
        Decoder::Numeric(_) => DataType::Decimal128(38, 10),
        Decoder::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        Decoder::Point => DataType::Struct(point_fields()),
        Decoder::List(list) => DataType::new_list(arrow_type(&list.element, zoned), true),
        Decoder::Vector(length) => DataType::new_fixed_size_list(DataType::Float32, *length, true),
        // Made by the resolver, which knows the names.
        Decoder::Record(_) => DataType::Struct(Fields::empty()),
    }
}

/// The fields of a `point`.
pub(crate) fn point_fields() -> Fields {
    let field = |name| Field::new(name, DataType::Float64, false);
    Fields::from(vec![field("x"), field("y")])
}

/// PostgreSQL's name of an Arrow type that an expression may have, and its decoder: what a computed
/// column is cast to, so that no other type can arrive. `None`: such a column cannot be fetched.
pub(crate) fn computed(arrow: &DataType) -> Option<(&'static str, Decoder)> {
    Some(match arrow {
        DataType::Boolean => ("boolean", Decoder::Bool),
        DataType::Int16 => ("smallint", Decoder::Int16),
        DataType::Int32 => ("integer", Decoder::Int32),
        DataType::Int64 => ("bigint", Decoder::Int64),
        DataType::UInt32 => ("oid", Decoder::UInt32),
        DataType::Float32 => ("real", Decoder::Float32),
        DataType::Float64 => ("double precision", Decoder::Float64),
        DataType::Decimal128(..) | DataType::Decimal256(..) => ("numeric", Decoder::Numeric(Rounding::Unnecessary)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ("text", Decoder::Text(TextForm::Plain)),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => ("bytea", Decoder::Bytes),
        DataType::Date32 => ("date", Decoder::Date),
        DataType::Time64(TimeUnit::Microsecond) => ("time", Decoder::Time),
        DataType::Timestamp(TimeUnit::Microsecond, None) => ("timestamp", Decoder::Timestamp),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => ("timestamptz", Decoder::Timestamp),
        _ => return None,
    })
}

/// Whether a zone's name means UTC.
pub(crate) fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Etc/UTC" | "+00:00" | "Z")
}

#[cfg(test)]
mod tests;
