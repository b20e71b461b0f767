//! The login: startup message, password exchange, and what the server tells before it is ready.

use meesh_base::{Error, Result, Secret};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ScramSha256};
use postgres_protocol::message::frontend;

use super::cancel::BackendKey;
use super::certificate::end_point_hash;
use super::connection::Connection;
use super::error::ServerError;
use super::message::Fields;
use super::options::ChannelBinding;

/// Why a login failed.
pub(super) enum LoginError {
    /// The server said no.
    Refused(ServerError),
    /// Something else.
    Failed(Error),
}

impl From<Error> for LoginError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Logs in on a fresh stream, up to the first ReadyForQuery.
pub(super) async fn log_in(connection: &mut Connection) -> Result<(), LoginError> {
    let options = std::sync::Arc::clone(&connection.options);
    // Only what every pooler in between knows; the rest is set once the session stands.
    let mut parameters = vec![
        ("user", options.user.as_str()),
        ("database", options.database.as_str()),
        ("application_name", options.application_name.as_str()),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO"),
        ("TimeZone", "UTC"),
    ];
    if let Some(server_options) = &options.server_options {
        parameters.push(("options", server_options));
    }
    connection.answer(|out| frontend::startup_message(parameters, out)).await?;
    authenticate(connection).await?;
    connection.receive.logged_in();
    settle(connection).await
}

/// Answers the server's requests until it is satisfied.
async fn authenticate(connection: &mut Connection) -> Result<(), LoginError> {
    let mut scram: Option<Scram> = None;
    loop {
        let (tag, body) = connection.message().await?;
        match tag {
            b'R' => {}
            b'E' => return Err(LoginError::Refused(ServerError::parse(body))),
            b'v' => continue, // NegotiateProtocolVersion: we ask for nothing beyond 3.0
            tag => return Err(connection.garbage(format!("a message {:?} within the login", char::from(tag))).into()),
        }
        let mut fields = Fields::new(body);
        match fields.u32() {
            Some(OK) => return satisfied(connection, scram.as_ref()),
            Some(CLEARTEXT) => send_cleartext(connection).await?,
            Some(MD5) => {
                let salt = fields.bytes(4).and_then(|salt| salt.try_into().ok());
                let Some(salt) = salt else {
                    return Err(connection.garbage("an MD5 request without salt".into()).into());
                };
                let password = password(connection)?;
                let hash = md5_hash(connection.options.user.as_bytes(), password.expose().as_bytes(), salt);
                connection.answer(|out| frontend::password_message(hash.as_bytes(), out)).await?;
            }
            Some(SASL) => {
                let mut mechanisms = Vec::new();
                while let Some(name) = fields.text().filter(|name| !name.is_empty()) {
                    mechanisms.push(name);
                }
                scram = Some(Scram::start(connection, &mechanisms).await?);
            }
            Some(code @ (SASL_CONTINUE | SASL_FINAL)) => {
                let data = fields.rest().to_vec();
                let Some(scram) = &mut scram else {
                    return Err(connection.garbage("a SASL message out of order".into()).into());
                };
                scram.go_on(connection, code, &data).await?;
            }
            code => return Err(unknown_method(connection, code).into()),
        }
    }
}

// Authentication requests (manual, section 55.7).
const OK: u32 = 0;
const CLEARTEXT: u32 = 3;
const MD5: u32 = 5;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

/// Methods that the server may ask for and meesh does not know.
const UNKNOWN_METHODS: &[(u32, &str)] =
    &[(2, "Kerberos V5"), (6, "SCM"), (7, "GSSAPI"), (8, "GSSAPI"), (9, "SSPI"), (4, "crypt")];

fn unknown_method(connection: &Connection, code: Option<u32>) -> Error {
    let name = UNKNOWN_METHODS.iter().find(|(known, _)| Some(*known) == code).map_or("an unknown method", |(_, n)| n);
    denied(connection, &format!("asks for a login by {name}"))
        .with_hint("allow scram-sha-256, md5, password or cert for this role in the server's pg_hba.conf")
}

fn denied(connection: &Connection, what: &str) -> Error {
    let place = connection.place();
    Error::denied(format!("catalog {:?}: PostgreSQL server {} {what}", place.catalog, place.server))
}

