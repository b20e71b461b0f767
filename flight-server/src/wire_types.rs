//! Which Arrow types go over the wire.
//!
//! Conservative by default: string views, large strings, dictionaries and run-end encodings become plain
//! arrays, because common clients (JDBC before 19, arrow-go 12) cannot read them, and because a slice
//! of a view array drags all of its buffers along. Views are sent when the session asks for them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use prost::Message;

/// Largest message sent unless the session says otherwise: what the ADBC driver receives by default.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 16 << 20;

/// How results of one session are sent. Travels inside tickets.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct WireOptions {
    /// Send strings as views.
    #[prost(bool, tag = "1")]
    pub(crate) views: bool,
    /// Send only what Grafana's Flight SQL plug-in can draw.
    #[prost(bool, tag = "2")]
    pub(crate) grafana: bool,
    /// Send timestamps with a zone as timestamps without one, in UTC.
    #[prost(bool, tag = "3")]
    pub(crate) utc_naive: bool,
    /// A single row may take this much; 0 means [`MESSAGE_BYTES_MAX`].
    #[prost(uint64, tag = "4")]
    pub(crate) message_bytes_max: u64,
}

/// The schema that clients see for `schema`: in FlightInfo, in prepared statements and in the stream alike.
pub(crate) fn wire_schema(schema: &Schema, options: WireOptions) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(|field| wire_field(field, options)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn wire_field(field: &FieldRef, options: WireOptions) -> FieldRef {
    let data_type = wire_type(field.data_type(), options);
    if data_type == *field.data_type() {
        return Arc::clone(field);
    }
    let nullable = field.is_nullable() || is_nanoseconds(&data_type);
    Arc::new(Field::new(field.name(), data_type, nullable).with_metadata(field.metadata().clone()))
}

fn wire_type(data_type: &DataType, options: WireOptions) -> DataType {
    let inner = |field: &FieldRef| wire_field(field, options);
    let plain = match data_type {
        DataType::Utf8View if options.views => DataType::Utf8View,
        DataType::BinaryView if options.views => DataType::BinaryView,
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => wire_type(values, options),
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type(), options),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Float16 => DataType::Float32,
        DataType::Timestamp(unit, Some(_)) if options.utc_naive => DataType::Timestamp(*unit, None),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => DataType::List(inner(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    };
    if options.grafana { grafana_type(plain) } else { plain }
}

/// What the plug-in (1.1.1) can draw: numbers, texts, booleans, timestamps. It leaves columns of any
/// other type empty, and takes the number in a timestamp for nanoseconds whatever the unit
/// (`pkg/flightsql/arrow.go`, `ToTime(arrow.Nanosecond)`).
fn grafana_type(data_type: DataType) -> DataType {
    match data_type {
        DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone),
        DataType::Decimal128(..) | DataType::Decimal256(..) => DataType::Float64,
        DataType::Utf8View
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Interval(_)
        | DataType::Binary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::List(_)
        | DataType::FixedSizeList(..)
        | DataType::Struct(_)
        | DataType::Map(..)
        | DataType::Union(..)
        | DataType::Null => DataType::Utf8,
        other => other,
    }
}

/// `array` as type `wanted`, which [`wire_schema`] chose for it.
///
/// # Errors
/// When a batch of more than 2 GiB of text does not fit the 32-bit offsets of plain arrays.
pub(crate) fn to_wire(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    if *wanted == DataType::Utf8 && !is_text(array.data_type()) {
        return to_text(array);
    }
    if is_nanoseconds(wanted) {
        return to_nanoseconds(array, wanted);
    }
    cast_with_options(array, wanted, &CastOptions { safe: false, ..Default::default() })
}

fn is_nanoseconds(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Nanosecond, _))
}

/// A time that nanoseconds do not reach (they end in 2262) becomes NULL: it cannot be drawn, and is no
/// reason to draw nothing.
fn to_nanoseconds(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if *array.data_type() == DataType::Date64 {
        // The cast from these does not look for an overflow; the one from milliseconds does.
        return to_nanoseconds(&cast(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?, wanted);
    }
    cast(array, wanted)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        DataType::RunEndEncoded(_, values) => is_text(values.data_type()),
        _ => false,
    }
}

/// Nested values as JSON, everything else as people write it.
fn to_text(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let mut texts = StringBuilder::with_capacity(array.len(), array.len() * 16);
    if array.data_type().is_nested() && !matches!(array.data_type(), DataType::Union(..)) {
        let field: FieldRef = Arc::new(Field::new("value", array.data_type().clone(), true));
        let options = EncoderOptions::default().with_explicit_nulls(true);
        let mut encoder = make_encoder(&field, array.as_ref(), &options)?;
        let mut json = Vec::new();
        for row in 0..array.len() {
            if encoder.is_null(row) {
                texts.append_null();
                continue;
            }
            json.clear();
            encoder.encode(row, &mut json);
            texts.append_value(String::from_utf8_lossy(&json));
        }
        return Ok(Arc::new(texts.finish()));
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
    let nulls = array.logical_nulls();
    for row in 0..array.len() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            texts.append_null();
        } else {
            texts.append_value(formatter.value(row).try_to_string()?);
        }
    }
    Ok(Arc::new(texts.finish()))
}

