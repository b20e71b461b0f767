//! PollFlightInfo: a query that starts at the first poll, and how far it has come.
//!
//! ```text
//! first poll --> plan --> start --> first rows wait here (8 MiB at most) --> endpoint --> DoGet: those rows, then the rest
//! ```
//! Until there are rows to fetch (or the end) the answer holds a descriptor to poll again and the progress;
//! then it holds the endpoint and no descriptor.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{Command, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightInfo, PollInfo};
use futures::StreamExt;
use futures::stream::BoxStream;
use meesh_engine::{Error, Parameters, QueryId, QueryStream};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tonic::{Response, Status};

use crate::call::Call;
use crate::error::{status, unknown_handle};
use crate::handle::TicketBody;
use crate::service::{Door, read_command};
use crate::statement::{describe, plan, refuse_transaction};
use crate::{metadata, prepared};

/// Rows that are kept for a query which nobody reads yet.
const AHEAD_BYTES_MAX: usize = 8 << 20;
/// A poll waits this long for news, so that clients which poll at once do not spin.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const NEXT_WAIT: Duration = Duration::from_millis(250);
/// A query that nobody polls or reads ends after this.
const LIFETIME: Duration = Duration::from_secs(300);

/// Starts a statement, or says how far one is that was started before.
///
/// # Errors
/// The statement's own; NOT_FOUND for a descriptor that has expired or is another user's.
pub(crate) async fn poll(door: &Door, call: &Call, descriptor: FlightDescriptor) -> Result<Response<PollInfo>, Status> {
    let stream = match read_command(&descriptor.cmd)? {
        Command::TicketStatementQuery(ticket) => return poll_again(door, call, &ticket, descriptor).await,
        Command::CommandStatementQuery(command) => {
            refuse_transaction(command.transaction_id.as_ref())?;
            plan(door, call, &command.query, Parameters::none()).await?
        }
        Command::CommandPreparedStatementQuery(command) => {
            let prepared = prepared::open(door, call, &command.prepared_statement_handle)?;
            plan(door, call, &prepared.sql, prepared::bound_row(door, &prepared)?).await?
        }
        command => {
            let info = PollInfo { info: Some(metadata::info(&command, descriptor)?), ..finished() };
            return Ok(call.respond(info));
        }
    };
    let id = stream.id().clone();
    let schema = stream.schema();
    let news = door.polls.start(stream);
    answer(door, call, &id, &schema, descriptor, news, FIRST_WAIT).await
}

