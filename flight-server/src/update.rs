//! DoPut: statements that return a count, and parameters of prepared statements.

use std::panic::AssertUnwindSafe;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::ipc::root_as_message;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{Command, DoPutUpdateResult};
use arrow_flight::{FlightData, PutResult};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use meesh_engine::{Error, Parameters, StatementKind};
use prost::Message;
use tonic::{Status, Streaming};

use crate::call::Call;
use crate::error::{malformed, refuse, status};
use crate::prepared::{bind, execute_update, has_parameters};
use crate::service::{Door, read_command, unsupported_command};
use crate::statement::{plan, refuse_transaction};

/// What one call may send as parameters.
const PARAMETER_BYTES_MAX: usize = 64 << 20;

/// Does what the first message's descriptor says.
pub(crate) async fn put(door: &Door, call: &Call, mut messages: Streaming<FlightData>) -> Result<PutResult, Status> {
    let first = messages.message().await?.ok_or_else(|| malformed("DoPut without a message"))?;
    let descriptor = first.flight_descriptor.as_ref().ok_or_else(|| malformed("DoPut without a descriptor"))?;
    let app_metadata = match read_command(&descriptor.cmd)? {
        Command::CommandStatementUpdate(command) => {
            refuse_transaction(command.transaction_id.as_ref())?;
            let record_count = run(door, call, &command.query, Parameters::none()).await?;
            DoPutUpdateResult { record_count }.encode_to_vec()
        }
        Command::CommandPreparedStatementUpdate(command) => {
            let rows = read_rows(first, messages).await?;
            let record_count = execute_update(door, call, &command.prepared_statement_handle, rows).await?;
            DoPutUpdateResult { record_count }.encode_to_vec()
        }
        Command::CommandPreparedStatementQuery(command) => {
            let rows = read_rows(first, messages).await?;
            bind(door, call, command.prepared_statement_handle, rows)?.encode_to_vec()
        }
        command => return Err(unsupported_command(&command)),
    };
    Ok(PutResult { app_metadata: app_metadata.into() })
}

/// Runs a statement that returns no rows and returns its count: 0 where nothing is counted, never -1.
///
/// # Errors
/// The statement's own, and INVALID_ARGUMENT for a query.
pub(crate) async fn run(door: &Door, call: &Call, sql: &str, parameters: Parameters) -> Result<i64, Status> {
    let mut stream = plan(door, call, sql, parameters).await?;
    let id = stream.id().clone();
    if matches!(stream.kind(), StatementKind::Query) {
        let error = Error::invalid_query("the statement returns rows, but was sent as an update")
            .with_hint("send it as a query: execute, not executemany or execute_update")
            .with_code("NOT_AN_UPDATE");
        return Err(status(&error, Some(&id)));
    }
    let mut count = 0;
    while let Some(batch) = stream.try_next().await.map_err(|error| status(&error, Some(&id)))? {
        let counts = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
        count += counts.and_then(arrow::compute::sum).unwrap_or(0);
    }
    Ok(count)
}

/// The rows that a client sends, as one batch; `None` if it sends no columns.
async fn read_rows(first: FlightData, rest: Streaming<FlightData>) -> Result<Option<RecordBatch>, Status> {
    // A message that only carries the descriptor holds no schema.
    let first = Some(first).filter(|first| !first.data_header.is_empty());
    let messages = futures::stream::iter(first.map(Ok)).chain(rest);
    // The decoder trusts lengths inside messages; a lie ends in a panic, which must end here.
    AssertUnwindSafe(decode(messages))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(malformed("the parameters are no valid Arrow data")))
}

async fn decode<S>(messages: S) -> Result<Option<RecordBatch>, Status>
where
    S: Stream<Item = Result<FlightData, Status>> + Send + 'static,
{
    let mut bytes = 0;
    let checked = messages.map(move |message| {
        let message = message?;
        bytes += message.data_body.len();
        check_message(&message, bytes).map(|()| message)
    });
    let mut stream = FlightRecordBatchStream::new_from_flight_data(checked.map_err(FlightError::from));
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await.map_err(status_of)? {
        batches.push(batch);
    }
    let Some(schema) = stream.schema().filter(|schema| has_parameters(schema)) else {
        return Ok(None);
    };
    arrow::compute::concat_batches(schema, &batches)
        .map(Some)
        .map_err(|error| malformed(format!("parameters: {error}")))
}

fn check_message(message: &FlightData, bytes: usize) -> Result<(), Status> {
    if bytes > PARAMETER_BYTES_MAX {
        return Err(refuse(
            tonic::Code::ResourceExhausted,
            "EXCEEDED_MESSAGE_LIMIT",
            "parameters take more than 64 MB (send them in several calls)",
        ));
    }
    let header = root_as_message(&message.data_header).map_err(|_| malformed("a message has no Arrow header"))?;
    let compressed = header.header_as_record_batch().is_some_and(|batch| batch.compression().is_some());
    // A compressed body may claim any size once unpacked.
    if compressed { Err(malformed("compressed parameters are not supported")) } else { Ok(()) }
}

fn status_of(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => malformed(format!("parameters: {error}")),
    }
}
