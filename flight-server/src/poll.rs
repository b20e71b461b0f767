//! PollFlightInfo: a query that starts at the first poll, and how far it has come.
//!
//! ```text
//! first poll --> plan --> start --> first rows wait (polled.rs) --> endpoint --> DoGet: those rows, then the rest
//! ```
//! Until there are rows to fetch (or the end) the answer holds a descriptor to poll again and the progress;
//! then it holds the endpoint and no descriptor.

use std::time::{Duration, SystemTime};

use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{Command, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightInfo, PollInfo};
use meesh_engine::{Parameters, QueryId};
use tokio::sync::watch;
use tonic::{Response, Status};

use crate::call::Call;
use crate::error::{status, unknown_handle};
use crate::handle::TicketBody;
use crate::polled::{LIFETIME, State};
use crate::service::{Door, read_command};
use crate::statement::{describe, plan, refuse_transaction};
use crate::{metadata, prepared};

/// A poll waits this long for news, so that clients which poll at once do not spin.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const NEXT_WAIT: Duration = Duration::from_millis(250);

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
    let news = door.polls.start(stream, call.owner());
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
