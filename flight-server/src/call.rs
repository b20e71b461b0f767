//! One call: who makes it, in which session, and what its response must carry back.

use std::sync::Arc;

use meesh_engine::{QueryId, Session, SessionChange};
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};

use crate::auth::{ANONYMOUS, Authenticator, Credentials};
use crate::error::{QUERY_ID_HEADER, put, unauthenticated};
use crate::handle::{Purpose, Signer};
use crate::listen::{ConnectionId, Peer};
use crate::parked::Owner;
use crate::session::{SessionId, SessionState, Sessions};
use crate::token::Token;
use crate::wire_types::WireOptions;

const COOKIE: &str = "meesh-session";
const PROFILE_HEADER: &str = "x-meesh-profile";

/// Headers that set something for their call alone, and the session property each stands for. The
/// short names are those that JDBC sends for unknown URL parameters.
const SESSION_HEADERS: &[(&str, &str)] = &[
    ("catalog", "catalog"),
    ("schema", "schema"),
    ("x-meesh-catalog", "catalog"),
    ("x-meesh-schema", "schema"),
    ("x-meesh-timezone", "timezone"),
];

/// The parts of the door that know callers.
pub(crate) struct Callers<'a> {
    pub(crate) authenticator: &'a Authenticator,
    pub(crate) sessions: &'a Sessions,
    pub(crate) signer: &'a Signer,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) user: String,
    pub(crate) session: SessionId,
    pub(crate) state: SessionState,
    /// How the client named the session.
    origin: Origin,
    /// A token that the client is to use from now on.
    new_token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// By a token or cookie.
    Token,
    /// Not at all, but its Basic credentials and its connection name one, which ends with the connection.
    Connection(Arc<ConnectionId>),
    /// Not at all: the session begins with this call.
    New,
}

impl Call {
    /// Finds out who makes a call.
    ///
    /// # Errors
    /// UNAUTHENTICATED for wrong or missing credentials where they are required, and for a token that
    /// is too old or whose session was closed.
    pub(crate) async fn begin(
        headers: &MetadataMap,
        peer: Option<&Peer>,
        callers: &Callers<'_>,
    ) -> Result<Self, Status> {
        let call = match Credentials::of(headers)? {
            Credentials::Basic { user, password } => {
                callers.authenticator.check(&user, &password, peer.map(|peer| peer.address)).await?;
                let user = if user.is_empty() { ANONYMOUS.to_owned() } else { user };
                match cookie_token(headers, callers).filter(|token| token.user == user) {
                    Some(token) => Self::of_token(&token, headers, callers),
                    None => Self::of_connection(user, peer, headers, callers),
                }
            }
            Credentials::Bearer(text) => match valid_token(&text, callers) {
                Some(token) => Self::of_token(&token, headers, callers),
                None if callers.authenticator.required() => {
                    return Err(unauthenticated("the session is over or unknown (log in again)"));
                }
                None => Self::begin_session(ANONYMOUS, headers, callers)?,
            },
            Credentials::None => match cookie_token(headers, callers) {
                Some(token) => Self::of_token(&token, headers, callers),
                None if callers.authenticator.required() => {
                    return Err(unauthenticated("this server asks for a user name and a password"));
                }
                None => Self::begin_session(ANONYMOUS, headers, callers)?,
            },
        };
        Ok(call)
    }

    /// A session of its own for `user`, whose password (if any) was checked.
    ///
    /// # Errors
    /// UNAUTHENTICATED when the user was removed meanwhile.
    pub(crate) fn begin_session(user: &str, headers: &MetadataMap, callers: &Callers<'_>) -> Result<Self, Status> {
        let user = if user.is_empty() { ANONYMOUS } else { user };
        let fingerprint =
            callers.authenticator.fingerprint(user).ok_or_else(|| unauthenticated("the user was removed"))?;
        let session: SessionId = rand::random();
        let mut call = Self::new(user.to_owned(), session, Origin::New, headers, callers);
        call.new_token = Some(Token::new(session, user, fingerprint).seal(callers.signer));
        Ok(call)
    }

    /// Clients that send a password with every call and keep no token have one session a connection.
    fn of_connection(user: String, peer: Option<&Peer>, headers: &MetadataMap, callers: &Callers<'_>) -> Self {
        let connection = peer.map_or_else(|| Arc::new(rand::random()), |peer| Arc::clone(&peer.connection));
        let digest = callers.signer.digest(Purpose::Connection, &[user.as_bytes(), connection.as_slice()]);
        let session = digest.first_chunk().copied().unwrap_or_default();
        Self::new(user, session, Origin::Connection(connection), headers, callers)
    }

