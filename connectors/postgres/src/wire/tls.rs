//! TLS with `sslmode` as libpq means it: whether to ask for it, and whom to trust.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use meesh_base::{Error, Result};
use postgres_protocol::message::frontend;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::certificate;
use super::error::Place;
use super::options::{SslMode, TlsOptions, TrustedRoots};
use super::transport::Transport;

/// Reads below rustls are gathered to this size; PostgreSQL writes records of 8 KiB.
const READ_AHEAD: usize = 64 << 10;

/// Asks the server for TLS. `false`: it has none, and the stream goes on without.
pub(super) async fn request(stream: &mut TcpStream) -> io::Result<bool> {
    let mut message = bytes::BytesMut::new();
    frontend::ssl_request(&mut message);
    stream.write_all(&message).await?;
    // Exactly one byte: what came with it unencrypted must not count as read (CVE-2021-23222).
    match stream.read_u8().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        other => {
            let what = format!("answered the request for TLS with {:?}", char::from(other));
            Err(io::Error::new(io::ErrorKind::InvalidData, what))
        }
    }
}

/// Runs the handshake that the server agreed to.
///
/// # Errors
/// With the remedy, if the server's certificate is not what the mode asks for.
pub(super) async fn handshake(
    stream: TcpStream,
    host: &str,
    config: Arc<ClientConfig>,
    place: &Place,
) -> Result<Transport> {
    let name = server_name(host, stream.peer_addr().map(|address| address.ip()));
    let connector = TlsConnector::from(config);
    match connector.connect(name, BufReader::with_capacity(READ_AHEAD, stream)).await {
        Ok(stream) => Ok(Transport::Tls(Box::new(stream))),
        Err(error) => {
            let hint = certificate_hint(&error);
            let failed = place.io("failed the TLS handshake", error);
            Err(hint.map_or(failed.clone(), |hint| failed.with_hint(hint)))
        }
    }
}

/// The name to ask for and to verify; a host that is no DNS name stands for its address.
fn server_name(host: &str, address: io::Result<IpAddr>) -> ServerName<'static> {
    ServerName::try_from(host.to_owned())
        .unwrap_or_else(|_| ServerName::from(address.unwrap_or(IpAddr::from([127, 0, 0, 1]))))
}

fn certificate_hint(error: &io::Error) -> Option<&'static str> {
    let rustls::Error::InvalidCertificate(why) = error.get_ref()?.downcast_ref::<rustls::Error>()? else { return None };
    Some(match why {
        CertificateError::UnknownIssuer => {
            "set sslrootcert to the certificate of the authority that issued the server's"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "connect by a name in the certificate's subjectAltName, or set sslmode=verify-ca"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "renew the server's certificate",
        _ => "check the server's certificate, or set sslmode=require to take any",
    })
}

/// rustls's configuration for these options. Reads the files they name each time, so that rotated
/// ones count from the next session on.
///
/// # Errors
/// `SourceUnavailable` for a file that cannot be read or holds no certificate or key.
pub(super) async fn config(options: &TlsOptions, place: &Place) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier {
        check: Check::of(options),
        trusted: trusted(options, place).await?,
        algorithms: provider.signature_verification_algorithms,
    };
    let internal = |error: rustls::Error| place.unavailable("cannot be asked for TLS").with_detail(error.to_string());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(internal)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match client_identity(options, place).await? {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(|error| {
            let unusable = place.unavailable("cannot be shown the client certificate of sslcert");
            unusable.with_detail(error.to_string()).with_hint("check that sslcert and sslkey belong together")
        })?,
        None => config.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// How much of the server's certificate is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    Nothing,
    Issuer,
    IssuerAndName,
}

impl Check {
    fn of(options: &TlsOptions) -> Self {
        match (options.mode, &options.roots) {
            (SslMode::VerifyFull, _) => Self::IssuerAndName,
            // libpq's rule for older programs: with a root file, require means verify-ca.
            (SslMode::VerifyCa | SslMode::Require, Some(TrustedRoots::File(_))) => Self::Issuer,
            // Anybody gets a certificate for a name of his own from a public issuer: without the name it
            // proves nothing. libpq refuses these modes with such roots.
            (SslMode::VerifyCa, _) | (SslMode::Require, Some(TrustedRoots::System)) => Self::IssuerAndName,
            _ => Self::Nothing,
        }
    }
}

