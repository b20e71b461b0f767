//! Statements as queries: GetFlightInfo plans, DoGet streams.
//!
//! A statement that returns no rows has run when GetFlightInfo answers; its count is the one row of
//! the stream, so that clients which send everything as a query (Python's DB-API) see it done.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use futures::StreamExt;
use meesh_engine::{Parameters, QueryId, QueryStream, StatementKind};
use prost::Message;
use tonic::{Response, Status};

use crate::call::Call;
use crate::encode::{WireStream, schema_message, wire_stream};
use crate::error::{shutting_down, status, unknown_handle, unsupported};
use crate::handle::TicketBody;
use crate::service::Door;
use crate::wire_types::{WireOptions, wire_schema};

/// GetFlightInfo of a statement.
pub(crate) async fn info(
    door: &Door,
    call: &Call,
    command: CommandStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<Response<FlightInfo>, Status> {
    refuse_transaction(command.transaction_id.as_ref())?;
    let stream = plan(door, call, &command.query, Parameters::none()).await?;
    park(door, call, stream, descriptor)
}

/// Plans a statement; if it is no query, runs it and applies what it changed to the session.
///
/// # Errors
/// The statement's own, and UNAVAILABLE while the server stops.
pub(crate) async fn plan(door: &Door, call: &Call, sql: &str, parameters: Parameters) -> Result<QueryStream, Status> {
    if door.engine.is_draining() {
        return Err(shutting_down());
    }
    let planned = door.engine.query(call.engine_session(), sql, parameters).await;
    let stream = planned.map_err(|error| status(&error, None))?;
    call.apply(stream.changes(), &door.sessions);
    Ok(stream)
}

/// Leaves a planned query with the engine until its ticket comes back.
pub(crate) fn park(
    door: &Door,
    call: &Call,
    stream: QueryStream,
    descriptor: FlightDescriptor,
) -> Result<Response<FlightInfo>, Status> {
    let id = stream.id().clone();
    let info = describe(door, call, &id, &stream.schema())?.with_descriptor(descriptor);
    door.engine.park(stream);
    door.parked.add(&door.engine, call, &id);
    Ok(call.respond_for(info, &id))
}

/// What FlightInfo says of a query: its schema and one endpoint without location, because Grafana's
/// plug-in takes exactly one and proxies break any other location.
pub(crate) fn describe(door: &Door, call: &Call, id: &QueryId, schema: &Schema) -> Result<FlightInfo, Status> {
    let wire = call.wire();
    let mut info = FlightInfo::new()
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket(door, call, id, wire)))
        .with_ordered(true)
        .with_app_metadata(id.as_str().as_bytes().to_vec());
    info.schema = schema_message(&wire_schema(schema, wire))?;
    Ok(info)
}

fn ticket(door: &Door, call: &Call, id: &QueryId, wire: WireOptions) -> Ticket {
    let body = TicketBody { query: id.to_string(), user: call.user.clone(), session: call.binding(), wire };
    let ticket = TicketStatementQuery { statement_handle: body.seal(&door.signer) };
    Ticket::new(ticket.as_any().encode_to_vec())
}

/// DoGet of a statement: the rows begin to flow. Dropping the stream cancels the query.
///
/// # Errors
/// NOT_FOUND for a ticket that was used, has expired, or is another user's.
pub(crate) async fn stream(door: &Door, call: &Call, handle: &[u8]) -> Result<Response<WireStream>, Status> {
    let ticket = TicketBody::open(&door.signer, handle, &call.user)?;
    if door.sessions.is_closed(&ticket.session) {
        return Err(unknown_handle("ticket"));
    }
    let id = ticket.query_id();
    let messages = match door.polls.claim(&id).await {
        Some((schema, batches)) => wire_stream(&schema, ticket.wire, batches, Some(id.clone())),
        None => {
            let claimed = door.engine.claim(&id, &call.user).map_err(|error| status(&error, Some(&id)))?;
            door.parked.forget(&ticket.user, &ticket.session, &id);
            wire_stream(&claimed.schema(), ticket.wire, claimed, Some(id.clone()))
        }
    };
    let delivered = door.deliveries.watch(messages, id.clone(), call.user.clone());
    Ok(call.respond_for(delivered.boxed(), &id))
}

/// The schema of a statement's result, without running anything.
pub(crate) async fn schema(door: &Door, call: &Call, sql: &str) -> Result<SchemaRef, Status> {
    let prepared = door.engine.prepare(call.engine_session(), sql).await.map_err(|error| status(&error, None))?;
    Ok(match prepared.kind {
        StatementKind::Query => prepared.schema,
        StatementKind::Update => SchemaRef::new(Schema::new(vec![Field::new("rows", DataType::Int64, true)])),
    })
}

/// # Errors
/// UNIMPLEMENTED for a statement inside a transaction, which nobody can have begun.
pub(crate) fn refuse_transaction(transaction: Option<&Bytes>) -> Result<(), Status> {
    match transaction {
        Some(id) if !id.is_empty() => Err(unsupported("transactions are not supported (use autocommit)")),
        _ => Ok(()),
    }
}
