//! The rules of discovery, each on a directory.

use std::time::Duration;

use meesh_base::{ConfigValues, ErrorKind};

use super::*;
use crate::config::LakeConfig;
use crate::testing::TempDir;

fn discovery(directories: &[&TempDir]) -> Discovery {
    let roots: Vec<String> = directories.iter().map(|d| format!("file://{}", d.path().display())).collect();
    let mut values = ConfigValues::new("catalog \"lake\"");
    values.set("lake.root", roots.join(","), "test");
    let config = LakeConfig::parse(&values).unwrap();
    Discovery {
        catalog: "lake".into(),
        roots: config.roots,
        stores: Arc::new(Stores::new("lake", config.s3)),
        lister: Arc::new(Lister::new(Duration::ZERO, Arc::default())),
    }
}

fn lake(files: &[&str]) -> TempDir {
    let directory = TempDir::new();
    for file in files {
        directory.write(file, "a\n1\n");
    }
    directory
}

#[tokio::test]
async fn schemas_are_first_folders_and_tables_what_is_below() {
    let directory = lake(&[
        "top.csv",
        "raw/visits.csv",
        "raw/clicks/a.json",
        "raw/sales/day=2026-01-01/x.parquet",
        "raw/plain/inner/a.csv",
        "raw/_tmp/a.csv",
        "raw/.hidden.csv",
        "raw/readme.md",
        "raw/noend",
        "_stage/x/a.csv",
        "web/only.csv.gz",
    ]);
    let found = discovery(&[&directory]);
    let schemas: Vec<String> = found.schemas().await.unwrap().into_keys().collect();
    assert_eq!(schemas, ["default", "raw", "web"]);
    assert_eq!(found.tables("raw").await.unwrap(), ["clicks", "noend", "sales", "visits"]);
    assert_eq!(found.tables("RAW").await.unwrap().len(), 4);
    assert_eq!(found.tables("default").await.unwrap(), ["top"]);
    assert_eq!(found.tables("web").await.unwrap(), ["only"]);
    assert!(found.tables("none").await.unwrap().is_empty());
    assert!(found.table("raw", "Visits").await.unwrap().is_some());
    assert!(found.table("raw", "plain").await.unwrap().is_none());
    assert!(found.table("default", "raw").await.unwrap().is_none());
}

#[tokio::test]
async fn two_things_of_one_name_are_an_error_naming_both() {
    for files in [
        &["raw/t.csv", "raw/t/a.csv"][..],
        &["raw/t.csv", "raw/t/inner/a.csv"],
        &["raw/t.csv", "raw/t.parquet"],
        &["raw/t.csv", "raw/T.csv"],
    ] {
        let directory = lake(files);
        let found = discovery(&[&directory]);
        let error = found.table("raw", "t").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceData);
        let text = error.to_string().to_lowercase();
        assert!(text.contains("raw/t.csv\""), "{text}");
        assert_eq!(found.tables("raw").await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn other_table_formats_are_refused_by_name() {
    for (files, format) in [
        (&["raw/t/_delta_log/0.json", "raw/t/a.parquet"][..], "Delta Lake"),
        (&["raw/t/.hoodie/x", "raw/t/a.parquet"], "Hudi"),
        (&["raw/t/metadata/v1.metadata.json", "raw/t/data/a.parquet"], "Iceberg"),
    ] {
        let directory = lake(files);
        let found = discovery(&[&directory]);
        let error = found.table("raw", "t").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(format) && error.to_string().contains("raw/t/"), "{error}");
        assert_eq!(found.tables("raw").await.unwrap(), ["t"]);
    }
    let directory = lake(&["raw/_delta_log/0.json", "raw/part.parquet"]);
    let found = discovery(&[&directory]);
    assert_eq!(found.table("raw", "part").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(found.tables("raw").await.unwrap().is_empty());
}

#[tokio::test]
async fn roots_are_joined_and_clashes_told() {
    let (one, two) = (lake(&["raw/a.csv"]), lake(&["raw/b.csv", "raw/a.csv"]));
    let found = discovery(&[&one, &two]);
    assert_eq!(found.tables("raw").await.unwrap(), ["a", "b"]);
    assert_eq!(found.table("raw", "a").await.unwrap_err().kind(), ErrorKind::SourceData);
    assert!(found.table("raw", "b").await.unwrap().is_some());
    let clash = lake(&["raw/a.csv", "Raw/b.csv"]);
    let error = discovery(&[&clash]).table("raw", "a").await.unwrap_err().to_string();
    assert!(error.contains("\"Raw\"") && error.contains("\"raw\""), "{error}");
}