/// Trusted certificates, as anchors and as they stand in the file.
#[derive(Debug, Clone)]
struct Trusted {
    anchors: Arc<RootCertStore>,
    certificates: Arc<Vec<CertificateDer<'static>>>,
}

impl Trusted {
    fn new(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut anchors = RootCertStore::empty();
        anchors.add_parsable_certificates(certificates.iter().cloned());
        Self { anchors: Arc::new(anchors), certificates: Arc::new(certificates) }
    }
}

async fn trusted(options: &TlsOptions, place: &Place) -> Result<Trusted> {
    static SYSTEM: LazyLock<Trusted> = LazyLock::new(|| Trusted::new(rustls_native_certs::load_native_certs().certs));
    if Check::of(options) == Check::Nothing {
        return Ok(Trusted::new(Vec::new()));
    }
    let Some(TrustedRoots::File(path)) = &options.roots else { return Ok(SYSTEM.clone()) };
    let text = read(path, "sslrootcert", place).await?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(std::result::Result::ok).collect();
    if certificates.is_empty() {
        return Err(place.unavailable(format_args!("cannot be verified: file {path:?} holds no PEM certificate")));
    }
    Ok(Trusted::new(certificates))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

async fn client_identity(options: &TlsOptions, place: &Place) -> Result<Option<Identity>> {
    let (Some(certificate), Some(key)) = (&options.certificate, &options.key) else { return Ok(None) };
    let chain = read(certificate, "sslcert", place).await?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).filter_map(std::result::Result::ok).collect();
    if chain.is_empty() {
        return Err(place.unavailable(format_args!("cannot be logged in to: {certificate:?} holds no PEM certificate")));
    }
    let bytes = read(key, "sslkey", place).await?;
    let key = match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => key,
        // pgJDBC's .pk8 files: PKCS#8 without PEM around it.
        Err(_) if bytes.first() == Some(&0x30) => PrivatePkcs8KeyDer::from(bytes).into(),
        Err(_) => {
            let unusable = place.unavailable(format_args!("cannot be logged in to: {key:?} holds no usable key"));
            return Err(unusable.with_hint("sslkey must be PEM or PKCS#8 DER, without encryption"));
        }
    };
    Ok(Some((chain, key)))
}

async fn read(path: &std::path::Path, parameter: &str, place: &Place) -> Result<Vec<u8>> {
    tokio::fs::read(path).await.map_err(|error| {
        let unreadable: Error = place.unavailable(format_args!("cannot be reached: file {path:?} cannot be read"));
        unreadable.with_detail(error.to_string()).with_hint(format!("check {parameter} in connection-url"))
    })
}

/// Verifies a server as one [`Check`] asks.
#[derive(Debug)]
struct Verifier {
    check: Check,
    trusted: Trusted,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn verify_issuer(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let verified = ParsedCertificate::try_from(end_entity).and_then(|certificate| {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.trusted.anchors,
                intermediates,
                now,
                algorithms,
            )
        });
        match verified {
            // A self-signed certificate is marked as an authority's, which webpki takes for no
            // server's; OpenSSL, and so libpq, trusts one that stands in the root file itself.
            // Its dates were found good before that.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.trusted.certificates.iter().any(|trusted| trusted == end_entity) =>
            {
                Ok(())
            }
            verified => verified,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.check >= Check::Issuer {
            self.verify_issuer(end_entity, intermediates, now)?;
        }
        if self.check == Check::IssuerAndName {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    /// Always verified, even where any certificate will do: channel binding relies on it.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let verified = verify_tls13_signature(message, certificate, signature, &self.algorithms);
        // webpki parses no certificates of version 1, which `openssl x509 -req` makes by default.
        match (verified, certificate::public_key_info(certificate)) {
            (Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))), Some(key)) => {
                let key = SubjectPublicKeyInfoDer::from(key);
                verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
            }
            (verified, _) => verified,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
