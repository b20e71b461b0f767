//! Handshake: a password for a token.
//!
//! The token goes into a response header, before and whether or not the client sends a payload
//! (arrow-go closes its side without one), and into the payload for clients of Flight's first handshake.

use std::time::Duration;

use arrow_flight::{BasicAuth, HandshakeRequest, HandshakeResponse};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use crate::auth::Credentials;
use crate::call::Call;
use crate::error::malformed;
use crate::listen::Peer;
use crate::service::Door;

/// How long a client that sent no header may take to send a payload.
const PAYLOAD_WAIT: Duration = Duration::from_secs(10);

/// # Errors
/// UNAUTHENTICATED for wrong or missing credentials where they are required.
pub(crate) async fn handshake(
    door: &Door,
    request: Request<Streaming<HandshakeRequest>>,
) -> Result<Response<HandshakeResponse>, Status> {
    let callers = door.callers();
    let peer = Peer::of(request.extensions()).cloned();
    let address = peer.as_ref().map(|peer| peer.address);
    let call = match Credentials::of(request.metadata())? {
        Credentials::Basic { user, password } => {
            door.authenticator.check(&user, &password, address).await?;
            Call::begin_session(&user, request.metadata(), &callers)?
        }
        // A token from an earlier login (JDBC `token`, ODBC TOKEN) is good for another connection.
        Credentials::Bearer(_) => Call::begin(request.metadata(), peer.as_ref(), &callers).await?,
        Credentials::None => {
            let headers = request.metadata().clone();
            match first_payload(request.into_inner()).await? {
                Some(BasicAuth { username, password }) => {
                    door.authenticator.check(&username, &password, address).await?;
                    Call::begin_session(&username, &headers, &callers)?
                }
                None => Call::begin(&headers, peer.as_ref(), &callers).await?,
            }
        }
    };
    let payload = call.new_token().unwrap_or_default().to_owned();
    Ok(call.respond(HandshakeResponse { protocol_version: 0, payload: payload.into() }))
}

async fn first_payload(mut requests: Streaming<HandshakeRequest>) -> Result<Option<BasicAuth>, Status> {
    let Ok(first) = tokio::time::timeout(PAYLOAD_WAIT, requests.message()).await else {
        return Ok(None);
    };
    match first? {
        Some(request) if !request.payload.is_empty() => BasicAuth::decode(request.payload)
            .map(Some)
            .map_err(|_| malformed("the handshake's payload is no user name and password")),
        _ => Ok(None),
    }
}
