//! `meesh check`: each step on the way to one row, so that the first that fails names the remedy.

use std::future::Future;
use std::time::Duration;

use meesh_base::{Error, Result, format_duration};
use meesh_connector_spi::CheckStep;
use tokio::time::timeout;

use crate::config::PostgresConfig;
use crate::wire::{ConnectOptions, Connection, Endpoint, Host, Place, SslMode, probe_tcp, probe_tls, resolve};

/// Name lookup, TCP, TLS, login, one row; ends at the first failure. With several hosts, the first
/// two steps go on to the next host. Uses no pooled session.
pub(crate) async fn check(config: &PostgresConfig) -> Vec<CheckStep> {
    let options = &config.options;
    let mut steps = Vec::new();
    let Some((host, endpoint)) = first_reachable(options, &mut steps).await else { return steps };
    if matches!(endpoint, Endpoint::Tcp(_)) && options.tls.mode != SslMode::Disable {
        let encryption = limited(options, host, probe_tls(options, host, &endpoint)).await;
        let outcome = encryption.map(|encryption| match encryption {
            Some(encryption) => format!("{encryption}, {}", verified(options)),
            None => "not offered by the server: the connection is not encrypted".to_owned(),
        });
        if !step(&mut steps, format!("TLS {host} (sslmode={})", options.tls.mode.name()), outcome) {
            return steps;
        }
    }
    let what = format!("login of role {:?} to database {:?}", options.user, options.database);
    let mut connection = match Connection::connect(options).await {
        Ok(connection) => {
            step(&mut steps, what, Ok(describe_session(&connection)));
            connection
        }
        Err(error) => {
            step(&mut steps, what, Err(error));
            return steps;
        }
    };
    let row = limited(options, host, connection.simple_query("SELECT 1, pg_catalog.current_setting('is_superuser')"));
    let outcome = row.await.map(|results| {
        let superuser = results.first().and_then(|result| result.rows.first()?.get(1)?.as_deref()) == Some("on");
        let warning = format!("ok, but role {:?} is a superuser: use one that can only read", options.user);
        if superuser { warning } else { "ok".to_owned() }
    });
    step(&mut steps, "one row".to_owned(), outcome);
    steps
}

async fn first_reachable<'a>(options: &'a ConnectOptions, steps: &mut Vec<CheckStep>) -> Option<(&'a Host, Endpoint)> {
    for host in &options.hosts {
        let place = Place::new(options.catalog.clone(), host.to_string().into());
        let found = limited(options, host, resolve(host, &place)).await;
        let endpoints = found.clone().unwrap_or_default();
        let outcome = found.map(|endpoints| endpoints.iter().map(label).collect::<Vec<_>>().join(", "));
        if !step(steps, format!("DNS {}", host.name), outcome) {
            continue;
        }
        for endpoint in endpoints {
            let outcome = limited(options, host, probe_tcp(options, host, &endpoint)).await;
            let what = format!("TCP {host}");
            if step(steps, what, outcome.map(|()| format!("connected to {}", label(&endpoint)))) {
                // What failed before it is no failure of the catalog.
                for step in steps.iter_mut() {
                    if let Err(error) = &step.outcome {
                        step.outcome = Ok(format!("failed, so the next is used: {error}"));
                    }
                }
                return Some((host, endpoint));
            }
        }
    }
    None
}

/// Books a step; whether it went well.
fn step(steps: &mut Vec<CheckStep>, what: String, outcome: Result<String>) -> bool {
    let well = outcome.is_ok();
    steps.push(CheckStep { what, outcome });
    well
}

async fn limited<T>(options: &ConnectOptions, host: &Host, work: impl Future<Output = Result<T>>) -> Result<T> {
    let limit = options.connect_timeout.max(Duration::from_millis(1));
    timeout(limit, work).await.unwrap_or_else(|_| {
        let catalog = &options.catalog;
        let waited = format_duration(limit);
        Err(Error::source_unavailable(format!(
            "catalog {catalog:?}: PostgreSQL server {host} did not answer within {waited}"
        ))
        .with_hint("check the network between, and firewalls that drop packets"))
    })
}

fn label(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Tcp(address) => address.to_string(),
        Endpoint::Unix(path) => path.display().to_string(),
    }
}

fn verified(options: &ConnectOptions) -> &'static str {
    match options.tls.mode {
        SslMode::VerifyFull => "issuer and name of the certificate are right",
        SslMode::VerifyCa => "the issuer of the certificate is trusted",
        SslMode::Require if options.tls.roots.is_some() => "the issuer of the certificate is trusted",
        _ => "the certificate was not verified: sslmode=verify-full does",
    }
}

fn describe_session(connection: &Connection) -> String {
    let version = connection.parameter("server_version").unwrap_or("of unknown version");
    let encoding = connection.parameter("server_encoding").unwrap_or("unknown");
    let encryption =
        connection.encryption().map_or("not encrypted".to_owned(), |suite| format!("encrypted by {suite}"));
    let warning = match encoding {
        "SQL_ASCII" => "; its text may be in any encoding, and what is not UTF-8 cannot be read",
        _ => "",
    };
    format!("PostgreSQL {version}, database encoding {encoding}{warning}, {encryption}")
}

#[cfg(test)]
mod tests {
    use meesh_base::ConfigValues;

    use super::*;
    use crate::testing::{Server, shared_server};

    fn config(url: &str) -> PostgresConfig {
        let mut values = ConfigValues::new("catalog \"sales\"");
        values.set("connection-url", url, "a test");
        PostgresConfig::parse("sales", &values).unwrap()
    }

    fn outline(steps: &[CheckStep]) -> Vec<(&str, bool)> {
        steps.iter().map(|step| (step.what.split(' ').next().unwrap_or_default(), step.outcome.is_ok())).collect()
    }

    #[tokio::test]
    async fn every_step_up_to_a_row() {
        let server: &Server = shared_server();
        let steps = check(&config(&server.url("postgres"))).await;
        assert_eq!(outline(&steps), [("DNS", true), ("TCP", true), ("TLS", true), ("login", true), ("one", true)]);
        assert!(steps[4].outcome.as_ref().unwrap().contains("superuser"), "{steps:?}");
    }

    #[tokio::test]
    async fn the_first_failure_ends_it() {
        let server: &Server = shared_server();
        let wrong = server.url("scram:wrong");
        let steps = check(&config(&wrong)).await;
        assert_eq!(outline(&steps), [("DNS", true), ("TCP", true), ("TLS", true), ("login", false)]);
        let steps = check(&config("postgres://ann@127.0.0.1:1/x")).await;
        assert_eq!(outline(&steps), [("DNS", true), ("TCP", false)]);
        assert!(steps[1].outcome.as_ref().unwrap_err().hint().is_some());
    }
}
