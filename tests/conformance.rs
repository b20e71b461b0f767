//! Every connector against the conformance suite.

use meesh_connector_conformance::{Declaration, PEOPLE_SQL, check, people_csv};

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
