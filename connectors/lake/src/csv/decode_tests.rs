//! Tests of CSV records to arrays.

use arrow::datatypes::Field;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;

use super::*;
use crate::testing::object;

fn column(data_type: DataType, inferred: bool) -> TextColumn {
    TextColumn { field: Arc::new(Field::new("v", data_type, true)), inferred }
}

/// One column of one-field records, shown.
fn show(text: &str, data_type: DataType) -> Result<Vec<String>> {
    let mut decoder = CsvDecoder::new([column(data_type, true)].into(), "table.a.b.columns".into());
    let mut piece = Piece { text: Bytes::from(format!("{text}\n")), line: 1, object: object("raw/a.csv") };
    decoder.push(&mut piece, &CsvDecoder::layout(b',', &[Some(0)])?, 100)?;
    let array = decoder.finish()?.remove(0);
    Ok((0..array.len())
        .map(|row| if array.is_null(row) { "NULL".to_owned() } else { array_value_to_string(&array, row).unwrap() })
        .collect())
}

#[test]
fn empty_is_null_and_quoted_empty_is_text() {
    assert_eq!(show("a\n\n\"\"\n\"x\"\"y\"", DataType::Utf8View).unwrap(), ["a", "NULL", "", "x\"y"]);
    assert_eq!(show("1\n\n\"\"\n\"4\"\n 5 \n  ", DataType::Int64).unwrap(), ["1", "NULL", "NULL", "4", "5", "NULL"]);
}

#[test]
fn every_type_is_read() {
    let zone = || Some("UTC".into());
    for (data_type, text, shown) in [
        (DataType::Boolean, "TRUE\nfalse\n", vec!["true", "false"]),
        (DataType::Int8, "-128", vec!["-128"]),
        (DataType::Float64, "1.5\n-2\nNaN", vec!["1.5", "-2.0", "NaN"]),
        (DataType::Float32, "0.25", vec!["0.25"]),
        (DataType::Decimal128(5, 2), "1.5\n-999.99", vec!["1.50", "-999.99"]),
        (DataType::Date32, "2026-11-23", vec!["2026-11-23"]),
        (DataType::Timestamp(TimeUnit::Microsecond, None), "2026-11-23 10:15", vec!["2026-11-23T10:15:00"]),
        (DataType::Timestamp(TimeUnit::Millisecond, zone()), "2026-11-23T10:15:00+01:00", vec!["2026-11-23T09:15:00Z"]),
    ] {
        let found = show(text.trim_end(), data_type.clone()).unwrap();
        assert_eq!(found, shown, "{data_type}");
    }
}

#[test]
fn a_misfit_names_object_line_column_value_and_remedy() {
    let error = show("1\n2\n\"x,\ny\"", DataType::Int64).unwrap_err().to_string();
    for part in ["s3://raw/a.csv", "line 3", "column \"v\"", "\"x,\\ny\" is not a bigint", "table.a.b.columns"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = show("9007199254740993", DataType::Float64).unwrap_err().to_string();
    assert!(error.contains("not exact as a double"), "{error}");
}

#[test]
fn a_broken_record_names_its_line() {
    let mut decoder = CsvDecoder::new([column(DataType::Int64, true)].into(), "".into());
    let mut piece = Piece { text: Bytes::from("1,2\n3,4\n5\n"), line: 11, object: object("raw/a.csv") };
    let error =
        decoder.push(&mut piece, &CsvDecoder::layout(b',', &[Some(0), None]).unwrap(), 100).unwrap_err().to_string();
    assert!(error.contains("line 13: the record has 1 fields where 2 are expected"), "{error}");
}

#[test]
fn batches_end_where_told_and_columns_may_be_missing() {
    let columns: Arc<[TextColumn]> = [column(DataType::Int64, true), column(DataType::Utf8View, true)].into();
    let mut decoder = CsvDecoder::new(columns, "".into());
    let mut piece = Piece { text: Bytes::from("1\n2\n3\n"), line: 1, object: object("raw/a.csv") };
    let layout = CsvDecoder::layout(b',', &[Some(0)]).unwrap();
    decoder.push(&mut piece, &layout, 2).unwrap();
    assert_eq!((decoder.rows(), piece.text.as_ref(), piece.line), (2, &b"3\n"[..], 3));
    let arrays = decoder.finish().unwrap();
    assert_eq!((arrays[0].len(), arrays[1].null_count()), (2, 2));
}

#[test]
fn more_columns_than_slots_are_no_nulls() {
    let last = usize::from(SKIP) - 1;
    assert_eq!(CsvDecoder::layout(b',', &[Some(last), None]).unwrap().slots, [SKIP - 1, SKIP]);
    for beyond in [last + 1, last + 2] {
        assert!(CsvDecoder::layout(b',', &[Some(beyond)]).is_err());
    }
}
