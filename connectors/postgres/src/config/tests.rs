use std::collections::HashSet;
use std::time::Duration;

use meesh_base::{ConfigValues, ErrorKind};

use super::{KEYS, PostgresConfig, Rounding};
use crate::wire::{SslMode, TargetServer, TrustedRoots};

fn values(pairs: &[(&str, &str)]) -> ConfigValues {
    let mut values = ConfigValues::new("catalog \"sales\"");
    for (name, text) in pairs {
        values.set(*name, *text, "sales.properties:1");
    }
    values
}

fn parse(pairs: &[(&str, &str)]) -> PostgresConfig {
    let values = values(pairs);
    values.check(&[KEYS]).unwrap();
    PostgresConfig::parse("sales", &values).unwrap()
}

fn url(url: &str) -> PostgresConfig {
    parse(&[("connection-url", url), ("connection-user", "reader"), ("connection-password", "secret")])
}

#[test]
fn a_trino_file_unchanged() {
    let config = url("jdbc:postgresql://db1:5433,db2/sales?sslmode=verify-full&sslrootcert=/ca.pem&connectTimeout=7\
                      &targetServerType=preferSlave&ApplicationName=x&options=-c%20geqo=off&prepareThreshold=0");
    let options = &config.options;
    assert_eq!(options.source_key(), "postgresql://reader@db1:5433,db2:5432/sales");
    assert_eq!(options.tls.mode, SslMode::VerifyFull);
    assert_eq!(options.tls.roots, Some(TrustedRoots::File("/ca.pem".into())));
    assert_eq!(options.connect_timeout, Duration::from_secs(7));
    assert_eq!(options.target, TargetServer::PreferSecondary);
    assert_eq!(options.application_name, "x");
    assert_eq!(options.server_options.as_deref(), Some("-c geqo=off"));
    assert_eq!(options.password.as_ref().unwrap().expose(), "secret");
    assert!(options.read_only);
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn defaults() {
    let config = url("jdbc:postgresql://db/sales");
    assert_eq!(config.options.tls.mode, SslMode::Prefer);
    assert_eq!(config.options.connect_timeout, Duration::from_secs(3));
    assert_eq!((config.pool.max, config.pool.wait_max), (8, Duration::from_secs(30)));
    assert_eq!((config.numeric.scale, config.numeric.rounding), (10, Rounding::Unnecessary));
    assert_eq!(config.metadata_cache_ttl, Duration::from_secs(10));
    assert_eq!(url("jdbc:postgresql://db/").options.database, "reader");
}

#[test]
fn ssl_mode_is_decided_as_pgjdbc_does() {
    for (parameters, mode) in [
        ("ssl=true", SslMode::VerifyFull),
        ("ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory", SslMode::Require),
        ("ssl=true&sslmode=require", SslMode::Require),
        ("ssl=false", SslMode::Prefer),
        ("sslmode=DISABLE", SslMode::Disable),
        ("sslrootcert=system", SslMode::VerifyFull),
    ] {
        assert_eq!(url(&format!("jdbc:postgresql://db/x?{parameters}")).options.tls.mode, mode, "{parameters}");
    }
}

#[test]
fn rounding_counts_only_with_overflow_allowed() {
    let base = ("connection-url", "postgres://ann@db/x");
    let strict = parse(&[base, ("decimal-rounding-mode", "HALF_UP"), ("decimal-default-scale", "4")]);
    assert_eq!((strict.numeric.scale, strict.numeric.rounding), (4, Rounding::Unnecessary));
    let overflow = parse(&[base, ("decimal-mapping", "allow_overflow"), ("decimal-rounding-mode", "HALF_UP")]);
    assert_eq!((overflow.numeric.scale, overflow.numeric.rounding), (0, Rounding::HalfUp));
}

#[test]
fn what_is_wrong_is_said_without_the_password() {
    for (pairs, expect) in [
        (&[("connection-user", "ann")][..], "\"connection-url\" is missing"),
        (&[("connection-url", "jdbc:postgresql://db/x")], "\"connection-user\" is missing"),
        (&[("connection-url", "mysql://u:hunter2@db/x")], "must start with"),
        (&[("connection-url", "postgres://u:hunter2@db:x/y")], "has a port"),
        (&[("connection-url", "postgres://u:hunter2@db/y?sslmod=require")], "did you mean \"sslmode\"?"),
        (&[("connection-url", "postgres://u:hunter2@db/y?sslmode=full")], "is not one of disable, allow"),
        (&[("connection-url", "postgres://u@db/y"), ("connections-max", "0")], "not between 1 and 10000"),
        (&[("connection-url", "postgres://u@db/y"), ("decimal-default-scale", "39")], "not between 0 and 38"),
    ] {
        let error = PostgresConfig::parse("sales", &values(pairs)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidQuery);
        let text = error.to_string();
        assert!(text.contains(expect) && text.starts_with("catalog \"sales\"") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_url_on_the_command_line_is_a_catalog() {
    let values = PostgresConfig::values_of_url("sales", "postgres://ann:pw@db/sales").unwrap().unwrap();
    let config = PostgresConfig::parse("sales", &values).unwrap();
    assert_eq!(config.options.source_key(), "postgresql://ann@db:5432/sales");
    assert!(PostgresConfig::values_of_url("lake", "s3://bucket").is_none());
    assert!(PostgresConfig::values_of_url("sales", "postgres://ann@db:x/sales").unwrap().is_err());
}

#[test]
fn credentials_may_come_from_a_file() {
    let path = std::env::temp_dir().join(format!("meesh-credentials-{}", std::process::id()));
    std::fs::write(&path, "# who\nconnection-user = ann\nconnection-password=p=w\n").unwrap();
    let config = parse(&[
        ("connection-url", "jdbc:postgresql://db/x"),
        ("credential-provider.type", "FILE"),
        ("connection-credential-file", path.to_str().unwrap()),
    ]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(config.options.user, "ann");
    assert_eq!(config.options.password.unwrap().expose(), "p=w");
}

#[test]
fn every_key_is_there_once() {
    let names: HashSet<&str> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(names.len(), KEYS.len());
    assert!(names.contains("decimal-mapping") && names.contains("write.parallelism"));
}
