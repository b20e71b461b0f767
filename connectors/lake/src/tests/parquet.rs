//! Parquet end to end.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use meesh_base::ErrorKind;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;

use super::{Lake, run};

/// A Parquet file with these columns, 100 rows a row group.
pub(crate) fn file(columns: &[(&str, ArrayRef)]) -> Vec<u8> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), columns.iter().map(|(_, a)| Arc::clone(a)).collect()).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[tokio::test]
async fn a_folder_of_parquet_files_is_a_table() {
    let lake = Lake::new();
    for (day, from) in [("2026-11-23", 0), ("2026-11-24", 1000)] {
        let bytes = file(&[("n", longs(from..from + 1000)), ("s", texts(&["x"; 1000]))]);
        lake.write(&format!("raw/t/day={day}/part-0.parquet"), bytes);
    }
    assert_eq!(lake.columns("t").await.unwrap(), "n bigint, s varchar, day date");
    assert_eq!(lake.rows("select count(*), sum(n), min(day) from t").await, ["2000|1999000|2026-11-23"]);
    let pruned = lake.query("select count(*) from t where day > date '2026-11-23' and n % 2 = 0").await.unwrap();
    assert_eq!((pruned.rows, pruned.files, pruned.scanned_rows), (vec!["500".to_owned()], 1, 1000));
    let by_statistics = lake.query("select n from t where n = 1555").await.unwrap();
    assert_eq!((by_statistics.rows, by_statistics.scanned_rows), (vec!["1555".to_owned()], 100));
    let path = lake.rows("select distinct \"$path\" from t where n = 5").await;
    assert!(path[0].ends_with("raw/t/day=2026-11-23/part-0.parquet"), "{path:?}");
}

#[tokio::test]
async fn a_null_partition_is_null() {
    let lake = Lake::new();
    lake.write("raw/t/k=__HIVE_DEFAULT_PARTITION__/a.parquet", file(&[("n", longs([1]))]));
    lake.write("raw/t/k=7/a.parquet", file(&[("n", longs([2]))]));
    assert_eq!(lake.rows("select n from t where k is null").await, ["1"]);
    assert_eq!(lake.rows("select n from t where k is not null").await, ["2"]);
    assert_eq!(lake.rows("select count(k), count(*), min(k), max(k) from t").await, ["1|2|7|7"]);
}

#[tokio::test]
async fn dynamic_filters_of_joins_skip_row_groups() {
    let lake = Lake::new();
    lake.write("raw/facts.parquet", file(&[("k", longs(0..10_000)), ("v", longs(0..10_000))]));
    lake.write("raw/keys.csv", "k,name\n4242,x\n");
    let answer = lake.query("select v, name from keys join facts on keys.k = facts.k").await.unwrap();
    assert_eq!(answer.rows, ["4242|x"]);
    assert!(answer.scanned_rows <= 201, "{answer:?}");
}

#[tokio::test]
async fn files_widen_by_rule_and_stay_exact() {
    let lake = Lake::new();
    lake.write("raw/t/a.parquet", file(&[("id", Arc::new(Int32Array::from(vec![1]))), ("x", longs([7]))]));
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    lake.write("raw/t/b.parquet", file(&[("x", doubles), ("id", longs([2])), ("new", texts(&["y"]))]));
    assert_eq!(lake.columns("t").await.unwrap(), "id bigint, x double, new varchar");
    assert_eq!(lake.rows("select id, x, new from t").await, ["1|7.0|", "2|0.5|y"]);
    assert_eq!(lake.rows("select id from t where x > 1").await, ["1"]);
    assert_eq!(lake.rows("select cast(x as bigint) + 1, id from t where new is null").await, ["8|1"]);
    lake.write("raw/t/c.parquet", file(&[("x", longs([(1 << 53) + 1])), ("id", longs([3]))]));
    let error = lake.error("select sum(x) from t").await;
    assert_eq!(error.kind(), ErrorKind::SourceData);
    assert!(error.to_string().contains("9007199254740993") && error.to_string().contains("c.parquet"), "{error}");
    assert_eq!(lake.rows("select sum(id) from t").await, ["6"]);
}