    fn of_token(token: &Token, headers: &MetadataMap, callers: &Callers<'_>) -> Self {
        let mut call = Self::new(token.user.clone(), token.session, Origin::Token, headers, callers);
        if token.is_ageing(callers.sessions) {
            callers.sessions.touch(&token.session, &token.user);
            call.new_token =
                Some(Token::new(token.session, token.user.as_str(), token.fingerprint).seal(callers.signer));
        }
        call
    }

    fn new(user: String, session: SessionId, origin: Origin, headers: &MetadataMap, callers: &Callers<'_>) -> Self {
        let mut state = callers.sessions.load(&session, &user).unwrap_or_else(|| callers.sessions.fresh(&user));
        apply_headers(&mut state, headers);
        Self { user, session, state, origin, new_token: None }
    }

    /// The session as the engine knows it.
    pub(crate) fn engine_session(&self) -> &Session {
        &self.state.engine
    }

    /// How this session's results are sent.
    pub(crate) fn wire(&self) -> WireOptions {
        let views = self.state.engine.property("arrow_views").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        WireOptions {
            views,
            grafana: self.is_grafana(),
            utc_naive: self.state.door.utc_naive,
            message_bytes_max: self.state.door.message_bytes_max,
        }
    }

    /// Whether the client is Grafana's Flight SQL plug-in.
    pub(crate) fn is_grafana(&self) -> bool {
        self.state.door.profile.as_deref() == Some("grafana")
    }

    /// What a prepared statement of this call is bound to: its session, if the client will name it again.
    pub(crate) fn binding(&self) -> Vec<u8> {
        if self.origin == Origin::New { Vec::new() } else { self.session.to_vec() }
    }

    /// Whose the queries are that wait for this call's client.
    pub(crate) fn owner(&self) -> Owner {
        Owner { user: self.user.clone(), session: self.binding() }
    }

    /// Applies what a statement changed to the stored session, for the calls to come.
    pub(crate) fn apply(&self, changes: &[SessionChange], sessions: &Sessions) {
        if !changes.is_empty() {
            self.change(sessions, |state| changes.iter().for_each(|change| state.engine.apply(change)));
        }
    }

    /// Changes the stored session, for the calls to come.
    pub(crate) fn change<R>(&self, sessions: &Sessions, change: impl FnOnce(&mut SessionState) -> R) -> R {
        let result = sessions.change(&self.session, &self.user, || sessions.fresh(&self.user), change);
        if let Origin::Connection(connection) = &self.origin {
            sessions.tie(&self.session, connection);
        }
        result
    }

    /// Ends the session. Without logins there is nothing to protect, so nothing is remembered.
    pub(crate) fn close(&self, callers: &Callers<'_>) {
        if callers.authenticator.required() && self.origin == Origin::Token {
            callers.sessions.close(&self.session, &self.user);
        } else {
            callers.sessions.reset(&self.session);
        }
    }

    /// The token of a session that begins with this call.
    pub(crate) fn new_token(&self) -> Option<&str> {
        self.new_token.as_deref()
    }

    /// A response that hands the client its token, as a header (ADBC) and as a cookie (JDBC).
    pub(crate) fn respond<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        if let Some(token) = &self.new_token {
            let headers = response.metadata_mut();
            put(headers, "authorization", &format!("Bearer {token}"));
            put(headers, "set-cookie", &format!("{COOKIE}={token}; Path=/; HttpOnly"));
        }
        response
    }

    /// The same, naming the query.
    pub(crate) fn respond_for<T>(&self, message: T, query: &QueryId) -> Response<T> {
        let mut response = self.respond(message);
        put(response.metadata_mut(), QUERY_ID_HEADER, query.as_str());
        response
    }
}

fn valid_token(text: &str, callers: &Callers<'_>) -> Option<Token> {
    Token::open(callers.signer, callers.sessions, text)
        .filter(|token| callers.authenticator.fingerprint(&token.user) == Some(token.fingerprint))
}

fn cookie_token(headers: &MetadataMap, callers: &Callers<'_>) -> Option<Token> {
    let cookies = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .find_map(|(_, text)| valid_token(text.trim_matches('"'), callers))
}

