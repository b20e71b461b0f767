//! Tests of the settings of a catalog.

use super::*;

fn values(pairs: &[(&str, &str)]) -> ConfigValues {
    let mut values = ConfigValues::new("catalog \"lake\"");
    for (name, text) in pairs {
        values.set(*name, *text, "lake.properties:1");
    }
    values.check(keys::KEYS).unwrap();
    values
}

fn parse(pairs: &[(&str, &str)]) -> Result<LakeConfig> {
    LakeConfig::parse(&values(pairs))
}

#[test]
fn trinos_newer_and_older_keys_mean_the_same() {
    for prefix in ["s3.", "hive.s3."] {
        let key = |name: &str| format!("{prefix}{name}");
        let config = parse(&[
            (&key("endpoint"), "http://minio:9000"),
            (&key("path-style-access"), "true"),
            (&key("aws-access-key"), "ann"),
            (&key("aws-secret-key"), "hunter2"),
        ])
        .unwrap();
        assert_eq!(config.s3.endpoint.as_deref(), Some("http://minio:9000"));
        assert!(config.s3.path_style);
        assert!(matches!(&config.s3.credentials, Credentials::Keys { secret, .. } if secret.expose() == "hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}

#[test]
fn a_metastore_is_ignored_with_a_warning() {
    let warnings = values(&[("hive.metastore.uri", "thrift://hive:9083")]).check(keys::KEYS).unwrap();
    assert!(warnings[0].contains("no metastore is asked"), "{warnings:?}");
}

#[test]
fn an_endpoint_decides_on_path_style_unless_told() {
    let style = |pairs: &[(&str, &str)]| parse(pairs).unwrap().s3.path_style;
    assert!(!style(&[]));
    assert!(style(&[("s3.endpoint", "https://minio.example:9000")]));
    assert!(!style(&[("s3.endpoint", "https://s3.eu-west-1.amazonaws.com")]));
    assert!(!style(&[("s3.endpoint", "https://store.example"), ("s3.path-style-access", "false")]));
    assert!(style(&[("s3.endpoint", "http://127.0.0.1:9000"), ("s3.path-style-access", "false")]));
}

#[test]
fn an_endpoint_without_scheme_takes_the_one_that_ssl_says() {
    let endpoint = |ssl: &str| {
        parse(&[("hive.s3.endpoint", "minio:9000"), ("hive.s3.ssl.enabled", ssl)]).unwrap().s3.endpoint.unwrap()
    };
    assert_eq!(endpoint("false"), "http://minio:9000");
    assert_eq!(endpoint("true"), "https://minio:9000");
    assert!(parse(&[("s3.endpoint", "http://")]).is_err());
    assert!(parse(&[("s3.endpoint", "http://u:p@minio")]).is_err());
}

#[test]
fn half_a_pair_of_keys_is_an_error() {
    let error = parse(&[("s3.aws-access-key", "ann")]).unwrap_err().to_string();
    assert!(error.contains("s3.aws-secret-key"), "{error}");
}

#[test]
fn declared_tables_are_gathered() {
    let config = parse(&[
        ("lake.root", "s3://raw"),
        ("table.web.visits.location", "s3://logs/visits"),
        ("table.web.visits.columns", "id bigint, at timestamp"),
        ("table.web.visits.delimiter", "\\t"),
        ("table.web.visits.header", "false"),
        ("table.web.my.table.location", "odd/name.csv"),
    ])
    .unwrap();
    let [odd, visits] = config.tables.as_slice() else { panic!("{:?}", config.tables) };
    assert_eq!((odd.name.as_str(), odd.location.to_string().as_str()), ("my.table", "s3://raw/odd/name.csv"));
    assert_eq!(visits.delimiter, Some(b'\t'));
    assert_eq!(visits.header, Some(false));
    assert_eq!(visits.columns.as_ref().unwrap().len(), 2);
}

#[test]
fn a_declared_table_needs_a_location_and_readable_columns() {
    let error = parse(&[("table.web.visits.format", "csv")]).unwrap_err().to_string();
    assert!(error.contains("table.web.visits.location"), "{error}");
    let pairs = [("table.web.visits.location", "s3://a"), ("table.web.visits.columns", "id bigin")];
    let error = parse(&pairs).unwrap_err().to_string();
    assert!(error.contains("table.web.visits.columns") && error.contains("bigint"), "{error}");
}

#[test]
fn a_url_stands_for_a_catalog() {
    let url = "s3://ann:p%40ss@raw/in?endpoint=http://minio:9000&path_style=true";
    let values = values_of_url("lake", url).unwrap().unwrap();
    values.check(keys::KEYS).unwrap();
    let config = LakeConfig::parse(&values).unwrap();
    assert_eq!(config.roots[0].to_string(), "s3://raw/in");
    assert!(matches!(&config.s3.credentials, Credentials::Keys { secret, .. } if secret.expose() == "p@ss"));
    assert!(LakeConfig::parse(&values_of_url("lake", "s3://").unwrap().unwrap()).unwrap().roots.is_empty());
    assert!(values_of_url("lake", "s3://raw?endpont=x").unwrap().is_err());
    assert!(values_of_url("lake", "postgres://x").is_none());
    assert!(values_of_url("lake", "file:///srv").unwrap().is_ok());
}
