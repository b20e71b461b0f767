//! Tests of listings and how long they are believed.

use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use super::*;

async fn bucket(paths: &[String]) -> (Arc<InMemory>, Arc<Bucket>) {
    let store = Arc::new(InMemory::new());
    for path in paths {
        store.put(&Path::from(path.as_str()), "x".into()).await.unwrap();
    }
    let bucket = Bucket {
        catalog: "lake".into(),
        url: "s3://raw/".to_owned(),
        source: "memory".to_owned(),
        read_timeout: Duration::from_secs(1),
        lists_from_offset: true,
        store: Arc::clone(&store) as Arc<dyn ObjectStore>,
    };
    (store, Arc::new(bucket))
}

fn names(files: &[ObjectMeta]) -> Vec<&str> {
    files.iter().map(|meta| meta.location.as_ref()).collect()
}

#[tokio::test]
async fn a_listing_is_believed_until_its_time_is_up_or_somebody_asks() {
    let (store, bucket) = bucket(&["t/a.csv".to_owned()]).await;
    let staleness = Arc::new(Staleness::default());
    let lister = Lister::new(Duration::from_secs(60), Arc::clone(&staleness));
    let count = async || lister.folder(&bucket, &Path::from("t")).await.unwrap().files.len();
    assert_eq!(count().await, 1);
    store.put(&Path::from("t/b.csv"), "x".into()).await.unwrap();
    assert_eq!(count().await, 1);
    lister.refresh();
    assert_eq!(count().await, 2);
    store.put(&Path::from("t/c.csv"), "x".into()).await.unwrap();
    staleness.report();
    assert_eq!(count().await, 3);
    let impatient = Lister::new(Duration::ZERO, staleness);
    assert_eq!(impatient.folder(&bucket, &Path::from("t")).await.unwrap().files.len(), 3);
    store.put(&Path::from("t/d.csv"), "x".into()).await.unwrap();
    assert_eq!(impatient.folder(&bucket, &Path::from("t")).await.unwrap().files.len(), 4);
}

#[tokio::test]
async fn a_tree_in_parts_is_whole() {
    let mut paths: Vec<String> = (0..300).map(|n| format!("t/day={n:03}/part-{}.csv", n % 3)).collect();
    paths.push("t/a.csv".to_owned());
    paths.push("t/zz.csv".to_owned());
    paths.push("t2/other.csv".to_owned());
    paths.extend((0..5).map(|n| format!("t/day=100/more-{n}.csv")));
    let (_, bucket) = bucket(&paths).await;
    let lister = Lister::new(Duration::from_secs(60), Arc::default());
    let tree = lister.tree(&bucket, &Path::from("t")).await.unwrap();
    let mut expected: Vec<&str> = paths.iter().map(String::as_str).filter(|p| p.starts_with("t/")).collect();
    expected.sort();
    assert_eq!(names(&tree), expected);
}

#[tokio::test]
async fn single_files_and_missing_folders() {
    let (_, bucket) = bucket(&["a.csv".to_owned(), "t/b.csv".to_owned()]).await;
    let lister = Lister::new(Duration::from_secs(60), Arc::default());
    assert!(lister.file(&bucket, &Path::from("a.csv")).await.unwrap().is_some());
    assert!(lister.file(&bucket, &Path::from("t/b.csv")).await.unwrap().is_some());
    assert!(lister.file(&bucket, &Path::from("t")).await.unwrap().is_none());
    assert!(lister.folder(&bucket, &Path::from("none")).await.unwrap().files.is_empty());
}
