//! Tests of records out of plain and packed files.

use std::io::Write;

use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::*;
use crate::local::LocalStore;
use crate::store::Bucket;
use crate::testing::TempDir;

const RULES: RecordRules = RecordRules { format: Format::Csv, delimiter: b',', record_bytes_max: 1 << 20 };

async fn object(directory: &TempDir, name: &str) -> Arc<PinnedObject> {
    let store = LocalStore::new(directory.path()).unwrap();
    let meta = store.head(&Path::from(name)).await.unwrap();
    let bucket = Bucket {
        catalog: "lake".into(),
        url: "file:///lake/".to_owned(),
        source: "directory".to_owned(),
        read_timeout: std::time::Duration::from_secs(9),
        lists_from_offset: false,
        store: Arc::new(store),
    };
    Arc::new(PinnedObject::listed(Arc::new(bucket), &meta, Arc::default()))
}

/// All records of a file, and the line that each piece says it starts at held against the text.
async fn text(directory: &TempDir, name: &str, rules: RecordRules) -> Result<String> {
    let mut feed = FileFeed::open(object(directory, name).await, rules).await?;
    let mut all = String::new();
    while let Some(piece) = feed.next().await? {
        assert_eq!(piece.line as usize, all.matches('\n').count() + 1);
        assert!(piece.text.ends_with(b"\n") || rules.format == Format::Json);
        all.push_str(std::str::from_utf8(&piece.text).unwrap());
    }
    Ok(all)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn plain_and_packed_files_read_the_same() {
    let content: String = (0..200_000).map(|n| format!("{n},\"a\nb{n}\"\n")).collect();
    let directory = TempDir::new();
    directory.write("a.csv", &content);
    directory.write("b.csv.gz", gzip(content.as_bytes()));
    // Two members, as concatenated gzip files are.
    let (one, two) = content.as_bytes().split_at(content.len() / 3);
    directory.write("c.csv.gz", [gzip(one), gzip(two)].concat());
    directory.write("d.csv.zst", zstd::encode_all(content.as_bytes(), 1).unwrap());
    for name in ["a.csv", "b.csv.gz", "c.csv.gz", "d.csv.zst"] {
        assert_eq!(text(&directory, name, RULES).await.unwrap(), content, "{name}");
    }
}

#[tokio::test]
async fn ends_of_files() {
    let directory = TempDir::new();
    for (content, expected) in [("", ""), ("a\n1", "a\n1\n"), ("\u{feff}a\n", "a\n"), ("\u{feff}", "")] {
        directory.write("a.csv", content);
        assert_eq!(text(&directory, "a.csv", RULES).await.unwrap(), expected, "{content:?}");
    }
}

#[tokio::test]
async fn damaged_files_are_named() {
    let directory = TempDir::new();
    let content: String = (0..9999).map(|n| format!("{n}\n")).collect();
    let packed = gzip(content.as_bytes());
    let bomb = zstd::encode_all(vec![b'a'; 64 << 20].as_slice(), 1).unwrap();
    let long = "x".repeat(3 << 20);
    for (name, content, words) in [
        ("cut.csv.gz", &packed[..packed.len() / 2], "damaged or cut short"),
        ("wide.csv", "a\0b\0".as_bytes(), ""),
        ("utf16.csv", b"\xff\xfea\0\n\0", "UTF-16"),
        ("open.csv", b"a\n\"b\nc\n", "line 2: a quoted field is not closed"),
        ("long.csv", long.as_bytes(), "line 1: a record is longer than 1.0 MB"),
        ("really.csv", b"PAR1abc", "holds Parquet"),
        ("bomb.csv.zst", bomb.as_slice(), "grows more than 1000 times"),
    ] {
        directory.write(name, content);
        let rules = RecordRules { record_bytes_max: if name.starts_with("bomb") { 1 << 29 } else { 1 << 20 }, ..RULES };
        match text(&directory, name, rules).await {
            Ok(_) => assert_eq!(words, "", "{name}"),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(words) && text.contains(&format!("/lake/{name}")), "{text}");
                assert_eq!(error.kind(), meesh_base::ErrorKind::SourceData);
            }
        }
    }
}

#[tokio::test]
async fn a_record_that_does_not_end_is_named_by_the_line_it_starts_at() {
    let directory = TempDir::new();
    let json = RecordRules { format: Format::Json, ..RULES };
    for (name, content, rules, line) in [
        ("a.csv", "a\n\n1\n\"b\nc\n", RULES, 4),
        ("b.csv", "\"", RULES, 1),
        ("a.json", "[{\"a\":1},\n\n{\"a\":2\n", json, 3),
        ("b.json", "{\n\"a\":1}\n{\"a\":\n", json, 3),
    ] {
        directory.write(name, content);
        let error = text(&directory, name, rules).await.unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}: ")) && error.contains("cut short"), "{name}: {error}");
    }
}

#[test]
fn packed_files_take_no_thread_from_the_runtime() {
    let directory = TempDir::new();
    // More than waits on the way, so that the unpacking stands still until somebody reads.
    directory.write("a.csv.gz", gzip("1234567\n".repeat(1 << 20).as_bytes()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build();
    runtime.unwrap().block_on(async {
        let _feed = FileFeed::open(object(&directory, "a.csv.gz").await, RULES).await.unwrap();
        let plan = tokio::task::spawn_blocking(|| 7);
        assert_eq!(tokio::time::timeout(std::time::Duration::from_secs(9), plan).await.unwrap().unwrap(), 7);
    });
}

#[tokio::test]
async fn a_header_is_taken_off() {
    let directory = TempDir::new();
    directory.write("a.csv", "\n\"id\",name\n1,ann\n");
    let mut feed = FileFeed::open(object(&directory, "a.csv").await, RULES).await.unwrap();
    assert_eq!(feed.first_csv_record(true).await.unwrap().unwrap(), ["id", "name"]);
    let piece = feed.next().await.unwrap().unwrap();
    assert_eq!((piece.text.as_ref(), piece.line), (&b"1,ann\n"[..], 3));
}
