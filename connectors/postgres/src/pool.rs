//! The sessions of one source: at most so many, handed out in the order they were asked for, and
//! never one that owes the server something.
//!
//! Own code over a fair semaphore rather than deadpool: a session that comes back mid-statement is
//! settled by a task of its own *while it still counts* against the limit, which deadpool's objects
//! cannot do, and waiting must end with the query's deadline, its cancellation, or a server that is
//! full.

mod breaker;
mod reaper;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

use meesh_base::{Error, ErrorKind, QueryScope, Result, format_duration};
use parking_lot::Mutex;
use tokio::runtime::{self, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::{ConnectOptions, Connection};
use breaker::Breaker;

/// Where a session unused for this long is asked for a sign of life before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);
/// How long that sign may take.
const VALIDATION_MAX: Duration = Duration::from_secs(1);
/// From this size on, one session is kept from queries, so that metadata never waits for them.
const RESERVE_FROM: usize = 4;
/// The first and the longest pause while the server itself has no free connection or is restarting.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How many sessions there may be, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolSettings {
    /// The most sessions open at once.
    pub(crate) max: usize,
    /// The longest wait for one.
    pub(crate) wait_max: Duration,
    /// How long an unused one stays open.
    pub(crate) idle_lifetime: Duration,
}

impl PoolSettings {
    /// Sessions that are kept from queries.
    fn reserve(&self) -> usize {
        usize::from(self.max >= RESERVE_FROM)
    }
}

/// How a pool is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolStatus {
    /// Sessions open or being opened.
    pub(crate) size: usize,
    /// Those of them that nobody uses.
    pub(crate) idle: usize,
    /// How many wait for one.
    pub(crate) waiting: usize,
    /// The limit.
    pub(crate) max: usize,
}

/// The sessions of one source, for one catalog. Catalogs with the same connection options and
/// settings share the sessions.
#[derive(Clone)]
pub(crate) struct Pool {
    options: Arc<ConnectOptions>,
    shared: Arc<Shared>,
}

struct Shared {
    options: ConnectOptions,
    settings: PoolSettings,
    runtime: Option<runtime::Id>,
    /// One permit a session in use, being opened or being settled.
    sessions: Arc<Semaphore>,
    /// The same for queries, one less where there is a reserve.
    queries: Arc<Semaphore>,
    unused: Mutex<Unused>,
    waiting: AtomicUsize,
    breaker: Breaker,
}

/// Sessions nobody uses, the last used at the end.
#[derive(Default)]
struct Unused {
    sessions: Vec<Idle>,
    /// Whether a task is there that will close them.
    watched: bool,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

struct Permits {
    _query: Option<OwnedSemaphorePermit>,
    _session: OwnedSemaphorePermit,
}

impl Pool {
    /// The pool of a source: a fresh one, or that of a catalog with the same options and settings.
    /// Opens no session.
    pub(crate) fn open(options: ConnectOptions, settings: PoolSettings) -> Self {
        static POOLS: LazyLock<Mutex<Vec<Weak<Shared>>>> = LazyLock::new(Mutex::default);
        let mut pools = POOLS.lock();
        pools.retain(|pool| pool.strong_count() > 0);
        // A session belongs to the runtime whose reactor its socket is registered with.
        let runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        let fitting = |pool: &Arc<Shared>| {
            pool.settings == settings && pool.runtime == runtime && pool.options.same_session(&options)
        };
        let shared = pools.iter().filter_map(Weak::upgrade).find(fitting).unwrap_or_else(|| {
            let shared = Arc::new(Shared {
                options: options.clone(),
                settings,
                runtime,
                sessions: Arc::new(Semaphore::new(settings.max)),
                queries: Arc::new(Semaphore::new(settings.max - settings.reserve())),
                unused: Mutex::default(),
                waiting: AtomicUsize::new(0),
                breaker: Breaker::default(),
            });
            pools.push(Arc::downgrade(&shared));
            shared
        });
        Self { options: Arc::new(options), shared }
    }

