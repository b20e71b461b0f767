//! What clients carry for us: tickets, prepared statements and session tokens, each sealed with a MAC.
//! Nothing in them is secret; nothing in them can be altered.
//!
//! Tickets and prepared statements name what this process holds: their key is drawn at every start, so
//! that those of an earlier process are told as unknown. A token names a user, who outlives the process:
//! its key may be configured, and then a client stays logged in when the server restarts.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use meesh_base::Secret;
use meesh_engine::QueryId;
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;

use crate::error::unknown_handle;
use crate::wire_types::WireOptions;

const MAC_BYTES: usize = 32;

/// What a sealed text is for. A seal made for one purpose does not open for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Purpose {
    /// Tokens, and the passwords that they stand for: under the key that may outlive the process.
    Token = 1,
    Ticket = 2,
    Prepared = 3,
    /// Never sent: the name of a checked password.
    Password = 4,
    /// Never sent: the session of a client that logs in anew with every call.
    Connection = 5,
}

type Key = [u8; 64];

/// Seals and opens.
pub(crate) struct Signer {
    /// Of this process.
    key: Key,
    /// Of tokens.
    token_key: Key,
}

impl Signer {
    /// A signer with fresh keys; that of tokens follows from `secret`, if there is one.
    pub(crate) fn new(secret: Option<&Secret>) -> Self {
        Self { key: rand::random(), token_key: secret.map_or_else(rand::random, token_key) }
    }

    fn begin(&self, purpose: Purpose) -> Hmac<Sha256> {
        let key = if purpose == Purpose::Token { &self.token_key } else { &self.key };
        let mut mac = Hmac::<Sha256>::new(key.into());
        mac.update(&[purpose as u8]);
        mac
    }

    /// A keyed digest of `parts`, each with its length so that no two lists run together.
    pub(crate) fn digest(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut mac = self.begin(purpose);
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// `body` followed by its seal.
    pub(crate) fn seal(&self, purpose: Purpose, mut body: Vec<u8>) -> Vec<u8> {
        let mut mac = self.begin(purpose);
        mac.update(&body);
        body.extend_from_slice(&mac.finalize().into_bytes());
        body
    }

    /// The body of a sealed text, or `None` if the seal is not ours. Takes the same time either way.
    pub(crate) fn open<'a>(&self, purpose: Purpose, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (body, seal) = sealed.split_at_checked(sealed.len().checked_sub(MAC_BYTES)?)?;
        let mut mac = self.begin(purpose);
        mac.update(body);
        mac.verify_slice(seal).ok().map(|()| body)
    }
}

/// The secret may be of any length; a hash of it is as good a key.
fn token_key(secret: &Secret) -> Key {
    let mut key = [0; 64];
    key.iter_mut().zip(Sha256::digest(secret.expose())).for_each(|(to, from)| *to = from);
    key
}

/// What the ticket of a planned query says.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TicketBody {
    #[prost(string, tag = "1")]
    pub(crate) query: String,
    #[prost(string, tag = "2")]
    pub(crate) user: String,
    /// The session that planned it; empty if the client had none.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) session: Vec<u8>,
    #[prost(message, required, tag = "4")]
    pub(crate) wire: WireOptions,
}

impl TicketBody {
    pub(crate) fn seal(&self, signer: &Signer) -> Bytes {
        signer.seal(Purpose::Ticket, self.encode_to_vec()).into()
    }

    /// # Errors
    /// NOT_FOUND for a ticket that is not ours or not `user`'s.
    pub(crate) fn open(signer: &Signer, sealed: &[u8], user: &str) -> Result<Self, Status> {
        signer
            .open(Purpose::Ticket, sealed)
            .and_then(|body| Self::decode(body).ok())
            .filter(|ticket| ticket.user == user)
            .ok_or_else(|| unknown_handle("ticket"))
    }

    pub(crate) fn query_id(&self) -> QueryId {
        QueryId::parse(&self.query)
    }
}

/// What the handle of a prepared statement says: everything, so that the server keeps nothing but
/// the parameters bound to it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PreparedBody {
    #[prost(string, tag = "1")]
    pub(crate) sql: String,
    #[prost(string, tag = "2")]
    pub(crate) user: String,
    /// The session that prepared it; empty if the client had none.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) session: Vec<u8>,
    /// Under this name its parameters are kept.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) nonce: Vec<u8>,
}

impl PreparedBody {
    pub(crate) fn seal(&self, signer: &Signer) -> Bytes {
        signer.seal(Purpose::Prepared, self.encode_to_vec()).into()
    }

    /// # Errors
    /// NOT_FOUND for a handle that is not ours, not `user`'s, or of another session.
    pub(crate) fn open(signer: &Signer, sealed: &[u8], user: &str, session: &[u8]) -> Result<Self, Status> {
        signer
            .open(Purpose::Prepared, sealed)
            .and_then(|body| Self::decode(body).ok())
            .filter(|body| body.user == user && (body.session.is_empty() || body.session == session))
            .ok_or_else(|| unknown_handle("prepared statement"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared() -> PreparedBody {
        PreparedBody { sql: "select 1".into(), user: "ann".into(), session: b"s1".to_vec(), nonce: vec![7; 16] }
    }

    #[test]
    fn a_handle_opens_for_its_owner_only() {
        let signer = Signer::new(None);
        let handle = prepared().seal(&signer);
        assert_eq!(PreparedBody::open(&signer, &handle, "ann", b"s1").unwrap(), prepared());
        assert!(PreparedBody::open(&signer, &handle, "bob", b"s1").is_err());
        assert!(PreparedBody::open(&signer, &handle, "ann", b"s2").is_err());
        assert!(PreparedBody::open(&Signer::new(None), &handle, "ann", b"s1").is_err());
        assert!(TicketBody::open(&signer, &handle, "ann").is_err());
    }

    #[test]
    fn a_secret_makes_tokens_outlive_the_process_and_nothing_else() {
        let signer = |text: &str| Signer::new(Some(&Secret::new(text)));
        let (before, after) = (signer("one secret"), signer("one secret"));
        let token = before.seal(Purpose::Token, b"ann".to_vec());
        assert_eq!(after.open(Purpose::Token, &token), Some(b"ann".as_slice()));
        assert_eq!(signer("another").open(Purpose::Token, &token), None);
        let refused = PreparedBody::open(&after, &prepared().seal(&before), "ann", b"s1").unwrap_err();
        assert_eq!(refused.code(), tonic::Code::NotFound);
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let signer = Signer::new(None);
        let handle = prepared().seal(&signer);
        for bit in 0..handle.len() * 8 {
            let mut forged = handle.to_vec();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(PreparedBody::open(&signer, &forged, "ann", b"s1").is_err(), "bit {bit}");
        }
        assert!(PreparedBody::open(&signer, b"", "ann", b"s1").is_err());
    }

    #[test]
    fn parts_of_a_digest_do_not_run_together() {
        let signer = Signer::new(None);
        assert_ne!(signer.digest(Purpose::Password, &[b"ab", b"c"]), signer.digest(Purpose::Password, &[b"a", b"bc"]));
    }
}
