//! What the connector does by itself; the suite that every connector must pass is in tests/.

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use super::*;

fn numbers(values: &[i64]) -> (SchemaRef, RecordBatch) {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(values.to_vec()))]).unwrap();
    (schema, batch)
}

#[tokio::test]
async fn a_table_put_is_found_described_and_read() {
    let connector = MemoryConnector::new("m");
    let (schema, batch) = numbers(&[1, 2, 3]);
    connector.put("s", "Numbers", schema, vec![batch]).unwrap();
    assert_eq!(connector.schemas().await.unwrap(), ["default", "s"]);
    assert_eq!(connector.tables("S").await.unwrap()[0].name, "Numbers");
    assert_eq!(connector.describe("s", "numbers").await.unwrap().unwrap().columns[0].name, "n");
    assert!(connector.table("s", "none").await.unwrap().is_none());
    let context = SessionContext::new();
    context.register_table("t", connector.table("S", "NUMBERS").await.unwrap().unwrap()).unwrap();
    let rows = context.sql("select n from t where n > 1").await.unwrap().execute_stream().await.unwrap();
    let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
}

#[tokio::test]
async fn names_that_differ_in_case_only_are_an_error_naming_both() {
    let connector = MemoryConnector::new("m");
    for name in ["t", "T"] {
        let (schema, batch) = numbers(&[1]);
        connector.put("s", name, schema, vec![batch]).unwrap();
    }
    let error = connector.describe("s", "t").await.unwrap_err().to_string();
    assert!(error.contains("\"T\"") && error.contains("\"t\""), "{error}");
}

#[test]
fn batches_must_have_the_columns_of_the_table() {
    let connector = MemoryConnector::new("m");
    let other = Arc::new(Schema::new(vec![Field::new("x", DataType::Utf8, false)]));
    let error = connector.put("s", "t", other, vec![numbers(&[1]).1]).unwrap_err();
    assert!(error.message().contains("table \"t\""), "{error}");
}

#[test]
fn trinos_keys_are_taken_and_said_to_do_nothing() {
    let mut values = ConfigValues::new("catalog \"m\"");
    values.set("memory.max-data-per-node", "128MB", "m.properties:2");
    let warnings = values.check(MemoryFactory.keys()).unwrap();
    assert_eq!(
        warnings,
        ["catalog \"m\": memory.max-data-per-node at m.properties:2 has no effect here: \
         statements write no tables, so that there is nothing to limit"]
    );
}
