//! Messages of the Flight protocol that arrow-flight 59.3 does not have: session options
//! (`format/Flight.proto`) and the prepared-statement result with `is_update` (`format/FlightSql.proto`).

use std::collections::HashMap;

use arrow_flight::sql::Any;
use bytes::Bytes;
use prost::{Message, Oneof};

/// One value of a session option.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionOptionValue {
    /// Absent: the option is to be erased.
    #[prost(oneof = "OptionValue", tags = "1, 2, 3, 4, 5")]
    pub(crate) option_value: Option<OptionValue>,
}

/// The types that a session option may have.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum OptionValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    List(StringList),
}

/// A list of texts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StringList {
    #[prost(string, repeated, tag = "1")]
    pub(crate) values: Vec<String>,
}

/// Sets options; each succeeds or fails alone.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsRequest {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, SessionOptionValue>,
}

/// The options that could not be set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) errors: HashMap<String, OptionError>,
}

/// Why one option could not be set.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct OptionError {
    #[prost(enumeration = "OptionErrorValue", tag = "1")]
    pub(crate) value: i32,
}

/// The reasons that the protocol knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum OptionErrorValue {
    Unspecified = 0,
    InvalidName = 1,
    InvalidValue = 2,
    Error = 3,
}

/// Every option with the value that holds.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, SessionOptionValue>,
}

/// What became of the session.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct CloseSessionResult {
    #[prost(enumeration = "CloseStatus", tag = "1")]
    pub(crate) status: i32,
}

/// The states of a session that is being closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum CloseStatus {
    Unspecified = 0,
    Closed = 1,
    Closing = 2,
    NotCloseable = 3,
}

/// `ActionCreatePreparedStatementResult` with its field 4.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PreparedStatementResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) prepared_statement_handle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) dataset_schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) parameter_schema: Bytes,
    #[prost(bool, optional, tag = "4")]
    pub(crate) is_update: Option<bool>,
}

impl PreparedStatementResult {
    /// The message under the name that clients know it by.
    pub(crate) fn pack(&self) -> Any {
        Any {
            type_url: "type.googleapis.com/arrow.flight.protocol.sql.ActionCreatePreparedStatementResult".to_owned(),
            value: self.encode_to_vec().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_flight::sql::{ActionCreatePreparedStatementResult, Command};

    #[test]
    fn older_clients_read_the_prepared_result_too() {
        let result = PreparedStatementResult {
            prepared_statement_handle: Bytes::from_static(b"h"),
            is_update: Some(true),
            ..Default::default()
        };
        let Command::ActionCreatePreparedStatementResult(old) = Command::try_from(result.pack()).unwrap() else {
            panic!("another message");
        };
        let wanted = ActionCreatePreparedStatementResult {
            prepared_statement_handle: Bytes::from_static(b"h"),
            ..Default::default()
        };
        assert_eq!(old, wanted);
    }

    #[test]
    fn an_option_without_a_value_is_told_from_an_empty_text() {
        let erased = SessionOptionValue { option_value: None }.encode_to_vec();
        let empty = SessionOptionValue { option_value: Some(OptionValue::Text(String::new())) }.encode_to_vec();
        assert_ne!(erased, empty);
        assert_eq!(empty, [0x0a, 0x00]);
    }
}