#[tokio::test]
async fn files_that_do_not_go_together_are_both_named() {
    let lake = Lake::new();
    lake.write("raw/t/a.parquet", file(&[("id", longs([1]))]));
    lake.write("raw/t/b.parquet", file(&[("id", texts(&["x"]))]));
    let error = lake.columns("t").await.unwrap_err().to_string();
    assert!(error.contains("raw/t/a.parquet") && error.contains("raw/t/b.parquet"), "{error}");
    lake.write("raw/u/a.parquet", file(&[("Id", longs([1]))]));
    lake.write("raw/u/b.parquet", file(&[("id", longs([1]))]));
    let error = lake.columns("u").await.unwrap_err().to_string();
    assert!(error.contains("is written \"id\""), "{error}");
}

#[tokio::test]
async fn types_without_a_name_in_sql_are_widened() {
    let lake = Lake::new();
    lake.write("raw/t.parquet", file(&[("u", Arc::new(UInt32Array::from(vec![u32::MAX])))]));
    assert_eq!(lake.columns("t").await.unwrap(), "u bigint");
    assert_eq!(lake.rows("select u + 1 from t").await, ["4294967296"]);
    assert_eq!(lake.rows("select min(u), max(u), count(u) from t").await, ["4294967295|4294967295|1"]);
    assert_eq!(lake.rows("select u from t where u > 1").await, ["4294967295"]);
}

#[tokio::test]
async fn what_a_footer_leaves_out_is_not_taken_for_certain() {
    let lake = Lake::new();
    let doubles = |values: &[f64]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    lake.write("raw/t.parquet", file(&[("x", doubles(&[2.0, f64::NAN])), ("n", longs([1, 2]))]));
    assert_eq!(lake.rows("select x, n from t").await, ["2.0|1", "NaN|2"]);
    assert_eq!(lake.rows("select max(x) from t").await, ["NaN"]);
    assert_eq!(lake.rows("select count(*) from t where x = 2").await, ["1"]);
    assert_eq!(lake.rows("select min(n), max(n), count(n) from t").await, ["1|2|2"]);
    for (condition, numbers) in [
        ("x <> 2", vec!["2"]),
        ("not (x = 2)", vec!["2"]),
        ("x not in (2, 3)", vec!["2"]),
        ("x is distinct from 2", vec!["2"]),
        ("x is not distinct from cast('NaN' as double)", vec!["2"]),
    ] {
        assert_eq!(lake.rows(&format!("select n from t where {condition}")).await, numbers, "{condition}");
    }
    // 100 rows each: by the extremes of the second group it would have none of the largest.
    let many = (0..200).map(|n| if n == 150 { f64::NAN } else { f64::from(300 - n) });
    lake.write("raw/u.parquet", file(&[("x", doubles(&many.collect::<Vec<_>>())), ("n", longs(0..200))]));
    assert_eq!(lake.rows("select n from u order by x desc limit 1").await, ["150"]);
}

#[tokio::test]
async fn row_groups_are_read_ahead_and_none_twice() {
    let lake = Lake::new();
    lake.write("raw/t.parquet", file(&[("k", longs(0..1000)), ("v", longs(1000..2000))]));
    let whole = lake.query("select sum(k), sum(v) from t").await.unwrap();
    assert_eq!((whole.rows, whole.scanned_rows), (vec!["499500|1499500".to_owned()], 1000));
    // Of ten row groups seven are read, and the third, which is a wrong guess after the first two.
    let gaps = lake.query("select sum(k), sum(v) from t where k < 200 or k >= 500").await.unwrap();
    assert_eq!((gaps.rows, gaps.scanned_rows), (vec!["394650|1094650".to_owned()], 700));
    assert!(gaps.scanned_bytes * 100 < whole.scanned_bytes * 85, "{} of {}", gaps.scanned_bytes, whole.scanned_bytes);
}

/// The file with statistics as `change` makes them of the number of a row group and of its own.
fn with_statistics(bytes: &[u8], change: impl Fn(usize, &Statistics) -> Option<Statistics>) -> Vec<u8> {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let mut builder = metadata.into_builder();
    let groups = builder.take_row_groups().into_iter().enumerate().map(|(number, group)| {
        let mut group = group.into_builder();
        let chunks = group.take_columns().into_iter().map(|chunk| {
            let changed = change(number, chunk.statistics().unwrap());
            let chunk =
                chunk.into_builder().set_column_index_offset(None).set_column_index_length(None).clear_statistics();
            match changed {
                Some(statistics) => chunk.set_statistics(statistics),
                None => chunk,
            }
            .build()
            .unwrap()
        });
        let chunks = chunks.collect();
        group.set_column_metadata(chunks).build().unwrap()
    });
    let groups = groups.collect();
    let metadata = builder.set_row_groups(groups).build();
    let mut written = bytes[..bytes.len() - 8 - footer].to_vec();
    ParquetMetaDataWriter::new(&mut written, &metadata).finish().unwrap();
    written
}

