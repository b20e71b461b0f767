//! DoAction: prepared statements, cancellation, sessions. Other actions are refused by name.

use arrow_flight::sql::{ActionCancelQueryResult, Command, ProstMessageExt};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
    Result as ActionResult,
};
use bytes::Bytes;
use meesh_engine::QueryId;
use prost::Message;
use tonic::Status;

use crate::call::Call;
use crate::error::{malformed, status, unknown_handle, unsupported};
use crate::handle::TicketBody;
use crate::service::{Door, read_command};
use crate::{prepared, session_options};

/// The actions that are served, each with a line for ListActions.
const ACTIONS: &[(&str, &str)] = &[
    ("CreatePreparedStatement", "Prepares a statement; runs nothing"),
    ("ClosePreparedStatement", "Frees what is bound to a prepared statement"),
    ("CancelFlightInfo", "Cancels the query of a FlightInfo, down to its sources"),
    ("CancelQuery", "Cancels the query of a FlightInfo; the older form of CancelFlightInfo"),
    ("SetSessionOptions", "Sets options such as catalog, schema, timezone"),
    ("GetSessionOptions", "Returns the options that hold"),
    ("CloseSession", "Ends the session"),
];

/// Actions that the protocol has and this server has not.
const REFUSED: &[(&str, &str)] = &[
    ("BeginTransaction", "transactions are not supported (use autocommit)"),
    ("EndTransaction", "transactions are not supported (use autocommit)"),
    ("BeginSavepoint", "savepoints are not supported"),
    ("EndSavepoint", "savepoints are not supported"),
    ("CreatePreparedSubstraitPlan", "Substrait plans are not supported (send SQL)"),
    ("RenewFlightEndpoint", "endpoints cannot be renewed (ask for a new FlightInfo)"),
];

/// What ListActions answers.
pub(crate) fn listed() -> impl Iterator<Item = ActionType> {
    ACTIONS.iter().map(|(name, text)| ActionType { r#type: (*name).to_owned(), description: (*text).to_owned() })
}

/// Does an action. Most have one result, some none.
///
/// # Errors
/// UNIMPLEMENTED for an action that is not served, by name.
pub(crate) async fn act(
    door: &Door,
    call: &Call,
    action: &Action,
) -> Result<std::option::IntoIter<ActionResult>, Status> {
    let result = match action.r#type.as_str() {
        "CreatePreparedStatement" => match read_command(&action.body)? {
            Command::ActionCreatePreparedStatementRequest(request) => {
                Some(prepared::create(door, call, request).await?)
            }
            _ => return Err(wrong_body(action)),
        },
        "ClosePreparedStatement" => match read_command(&action.body)? {
            Command::ActionClosePreparedStatementRequest(request) => {
                prepared::close(door, call, &request);
                None
            }
            _ => return Err(wrong_body(action)),
        },
        "CancelFlightInfo" => Some(cancel_flight_info(door, call, &action.body)?),
        "CancelQuery" => match read_command(&action.body)? {
            Command::ActionCancelQueryRequest(request) => Some(cancel_query(door, call, request.info)?),
            _ => return Err(wrong_body(action)),
        },
        "SetSessionOptions" => Some(session_options::set(door, call, &action.body)?),
        "GetSessionOptions" => Some(session_options::get(call)),
        "CloseSession" => Some(session_options::close(door, call)),
        name => return Err(refused(name)),
    };
    Ok(result.into_iter())
}

fn refused(name: &str) -> Status {
    match REFUSED.iter().find(|(refused, _)| *refused == name) {
        Some((_, why)) => unsupported(why),
        None => unsupported(format!("action \"{name}\" is not supported")),
    }
}

fn wrong_body(action: &Action) -> Status {
    malformed(format!("action \"{}\" holds another message", action.r#type))
}

fn cancel_flight_info(door: &Door, call: &Call, body: &Bytes) -> Result<ActionResult, Status> {
    let request = CancelFlightInfoRequest::decode(body.clone())
        .map_err(|error| malformed(format!("CancelFlightInfo: {error}")))?;
    cancel(door, call, &request.info.unwrap_or_default())?;
    Ok(ActionResult::new(CancelFlightInfoResult::new(CancelStatus::Cancelled).encode_to_vec()))
}

fn cancel_query(door: &Door, call: &Call, info: Bytes) -> Result<ActionResult, Status> {
    let info = FlightInfo::decode(info).map_err(|error| malformed(format!("CancelQuery: {error}")))?;
    cancel(door, call, &info)?;
    // CANCEL_RESULT_CANCELLED.
    let result = ActionCancelQueryResult { result: 1 }.as_any();
    Ok(ActionResult::new(result.encode_to_vec()))
}

/// Cancels the queries of `info`: those of its tickets, or, while it has none yet, the one it names.
///
/// # Errors
/// NOT_FOUND if there is no such query of this user.
fn cancel(door: &Door, call: &Call, info: &FlightInfo) -> Result<(), Status> {
    let mut ids = Vec::new();
    for ticket in info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref()) {
        if let Command::TicketStatementQuery(ticket) = read_command(&ticket.ticket)? {
            ids.push(TicketBody::open(&door.signer, &ticket.statement_handle, &call.user)?.query_id());
        }
    }
    if ids.is_empty() {
        let named = std::str::from_utf8(&info.app_metadata).ok().filter(|name| !name.is_empty());
        ids.push(QueryId::parse(named.ok_or_else(|| unknown_handle("query"))?));
    }
    for id in ids {
        door.engine.cancel(&id, &call.user).map_err(|error| status(&error, Some(&id)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_why() {
        assert!(refused("BeginTransaction").message().contains("autocommit"));
        assert!(refused("MakeCoffee").message().contains("\"MakeCoffee\""));
        assert_eq!(refused("MakeCoffee").code(), tonic::Code::Unimplemented);
    }
}
