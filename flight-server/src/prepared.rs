//! Prepared statements. The handle holds the statement, so that only bound parameters are kept here.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, DoPutPreparedStatementResult,
};
use arrow_flight::{FlightDescriptor, FlightInfo, Result as ActionResult};
use bytes::Bytes;
use meesh_base::format_bytes;
use meesh_engine::{Error, Parameters, StatementKind};
use parking_lot::Mutex;
use prost::Message;
use tonic::{Response, Status};

use crate::call::Call;
use crate::encode::schema_message;
use crate::error::status;
use crate::handle::PreparedBody;
use crate::proto::PreparedStatementResult;
use crate::service::Door;
use crate::statement::{park, plan, refuse_transaction};
use crate::update;
use crate::wire_types::wire_schema;

/// What all sessions together may keep bound; past it the parameters bound longest ago are dropped.
const BOUND_BYTES_MAX: usize = 64 << 20;
const BOUND_LIFETIME: Duration = Duration::from_secs(3600);

/// Prepares a statement, which never runs it.
pub(crate) async fn create(
    door: &Door,
    call: &Call,
    request: ActionCreatePreparedStatementRequest,
) -> Result<ActionResult, Status> {
    refuse_transaction(request.transaction_id.as_ref())?;
    let prepared = door.engine.prepare(call.engine_session(), &request.query).await;
    let prepared = prepared.map_err(|error| status(&error, None))?;
    let is_update = matches!(prepared.kind, StatementKind::Update);
    let nonce: [u8; 16] = rand::random();
    let body =
        PreparedBody { sql: request.query, user: call.user.clone(), session: call.binding(), nonce: nonce.to_vec() };
    let result = PreparedStatementResult {
        prepared_statement_handle: body.seal(&door.signer),
        // Clients that do not know `is_update` (JDBC to 19.0) take an empty schema for an update.
        dataset_schema: if is_update {
            Bytes::new()
        } else {
            schema_message(&wire_schema(&prepared.schema, call.wire()))?
        },
        parameter_schema: schema_message(&prepared.parameters)?,
        is_update: Some(is_update),
    };
    Ok(ActionResult::new(result.pack().encode_to_vec()))
}

/// # Errors
/// NOT_FOUND for a handle that is not ours, not this user's or of another session.
pub(crate) fn open(door: &Door, call: &Call, handle: &[u8]) -> Result<PreparedBody, Status> {
    PreparedBody::open(&door.signer, handle, &call.user, &call.session)
}

/// Drops what was bound. To close what is not there is no error: clients close on their way out, after a
/// restart of the server as ever.
pub(crate) fn close(door: &Door, call: &Call, request: &ActionClosePreparedStatementRequest) {
    if let Ok(prepared) = open(door, call, &request.prepared_statement_handle) {
        door.bindings.remove(&prepared.nonce);
    }
}

/// DoPut of parameters: keeps them for the next execution.
pub(crate) fn bind(
    door: &Door,
    call: &Call,
    handle: Bytes,
    rows: Option<RecordBatch>,
) -> Result<DoPutPreparedStatementResult, Status> {
    let prepared = open(door, call, &handle)?;
    match rows {
        Some(rows) => door.bindings.put(prepared.nonce, rows).map_err(|error| status(&error, None))?,
        None => door.bindings.remove(&prepared.nonce),
    }
    Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) })
}

/// GetFlightInfo of a prepared statement, with the parameters bound before.
pub(crate) async fn info(
    door: &Door,
    call: &Call,
    handle: &[u8],
    descriptor: FlightDescriptor,
) -> Result<Response<FlightInfo>, Status> {
    let prepared = open(door, call, handle)?;
    let stream = plan(door, call, &prepared.sql, bound_row(door, &prepared)?).await?;
    park(door, call, stream, descriptor)
}

