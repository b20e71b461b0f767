//! The one door: everything a protocol may ask of meesh.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use futures::StreamExt;
use meesh_base::{Error, QueryId, QueryScope, Result};
use meesh_connector_spi::from_datafusion;
use meesh_sql::{Query, Statement, Write};

use crate::answer::{self, Answer, Asked};
use crate::catalog::{self, Catalogs, MetadataFilter, Resolver, SchemaEntry, TableEntry};
use crate::limits::{Admission, ProcessMemory, QueryMemoryPool, container_memory_bytes, open_spill};
use crate::parameters::Parameters;
use crate::plan::{PlannedQuery, Planner, QueryShape};
use crate::query::{Parked, Queries, QueryInfo, QueryRecord, QueryStream, Run, run};
use crate::session::Session;
use crate::write::{PlannedWrite, Writer};

/// Stack of the threads that plan and run: a chain of a few thousand operators recurses that deep.
/// Only pages that are touched take memory.
const THREAD_STACK_BYTES: usize = 64 << 20;

/// Statements up to this length are read in microseconds.
const SHORT_STATEMENT_BYTES: usize = 16 << 10;

/// Share of the container's memory that queries' operators may hold; the rest is for buffers of
/// sources and clients, which no pool counts.
const POOL_SHARE: f64 = 0.6;

/// Share of that which one query may hold, so that a heavy one leaves something to the others.
const QUERY_SHARE: f64 = 0.7;

/// How long a server that shuts down keeps queries whose client has not come for the rows.
const PARKED_GRACE: Duration = Duration::from_secs(5);

/// A tokio runtime fit for an [`Engine`]: threads with stacks deep enough for any accepted statement.
///
/// # Errors
/// Whatever the operating system says when threads cannot be made.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("meesh")
        .thread_stack_size(THREAD_STACK_BYTES)
        // Tasks that compute take milliseconds each: with tokio's 61 between two looks at sockets and
        // timers, a busy server would answer nobody for seconds.
        .event_interval(5)
        .max_blocking_threads(64)
        .build()
}

/// The engine's limits and places.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Memory that all queries' operators share; `None` takes a share of the container's limit.
    pub memory_limit_bytes: Option<u64>,
    /// Memory that one query's operators may hold; `None` takes 70 % of what they share.
    pub query_memory_limit_bytes: Option<u64>,
    /// Where operators spill.
    pub spill_dir: PathBuf,
    /// The most they may spill at once.
    pub spill_limit_bytes: u64,
    /// Queries that run at once.
    pub running_max: usize,
    /// Queries that may wait for their turn.
    pub queued_max: usize,
    /// Partitions per query; `None` is one a core.
    pub partitions: Option<usize>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            memory_limit_bytes: None,
            query_memory_limit_bytes: None,
            spill_dir: PathBuf::from("/tmp"),
            spill_limit_bytes: 10 << 30,
            running_max: 16,
            queued_max: 200,
            partitions: None,
        }
    }
}

/// What kind of statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// It returns rows.
    Query,
    /// It does something and returns a count at most.
    Update,
}

/// A statement's shape, before it runs.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What kind it is.
    pub kind: StatementKind,
    /// Its columns; empty for [`StatementKind::Update`].
    pub schema: SchemaRef,
    /// Its parameters `$1 …` in numeric order, nullable; text where the type is unknown.
    pub parameters: SchemaRef,
}

/// The engine. Cheap to clone; every clone is the same engine. Lives on the runtime of [`runtime`].
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    catalogs: Catalogs,
    queries: Arc<Queries>,
    parked: Arc<Parked>,
    planner: Arc<Planner>,
    admission: Arc<Admission>,
    memory: Arc<ProcessMemory>,
    spill_dir: PathBuf,
    draining: AtomicBool,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What is left is swept at the next start.
        let _ = std::fs::remove_dir_all(&self.spill_dir);
    }
}

