//! Bearer tokens: a token names a session and its user and is valid by its seal alone, as long as the
//! session is in use.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::handle::{Purpose, Signer};
use crate::session::{SessionId, Sessions};

/// What a bearer token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) session: SessionId,
    pub(crate) user: String,
    /// Of the user's password, as it was at login.
    pub(crate) fingerprint: [u8; 8],
    issued_s: u64,
}

impl Token {
    /// A token for a session of `user`, from now on.
    pub(crate) fn new(session: SessionId, user: impl Into<String>, fingerprint: [u8; 8]) -> Self {
        Self { session, user: user.into(), fingerprint, issued_s: now_s() }
    }

    /// The token as clients carry it.
    pub(crate) fn seal(&self, signer: &Signer) -> String {
        let mut body = Vec::with_capacity(64 + self.user.len());
        body.extend_from_slice(&self.session);
        body.extend_from_slice(&self.fingerprint);
        body.extend_from_slice(&self.issued_s.to_le_bytes());
        body.extend_from_slice(self.user.as_bytes());
        URL_SAFE_NO_PAD.encode(signer.seal(Purpose::Token, body))
    }

    /// The token that a client sent, or `None` if it is not ours, is too old, or its session was closed.
    pub(crate) fn open(signer: &Signer, sessions: &Sessions, text: &str) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let body = signer.open(Purpose::Token, &sealed)?;
        let (session, rest) = body.split_first_chunk::<16>()?;
        let (fingerprint, rest) = rest.split_first_chunk::<8>()?;
        let (issued, user) = rest.split_first_chunk::<8>()?;
        let token = Self {
            session: *session,
            user: String::from_utf8(user.to_vec()).ok()?,
            fingerprint: *fingerprint,
            issued_s: u64::from_le_bytes(*issued),
        };
        let young = token.age() <= sessions.token_age_max();
        (!sessions.is_closed(session) && (young || sessions.is_in_use(session))).then_some(token)
    }

    fn age(&self) -> Duration {
        Duration::from_secs(now_s().saturating_sub(self.issued_s))
    }

    /// Whether it is time to hand out a younger one. Clients that keep the old one (Grafana's plug-in
    /// keeps one for days) are served as long as they use it: see [`Sessions::touch`].
    pub(crate) fn is_ageing(&self, sessions: &Sessions) -> bool {
        self.age() > sessions.fresh_time()
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn aged(age: Duration) -> Token {
        let mut token = Token::new([1; 16], "ann", [2; 8]);
        token.issued_s -= age.as_secs();
        token
    }

    #[test]
    fn a_token_is_read_back_and_a_forged_one_is_not() {
        let (signer, sessions) = (Signer::new(None), Sessions::new(HOUR));
        let text = aged(Duration::ZERO).seal(&signer);
        assert_eq!(Token::open(&signer, &sessions, &text).unwrap(), aged(Duration::ZERO));
        assert!(Token::open(&Signer::new(None), &sessions, &text).is_none());
        assert!(Token::open(&signer, &sessions, "x").is_none());
    }

    #[test]
    fn an_old_token_lives_as_long_as_it_is_used() {
        let (signer, sessions) = (Signer::new(None), Sessions::new(HOUR));
        let old = aged(2 * HOUR);
        assert!(Token::open(&signer, &sessions, &old.seal(&signer)).is_none());
        assert!(aged(HOUR / 20).is_ageing(&sessions) && !aged(HOUR / 30).is_ageing(&sessions));
        sessions.touch(&old.session, "ann");
        assert!(Token::open(&signer, &sessions, &old.seal(&signer)).is_some());
        sessions.close(&old.session, "ann");
        assert!(Token::open(&signer, &sessions, &old.seal(&signer)).is_none());
    }

    #[test]
    fn a_session_is_good_for_its_lifetime_after_any_use() {
        let (signer, sessions) = (Signer::new(None), Sessions::new(HOUR));
        // Used last before use is noted, and almost an hour ago.
        let token = aged(HOUR + HOUR / 25);
        assert!(Token::open(&signer, &sessions, &token.seal(&signer)).is_some());
        // Use was noted, the last time 54 minutes ago.
        sessions.touch(&token.session, "ann");
        sessions.rest(&token.session, HOUR * 9 / 10);
        sessions.sweep();
        assert!(Token::open(&signer, &sessions, &aged(HOUR * 14 / 10).seal(&signer)).is_some());
    }

    #[test]
    fn a_closed_session_stays_closed_as_long_as_its_token_could_be_valid() {
        let (signer, sessions) = (Signer::new(None), Sessions::new(HOUR));
        let token = aged(HOUR + HOUR / 30);
        sessions.close(&token.session, "ann");
        sessions.rest(&token.session, HOUR + HOUR / 60);
        sessions.sweep();
        assert!(Token::open(&signer, &sessions, &token.seal(&signer)).is_none());
    }
}
