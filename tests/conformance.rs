//! Every connector against the conformance suite.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use meesh_connector_conformance::{Declaration, PEOPLE_SQL, check, people_csv};
use meesh_connector_memory::MemoryConnector;
use meesh_engine::{CatalogState, Engine, EngineConfig};

use crate::environment::{Environment, add_catalog};

fn run<F: Future<Output = ()>>(test: F) {
    meesh_engine::runtime().expect("a runtime").block_on(test);
}

#[test]
fn postgresql() {
    run(async {
        let environment = Environment::start(PEOPLE_SQL).await;
        let declared = Declaration { takes_filters: true, takes_limit: true, exact_types: true };
        let passed = check(&environment.engine, "sales", "public", declared).await.unwrap_or_else(|e| panic!("{e}"));
        assert!(passed > 40, "only {passed} checks ran");
    });
}

#[test]
fn lake_in_s3_and_in_a_folder() {
    run(async {
        let environment = Environment::start("").await;
        let raw = environment.buckets().join("lake").join("raw");
        std::fs::write(raw.join("people.csv"), people_csv()).expect("people.csv");
        let root = format!("file://{}", environment.buckets().join("lake").display());
        add_catalog(&environment.engine, "folder", "lake", &[("lake.root", root)]);
        let declared = Declaration { takes_filters: false, takes_limit: false, exact_types: false };
        for catalog in ["lake", "folder"] {
            check(&environment.engine, catalog, "raw", declared).await.unwrap_or_else(|e| panic!("{e}"));
        }
    });
}

#[test]
fn memory() {
    let connector = Arc::new(MemoryConnector::new("m"));
    connector.put("default", "people", people().schema(), vec![people()]).expect("people fit");
    run(async {
        let engine = Engine::new(EngineConfig::default()).expect("an engine");
        engine.catalogs().put("m", CatalogState::Open(connector));
        let declared = Declaration { takes_filters: false, takes_limit: false, exact_types: true };
        let passed = check(&engine, "m", "default", declared).await.unwrap_or_else(|e| panic!("{e}"));
        assert!(passed > 40, "only {passed} checks ran");
    });
}

/// The rows of `PEOPLE_SQL`.
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