impl Engine {
    /// An engine without catalogs.
    ///
    /// # Errors
    /// `InvalidQuery` when the spill folder cannot be used.
    pub fn new(config: EngineConfig) -> Result<Self> {
        let limit = config.memory_limit_bytes.unwrap_or_else(default_memory_bytes);
        let query_limit = config.query_memory_limit_bytes.unwrap_or((limit as f64 * QUERY_SHARE) as u64).min(limit);
        let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let (spill_dir, disk) = open_spill(&config.spill_dir, config.spill_limit_bytes)?;
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(disk)
            .with_object_store_registry(Arc::new(crate::limits::SourceStores::default()))
            // New files are seen by the lake's own listing; DataFusion's would hide them forever.
            .with_object_list_cache_limit(0)
            .build_arc()
            .map_err(from_datafusion)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self(Arc::new(Shared {
            catalogs: Catalogs::default(),
            queries: Arc::default(),
            parked: Arc::default(),
            planner: Arc::new(Planner::new(runtime, config.partitions.unwrap_or(cores), bytes(query_limit))),
            admission: Arc::new(Admission::new(config.running_max, config.queued_max)),
            memory: ProcessMemory::new(bytes(limit), bytes(query_limit)),
            spill_dir,
            draining: AtomicBool::new(false),
        })))
    }

    /// The version of meesh.
    pub fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The catalogs, to look at and to change.
    pub fn catalogs(&self) -> &Catalogs {
        &self.0.catalogs
    }

    /// What a statement is and returns, without doing it.
    ///
    /// # Errors
    /// As [`Engine::query`], except that parameters are not missed.
    pub async fn prepare(&self, session: &Session, sql: &str) -> Result<Prepared> {
        let begun = self.begin(session, sql);
        let prepared = tokio::select! {
            prepared = self.shape(session, sql, &begun) => prepared,
            stopped = begun.scope.stopped() => Err(stopped),
        };
        match prepared {
            Ok(prepared) => {
                self.0.queries.forget(&begun.record);
                begun.hand_over();
                Ok(prepared)
            }
            Err(error) => Err(begun.fail(error)),
        }
    }

    /// Plans a statement; its rows flow when the stream is polled. Admission, snapshots and
    /// connections begin at the first poll.
    ///
    /// A statement that returns no rows of its own (USE, SET SESSION, KILL QUERY, CALL, writes) has run, once,
    /// when this returns; the stream then yields one row with the column `rows`, and
    /// [`QueryStream::changes`] holds what the door must apply to its session.
    ///
    /// # Errors
    /// `InvalidQuery` and `NotFound` with the position in the text; `SourceUnavailable` when a table's
    /// source does not answer; `Timeout` when planning takes longer than 10 s; `Exhausted` while the
    /// server shuts down.
    pub async fn query(&self, session: &Session, sql: &str, parameters: Parameters) -> Result<QueryStream> {
        if self.is_draining() {
            return Err(Error::exhausted("server is shutting down")
                .with_hint("send the statement again in a moment")
                .with_code("SERVER_SHUTTING_DOWN"));
        }
        let begun = self.begin(session, sql);
        let opened = tokio::select! {
            opened = self.open(session, sql, parameters, &begun) => opened,
            stopped = begun.scope.stopped() => Err(stopped),
        };
        match opened {
            Ok(stream) => {
                begun.hand_over();
                Ok(stream)
            }
            Err(error) => Err(begun.fail(error)),
        }
    }

    /// Keeps a planned query until it is claimed, at most five minutes.
    pub fn park(&self, stream: QueryStream) {
        self.0.parked.park(stream);
    }

    /// Takes a parked query back.
    ///
    /// # Errors
    /// `NotFound` when it is unknown, claimed already, expired or another user's.
    pub fn claim(&self, id: &QueryId, user: &str) -> Result<QueryStream> {
        self.0.parked.claim(id, user)
    }

    /// Whether a query of `user` waits to be claimed.
    pub fn is_parked(&self, id: &QueryId, user: &str) -> bool {
        self.0.parked.contains(id, user)
    }

    /// Stops a query of `user` down to its sources; a parked one is freed.
    ///
    /// # Errors
    /// `NotFound` when `user` has no such query.
    pub fn cancel(&self, id: &QueryId, user: &str) -> Result<()> {
        let found = self.0.queries.cancel(id, user);
        if let Ok(parked) = self.0.parked.claim(id, user) {
            drop(parked);
            return Ok(());
        }
        found
    }

    /// One query, live or among the last that ended.
    pub fn query_info(&self, id: &QueryId) -> Option<QueryInfo> {
        self.0.queries.info(id)
    }

    /// The live queries and the last that ended, oldest first.
    pub fn queries(&self) -> Vec<QueryInfo> {
        self.0.queries.infos()
    }

    /// The schemas that pass the filter. A source that does not answer within 2 s is left out.
    pub async fn list_schemas(&self, filter: &MetadataFilter) -> Vec<SchemaEntry> {
        catalog::list_schemas(&self.0.catalogs, filter).await
    }

    /// The tables that pass the filter. A source that does not answer within 2 s is left out.
    pub async fn list_tables(&self, filter: &MetadataFilter, with_columns: bool) -> Vec<TableEntry> {
        catalog::list_tables(&self.0.catalogs, filter, with_columns).await
    }

    /// Refuses new queries and waits until the running ones have ended, and those that were planned
    /// have been claimed or given up; after `grace` cancels them.
    pub async fn drain(&self, grace: Duration) {
        self.0.draining.store(true, Ordering::Relaxed);
        let end = Instant::now() + grace;
        // A client that was just told of its query comes for the rows at once, or never.
        self.0.queries.wait_idle(grace.min(PARKED_GRACE)).await;
        self.0.parked.clear();
        self.0.queries.wait_idle(end.saturating_duration_since(Instant::now())).await;
        self.0.queries.cancel_all();
    }

    /// Whether [`Engine::drain`] has begun.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Bytes that queries' operators hold now, and may hold.
    pub fn memory_bytes(&self) -> (u64, u64) {
        (self.0.memory.used_bytes() as u64, self.0.memory.limit_bytes() as u64)
    }

    /// The names of every function that statements may call.
    pub(crate) fn function_names(&self) -> Vec<String> {
        self.0.planner.function_names()
    }

    fn resolver<'a>(&'a self, session: &'a Session) -> Resolver<'a> {
        Resolver { catalogs: &self.0.catalogs, queries: &self.0.queries, session }
    }

    /// Takes a statement in: it has a name, a scope and a place in the registry from here on.
    fn begin(&self, session: &Session, sql: &str) -> Begun {
        let memory = QueryMemoryPool::new(Arc::clone(&self.0.memory));
        let scope = Arc::new(QueryScope::new(QueryId::generate(), session.user.as_str(), session.run_time_max()));
        let record = self.0.queries.begin(&scope, session.source.clone(), sql, Arc::clone(&memory));
        Begun { scope, record, memory, queries: Arc::clone(&self.0.queries), handed_over: false }
    }

    async fn shape(&self, session: &Session, sql: &str, begun: &Begun) -> Result<Prepared> {
        let empty = || Arc::new(arrow::datatypes::Schema::empty());
        match self.parse(sql).await? {
            Statement::Query(query) => {
                let shape = self.shape_of(session, query, begun).await?;
                Ok(Prepared { kind: StatementKind::Query, schema: shape.schema, parameters: shape.parameters })
            }
            Statement::Write(write) => {
                let parameters = self.writer(session, begun).parameters(&write).await?;
                Ok(Prepared { kind: StatementKind::Update, schema: empty(), parameters })
            }
            Statement::Explain { kind, format, statement, .. } => {
                let schema = answer::explain_schema(kind, format)?;
                if let Statement::Write(write) = *statement {
                    let parameters = self.writer(session, begun).parameters(&write).await?;
                    return Ok(Prepared { kind: StatementKind::Query, schema, parameters });
                }
                let shape = self.shape_of(session, explained(*statement)?, begun).await?;
                Ok(Prepared { kind: StatementKind::Query, schema, parameters: shape.parameters })
            }
            statement => Ok(match answer::schema(&statement) {
                Some(schema) => Prepared { kind: StatementKind::Query, schema, parameters: empty() },
                None => Prepared { kind: StatementKind::Update, schema: empty(), parameters: empty() },
            }),
        }
    }

    async fn shape_of(&self, session: &Session, query: Query, begun: &Begun) -> Result<QueryShape> {
        let (state, query) = self.state(session, query, begun).await?;
        self.0.planner.shape(state, query).await
    }

    async fn open(&self, session: &Session, sql: &str, parameters: Parameters, begun: &Begun) -> Result<QueryStream> {
        let queries = Arc::clone(&self.0.queries);
        let record = Arc::clone(&begun.record);
        match self.parse(sql).await? {
            Statement::Query(query) => {
                let planned = self.plan(session, query, parameters, begun).await?;
                let schema = Arc::clone(&planned.schema);
                let rows = run(self.run_of(begun), planned);
                Ok(QueryStream::new(record, queries, StatementKind::Query, schema, Vec::new(), rows))
            }
            Statement::Explain { analyze, verbose, kind, format, statement } => {
                let declared = answer::explain_schema(kind, format)?;
                if let Statement::Write(write) = *statement {
                    let planned = self.plan_write(session, *write, parameters, begun).await?;
                    let batch = answer::explain_write(&planned, declared.clone(), kind, analyze, verbose)?;
                    let rows = futures::stream::iter([Ok(batch)]).boxed();
                    return Ok(QueryStream::new(record, queries, StatementKind::Query, declared, Vec::new(), rows));
                }
                let planned = self.plan(session, explained(*statement)?, parameters, begun).await?;
                let rows = answer::explain(self.run_of(begun), planned, declared.clone(), kind, analyze, verbose);
                Ok(QueryStream::new(record, queries, StatementKind::Query, declared, Vec::new(), rows))
            }
            Statement::Write(write) => {
                let planned = self.plan_write(session, *write, parameters, begun).await?;
                let count = planned.run(self.run_of(begun)).await?;
                Ok(answered(record, queries, answer::counted(count, Vec::new())?))
            }
            statement => {
                let scope = &begun.scope;
                let asked =
                    Asked { catalogs: &self.0.catalogs, queries: &self.0.queries, session, engine: self, scope };
                Ok(answered(record, queries, answer::answer(asked, statement).await?))
            }
        }
    }

    fn writer<'a>(&'a self, session: &'a Session, begun: &'a Begun) -> Writer<'a> {
        Writer {
            resolver: self.resolver(session),
            planner: &self.0.planner,
            session,
            scope: &begun.scope,
            memory: &begun.memory,
        }
    }

    async fn plan_write(
        &self,
        session: &Session,
        write: Write,
        parameters: Parameters,
        begun: &Begun,
    ) -> Result<PlannedWrite> {
        self.writer(session, begun).plan(write, parameters).await
    }

    /// The state that a query is planned in, and the query as its tables want it. Its sources are
    /// asked here, and waited for.
    async fn state(&self, session: &Session, mut query: Query, begun: &Begun) -> Result<(SessionState, Query)> {
        let view = self.resolver(session).view(&mut query).await?;
        let state = self.0.planner.state(session, &begun.scope, &begun.memory, view)?;
        Ok((state, query))
    }

    async fn plan(
        &self,
        session: &Session,
        query: Query,
        parameters: Parameters,
        begun: &Begun,
    ) -> Result<PlannedQuery> {
        let (state, query) = self.state(session, query, begun).await?;
        self.0.planner.plan(state, query, parameters).await
    }

    /// Reads a statement; a long one away from the threads that serve clients.
    async fn parse(&self, sql: &str) -> Result<Statement> {
        if sql.len() <= SHORT_STATEMENT_BYTES {
            return meesh_sql::parse(sql);
        }
        let sql = sql.to_owned();
        self.0.planner.threads().run(async move { meesh_sql::parse(&sql) }).await
    }

    fn run_of(&self, begun: &Begun) -> Run {
        Run {
            planner: Arc::clone(&self.0.planner),
            admission: Arc::clone(&self.0.admission),
            record: Arc::clone(&begun.record),
            scope: Arc::clone(&begun.scope),
        }
    }
}

