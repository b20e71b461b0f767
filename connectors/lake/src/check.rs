//! The first steps of `meesh check` for S3: is there such a host, does it listen?

use std::time::Duration;

use meesh_base::{Error, Result};
use tokio::net::{TcpStream, lookup_host};
use url::Url;

const PATIENCE: Duration = Duration::from_secs(3);

/// Looks the endpoint's host up and connects to it. Ends at the first failure.
pub(crate) async fn reach(endpoint: &str, catalog: &str) -> Vec<(String, Result<String>)> {
    let url = Url::parse(endpoint).ok();
    let Some((host, port)) = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?))) else {
        let error = Error::invalid_query(format!("catalog {catalog:?}: s3.endpoint {endpoint:?} names no host"));
        return vec![("DNS".to_owned(), Err(error))];
    };
    let unavailable = |text: String, detail: String| {
        Error::source_unavailable(format!("catalog {catalog:?}: {text}")).with_detail(detail)
    };
    let mut steps = Vec::new();
    let name = host.trim_matches(['[', ']']);
    let found = tokio::time::timeout(PATIENCE, lookup_host((name, port))).await;
    let address = match found.map_err(|_| "timed out".to_owned()).and_then(|f| f.map_err(|e| e.to_string())) {
        Ok(mut addresses) => addresses.next(),
        Err(detail) => {
            let error = unavailable(format!("host {host:?} is not known"), detail).with_hint("check s3.endpoint");
            steps.push((format!("DNS {host}"), Err(error)));
            return steps;
        }
    };
    let Some(address) = address else {
        steps.push((format!("DNS {host}"), Err(unavailable(format!("host {host:?} has no address"), String::new()))));
        return steps;
    };
    steps.push((format!("DNS {host}"), Ok(address.ip().to_string())));
    let what = format!("TCP {host}:{port}");
    let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await;
    let outcome = match connected.map_err(|_| "timed out".to_owned()).and_then(|c| c.map_err(|e| e.to_string())) {
        Ok(_) => Ok("connected".to_owned()),
        Err(detail) => Err(unavailable(format!("{host}:{port} does not accept connections"), detail)
            .with_hint("check that the server is up and that no firewall is between")),
    };
    steps.push((what, outcome));
    steps
}
