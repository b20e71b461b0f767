//! Who calls: Basic or Bearer credentials on any call, checked against the password file.
//!
//! Wrong passwords cost as much time for unknown users as for known ones, at most two hashes are
//! computed at once, and a user's repeated failures from one address are put off.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::error::unauthenticated;
use crate::handle::{Purpose, Signer};
use crate::password::PasswordFile;

/// The name of everybody where nobody has to say who they are.
pub(crate) const ANONYMOUS: &str = "anonymous";

const HASH_JOBS: usize = 2;
const HASH_WAIT: Duration = Duration::from_secs(10);
const CACHE_ENTRIES_MAX: usize = 1000;
const FAILURES_FREE: u32 = 5;
const FAILURE_ENTRIES_MAX: usize = 10_000;

/// A hash of no password, for when the file holds nobody.
const DUMMY_HASH: &str = "$2y$10$BqTb8hScP5DfcpmHo5PeyugxHz5Ky/qf3wrpD7SNm8sWuA3VlGqsa";

/// What a call says of its sender.
#[derive(PartialEq, Eq)]
pub(crate) enum Credentials {
    Basic { user: String, password: String },
    Bearer(String),
    None,
}

impl Credentials {
    /// The credentials in the headers of a call.
    ///
    /// # Errors
    /// UNAUTHENTICATED for an `authorization` header of no known form.
    pub(crate) fn of(headers: &MetadataMap) -> Result<Self, Status> {
        if let Some(token) = headers.get_bin("auth-token-bin").and_then(|value| value.to_bytes().ok()) {
            // Where clients of Flight's first handshake put the token.
            return Ok(Self::Bearer(String::from_utf8_lossy(&token).into_owned()));
        }
        let Some(value) = headers.get("authorization") else {
            return Ok(Self::None);
        };
        let unreadable = || unauthenticated("the authorization header is neither Basic nor Bearer");
        let (scheme, rest) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(unreadable)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Bearer(rest.trim().to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(unreadable());
        }
        let decoded = decode_base64(rest.trim()).and_then(|bytes| String::from_utf8(bytes).ok());
        let (user, password) = decoded.as_deref().and_then(|text| text.split_once(':')).ok_or_else(unreadable)?;
        Ok(Self::Basic { user: user.to_owned(), password: password.to_owned() })
    }
}

/// Basic credentials come padded from most clients and unpadded from arrow-go.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&STANDARD, config).decode(text).ok()
}

/// Checks passwords.
pub(crate) struct Authenticator {
    users: Option<PasswordFile>,
    signer: Arc<Signer>,
    hash_jobs: Arc<Semaphore>,
    /// Names of passwords that were found right. A name covers the hash, so a new hash needs a new check.
    right: Mutex<HashMap<[u8; 32], ()>>,
    failures: Mutex<HashMap<(String, Option<IpAddr>), Failures>>,
}

struct Failures {
    count: u32,
    until: Instant,
}

impl Authenticator {
    pub(crate) fn new(users: Option<PasswordFile>, signer: Arc<Signer>) -> Self {
        let hash_jobs = Arc::new(Semaphore::new(HASH_JOBS));
        Self { users, signer, hash_jobs, right: Mutex::default(), failures: Mutex::default() }
    }

    /// Whether callers must log in.
    pub(crate) fn required(&self) -> bool {
        self.users.is_some()
    }

    /// What a token must hold to stay valid: it changes with the user's password hash. `None` for a
    /// user who may not (or no longer) log in; without a password file, anybody may.
    pub(crate) fn fingerprint(&self, user: &str) -> Option<[u8; 8]> {
        let Some(file) = &self.users else {
            return Some([0; 8]);
        };
        let users = file.users();
        let hash = users.get(user)?;
        let digest = self.signer.digest(Purpose::Token, &[user.as_bytes(), hash.as_bytes()]);
        digest.first_chunk().copied()
    }

    /// Checks a password. Without a password file every one is right.
    ///
    /// # Errors
    /// UNAUTHENTICATED, in the same words whether the user or the password is wrong.
    pub(crate) async fn check(&self, user: &str, password: &str, peer: Option<SocketAddr>) -> Result<(), Status> {
        let Some(file) = &self.users else {
            return Ok(());
        };
        let users = file.users();
        let known = users.get(user);
        let hash = known.or_else(|| users.values().next()).map_or(DUMMY_HASH, String::as_str).to_owned();
        let name = self.signer.digest(Purpose::Password, &[user.as_bytes(), password.as_bytes(), hash.as_bytes()]);
        if known.is_some() && self.right.lock().contains_key(&name) {
            return Ok(());
        }
        let source = (user.to_owned(), peer.map(|peer| peer.ip()));
        self.check_failures(&source)?;
        if self.matches(password.to_owned(), hash).await? && known.is_some() {
            let mut right = self.right.lock();
            if right.len() >= CACHE_ENTRIES_MAX {
                right.clear();
            }
            right.insert(name, ());
            self.failures.lock().remove(&source);
            return Ok(());
        }
        tracing::warn!(user, ?peer, "login failed");
        self.note_failure(source);
        Err(unauthenticated("wrong user name or password"))
    }