async fn poll_again(
    door: &Door,
    call: &Call,
    ticket: &TicketStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<Response<PollInfo>, Status> {
    let body = TicketBody::open(&door.signer, &ticket.statement_handle, &call.user)?;
    let id = body.query_id();
    match door.polls.news(&id) {
        Some((schema, news)) => answer(door, call, &id, &schema, descriptor, news, NEXT_WAIT).await,
        None => Err(unknown_handle("descriptor")),
    }
}

async fn answer(
    door: &Door,
    call: &Call,
    id: &QueryId,
    schema: &SchemaRef,
    descriptor: FlightDescriptor,
    mut news: watch::Receiver<State>,
    wait: Duration,
) -> Result<Response<PollInfo>, Status> {
    // Time out or a query that was dropped: the state says what is left to say.
    drop(tokio::time::timeout(wait, news.wait_for(|state| !matches!(state, State::Running))).await);
    let state = news.borrow().clone();
    let mut info = describe(door, call, id, schema)?.with_descriptor(descriptor);
    let progress = door.engine.query_info(id).map_or(0.0, |info| info.progress.clamp(0.0, 1.0));
    let poll = match state {
        State::Running => {
            let again = retry_descriptor(&mut info);
            PollInfo { flight_descriptor: again, progress: Some(progress), ..running(info) }
        }
        State::Readable => PollInfo { progress: Some(progress), ..running(info) },
        State::Ended => PollInfo { info: Some(info), ..finished() },
        State::Failed(error) => {
            door.polls.remove(id);
            return Err(status(&error, Some(id)));
        }
    };
    Ok(call.respond_for(poll, id))
}

/// Takes the endpoint out of `info` and makes the descriptor for the next poll of it.
fn retry_descriptor(info: &mut FlightInfo) -> Option<FlightDescriptor> {
    let ticket = info.endpoint.pop()?.ticket?;
    Some(FlightDescriptor::new_cmd(ticket.ticket))
}

fn running(info: FlightInfo) -> PollInfo {
    PollInfo { info: Some(info), expiration_time: Some((SystemTime::now() + LIFETIME).into()), ..PollInfo::new() }
}

fn finished() -> PollInfo {
    PollInfo { progress: Some(1.0), expiration_time: Some((SystemTime::now() + LIFETIME).into()), ..PollInfo::new() }
}

#[derive(Debug, Clone)]
enum State {
    /// Nothing to read yet, or not enough.
    Running,
    /// As many rows as may be kept are here; the rest comes as it is read.
    Readable,
    /// Every row is here.
    Ended,
    Failed(Error),
}

/// Queries that were started by a poll and not yet read.
#[derive(Default)]
pub(crate) struct Polls(Mutex<HashMap<QueryId, Polled>>);

struct Polled {
    schema: SchemaRef,
    news: watch::Receiver<State>,
    claimed: Arc<Notify>,
    task: JoinHandle<Ahead>,
    used: Instant,
}

impl Drop for Polled {
    // The task owns the query: it ends with it.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The rows that were read ahead, and the stream of the others.
struct Ahead {
    batches: Vec<RecordBatch>,
    rest: Option<QueryStream>,
    error: Option<Error>,
}

type Rows = BoxStream<'static, meesh_engine::Result<RecordBatch>>;

impl Polls {
    fn start(&self, stream: QueryStream) -> watch::Receiver<State> {
        let (id, schema) = (stream.id().clone(), stream.schema());
        let (tell, news) = watch::channel(State::Running);
        let claimed = Arc::new(Notify::new());
        let task = tokio::spawn(read_ahead(stream, tell, Arc::clone(&claimed)));
        let polled = Polled { schema, news: news.clone(), claimed, task, used: Instant::now() };
        self.0.lock().insert(id, polled);
        news
    }

    fn news(&self, id: &QueryId) -> Option<(SchemaRef, watch::Receiver<State>)> {
        let mut polls = self.0.lock();
        let polled = polls.get_mut(id)?;
        polled.used = Instant::now();
        Some((Arc::clone(&polled.schema), polled.news.clone()))
    }

    /// Takes a query that a poll started: what was read ahead, then the rest. `None` if there is none.
    pub(crate) async fn claim(&self, id: &QueryId) -> Option<(SchemaRef, Rows)> {
        let mut polled = self.0.lock().remove(id)?;
        polled.claimed.notify_one();
        let ahead = (&mut polled.task).await.ok()?;
        let read = ahead.batches.into_iter().map(Ok).chain(ahead.error.map(Err));
        let rest = futures::stream::iter(ahead.rest).flatten();
        Some((Arc::clone(&polled.schema), futures::stream::iter(read).chain(rest).boxed()))
    }

    /// Drops a query and with it what it holds at its sources.
    pub(crate) fn remove(&self, id: &QueryId) {
        self.0.lock().remove(id);
    }

    /// Drops queries that nobody came back for.
    pub(crate) fn sweep(&self) {
        self.0.lock().retain(|_, polled| polled.used.elapsed() < LIFETIME);
    }
}

async fn read_ahead(mut stream: QueryStream, tell: watch::Sender<State>, claimed: Arc<Notify>) -> Ahead {
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut bytes = 0;
    loop {
        let next = tokio::select! {
            biased;
            () = claimed.notified() => return Ahead { batches, rest: Some(stream), error: None },
            next = stream.next(), if bytes < AHEAD_BYTES_MAX => next,
        };
        match next {
            Some(Ok(batch)) => {
                bytes += batch.get_array_memory_size();
                batches.push(batch);
                if bytes >= AHEAD_BYTES_MAX {
                    tell.send_replace(State::Readable);
                }
            }
            Some(Err(error)) => {
                tell.send_replace(State::Failed(error.clone()));
                return Ahead { batches, rest: None, error: Some(error) };
            }
            None => {
                tell.send_replace(State::Ended);
                return Ahead { batches, rest: None, error: None };
            }
        }
    }
}