/// A view array without the bytes that no view points at: a slice keeps the whole batch's buffers.
pub(crate) fn compact_views(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => {
            let views = array.as_string_view();
            let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
            if held > views.total_buffer_bytes_used() { Arc::new(views.gc()) } else { Arc::clone(array) }
        }
        DataType::BinaryView => {
            let views = array.as_binary_view();
            let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
            if held > views.total_buffer_bytes_used() { Arc::new(views.gc()) } else { Arc::clone(array) }
        }
        _ => Arc::clone(array),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        Date32Array, Date64Array, Decimal128Array, DictionaryArray, Int32Array, ListArray, NullArray, StringViewArray,
        TimestampMicrosecondArray, TimestampSecondArray,
    };
    use arrow::datatypes::{Int8Type, Int32Type};

    fn sent(array: ArrayRef, options: WireOptions) -> (DataType, String) {
        let schema = Schema::new(vec![Field::new("c", array.data_type().clone(), true)]);
        let wanted = wire_schema(&schema, options).field(0).data_type().clone();
        let wire = to_wire(&array, &wanted).unwrap();
        assert_eq!(*wire.data_type(), wanted);
        let formatter_options = FormatOptions::default().with_null("NULL");
        let formatter = ArrayFormatter::try_new(wire.as_ref(), &formatter_options).unwrap();
        let values = (0..wire.len()).map(|row| formatter.value(row).to_string()).collect::<Vec<_>>().join(",");
        (wanted, values)
    }

    #[test]
    fn strings_and_dictionaries_become_plain() {
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), None]));
        assert_eq!(sent(views.clone(), WireOptions::default()), (DataType::Utf8, "a,NULL".into()));
        assert_eq!(sent(views, WireOptions { views: true, ..Default::default() }).0, DataType::Utf8View);
        let words: ArrayRef = Arc::new(["x", "y", "x"].into_iter().collect::<DictionaryArray<Int8Type>>());
        assert_eq!(sent(words, WireOptions::default()), (DataType::Utf8, "x,y,x".into()));
    }

    #[test]
    fn nested_views_become_plain_too() {
        let inner = Arc::new(Field::new("item", DataType::Utf8View, true));
        let wanted = wire_type(&DataType::LargeList(inner), WireOptions::default());
        assert_eq!(wanted, DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))));
    }

    #[test]
    fn grafana_gets_what_it_can_draw() {
        let grafana = WireOptions { grafana: true, ..Default::default() };
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(1), None]));
        assert_eq!(sent(dates, grafana).1, "1970-01-02T00:00:00,NULL");
        let money: ArrayRef = Arc::new(Decimal128Array::from(vec![1234]).with_precision_and_scale(10, 2).unwrap());
        assert_eq!(sent(money, grafana), (DataType::Float64, "12.34".into()));
        let list: ArrayRef =
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None]));
        assert_eq!(sent(list, grafana), (DataType::Utf8, "[1,null],NULL".into()));
        let nothing: ArrayRef = Arc::new(NullArray::new(1));
        assert_eq!(sent(nothing, grafana), (DataType::Utf8, "NULL".into()));
    }

    #[test]
    fn grafana_reads_every_timestamp_as_nanoseconds() {
        let grafana = WireOptions { grafana: true, ..Default::default() };
        let nanoseconds = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Nanosecond, zone.map(Into::into));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_000_001, i64::MAX]));
        assert_eq!(sent(times.clone(), grafana), (nanoseconds(None), "1970-01-01T00:00:01.000001,NULL".into()));
        assert_eq!(sent(times.clone(), WireOptions::default()).0, *times.data_type());
        let zoned: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1]).with_timezone("UTC"));
        assert_eq!(sent(zoned, grafana), (nanoseconds(Some("UTC")), "1970-01-01T00:00:01Z".into()));
        // 9999-12-31, the "for ever" of many tables.
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![1, 2_932_896]));
        assert_eq!(sent(dates, grafana).1, "1970-01-02T00:00:00,NULL");
        let dates: ArrayRef = Arc::new(Date64Array::from(vec![86_400_000, 2_932_896 * 86_400_000]));
        assert_eq!(sent(dates, grafana).1, "1970-01-02T00:00:00,NULL");
        let required = Schema::new(vec![Field::new("day", DataType::Date32, false)]);
        assert!(wire_schema(&required, grafana).field(0).is_nullable());
    }

    #[test]
    fn a_slice_of_views_is_compacted() {
        let texts: Vec<String> = (0..1000).map(|n| format!("a text longer than twelve bytes {n}")).collect();
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(&texts));
        let slice = views.slice(10, 2);
        let compact = compact_views(&slice);
        assert_eq!(compact.as_string_view().value(1), texts[11]);
        let held: usize = compact.as_string_view().data_buffers().iter().map(|buffer| buffer.len()).sum();
        assert!(held < 100, "{held}");
        let plain: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert_eq!(compact_views(&plain).len(), 1);
    }
}
