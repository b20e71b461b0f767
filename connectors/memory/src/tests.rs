//! What the connector does by itself, and the suite that every connector must pass.

use arrow::array::{Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use meesh_connector_conformance::{Declaration, check};
use meesh_engine::{CatalogState, Engine, EngineConfig};

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

/// The rows of `meesh_connector_conformance::PEOPLE_SQL`.
fn people() -> RecordBatch {
    let column = |texts: [Option<&str>; 5], to: DataType| cast(&StringArray::from(texts.to_vec()), &to).unwrap();
    let ids = ["1", "2", "3", "4", "5"].map(Some);
    let names = [Some("Ann"), Some("bob"), None, Some(""), Some("Ärger \"x\", 'y'")];
    let amounts = [Some("10.50"), Some("-3.25"), None, Some("0.00"), Some("9999999999.99")];
    let born = [Some("1990-01-31"), Some("1969-07-20"), None, Some("2000-02-29"), Some("9999-12-31")];
    let active = [Some("true"), Some("false"), None, Some("true"), Some("false")];
    RecordBatch::try_from_iter_with_nullable([
        ("id", column(ids, DataType::Int64), false),
        ("name", column(names, DataType::Utf8), true),
        ("amount", column(amounts, DataType::Decimal128(12, 2)), true),
        ("born", column(born, DataType::Date32), true),
        ("active", column(active, DataType::Boolean), true),
    ])
    .unwrap()
}

#[test]
fn it_behaves_as_every_connector() {
    let connector = Arc::new(MemoryConnector::new("m"));
    connector.put("default", "people", people().schema(), vec![people()]).unwrap();
    meesh_engine::runtime().unwrap().block_on(async {
        let engine = Engine::new(EngineConfig::default()).unwrap();
        engine.catalogs().put("m", CatalogState::Open(connector));
        let declared = Declaration { takes_filters: false, takes_limit: false, exact_types: true };
        let passed = check(&engine, "m", "default", declared).await.unwrap_or_else(|e| panic!("{e}"));
        assert!(passed > 40, "only {passed} checks ran");
    });
}
