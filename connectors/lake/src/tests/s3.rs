//! S3 end to end, against a server that answers as each test wants.

use std::time::{Duration, Instant};

use meesh_base::ErrorKind;
use meesh_connector_spi::Connector;

use crate::LakeConnector;
use crate::testing::{Reply, Server, listing_xml};

fn lake(server: &Server, settings: &[(&str, &str)]) -> LakeConnector {
    let mut values = server.settings();
    settings.iter().for_each(|(key, text)| values.set(*key, *text, "test"));
    LakeConnector::open("lake", &values).unwrap()
}

async fn tables(lake: &LakeConnector, schema: &str) -> Vec<String> {
    lake.tables(schema).await.unwrap().into_iter().map(|table| table.name).collect()
}

#[tokio::test]
async fn markers_of_folders_are_no_tables() {
    let server = Server::start(|line| {
        Reply::xml(&match line {
            line if line.contains("prefix=raw%2Fraw") => listing_xml(&[("raw/raw/", 0), ("raw/raw/a.csv", 4)], &[]),
            line if line.contains("prefix=raw") => {
                listing_xml(&[("raw/", 0), ("raw/t_$folder$", 0), ("raw/noend", 4)], &["raw/raw/"])
            }
            _ => listing_xml(&[], &["/", "raw/"]),
        })
    })
    .await;
    let lake = lake(&server, &[("lake.root", "s3://lake")]);
    assert_eq!(lake.schemas().await.unwrap(), ["raw"]);
    assert_eq!(tables(&lake, "raw").await, ["noend", "raw"]);
    // A marker and a folder are not two tables of one name; the file is asked for its first line.
    let error = lake.table("raw", "raw").await.unwrap_err().to_string();
    assert!(error.contains("s3://lake/raw/raw/a.csv"), "{error}");
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_named() {
    let server = Server::start(|_| Reply::xml(&listing_xml(&[("x.csv", 4)], &["raw//"]))).await;
    let error = lake(&server, &[("lake.root", "s3://lake")]).schemas().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceData);
    assert!(error.to_string().contains("bucket \"s3://lake\" holds the key \"raw//\""), "{error}");
}

#[tokio::test]
async fn buckets_are_listed_once_in_a_while_and_after_a_refresh() {
    let server = Server::start(|line| {
        Reply::xml(&match line {
            "GET /" => "<Buckets><Bucket><Name>raw</Name></Bucket></Buckets>".to_owned(),
            _ => listing_xml(&[("visits.csv", 4)], &[]),
        })
    })
    .await;
    let lake = lake(&server, &[]);
    let asked = || server.requests().iter().filter(|line| *line == "GET /").count();
    for _ in 0..3 {
        assert_eq!(tables(&lake, "raw").await, ["visits"]);
        assert!(lake.table("raw", "none").await.unwrap().is_none());
    }
    assert_eq!(asked(), 1);
    lake.refresh(None, None).await.unwrap();
    assert_eq!(lake.schemas().await.unwrap(), ["raw"]);
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn a_listing_that_stands_still_ends_soon_and_for_all_who_wait() {
    for reply in [
        || Reply::Part(String::new()),
        || Reply::Part("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n<?xml".to_owned()),
    ] {
        let server = Server::start(move |_| reply()).await;
        let lake = lake(&server, &[("lake.root", "s3://lake")]);
        let started = Instant::now();
        let errors = futures::future::join_all((0..8).map(|_| lake.schemas())).await;
        for error in errors {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SourceUnavailable);
            for part in ["sent nothing of bucket \"s3://lake\" for 200 ms", "s3.socket-read-timeout"] {
                assert!(error.to_string().contains(part), "{part} in {error}");
            }
        }
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        assert_eq!(server.requests().len(), 1);
        // Who asks later asks the server.
        assert!(lake.schemas().await.is_err());
        assert_eq!(server.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_list_of_buckets_that_stands_still_ends_soon() {
    let server = Server::start(|_| Reply::Part(String::new())).await;
    let started = Instant::now();
    let error = lake(&server, &[]).schemas().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceUnavailable);
    assert!(error.to_string().contains("sent nothing for 200 ms"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_says_later_is_not_taken_for_one_that_stands_still() {
    let server = Server::start(|line| match line {
        line if line.contains("prefix=raw") => Reply::xml(&listing_xml(&[("raw/a.csv", 4)], &[])),
        line if line.contains("list-type=2") => Reply::xml(&listing_xml(&[], &["raw/"])),
        _ => Reply::status(503),
    })
    .await;
    // Repeated for longer than an answer may stand still.
    let settings = [("lake.root", "s3://lake"), ("s3.max-error-retries", "4"), ("s3.socket-read-timeout", "100ms")];
    let error = lake(&server, &settings).table("raw", "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceUnavailable);
    assert!(error.to_string().contains("503") && !error.to_string().contains("sent nothing"), "{error}");
    assert_eq!(server.requests().iter().filter(|line| line.starts_with("GET /lake/raw/a.csv")).count(), 5);
}