#[tokio::test]
async fn a_row_group_without_bounds_is_within_none() {
    let lake = Lake::new();
    // The second row group says nothing of its values, or their bounds alone not.
    let bytes = file(&[("n", longs((0..100).map(|_| 5).chain([7])))]);
    let counted = || Statistics::int64(None, None, None, Some(0), false);
    lake.write("raw/t.parquet", with_statistics(&bytes, |number, own| (number == 0).then(|| own.clone())));
    lake.write(
        "raw/u.parquet",
        with_statistics(&bytes, |number, own| Some(if number == 0 { own.clone() } else { counted() })),
    );
    for table in ["t", "u"] {
        assert_eq!(lake.rows(&format!("select max(n), count(n) from {table}")).await, ["7|101"], "{table}");
        assert_eq!(lake.rows(&format!("select distinct n from {table}")).await, ["5", "7"], "{table}");
        assert_eq!(lake.rows(&format!("select n from {table} where n > 6")).await, ["7"], "{table}");
    }
}

#[tokio::test]
async fn nulls_that_are_not_counted_are_there() {
    let lake = Lake::new();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(5)]));
    let bytes = file(&[("n", numbers)]);
    lake.write(
        "raw/t.parquet",
        with_statistics(&bytes, |_, _| Some(Statistics::int64(Some(5), Some(5), None, None, false))),
    );
    assert_eq!(lake.rows("select n from t").await, ["", "5", "5"]);
    assert_eq!(lake.rows("select count(n), count(*) from t").await, ["2|3"]);
    assert_eq!(lake.rows("select count(*) from t where n is null").await, ["1"]);
    assert_eq!(lake.rows("select count(*) from t where n = 5").await, ["2"]);
}

#[tokio::test]
async fn declared_columns_are_found_whatever_the_case_of_their_names() {
    let lake = Lake::with(&[
        ("table.raw.t.location", "raw/t"),
        ("table.raw.t.columns", "customerid bigint, gone varchar, place row(CITY varchar)"),
    ]);
    let place = || -> ArrayRef {
        let city: ArrayRef = texts(&["bonn"]);
        Arc::new(StructArray::from(vec![(Arc::new(Field::new("city", DataType::Utf8, true)), city)]))
    };
    lake.write("raw/t/a.parquet", file(&[("customerId", Arc::new(Int32Array::from(vec![1]))), ("place", place())]));
    lake.write("raw/t/b.parquet", file(&[("place", place()), ("customerId", longs([2]))]));
    assert_eq!(lake.rows("select \"customerId\", gone, place['city'] from t").await, ["1||bonn", "2||bonn"]);
    assert_eq!(lake.rows("select max(\"customerId\") from t where \"customerId\" > 1").await, ["2"]);
    lake.write("raw/t/c.parquet", file(&[("CustomerID", longs([3]))]));
    let error = lake.columns("t").await.unwrap_err().to_string();
    for part in ["raw/t/a.parquet", "\"customerId\"", "raw/t/c.parquet", "\"CustomerID\""] {
        assert!(error.contains(part), "{part} in {error}");
    }
    std::fs::remove_file(lake.directory.path().join("raw/t/c.parquet")).unwrap();
    lake.write("raw/t/b.parquet", file(&[("customerId", longs([2])), ("CUSTOMERID", longs([2]))]));
    let error = lake.columns("t").await.unwrap_err().to_string();
    assert!(error.contains("raw/t/b.parquet\" has the columns \"customerId\" and \"CUSTOMERID\""), "{error}");
}

#[tokio::test]
async fn one_query_reads_one_version() {
    let lake = Lake::new();
    lake.write("raw/t.parquet", file(&[("n", longs(0..1000))]));
    let (context, _) = lake.session().await.unwrap();
    assert_eq!(run(&context, "select sum(n) from t").await.unwrap().len(), 1);
    std::fs::remove_file(lake.directory.path().join("raw/t.parquet")).unwrap();
    lake.write("raw/t.parquet", file(&[("n", longs(5..1005))]));
    let error = run(&context, "select sum(n) from t").await.unwrap_err();
    assert!(error.to_string().contains("raw/t.parquet\" changed while it was read"), "{error}");
    assert_eq!(lake.rows("select sum(n) from t").await, [(5..1005).sum::<i64>().to_string()]);
}
