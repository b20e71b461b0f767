//! Files that are damaged, cut short, or made to hurt.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use meesh_base::{ErrorKind, Result};

use super::parquet::file;
use super::{Answer, Lake};

fn sample_parquet() -> Vec<u8> {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..500));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..500).map(|n| format!("text {n}"))));
    file(&[("n", numbers), ("s", texts)])
}

#[tokio::test]
async fn a_file_cut_short_is_named() {
    let lake = Lake::new();
    let whole = sample_parquet();
    for (name, bytes) in [
        ("cut", &whole[..whole.len() / 2]),
        ("tiny", &whole[..6]),
        ("headless", &whole[whole.len() - 8..]),
        ("text", b"this is no parquet at all, is it?"),
    ] {
        lake.write("raw/t.parquet", bytes);
        let error = lake.error("select * from t").await;
        assert_eq!(error.kind(), ErrorKind::SourceData, "{name}: {error}");
        assert!(error.to_string().contains("raw/t.parquet"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_broken_row_is_named() {
    let lake = Lake::new();
    for (content, words) in [
        ("a,b\n1,2\n3\n", "line 3: the record has 1 fields where 2 are expected"),
        ("a,b\n1,2\n3,4,5\n", "line 3: the record has more than the expected 2 fields"),
        ("a,b\n1,2\n3,\"4\n", "line 3: a quoted field is not closed"),
        ("a,b\n1,2\n\"3\"x,4\n", "line 3: text follows a closing quote"),
    ] {
        lake.write("raw/t.csv", content);
        let error = lake.error("select count(*), count(a) from t").await;
        assert_eq!(error.kind(), ErrorKind::SourceData);
        assert!(error.to_string().contains(words) && error.to_string().contains("raw/t.csv"), "{error}");
    }
    for (content, words) in [
        ("{\"a\":1}\n{\"a\":}\n", "line 2: not valid JSON"),
        ("{\"a\":1}\n[2]\n", "line 2: not valid JSON: a record is expected to be an object"),
        ("[{\"a\":1},{\"a\":2}", "line 1: the file ends inside a record"),
    ] {
        lake.write("raw/j.json", content);
        std::fs::remove_file(lake.directory.path().join("raw/t.csv")).ok();
        let error = lake.error("select count(*) from j").await;
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A small generator, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// Whatever a flipped bit or a missing end does, the answer is rows or an error that names the file.
async fn survive(name: &str, whole: &[u8], trials: usize) -> usize {
    let lake = Lake::new();
    let mut random = Random(0x5eed);
    let mut failed = 0;
    for trial in 0..trials {
        let mut bytes = whole.to_vec();
        if trial % 4 == 0 {
            bytes.truncate(random.below(whole.len()));
        } else {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        lake.write(&format!("raw/{name}"), &bytes);
        let outcome: Result<Answer> = lake.query("select * from t").await;
        if let Err(error) = outcome {
            failed += 1;
            let internal = error.kind() == ErrorKind::Internal;
            assert!(!internal && error.to_string().contains("raw/t"), "trial {trial}: {error:?}");
        }
    }
    failed
}

#[tokio::test]
async fn damaged_bits_never_kill() {
    assert!(survive("t.parquet", &sample_parquet(), 400).await > 100);
    let csv: String = (0..200).map(|n| format!("{n},\"text {n}\",{}.5,2026-11-23\n", n * 7)).collect();
    survive("t.csv", format!("a,b,c,d\n{csv}").as_bytes(), 300).await;
    let json: String = (0..100).map(|n| format!("{{\"a\":{n},\"b\":{{\"c\":[\"x\\n\",null]}}}}\n")).collect();
    assert!(survive("t.json", json.as_bytes(), 300).await > 30);
    let packed = zstd::encode_all(json.as_bytes(), 1).unwrap();
    survive("t.json.zst", &packed, 200).await;
}