fn password(connection: &Connection) -> Result<Secret> {
    connection.options.password.clone().ok_or_else(|| {
        denied(connection, &format!("asks for the password of role {:?}", connection.options.user))
            .with_hint("set connection-password in the catalog file")
    })
}

async fn send_cleartext(connection: &mut Connection) -> Result<()> {
    let password = password(connection)?;
    if connection.encryption().is_none() && !connection.endpoint.is_local() {
        return Err(denied(connection, "asks for the password in clear text over an unencrypted connection")
            .with_hint("set sslmode=require or stricter, or let the server ask by scram-sha-256"));
    }
    connection.answer(|out| frontend::password_message(password.expose().as_bytes(), out)).await
}

/// After AuthenticationOk: what was promised must have been kept.
fn satisfied(connection: &Connection, scram: Option<&Scram>) -> Result<(), LoginError> {
    if scram.is_some_and(|scram| !scram.verified) {
        let error = denied(connection, "ended the SCRAM login without proving that it knows the password");
        return Err(error.with_hint("check that connection-url names the right server").into());
    }
    let bound = scram.is_some_and(|scram| scram.bound);
    if connection.options.channel_binding == ChannelBinding::Require && !bound {
        let error = denied(connection, "does not bind the login to its certificate");
        return Err(error.with_hint("use TLS and scram-sha-256, or drop channelBinding=require").into());
    }
    Ok(())
}

/// After the login: the backend's key and its settings, up to ReadyForQuery.
async fn settle(connection: &mut Connection) -> Result<(), LoginError> {
    loop {
        match connection.message().await? {
            (b'K', body) => {
                let mut fields = Fields::new(body);
                let key = fields.i32().zip(fields.i32());
                connection.key = key.map(|(process_id, secret)| BackendKey { process_id, secret });
            }
            (b'Z', body) => {
                let status = body.first().copied();
                return connection.ready(status).map_err(LoginError::Failed);
            }
            (b'E', body) => return Err(LoginError::Refused(ServerError::parse(body))),
            (tag, _) => {
                return Err(connection.garbage(format!("a message {:?} after the login", char::from(tag))).into());
            }
        }
    }
}

/// A SCRAM-SHA-256 exchange (RFC 5802, RFC 7677).
struct Scram {
    exchange: ScramSha256,
    /// Whether it is bound to the server's certificate.
    bound: bool,
    /// Whether the server has proved that it knows the password.
    verified: bool,
}

impl Scram {
    async fn start(connection: &mut Connection, mechanisms: &[String]) -> Result<Self> {
        let offered = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
        let allowed = connection.options.channel_binding != ChannelBinding::Disable;
        let hash = connection.transport.server_certificate().filter(|_| allowed).and_then(end_point_hash);
        let (mechanism, binding, bound) = match hash {
            Some(hash) if offered(sasl::SCRAM_SHA_256_PLUS) => {
                (sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(hash), true)
            }
            _ if !offered(sasl::SCRAM_SHA_256) => {
                return Err(denied(connection, &format!("offers only {} for the login", mechanisms.join(", ")))
                    .with_hint("allow scram-sha-256 for this role in the server's pg_hba.conf"));
            }
            // "We could have, and think that you could not": lets the server notice a downgrade.
            Some(_) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested(), false),
            None => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported(), false),
        };
        let password = password(connection)?;
        let exchange = ScramSha256::new(password.expose().as_bytes(), binding);
        connection.answer(|out| frontend::sasl_initial_response(mechanism, exchange.message(), out)).await?;
        Ok(Self { exchange, bound, verified: false })
    }

    async fn go_on(&mut self, connection: &mut Connection, code: u32, data: &[u8]) -> Result<()> {
        let failed = |connection: &Connection, error: std::io::Error| {
            denied(connection, "failed the SCRAM login")
                .with_detail(error.to_string())
                .with_hint("check connection-password and that connection-url names the right server")
        };
        if code == SASL_FINAL {
            self.exchange.finish(data).map_err(|error| failed(connection, error))?;
            self.verified = true;
            return Ok(());
        }
        self.exchange.update(data).map_err(|error| failed(connection, error))?;
        connection.answer(|out| frontend::sasl_response(self.exchange.message(), out)).await
    }
}