    /// A session, ready for a statement and outside any transaction. Waits in the order of the
    /// calls; without `scope` (metadata) a reserved session counts too.
    ///
    /// # Errors
    /// `Exhausted`, naming `connections-max`, when none came free in time; `Cancelled` or `Timeout`
    /// when the query ends before; `SourceUnavailable` or `Denied` from [`Connection::connect`], the
    /// former at once while a server that swallowed the last attempt is left alone.
    pub(crate) async fn get(&self, scope: Option<&QueryScope>) -> Result<PooledConnection> {
        let Some(scope) = scope else { return self.wait_and_open(false, self.shared.settings.wait_max).await };
        scope.check()?;
        let left = scope.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let limit = left.unwrap_or(Duration::MAX).min(self.shared.settings.wait_max);
        let result = tokio::select! {
            result = self.wait_and_open(true, limit) => result,
            stopped = scope.stopped() => Err(stopped),
        };
        // A query that ended says so, whatever else went wrong meanwhile.
        if result.is_err() {
            scope.check()?;
        }
        result
    }

    /// A session if one can be had now and `spare` more could be after it; nobody waits for it.
    pub(crate) async fn get_if_free(&self, spare: usize) -> Option<PooledConnection> {
        if self.shared.queries.available_permits() <= spare {
            return None;
        }
        let query = Arc::clone(&self.shared.queries).try_acquire_owned().ok()?;
        let session = Arc::clone(&self.shared.sessions).try_acquire_owned().ok()?;
        let permits = Permits { _query: Some(query), _session: session };
        if let Some(connection) = self.shared.take_idle().await {
            return Some(self.hand_out(connection, permits));
        }
        self.shared.breaker.check(&self.options.catalog).ok()?;
        match self.shared.open_one(&self.options).await {
            Ok(connection) => Some(self.hand_out(connection, permits)),
            Err(error) => {
                tracing::debug!(catalog = %self.options.catalog, "no further session: {error}");
                None
            }
        }
    }

    /// What tells it from other pools: catalogs that share sessions share it.
    pub(crate) fn key(&self) -> String {
        format!("{}#{:p}", self.options.source_key(), Arc::as_ptr(&self.shared))
    }

    /// The most sessions that queries may have at once.
    pub(crate) fn queries_max(&self) -> usize {
        self.shared.settings.max - self.shared.settings.reserve()
    }

    /// How the pool is doing.
    pub(crate) fn status(&self) -> PoolStatus {
        let max = self.shared.settings.max;
        let idle = self.shared.unused.lock().sessions.len();
        PoolStatus {
            size: (max - self.shared.sessions.available_permits().min(max)) + idle,
            idle,
            waiting: self.shared.waiting.load(Ordering::Relaxed),
            max,
        }
    }

    async fn wait_and_open(&self, for_query: bool, limit: Duration) -> Result<PooledConnection> {
        let started = Instant::now();
        let _waiting = Waiting::new(&self.shared.waiting);
        let Ok(permits) = tokio::time::timeout(limit, self.shared.permits(for_query)).await else {
            return Err(self.exhausted(limit));
        };
        let permits = permits?;
        let mut pause = BACKOFF.0;
        loop {
            if let Some(connection) = self.shared.take_idle().await {
                return Ok(self.hand_out(connection, permits));
            }
            self.shared.breaker.check(&self.options.catalog)?;
            let error = match self.shared.open_one(&self.options).await {
                Ok(connection) => return Ok(self.hand_out(connection, permits)),
                Err(error) => error,
            };
            if started.elapsed() + pause > limit.min(self.shared.patience(&error)) {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(BACKOFF.1);
        }
    }

    fn hand_out(&self, mut connection: Connection, permits: Permits) -> PooledConnection {
        connection.serve(&self.options.catalog);
        PooledConnection { connection, permits: Some(permits), shared: Arc::clone(&self.shared), last: false }
    }

    fn exhausted(&self, waited: Duration) -> Error {
        let max = self.shared.settings.max;
        Error::exhausted(format!(
            "catalog {:?}: none of its {max} connections to PostgreSQL server {} came free within {}",
            self.options.catalog,
            self.options.hosts_label(),
            format_duration(waited)
        ))
        .with_hint("try again later, or raise connections-max or connection-wait-timeout in the catalog file")
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({}, {:?})", self.options.source_key(), self.status())
    }
}

impl Shared {
    async fn permits(&self, for_query: bool) -> Result<Permits> {
        let closed = |_| Error::internal("connection pool is closed");
        let query = match for_query {
            true => Some(Arc::clone(&self.queries).acquire_owned().await.map_err(closed)?),
            false => None,
        };
        Ok(Permits { _query: query, _session: Arc::clone(&self.sessions).acquire_owned().await.map_err(closed)? })
    }