fn apply_headers(state: &mut SessionState, headers: &MetadataMap) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(agent) = text("user-agent") {
        state.engine.source = Some(agent.to_owned());
    }
    for (header, property) in SESSION_HEADERS {
        if let Some(value) = text(header)
            && let Err(error) = state.engine.set_property(property, value)
        {
            tracing::warn!(header, %error, "header ignored");
        }
    }
    if state.door.profile.is_none() {
        // Grafana's plug-in (1.1.1) is built on arrow-go 12, which nothing else uses any more.
        let guessed = text("user-agent").is_some_and(|agent| agent.starts_with("grpc-go/1.58"));
        state.door.profile = text(PROFILE_HEADER).or(guessed.then_some("grafana")).map(str::to_ascii_lowercase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    struct Desk {
        authenticator: Authenticator,
        sessions: Sessions,
        signer: Arc<Signer>,
        connection: Peer,
    }

    impl Desk {
        fn open() -> Self {
            let signer = Arc::new(Signer::new(None));
            let authenticator = Authenticator::new(None, Arc::clone(&signer));
            let sessions = Sessions::new(Duration::from_secs(3600));
            Self { authenticator, sessions, signer, connection: Self::connection() }
        }

        async fn call(&self, headers: &[(&'static str, &str)]) -> Call {
            self.call_over(&self.connection, headers).await
        }

        async fn call_over(&self, peer: &Peer, headers: &[(&'static str, &str)]) -> Call {
            let mut metadata = MetadataMap::new();
            for (name, value) in headers {
                put(&mut metadata, name, value);
            }
            Call::begin(&metadata, Some(peer), &self.callers()).await.unwrap()
        }

        fn callers(&self) -> Callers<'_> {
            Callers { authenticator: &self.authenticator, sessions: &self.sessions, signer: &self.signer }
        }

        fn connection() -> Peer {
            Peer::new("192.0.2.1:1".parse().unwrap())
        }
    }

    #[tokio::test]
    async fn a_client_without_credentials_finds_its_session_by_token_or_cookie() {
        let desk = Desk::open();
        let first = desk.call(&[]).await;
        first.change(&desk.sessions, |state| state.engine.catalog = Some("sales".into()));
        let response = first.respond(());
        let header = |name: &str| response.metadata().get(name).unwrap().to_str().unwrap().to_owned();
        let cookie = header("set-cookie").split(';').next().unwrap().to_owned();
        for (name, value) in [("authorization", header("authorization")), ("cookie", format!("a=b; {cookie}"))] {
            let again = desk.call(&[(name, &value)]).await;
            assert_eq!(again.state.engine.catalog.as_deref(), Some("sales"), "{name}");
            assert!(again.respond(()).metadata().is_empty());
            assert_eq!(again.binding(), first.session);
        }
        assert_eq!(desk.call(&[]).await.state.engine.catalog, None);
        assert!(first.binding().is_empty());
    }

    #[tokio::test]
    async fn basic_without_a_password_file_names_the_user_and_keeps_to_the_connection() {
        let desk = Desk::open();
        let basic = [("authorization", "Basic YW5uOg==")];
        let call = desk.call(&basic).await;
        assert_eq!(call.user, "ann");
        call.change(&desk.sessions, |state| state.engine.schema = Some("public".into()));
        assert_eq!(desk.call(&basic).await.state.engine.schema.as_deref(), Some("public"));
        call.close(&desk.callers());
        assert_eq!(desk.call(&basic).await.state.engine.schema, None);
    }

    #[tokio::test]
    async fn what_a_connection_set_is_not_seen_by_the_next_one_of_its_address() {
        let desk = Desk::open();
        let basic = [("authorization", "Basic YW5uOg==")];
        let first = Desk::connection();
        let call = desk.call_over(&first, &basic).await;
        call.change(&desk.sessions, |state| state.engine.schema = Some("public".into()));
        assert_eq!(desk.call_over(&Desk::connection(), &basic).await.state.engine.schema, None);
        drop((first, call));
        desk.sessions.sweep();
        assert_eq!(desk.sessions.count(), 0);
    }

    #[tokio::test]
    async fn headers_set_the_call_and_nothing_else() {
        let desk = Desk::open();
        let call = desk.call(&[("x-meesh-catalog", "lake"), ("schema", "raw"), ("x-meesh-profile", "Grafana")]).await;
        assert_eq!(call.state.engine.catalog.as_deref(), Some("lake"));
        assert_eq!(call.state.engine.schema.as_deref(), Some("raw"));
        assert!(call.is_grafana() && call.wire().grafana);
        assert!(desk.call(&[("user-agent", "grpc-go/1.58.3")]).await.is_grafana());
        assert!(!desk.call(&[("user-agent", "ADBC grpc-go/1.80")]).await.is_grafana());
    }
}
