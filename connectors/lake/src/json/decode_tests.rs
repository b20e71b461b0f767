//! Tests of JSON records to arrays.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;

use super::*;
use crate::sqltype::parse_columns;
use crate::testing::object;

fn decoder(columns: &str, inferred: bool) -> JsonDecoder {
    let fields = parse_columns(columns).unwrap();
    let columns: Vec<TextColumn> =
        fields.iter().map(|field| TextColumn { field: Arc::clone(field), inferred }).collect();
    JsonDecoder::new(columns.into(), "table.a.b.columns".into())
}

fn piece(text: &str) -> Piece {
    Piece { text: Bytes::copy_from_slice(text.as_bytes()), line: 1, object: object("raw/a.json") }
}

/// Rows as `a|b`, NULL as nothing.
fn rows(columns: &str, text: &str) -> Result<Vec<String>> {
    let mut decoder = decoder(columns, true);
    decoder.push(&mut piece(text), JsonLayout::of(text.as_bytes()), 100)?;
    let arrays = decoder.finish()?;
    let cell = |array: &ArrayRef, row| {
        if array.is_null(row) { String::new() } else { array_value_to_string(array, row).unwrap() }
    };
    let rows = arrays[0].len();
    Ok((0..rows).map(|row| arrays.iter().map(|a| cell(a, row)).collect::<Vec<_>>().join("|")).collect())
}

#[test]
fn only_wanted_fields_are_read_in_any_order() {
    let text = "{\"x\":[1,{\"y\":2}],\"b\":\"t\",\"a\":1}\n{\"a\":2}\n{\"b\":null,\"a\":3,\"a\":4}\n";
    assert_eq!(rows("a bigint, b varchar", text).unwrap(), ["1|t", "2|", "3|"]);
    assert_eq!(rows("b varchar", &format!("[{}]", text.trim_end().replace('\n', ","))).unwrap(), ["t", "", ""]);
}

#[test]
fn nested_values_and_their_nulls() {
    let text = "{\"a\":{\"b\":[1,null]}}\n{\"a\":null}\n{\"a\":{}}\n{\"a\":{\"b\":[]}}\n";
    assert_eq!(rows("a row(b array(bigint))", text).unwrap(), ["{b: [1, ]}", "", "{b: }", "{b: []}"]);
}

#[test]
fn text_columns_keep_the_json_of_other_values() {
    let text = "{\"a\":{\"b\": 1}}\n{\"a\":12345678901234567890}\n{\"a\":true}\n{\"a\":\"x\\ny\"}\n";
    assert_eq!(rows("a varchar", text).unwrap(), ["{\"b\": 1}", "12345678901234567890", "true", "x\ny"]);
}

#[test]
fn numbers_stay_exact() {
    assert_eq!(
        rows("a bigint, b double", "{\"a\":1.0,\"b\":2}\n{\"a\":1e3,\"b\":0.5}\n").unwrap(),
        ["1|2.0", "1000|0.5"]
    );
    for (columns, text) in
        [("a bigint", "{\"a\":1.5}"), ("a double", "{\"a\":9007199254740993}"), ("a bigint", "{\"a\":\"1\"}")]
    {
        let error = rows(columns, text).unwrap_err().to_string();
        assert!(error.contains("line 1: column \"a\": value"), "{error}");
    }
    let mut declared = decoder("a bigint, b decimal(5,2)", false);
    declared.push(&mut piece("{\"A\":\"7\",\"b\":\"1.5\"}"), JsonLayout::Lines, 10).unwrap();
    assert_eq!(array_value_to_string(&declared.finish().unwrap()[1], 0).unwrap(), "1.50");
}

#[test]
fn columns_are_found_whatever_the_case_of_a_key() {
    let text = "{\"Id\":1}\n{\"ID\":2}\n{\"\\u0069d\":3}\n{\"id\":4,\"id\":5}\n";
    assert_eq!(rows("id bigint", text).unwrap(), ["1", "2", "3", "4"]);
    // Within rows as they are written: they were not merged over case.
    assert_eq!(rows("a row(\"Id\" bigint)", "{\"A\":{\"id\":1,\"Id\":2}}").unwrap(), ["{Id: 2}"]);
    let error = rows("id bigint", "{\"id\":1}\n{\"Id\":1,\"id\":2}\n").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("differ in case only"), "{error}");
}

#[test]
fn a_fault_names_object_and_line() {
    let error = rows("a bigint", "{\"a\":1}\n\n{\"a\":2,}\n").unwrap_err().to_string();
    assert!(error.contains("s3://raw/a.json") && error.contains("line 3: not valid JSON"), "{error}");
    let error = rows("a row(b date)", "{\"a\":{\"b\":\"2026-02-30\"}}").unwrap_err().to_string();
    assert!(error.contains("column \"b\": value \"2026-02-30\" is not a date"), "{error}");
}

#[test]
fn batches_end_where_told() {
    let mut decoder = decoder("a bigint", true);
    let mut piece = piece("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    decoder.push(&mut piece, JsonLayout::Lines, 2).unwrap();
    assert_eq!((decoder.rows(), piece.line), (2, 2));
    let schema = Arc::new(Schema::new(parse_columns("a bigint").unwrap()));
    assert_eq!(RecordBatch::try_new(schema, decoder.finish().unwrap()).unwrap().num_rows(), 2);
    decoder.push(&mut piece, JsonLayout::Lines, 2).unwrap();
    assert_eq!(decoder.rows(), 1);
}
