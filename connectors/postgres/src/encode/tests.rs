use super::*;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int16Array, Int32Array, Int64Array, ListArray,
    StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};

use crate::config::Rounding;
use crate::decode::BatchDecoder;
use crate::types::{Decoder, ListDecoder, TextForm};

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let fields = columns.iter().enumerate();
    let fields = fields.map(|(index, array)| Field::new(format!("c{index}"), array.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
}

fn names(batch: &RecordBatch) -> Vec<Arc<str>> {
    batch.schema().fields().iter().map(|field| field.name().as_str().into()).collect()
}

fn encoded(batch: &RecordBatch, encoders: &[Encoder]) -> Result<Vec<u8>> {
    let names = names(batch);
    let mut out = Vec::new();
    let more = BatchRows::new(batch, encoders, &names, "catalog \"sales\"")?.fill(&mut out, usize::MAX)?;
    assert!(!more);
    Ok(out)
}

/// Cuts tuples apart: the encoder puts them one behind another, a server sends them one by one.
fn tuples(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut tuples = Vec::new();
    while !bytes.is_empty() {
        let mut at = 2;
        for _ in 0..u16::from_be_bytes(bytes[..2].try_into().unwrap()) {
            let length = i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            at += 4 + usize::try_from(length).unwrap_or(0);
        }
        let (tuple, rest) = bytes.split_at(at);
        tuples.push(tuple);
        bytes = rest;
    }
    tuples
}

#[test]
fn what_is_written_is_read() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), Some(vec![]), None]);
    let decimal = Decimal128Array::from(vec![Some(-12_345), Some(0), None]).with_precision_and_scale(12, 2).unwrap();
    let zoned = TimestampMicrosecondArray::from(vec![Some(-1), Some(4_102_444_800_000_000), None]).with_timezone("UTC");
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let columns: Vec<(ArrayRef, Encoder, Decoder)> = vec![
        (Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])), Encoder::Bool, Decoder::Bool),
        (Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(7), None])), Encoder::Int16, Decoder::Int16),
        (Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(7), None])), Encoder::Int64, Decoder::Int64),
        (Arc::new(Float64Array::from(vec![Some(f64::INFINITY), Some(-0.5), None])), Encoder::Float64, Decoder::Float64),
        (Arc::new(decimal), Encoder::Numeric, Decoder::Numeric(Rounding::Unnecessary)),
        (Arc::new(Date32Array::from(vec![Some(-719_163), Some(20_000), None])), Encoder::Date, Decoder::Date),
        (Arc::new(zoned), Encoder::Timestamp, Decoder::Timestamp),
        (
            Arc::new(StringViewArray::from(vec![Some(""), Some("ein Fischotter 🦦"), None])),
            Encoder::Text,
            Decoder::Text(TextForm::Plain),
        ),
        (
            Arc::new(StringViewArray::from(vec![Some("{}"), Some("[1, \"ü\"]"), None])),
            Encoder::Jsonb,
            Decoder::Text(TextForm::Versioned),
        ),
        (
            Arc::new(StringViewArray::from(vec![Some(uuid), Some(uuid), None])),
            Encoder::Uuid,
            Decoder::Text(TextForm::Uuid),
        ),
        (
            Arc::new(list),
            Encoder::List { element_oid: 23, element: Box::new(Encoder::Int32) },
            Decoder::List(Box::new(ListDecoder { element_oid: 23, dimensions: 1, element: Decoder::Int32 })),
        ),
    ];
    let batch = batch(columns.iter().map(|(array, ..)| Arc::clone(array)).collect());
    let encoders: Vec<Encoder> = columns.iter().map(|(_, encoder, _)| encoder.clone()).collect();
    let decoders: Vec<Decoder> = columns.into_iter().map(|(.., decoder)| decoder).collect();
    let bytes = encoded(&batch, &encoders).unwrap();
    let mut decoder = BatchDecoder::of_binary(batch.schema(), &decoders);
    for tuple in tuples(&bytes) {
        decoder.tuple(tuple).unwrap();
    }
    assert_eq!(decoder.finish().unwrap(), batch);
}

#[test]
fn frames_end_when_they_are_full() {
    let batch = batch(vec![Arc::new(Int32Array::from((0..1000).collect::<Vec<_>>()))]);
    let (names, mut frame) = (names(&batch), Vec::new());
    let mut rows = BatchRows::new(&batch, &[Encoder::Int32], &names, "").unwrap();
    assert!(rows.fill(&mut frame, 100).unwrap());
    assert_eq!(frame.len(), 100);
    while rows.fill(&mut frame, 5_000).unwrap() {
        frame.clear();
    }
}

#[test]
fn what_postgresql_cannot_hold_names_its_column() {
    let text = |value: &str| Arc::new(StringViewArray::from(vec![value])) as ArrayRef;
    let day = |days| Arc::new(Date32Array::from(vec![days])) as ArrayRef;
    let instant = |micros| Arc::new(TimestampMicrosecondArray::from(vec![micros])) as ArrayRef;
    for (array, encoder, part) in [
        (text("a\0b"), Encoder::Text, "U+0000"),
        (text("a\0b"), Encoder::Jsonb, "U+0000"),
        (text("no uuid"), Encoder::Uuid, "no UUID"),
        (day(i32::MAX), Encoder::Date, "out of PostgreSQL's range"),
        (day(i32::MIN), Encoder::Date, "out of PostgreSQL's range"),
        (instant(i64::MIN), Encoder::Timestamp, "out of PostgreSQL's range"),
    ] {
        let error = encoded(&batch(vec![array]), &[encoder]).unwrap_err();
        assert!(error.message().starts_with("catalog \"sales\": column \"c0\": "), "{error}");
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn values_travel_straight_or_by_a_carrier() {
    let list = DataType::new_list(DataType::Utf8View, true);
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(direct(&DataType::Utf8View, 2950, None, false), Some(Encoder::Uuid));
    assert_eq!(direct(&DataType::Utf8View, 99_999, None, true), Some(Encoder::Text));
    assert_eq!(direct(&DataType::Utf8View, 869, None, false), None);
    assert_eq!(direct(&DataType::Utf8View, 1114, None, false), None, "a timestamp that is read as text");
    let array = Encoder::List { element_oid: 25, element: Box::new(Encoder::Text) };
    assert_eq!(direct(&list, 1009, Some((25, false)), false), Some(array));
    assert_eq!(direct(&list, 1041, Some((869, false)), false), None);
    assert_eq!(carrier(&DataType::Utf8View).unwrap().type_name, "text");
    assert_eq!(carrier(&zoned).unwrap().type_name, "timestamptz");
    assert_eq!(carrier(&list).unwrap().type_name, "text[]");
    assert!(carrier(&DataType::Struct(Default::default())).is_err());
}