    /// The session that was used last, of those that still stand.
    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let Idle { mut connection, since } = self.unused.lock().sessions.pop()?;
            if !connection.still_open().await {
                continue;
            }
            if since.elapsed() < TRUSTED_IDLE {
                return Some(connection);
            }
            match tokio::time::timeout(VALIDATION_MAX, connection.simple_query("")).await {
                Ok(Ok(_)) if connection.is_idle() => return Some(connection),
                Ok(_) => {}
                // The server is silent: the others would be as slow to say so, one after the other.
                Err(_elapsed) => {
                    let silent = std::mem::take(&mut self.unused.lock().sessions);
                    drop(silent);
                    return None;
                }
            }
        }
    }

    async fn open_one(&self, options: &ConnectOptions) -> Result<Connection> {
        let started = Instant::now();
        let opened = Connection::connect(options).await;
        self.breaker.learn(opened.as_ref().err(), started.elapsed());
        opened
    }

    /// How long an attempt is repeated after `error`: a full server as long as the caller waits, one
    /// that was up a moment ago (a restart) for one more connect timeout.
    fn patience(&self, error: &Error) -> Duration {
        match error.kind() {
            ErrorKind::Exhausted => Duration::MAX,
            ErrorKind::SourceUnavailable if self.breaker.was_up_lately() => self.options.connect_timeout,
            _ => Duration::ZERO,
        }
    }

    /// Takes back a session that owes nothing.
    fn keep(self: &Arc<Self>, connection: Connection) {
        self.breaker.seen_up();
        let mut unused = self.unused.lock();
        unused.sessions.push(Idle { connection, since: Instant::now() });
        if !unused.watched {
            unused.watched = reaper::watch_idle(Arc::downgrade(self), self.settings.idle_lifetime);
        }
    }

    /// Closes what was unused for too long; whether anything is left to watch.
    fn close_idle(&self) -> bool {
        let mut unused = self.unused.lock();
        unused.sessions.retain(|idle| idle.since.elapsed() < self.settings.idle_lifetime);
        unused.watched = !unused.sessions.is_empty();
        unused.watched
    }
}

/// Counts a waiting call, however it ends.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session on loan. Dropped mid-statement or in a transaction, it is cancelled and rolled back in
/// the background, or closed, before the pool lends it again.
pub(crate) struct PooledConnection {
    connection: Connection,
    /// There until the drop.
    permits: Option<Permits>,
    shared: Arc<Shared>,
    /// Whether nobody uses it after this loan.
    last: bool,
}

impl PooledConnection {
    /// This loan is its last: it runs a text of a user's own, which may leave settings, locks and more in the
    /// session that no ROLLBACK takes back.
    pub(crate) fn close_after(&mut self) {
        self.last = true;
    }
}

impl Deref for PooledConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(permits) = self.permits.take() else { return };
        if self.connection.is_idle() {
            let connection = self.connection.take();
            if !self.last {
                self.shared.keep(connection);
            }
        } else if !self.connection.is_broken() {
            reaper::settle(Arc::clone(&self.shared), self.connection.take(), permits, self.last);
        }
    }
}

#[cfg(test)]
mod tests;