    async fn matches(&self, password: String, hash: String) -> Result<bool, Status> {
        let busy = || unauthenticated("too many logins at once (try again)");
        let permit = tokio::time::timeout(HASH_WAIT, Arc::clone(&self.hash_jobs).acquire_owned());
        let permit = permit.await.map_err(|_| busy())?.map_err(|_| busy())?;
        let job = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            bcrypt::non_truncating_verify(password, &hash).unwrap_or(false)
        });
        job.await.map_err(|_| busy())
    }

    fn check_failures(&self, source: &(String, Option<IpAddr>)) -> Result<(), Status> {
        let wait = self.failures.lock().get(source).and_then(|f| f.until.checked_duration_since(Instant::now()));
        match wait {
            Some(wait) => Err(unauthenticated(format!(
                "too many failed logins of this user (try again in {} s)",
                wait.as_secs() + 1
            ))),
            None => Ok(()),
        }
    }

    /// After five failures each further one doubles the time to the next try, up to a minute.
    fn note_failure(&self, source: (String, Option<IpAddr>)) {
        let mut failures = self.failures.lock();
        let now = Instant::now();
        if failures.len() >= FAILURE_ENTRIES_MAX {
            failures.retain(|_, failure| failure.until > now);
        }
        let failure = failures.entry(source).or_insert(Failures { count: 0, until: now });
        failure.count += 1;
        if failure.count > FAILURES_FREE {
            failure.until =
                now + Duration::from_secs(1 << (failure.count - FAILURES_FREE).min(6)).min(Duration::from_secs(60));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(header: &str) -> Result<Credentials, Status> {
        let mut headers = MetadataMap::new();
        headers.insert("authorization", header.parse().unwrap());
        Credentials::of(&headers)
    }

    #[test]
    fn basic_is_read_padded_unpadded_and_in_any_case() {
        let ann = Credentials::Basic { user: "ann".into(), password: "pw:1".into() };
        for header in ["Basic YW5uOnB3OjE=", "basic YW5uOnB3OjE", "BASIC YW5uOnB3OjE="] {
            assert!(credentials(header).unwrap() == ann, "{header}");
        }
        assert!(credentials("bearer abc").unwrap() == Credentials::Bearer("abc".into()));
        assert!(Credentials::of(&MetadataMap::new()).unwrap() == Credentials::None);
        for header in ["Basic", "Basic !!!", "Digest x", "Basic YW5u"] {
            assert!(credentials(header).is_err(), "{header}");
        }
    }

    fn authenticator() -> (tempfile::TempDir, Authenticator) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password.db");
        let hash = bcrypt::hash("right", 8).unwrap();
        std::fs::write(&path, format!("ann:{hash}\n")).unwrap();
        let file = PasswordFile::open(path).unwrap();
        (folder, Authenticator::new(Some(file), Arc::new(Signer::new(None))))
    }

    #[tokio::test]
    async fn passwords_are_checked_and_remembered() {
        let (_folder, authenticator) = authenticator();
        authenticator.check("ann", "right", None).await.unwrap();
        authenticator.check("ann", "right", None).await.unwrap();
        assert_eq!(authenticator.right.lock().len(), 1);
        let wrong = authenticator.check("ann", "wrong", None).await.unwrap_err();
        let unknown = authenticator.check("bob", "right", None).await.unwrap_err();
        assert_eq!(wrong.code(), tonic::Code::Unauthenticated);
        assert_eq!(wrong.message(), unknown.message());
        assert!(authenticator.fingerprint("ann").is_some() && authenticator.fingerprint("bob").is_none());
    }

    #[tokio::test]
    async fn repeated_failures_are_put_off() {
        let (_folder, authenticator) = authenticator();
        for _ in 0..6 {
            authenticator.check("ann", "wrong", None).await.unwrap_err();
        }
        let refused = authenticator.check("ann", "right", None).await.unwrap_err();
        assert!(refused.message().contains("try again in"), "{}", refused.message());
        let elsewhere = "192.0.2.1:1".parse().unwrap();
        authenticator.check("ann", "right", Some(elsewhere)).await.unwrap();
    }
}