/// The one row of parameters that a query takes.
pub(crate) fn bound_row(door: &Door, prepared: &PreparedBody) -> Result<Parameters, Status> {
    let Some(rows) = door.bindings.get(&prepared.nonce).filter(|rows| rows.num_rows() > 0) else {
        return Ok(Parameters::none());
    };
    if rows.num_rows() > 1 {
        let error =
            Error::unsupported(format!("a query takes one row of parameters, but {} are bound", rows.num_rows()))
                .with_hint("run it once a row, or use executemany with a statement that returns no rows");
        return Err(status(&error, None));
    }
    Parameters::from_row(&rows, 0).map_err(|error| status(&error, None))
}

/// DoPut of an update: runs it once, or once for each row of parameters, and returns the sum of its counts.
pub(crate) async fn execute_update(
    door: &Door,
    call: &Call,
    handle: &[u8],
    rows: Option<RecordBatch>,
) -> Result<i64, Status> {
    let prepared = open(door, call, handle)?;
    let Some(rows) = rows else {
        return update::run(door, call, &prepared.sql, bound_row(door, &prepared)?).await;
    };
    let mut count = 0;
    for row in 0..rows.num_rows() {
        let parameters = Parameters::from_row(&rows, row).map_err(|error| status(&error, None))?;
        count += update::run(door, call, &prepared.sql, parameters).await?;
    }
    Ok(count)
}

/// Parameters by the nonce of their handle.
#[derive(Default)]
pub(crate) struct Bindings(Mutex<HashMap<Vec<u8>, Bound>>);

struct Bound {
    rows: RecordBatch,
    bytes: usize,
    at: Instant,
}

impl Bindings {
    fn put(&self, nonce: Vec<u8>, rows: RecordBatch) -> Result<(), Error> {
        let bytes = rows.get_array_memory_size();
        if bytes > BOUND_BYTES_MAX {
            return Err(Error::exhausted(format!(
                "parameters of {} are more than a prepared statement may keep ({})",
                format_bytes(bytes as u64),
                format_bytes(BOUND_BYTES_MAX as u64)
            )));
        }
        let mut bound = self.0.lock();
        bound.insert(nonce, Bound { rows, bytes, at: Instant::now() });
        while bound.values().map(|bound| bound.bytes).sum::<usize>() > BOUND_BYTES_MAX {
            let Some(oldest) = bound.iter().min_by_key(|(_, bound)| bound.at).map(|(nonce, _)| nonce.clone()) else {
                break;
            };
            bound.remove(&oldest);
        }
        Ok(())
    }

    fn get(&self, nonce: &[u8]) -> Option<RecordBatch> {
        self.0.lock().get(nonce).map(|bound| bound.rows.clone())
    }

    fn remove(&self, nonce: &[u8]) {
        self.0.lock().remove(nonce);
    }

    /// Drops parameters that nobody came back for.
    pub(crate) fn sweep(&self) {
        self.0.lock().retain(|_, bound| bound.at.elapsed() < BOUND_LIFETIME);
    }
}

/// Whether parameters were sent at all: a statement without any comes with an empty schema.
pub(crate) fn has_parameters(schema: &Schema) -> bool {
    !schema.fields().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;
    use std::sync::Arc;

    fn rows(count: i64) -> RecordBatch {
        let column = Arc::new(Int64Array::from_iter_values(0..count));
        RecordBatch::try_from_iter([("p", column as Arc<dyn arrow::array::Array>)]).unwrap()
    }

    #[test]
    fn bindings_are_bounded_and_the_oldest_goes_first() {
        let bindings = Bindings::default();
        assert!(bindings.put(vec![9], rows(9 << 20)).is_err());
        for nonce in 0..3u8 {
            bindings.put(vec![nonce], rows(3 << 20)).unwrap();
        }
        assert!(bindings.get(&[0]).is_none());
        assert_eq!(bindings.get(&[2]).unwrap().num_rows(), 3 << 20);
        bindings.remove(&[2]);
        assert!(bindings.get(&[2]).is_none());
    }
}
