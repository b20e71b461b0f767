//! TLS on the door, and certificates that are renewed while it is open.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use super::client::Client;
use super::{Server, anywhere, on_runtime};
use crate::followed::CHECK_EVERY;
use crate::{FlightServerConfig, TlsFiles};

fn shipped(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/tls")).join(name)
}

/// A folder whose `server.pem` and `server.key` are the certificate of this name.
struct Served(tempfile::TempDir);

impl Served {
    fn new(name: &str) -> Self {
        let served = Self(tempfile::tempdir().unwrap());
        served.put(name);
        served
    }

    fn put(&self, name: &str) {
        for ending in ["pem", "key"] {
            std::fs::copy(shipped(&format!("{name}.{ending}")), self.path(ending)).unwrap();
        }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.0.path().join(format!("server.{ending}"))
    }

    fn config(&self) -> FlightServerConfig {
        let files = TlsFiles { certificate: self.path("pem"), key: self.path("key") };
        FlightServerConfig { tls: Some(files), ..anywhere() }
    }
}

/// Connects as a client that trusts one certificate.
async fn connect(address: SocketAddr, trusted: &str) -> Result<Client, tonic::transport::Error> {
    let trusted = Certificate::from_pem(std::fs::read(shipped(&format!("{trusted}.pem"))).unwrap());
    let tls = ClientTlsConfig::new().ca_certificate(trusted).domain_name("localhost");
    let endpoint = Channel::from_shared(format!("https://{address}")).unwrap().tls_config(tls)?;
    Ok(Client::over(endpoint.connect().await?))
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart_and_a_broken_one_is_not() {
    on_runtime(async {
        let served = Served::new("first");
        let server = Server::start(served.config()).await;
        let mut early = connect(server.address, "first").await.unwrap();
        assert_eq!(early.rows("select 1").await.unwrap(), ["1"]);
        assert!(connect(server.address, "second").await.is_err());

        served.put("second");
        tokio::time::sleep(CHECK_EVERY).await;
        let mut late = connect(server.address, "second").await.unwrap();
        assert_eq!(late.rows("select 1").await.unwrap(), ["1"]);
        assert!(connect(server.address, "first").await.is_err());
        assert_eq!(early.rows("select 1").await.unwrap(), ["1"]);

        // The key of another certificate, as while the files are being exchanged one by one.
        std::fs::copy(shipped("first.key"), served.path("key")).unwrap();
        tokio::time::sleep(CHECK_EVERY).await;
        connect(server.address, "second").await.unwrap();
    });
}

#[test]
fn a_connection_is_a_session_over_tls_too() {
    on_runtime(async {
        let served = Served::new("first");
        let server = Server::start(served.config()).await;
        let mut client = connect(server.address, "first").await.unwrap().with("authorization", "Basic YW5uOg==");
        client.update("use shop.public").await.unwrap();
        assert_eq!(client.rows("select count(*) from orders").await.unwrap(), ["2"]);
    });
}

#[test]
fn files_that_do_not_fit_are_named_at_the_start() {
    let served = Served::new("first");
    let refusal = |certificate: PathBuf, key: PathBuf| match crate::tls::Tls::open(&TlsFiles { certificate, key }) {
        Ok(_) => panic!("served"),
        Err(error) => error.to_string(),
    };
    for (certificate, key, wanted) in [
        (served.path("none"), served.path("key"), "cannot be read"),
        (served.path("key"), served.path("key"), "holds no certificate"),
        (served.path("pem"), served.path("pem"), "holds no private key"),
        (served.path("pem"), shipped("second.key"), "is no key of the certificate"),
    ] {
        let text = refusal(certificate, key);
        assert!(text.contains(wanted) && text.contains("server.") | text.contains("second."), "{text}");
    }
}