/// A statement that was taken in. Dropped before it became a stream, it is cancelled and retired:
/// the client went away while it was planned.
struct Begun {
    scope: Arc<QueryScope>,
    record: Arc<QueryRecord>,
    memory: Arc<QueryMemoryPool>,
    queries: Arc<Queries>,
    handed_over: bool,
}

impl Begun {
    /// The statement's life is its stream's from here on.
    fn hand_over(mut self) {
        self.handed_over = true;
    }

    /// Ends the statement with `error`, and names it there.
    fn fail(self, error: Error) -> Error {
        let error = error.with_query(self.record.id());
        self.record.end(Err(&error));
        error
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.handed_over {
            self.scope.cancel_token().cancel();
            self.record.end(Err(&Error::cancelled("query was abandoned by its client").with_code("USER_CANCELED")));
            self.queries.retire(&self.record);
        }
    }
}

/// The stream of an answer that is complete.
fn answered(record: Arc<QueryRecord>, queries: Arc<Queries>, answer: Answer) -> QueryStream {
    let Answer { kind, batch, changes } = answer;
    let schema = batch.schema();
    let rows = futures::stream::iter([Ok(batch)]).boxed();
    QueryStream::new(record, queries, kind, schema, changes, rows)
}

fn default_memory_bytes() -> u64 {
    let container = container_memory_bytes().unwrap_or(1 << 30);
    (container as f64 * POOL_SHARE) as u64
}

/// The query that an EXPLAIN is about.
fn explained(statement: Statement) -> Result<Query> {
    match statement {
        Statement::Query(query) => Ok(query),
        _ => Err(Error::unsupported("only queries can be explained").with_code("NOT_SUPPORTED")),
    }
}
