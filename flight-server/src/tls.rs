//! TLS of the door: certificate and key follow their files, so that a renewed certificate needs no
//! restart; open connections keep the one they began with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use meesh_engine::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use crate::followed::Followed;

const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// A certificate chain and its key, as PEM files. They are read again when they change; files that do
/// not fit leave the certificate as it was.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key; may be in the same file.
    pub key: PathBuf,
}

/// The server's side of TLS.
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    /// # Errors
    /// `InvalidQuery` naming the file that cannot be read or holds no certificate or key, and for a key
    /// of another certificate.
    pub(crate) fn open(files: &TlsFiles) -> Result<Self> {
        let files = vec![files.certificate.clone(), files.key.clone()];
        let certificate = Certificate(Followed::open("TLS certificate", files, read)?);
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal(format!("TLS cannot be served: {error}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificate));
        // gRPC is HTTP/2 and nothing else.
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// `connections`, each as its handshake ends, `at_once` of them at the same time. One whose
    /// handshake fails is left out.
    pub(crate) fn secure<S>(
        self,
        connections: impl Stream<Item = S> + Send,
        at_once: usize,
    ) -> impl Stream<Item = TlsStream<S>> + Send
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Tasks of their own: a handshake is a millisecond of arithmetic.
        let handshakes = connections.map(move |connection| tokio::spawn(handshake(self.0.clone(), connection)));
        handshakes.buffer_unordered(at_once).filter_map(|done| std::future::ready(done.ok().flatten()))
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(acceptor: TlsAcceptor, connection: S) -> Option<TlsStream<S>> {
    match tokio::time::timeout(HANDSHAKE_WAIT, acceptor.accept(connection)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("TLS handshake took too long");
            None
        }
    }
}

/// Gives every new connection the certificate that the files hold then.
struct Certificate(Followed<CertifiedKey>);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get())
    }
}

/// The chain in the first file with the key in the second.
fn read(files: &[PathBuf]) -> Result<CertifiedKey> {
    let [certificate, key] = files else {
        return Err(Error::internal("TLS takes a certificate and a key"));
    };
    let chain = CertificateDer::pem_slice_iter(&read_file(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| unfit(certificate, "holds no certificate"))?;
    let private = PrivateKeyDer::from_pem_slice(&read_file(key)?).map_err(|_| unfit(key, "holds no private key"))?;
    CertifiedKey::from_der(chain, private, &default_provider())
        .map_err(|error| unfit(key, &format!("is no key of the certificate: {error}")))
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::invalid_query(format!("TLS file \"{}\" cannot be read: {error}", path.display())))
}

fn unfit(path: &Path, what: &str) -> Error {
    Error::invalid_query(format!("TLS file \"{}\" {what}", path.display()))
        .with_hint("the certificate file holds the chain, the key file its private key, both as PEM")
}
