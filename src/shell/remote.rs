//! A connection to a server that speaks Arrow Flight SQL: meesh, or any other.

use std::path::Path;
use std::time::Duration;

use arrow::datatypes::{DataType, Schema};
use arrow_flight::HandshakeRequest;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use base64::Engine as _;
use futures::{StreamExt, TryStreamExt};
use meesh_engine::{Error, ErrorKind, Position, QueryId, Result, StatementKind};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use url::Url;

use super::target::Answer;

const DEFAULT_PORT: u16 = 32010;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Schemes of a server's URL, and whether they mean TLS.
const SCHEMES: &[(&str, bool)] =
    &[("grpc", false), ("grpc+tcp", false), ("grpc+tls", true), ("http", false), ("https", true)];

/// Words that begin a statement with rows of its own.
const QUERIES: &[&str] = &["select", "with", "values", "table", "show", "describe", "desc", "explain", "from"];

/// What each status means to the person, if the server does not say it better.
const KINDS: &[(Code, ErrorKind)] = &[
    (Code::InvalidArgument, ErrorKind::InvalidQuery),
    (Code::NotFound, ErrorKind::NotFound),
    (Code::AlreadyExists, ErrorKind::AlreadyExists),
    (Code::Unimplemented, ErrorKind::Unsupported),
    (Code::Unauthenticated, ErrorKind::Denied),
    (Code::PermissionDenied, ErrorKind::Denied),
    (Code::Cancelled, ErrorKind::Cancelled),
    (Code::DeadlineExceeded, ErrorKind::Timeout),
    (Code::ResourceExhausted, ErrorKind::Exhausted),
    (Code::Unavailable, ErrorKind::SourceUnavailable),
    (Code::FailedPrecondition, ErrorKind::SourceData),
];

/// Who logs in, and how the server's certificate is checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct RemoteLogin {
    /// The user.
    pub(crate) user: String,
    /// The password; empty for a server without users.
    pub(crate) password: String,
    /// PEM text of the authority that signed the server's certificate; `None` asks the system's.
    pub(crate) authority_pem: Option<Vec<u8>>,
}

/// A connection with a session of its own.
pub(crate) struct Remote {
    client: FlightSqlServiceClient<Channel>,
    authority: String,
}

/// Whether the text is a server's URL rather than anything else.
pub(crate) fn is_server_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| SCHEMES.iter().any(|(known, _)| *known == scheme))
}

impl Remote {
    /// Connects and logs in.
    ///
    /// # Errors
    /// `InvalidQuery` for a URL that is none, `SourceUnavailable` if nobody answers, `Denied` for a
    /// wrong user or password.
    pub(crate) async fn connect(url: &str, login: &RemoteLogin) -> Result<Self> {
        let (address, is_tls, authority) = address_of(url)?;
        let unreachable = |error: tonic::transport::Error| {
            Error::source_unavailable(format!("server {authority} cannot be reached"))
                .with_detail(root_cause(&error))
                .with_hint("is it running, and does it listen there (flight.listen)?")
        };
        let mut endpoint = Endpoint::from_shared(address)
            .map_err(unreachable)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_while_idle(true);
        if is_tls {
            let mut tls = ClientTlsConfig::new().with_native_roots();
            if let Some(pem) = &login.authority_pem {
                tls = tls.ca_certificate(Certificate::from_pem(pem));
            }
            endpoint = endpoint.tls_config(tls).map_err(unreachable)?;
        }
        let channel = endpoint.connect().await.map_err(unreachable)?;
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX);
        let mut remote = Self { client: FlightSqlServiceClient::new_from_inner(inner), authority };
        remote.log_in(login).await?;
        Ok(remote)
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The token of the answer is the session: USE and SET SESSION hold in it.
    async fn log_in(&mut self, login: &RemoteLogin) -> Result<()> {
        let basic = base64::prelude::BASE64_STANDARD.encode(format!("{}:{}", login.user, login.password));
        let hello = HandshakeRequest { protocol_version: 0, payload: bytes::Bytes::new() };
        let mut request = Request::new(futures::stream::iter([hello]));
        let basic = format!("Basic {basic}").parse().map_err(|_| Error::internal("credentials fit into no header"))?;
        request.metadata_mut().insert("authorization", basic);
        let response = match self.client.inner_mut().handshake(request).await {
            Ok(response) => response,
            // A server without handshake has no users either.
            Err(status) if status.code() == Code::Unimplemented => return Ok(()),
            Err(status) => return Err(error_of(&status)),
        };
        let header = response.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if let Some(token) = header.and_then(|header| header.strip_prefix("Bearer ")) {
            self.client.set_token(token.to_owned());
        }
        Ok(())
    }

    /// Sends a statement.
    ///
    /// # Errors
    /// The server's, with the kind that it names.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Answer> {
        let info = self.client.execute(sql.to_owned(), None).await.map_err(flight_error)?;
        // meesh names the query there.
        let id = std::str::from_utf8(&info.app_metadata).ok().filter(|id| !id.is_empty()).map(str::to_owned);
        let tickets: Vec<_> = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.clone()).collect();
        let schema = info.try_decode_schema().map_err(|error| flight_error(error.into()))?;
        let mut streams = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            let stream = self.client.do_get(ticket).await.map_err(flight_error)?;
            streams.push(stream.map_err(flight_error));
        }
        let rows = futures::stream::iter(streams).flatten().boxed();
        Ok(Answer { id, kind: kind_of(sql, &schema), schema: schema.into(), rows, look: None })
    }
}

