//! The Flight service: reads the command and hands it to its module.
//!
//! No SQL is looked at here and no rows are kept: a planned query waits in the engine under its id, and
//! the ticket names it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Any, Command};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, Result as ActionResult, SchemaResult, Ticket,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use meesh_engine::{Engine, Error};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use crate::auth::Authenticator;
use crate::call::{Call, Callers};
use crate::delivery::Deliveries;
use crate::encode::{WireStream, schema_message};
use crate::error::{malformed, status, unsupported};
use crate::handle::Signer;
use crate::parked::Parked;
use crate::polled::Polls;
use crate::prepared::Bindings;
use crate::session::Sessions;
use crate::wire_types::wire_schema;
use crate::{action, handshake, metadata, poll, prepared, statement, update};

/// What all calls share.
pub(crate) struct Door {
    pub(crate) engine: Engine,
    pub(crate) authenticator: Authenticator,
    pub(crate) sessions: Sessions,
    pub(crate) signer: Arc<Signer>,
    pub(crate) bindings: Bindings,
    pub(crate) parked: Parked,
    pub(crate) polls: Polls,
    pub(crate) deliveries: Arc<Deliveries>,
}

impl Door {
    pub(crate) fn callers(&self) -> Callers<'_> {
        Callers { authenticator: &self.authenticator, sessions: &self.sessions, signer: &self.signer }
    }

    /// DoGet, as `codec.rs` calls it.
    ///
    /// # Errors
    /// NOT_FOUND for a ticket that was used, has expired, or is another user's.
    pub(crate) async fn stream_ticket(&self, request: Request<Ticket>) -> Result<Response<WireStream>, Status> {
        let call = caller(&request)?;
        match read_command(&request.get_ref().ticket)? {
            Command::TicketStatementQuery(ticket) => statement::stream(self, &call, &ticket.statement_handle).await,
            command => Ok(call.respond(metadata::stream(self, &call, command).await?)),
        }
    }

    /// The schema that a descriptor's result will have.
    async fn schema_of(&self, call: &Call, descriptor: &FlightDescriptor) -> Result<SchemaRef, Status> {
        match read_command(&descriptor.cmd)? {
            Command::CommandStatementQuery(command) => {
                statement::refuse_transaction(command.transaction_id.as_ref())?;
                statement::schema(self, call, &command.query).await
            }
            Command::CommandPreparedStatementQuery(command) => {
                let handle = prepared::open(self, call, &command.prepared_statement_handle)?;
                statement::schema(self, call, &handle.sql).await
            }
            command => metadata::schema(&command),
        }
    }
}

/// The Flight SQL command in a descriptor or ticket.
///
/// # Errors
/// INVALID_ARGUMENT for bytes that are none.
pub(crate) fn read_command(bytes: &[u8]) -> Result<Command, Status> {
    let any = Any::decode(bytes).map_err(|_| malformed("this is no Flight SQL command"))?;
    Command::try_from(any).map_err(|error| malformed(error.to_string()))
}

/// The refusal of a command that Flight SQL has and this server has not.
pub(crate) fn unsupported_command(command: &Command) -> Status {
    let name = command.type_url().rsplit(['.', '/']).next().unwrap_or_default().to_owned();
    match command {
        Command::CommandStatementSubstraitPlan(_) | Command::ActionCreatePreparedSubstraitPlanRequest(_) => {
            unsupported("Substrait plans are not supported (send SQL)")
        }
        Command::CommandStatementIngest(_) => unsupported("bulk ingestion is not supported yet (use INSERT)"),
        _ => unsupported(format!("Flight SQL command \"{name}\" is not supported here")),
    }
}

/// Who makes a request: found out by `routes.rs`, before the message was read.
fn caller<T>(request: &Request<T>) -> Result<Arc<Call>, Status> {
    let call = request.extensions().get::<Arc<Call>>();
    call.cloned().ok_or_else(|| status(&Error::internal("nobody found out who calls"), None))
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

fn one<T: Send + 'static>(answer: T) -> Answers<T> {
    futures::stream::iter([Ok(answer)]).boxed()
}

#[tonic::async_trait]
impl FlightService for Door {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<ActionResult>;
    type ListActionsStream = Answers<ActionType>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let response = handshake::handshake(self, request).await?;
        Ok(response.map(one))
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        let call = caller(&request)?;
        Ok(call.respond(futures::stream::empty().boxed()))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let call = caller(&request)?;
        let descriptor = request.into_inner();
        match read_command(&descriptor.cmd)? {
            Command::CommandStatementQuery(command) => statement::info(self, &call, command, descriptor).await,
            Command::CommandPreparedStatementQuery(command) => {
                prepared::info(self, &call, &command.prepared_statement_handle, descriptor).await
            }
            command => Ok(call.respond(metadata::info(&command, descriptor)?)),
        }
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let call = caller(&request)?;
        poll::poll(self, &call, request.into_inner()).await
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let call = caller(&request)?;
        let schema = self.schema_of(&call, request.get_ref()).await?;
        let wire = wire_schema(&schema, call.wire());
        Ok(call.respond(SchemaResult { schema: schema_message(&wire)? }))
    }

    // Clients get DoGet by `codec.rs`, which copies less; the answer is the same.
    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let response = self.stream_ticket(request).await?;
        Ok(response.map(|stream| stream.map_ok(FlightData::from).boxed()))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let call = caller(&request)?;
        let result = update::put(self, &call, request.into_inner()).await?;
        Ok(call.respond(one(result)))
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        caller(&request)?;
        Err(unsupported("DoExchange is not supported"))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let call = caller(&request)?;
        let result = action::act(self, &call, request.get_ref()).await?;
        Ok(call.respond(futures::stream::iter(result.map(Ok)).boxed()))
    }

    async fn list_actions(&self, request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        let call = caller(&request)?;
        Ok(call.respond(futures::stream::iter(action::listed().map(Ok)).boxed()))
    }
}