/// The kind of a statement, which no protocol tells: what returns no rows of its own answers with
/// one count named `rows`.
fn kind_of(sql: &str, schema: &Schema) -> StatementKind {
    let is_count = matches!(schema.fields().as_ref(), [field]
        if field.name() == "rows" && *field.data_type() == DataType::Int64);
    let word: String = sql.chars().take_while(char::is_ascii_alphabetic).collect();
    let is_query = word.is_empty() || QUERIES.iter().any(|query| query.eq_ignore_ascii_case(&word));
    if is_count && !is_query { StatementKind::Update } else { StatementKind::Query }
}

/// Address, TLS and `host:port` of a server's URL.
fn address_of(url: &str) -> Result<(String, bool, String)> {
    let wrong = |why: &str| {
        Error::invalid_query(format!("server URL is not valid: {why}"))
            .with_hint("write grpc://host:32010, or grpc+tls://host:32010 for TLS")
    };
    let parsed = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    let is_tls = SCHEMES.iter().find(|(scheme, _)| *scheme == parsed.scheme()).map(|(_, tls)| *tls);
    let is_tls = is_tls.ok_or_else(|| wrong("its scheme is not grpc or grpc+tls"))?;
    let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?;
    let authority = format!("{host}:{}", parsed.port().unwrap_or(DEFAULT_PORT));
    Ok((format!("{}://{authority}", if is_tls { "https" } else { "http" }), is_tls, authority))
}

fn flight_error(error: arrow_flight::error::FlightError) -> Error {
    match error {
        arrow_flight::error::FlightError::Tonic(status) => error_of(&status),
        arrow_flight::error::FlightError::ExternalError(other) => Error::internal(other.to_string()),
        other => Error::internal(other.to_string()),
    }
}

/// The error that a server's status stands for.
fn error_of(status: &Status) -> Error {
    let header = |name: &str| status.metadata().get(name).and_then(|value| value.to_str().ok());
    let kind = KINDS.iter().find(|(code, _)| *code == status.code()).map_or(ErrorKind::Internal, |(_, kind)| *kind);
    let mut text = status.message();
    if let Some(rest) = header("x-meesh-error-code").and_then(|code| text.strip_prefix(code)) {
        text = rest.trim_start_matches(": ");
    }
    let id = header("x-meesh-query-id");
    if let Some(rest) = id.and_then(|id| text.strip_suffix(&format!(" [query {id}]"))) {
        text = rest;
    }
    let (position, text) = position_of(text);
    let mut error = Error::new(kind, if text.is_empty() { status.code().description() } else { text });
    if let Some(position) = position {
        error = error.with_position(position);
    }
    match id {
        Some(id) => error.with_query(&QueryId::parse(id)),
        None => error,
    }
}

/// The `line 1:15: ` that a message starts with, and the rest.
fn position_of(text: &str) -> (Option<Position>, &str) {
    let parse = || {
        let (place, rest) = text.strip_prefix("line ")?.split_once(": ")?;
        let (line, column) = place.split_once(':')?;
        Some((Position { line: line.parse().ok()?, column: column.parse().ok()? }, rest))
    };
    match parse() {
        Some((position, rest)) => (Some(position), rest),
        None => (None, text),
    }
}

/// The innermost reason: the outer ones say only that a connection failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

/// The text of a PEM file.
///
/// # Errors
/// `InvalidQuery` if it cannot be read.
pub(crate) fn read_pem(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| {
        Error::invalid_query(format!("cannot read certificate file {:?}", file.display()))
            .with_detail(error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn urls() {
        let address = |url: &str| address_of(url).unwrap();
        assert_eq!(address("grpc://db:1"), ("http://db:1".into(), false, "db:1".into()));
        assert_eq!(address("grpc+tls://db"), ("https://db:32010".into(), true, "db:32010".into()));
        assert_eq!(address("grpc://[::1]:7").2, "[::1]:7");
        assert!(address_of("postgres://h").is_err() && address_of("grpc://").is_err());
        assert!(is_server_url("grpc://x") && !is_server_url("select 1") && !is_server_url("s3://b"));
    }

    #[test]
    fn a_count_is_told_from_a_column_of_that_name() {
        let schema = Schema::new(vec![Field::new("rows", DataType::Int64, true)]);
        assert_eq!(kind_of("USE sales.public", &schema), StatementKind::Update);
        assert_eq!(kind_of("select rows from t", &schema), StatementKind::Query);
        assert_eq!(kind_of("CALL x()", &Schema::empty()), StatementKind::Query);
    }

    #[test]
    fn a_status_becomes_the_error_it_was() {
        let mut status = Status::not_found("TABLE_NOT_FOUND: line 1:15: table \"x\" does not exist [query q1]");
        for (name, value) in [("x-meesh-error-code", "TABLE_NOT_FOUND"), ("x-meesh-query-id", "q1")] {
            status.metadata_mut().insert(name, value.parse().unwrap());
        }
        let error = error_of(&status);
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.position(), Some(Position { line: 1, column: 15 }));
        assert_eq!(error.message(), "table \"x\" does not exist");
        assert_eq!(error.query().map(QueryId::as_str), Some("q1"));
    }

    #[test]
    fn a_foreign_status_is_kept_as_it_is() {
        let error = error_of(&Status::unauthenticated("no"));
        assert_eq!((error.kind(), error.message()), (ErrorKind::Denied, "no"));
        assert_eq!(error_of(&Status::unknown("")).kind(), ErrorKind::Internal);
    }
}
