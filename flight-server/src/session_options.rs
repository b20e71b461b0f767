//! SetSessionOptions, GetSessionOptions and CloseSession: the session's properties by name.

use std::collections::HashMap;

use arrow_flight::Result as ActionResult;
use bytes::Bytes;
use meesh_base::parse_bytes;
use prost::Message;
use tonic::Status;

use crate::call::Call;
use crate::error::malformed;
use crate::proto::{
    CloseSessionResult, CloseStatus, GetSessionOptionsResult, OptionError, OptionErrorValue, OptionValue,
    SessionOptionValue, SetSessionOptionsRequest, SetSessionOptionsResult,
};
use crate::service::Door;
use crate::session::SessionState;

const PROFILE: &str = "profile";
const TIMESTAMPTZ: &str = "timestamptz";
const MAX_MESSAGE_BYTES: &str = "max_message_bytes";
const READ_ONLY: &str = "read_only";

/// Options of this door by other names of the engine's.
const ALIASES: &[(&str, &str)] = &[("query_timeout", "query_max_run_time"), ("time_zone", "timezone")];

/// Where names start: options that may have no value.
const NAMES: &[&str] = &["catalog", "schema"];

/// Values of `timestamptz`.
const ZONED: &str = "zoned";
const UTC_NAIVE: &str = "utc_naive";

/// Largest value of `max_message_bytes`: an IPC message cannot hold much more.
const MESSAGE_BYTES_LIMIT: u64 = 1 << 30;

/// Sets each option, or says why not; the others are set all the same.
pub(crate) fn set(door: &Door, call: &Call, body: &Bytes) -> Result<ActionResult, Status> {
    let request = SetSessionOptionsRequest::decode(body.clone())
        .map_err(|error| malformed(format!("SetSessionOptions: {error}")))?;
    let mut errors = HashMap::new();
    call.change(&door.sessions, |state| {
        for (name, value) in request.session_options {
            if let Err(value) = set_one(state, &name, value.option_value.as_ref()) {
                errors.insert(name, OptionError { value: value as i32 });
            }
        }
    });
    Ok(ActionResult::new(SetSessionOptionsResult { errors }.encode_to_vec()))
}

fn set_one(state: &mut SessionState, name: &str, value: Option<&OptionValue>) -> Result<(), OptionErrorValue> {
    let name = name.to_ascii_lowercase();
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, name)| name);
    let text = match value {
        Some(value) => Some(text_of(value).ok_or(OptionErrorValue::InvalidValue)?),
        None => None,
    };
    match (name, text.as_deref()) {
        ("catalog", Some("")) => state.engine.catalog = None,
        ("schema", Some("")) => state.engine.schema = None,
        (PROFILE, None | Some("")) => state.door.profile = None,
        (PROFILE, Some(text)) if text.eq_ignore_ascii_case("grafana") => {
            state.door.profile = Some("grafana".to_owned());
        }
        (TIMESTAMPTZ, None | Some(ZONED)) => state.door.utc_naive = false,
        (TIMESTAMPTZ, Some(UTC_NAIVE)) => state.door.utc_naive = true,
        (MAX_MESSAGE_BYTES, None) => state.door.message_bytes_max = 0,
        (MAX_MESSAGE_BYTES, Some(text)) => {
            let bytes = parse_bytes(text).filter(|bytes| *bytes <= MESSAGE_BYTES_LIMIT);
            state.door.message_bytes_max = bytes.ok_or(OptionErrorValue::InvalidValue)?;
        }
        (READ_ONLY, None) => {}
        (READ_ONLY, Some(text)) => return read_only(text),
        (PROFILE | TIMESTAMPTZ, Some(_)) => return Err(OptionErrorValue::InvalidValue),
        (name, None) => state.engine.reset_property(name).map_err(|_| OptionErrorValue::InvalidName)?,
        (name, Some(text)) => return set_property(state, name, text),
    }
    Ok(())
}

/// Sessions only read: whether a source may be written to at all is said where it is configured.
fn read_only(text: &str) -> Result<(), OptionErrorValue> {
    if text.eq_ignore_ascii_case("true") {
        return Ok(());
    }
    // The answer has no room for a reason.
    tracing::warn!("session option read_only={text} refused: what may be written is up to a catalog's writes-enabled");
    Err(OptionErrorValue::InvalidValue)
}

fn set_property(state: &mut SessionState, name: &str, text: &str) -> Result<(), OptionErrorValue> {
    if state.engine.property(name).is_none() && !NAMES.contains(&name) {
        return Err(OptionErrorValue::InvalidName);
    }
    state.engine.set_property(name, text).map_err(|_| OptionErrorValue::InvalidValue)
}

fn text_of(value: &OptionValue) -> Option<String> {
    match value {
        OptionValue::Text(text) => Some(text.clone()),
        OptionValue::Bool(value) => Some(value.to_string()),
        OptionValue::Integer(value) => Some(value.to_string()),
        OptionValue::Double(value) => Some(value.to_string()),
        OptionValue::List(_) => None,
    }
}

/// Every option with the value that holds for this call.
pub(crate) fn get(call: &Call) -> ActionResult {
    let session_options = listed(&call.state)
        .into_iter()
        .map(|(name, value)| (name, SessionOptionValue { option_value: Some(value) }))
        .collect();
    ActionResult::new(GetSessionOptionsResult { session_options }.encode_to_vec())
}

fn listed(state: &SessionState) -> Vec<(String, OptionValue)> {
    let SessionState { engine, door } = state;
    let text = |text: Option<&str>| OptionValue::Text(text.unwrap_or_default().to_owned());
    let mut options = vec![
        ("catalog".to_owned(), text(engine.catalog.as_deref())),
        ("schema".to_owned(), text(engine.schema.as_deref())),
        ("timezone".to_owned(), text(Some(&engine.time_zone))),
        (PROFILE.to_owned(), text(door.profile.as_deref())),
        (TIMESTAMPTZ.to_owned(), text(Some(if door.utc_naive { UTC_NAIVE } else { ZONED }))),
        (MAX_MESSAGE_BYTES.to_owned(), OptionValue::Integer(i64::try_from(door.message_bytes_max).unwrap_or(0))),
        (READ_ONLY.to_owned(), OptionValue::Bool(true)),
    ];
    options.extend(engine.properties().into_iter().map(|property| {
        let value = match property.kind {
            "boolean" => OptionValue::Bool(property.value.eq_ignore_ascii_case("true")),
            _ => OptionValue::Text(property.value),
        };
        (property.name, value)
    }));
    options
}

/// Ends the session. JDBC shows its user any answer but CLOSED.
pub(crate) fn close(door: &Door, call: &Call) -> ActionResult {
    call.close(&door.callers());
    ActionResult::new(CloseSessionResult { status: CloseStatus::Closed as i32 }.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{DoorOptions, Sessions};
    use meesh_engine::Session;
    use std::time::Duration;

    fn state() -> SessionState {
        SessionState { engine: Session::new("ann"), door: DoorOptions::default() }
    }

    fn text(value: &str) -> Option<OptionValue> {
        Some(OptionValue::Text(value.into()))
    }

    #[test]
    fn options_are_set_erased_and_listed() {
        let mut state = state();
        for (name, value) in [
            ("catalog", text("sales")),
            ("schema", text("public")),
            ("timezone", text("Europe/Berlin")),
            ("query_timeout", text("30s")),
            ("arrow_views", Some(OptionValue::Bool(true))),
            ("profile", text("grafana")),
            ("timestamptz", text("utc_naive")),
            ("max_message_bytes", Some(OptionValue::Integer(64 << 20))),
            ("read_only", Some(OptionValue::Bool(true))),
        ] {
            set_one(&mut state, name, value.as_ref()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        let listed = listed(&state);
        let value = |name: &str| listed.iter().find(|(listed, _)| listed == name).unwrap().1.clone();
        assert_eq!(value("catalog"), OptionValue::Text("sales".into()));
        assert_eq!(value("arrow_views"), OptionValue::Bool(true));
        assert_eq!(value("read_only"), OptionValue::Bool(true));
        assert_eq!(value("query_max_run_time"), OptionValue::Text("30s".into()));
        assert_eq!(state.door.message_bytes_max, 64 << 20);
        set_one(&mut state, "catalog", None).unwrap();
        set_one(&mut state, "timezone", None).unwrap();
        set_one(&mut state, "arrow_views", None).unwrap();
        assert_eq!((state.engine.catalog.as_deref(), state.engine.time_zone.as_str()), (None, "UTC"));
        assert_eq!(state.engine.property("arrow_views").as_deref(), Some("false"));
    }

    #[test]
    fn an_erased_option_has_the_servers_default() {
        let mut template = Session::new("");
        let options = [
            ("query_max_run_time", "1m", "5s"),
            ("timezone", "Europe/Paris", "UTC"),
            ("catalog", "sales", "lake"),
            ("schema", "public", "raw"),
        ];
        for (name, default, _) in options {
            template.set_property(name, default).unwrap();
        }
        let sessions = Sessions::new(Duration::from_secs(60)).starting_as(template);
        let mut state = sessions.fresh("ann");
        for (name, default, other) in options {
            let value = |state: &SessionState| state.engine.property(name).unwrap();
            assert_eq!(value(&state), default, "{name}");
            set_one(&mut state, name, text(other).as_ref()).unwrap();
            assert_eq!(value(&state), other, "{name}");
            set_one(&mut state, name, None).unwrap();
            assert_eq!(value(&state), default, "{name}");
        }
        set_one(&mut state, "catalog", text("").as_ref()).unwrap();
        assert_eq!((state.engine.catalog, state.engine.user.as_str()), (None, "ann"));
    }

    #[test]
    fn a_wrong_name_is_told_from_a_wrong_value() {
        let mut state = state();
        let list = OptionValue::List(crate::proto::StringList::default());
        for (name, value, wanted) in [
            ("no_such", text("1"), OptionErrorValue::InvalidName),
            ("timezone", text("Mars/Olympus"), OptionErrorValue::InvalidValue),
            ("arrow_views", text("maybe"), OptionErrorValue::InvalidValue),
            ("profile", text("excel"), OptionErrorValue::InvalidValue),
            ("max_message_bytes", text("2GB"), OptionErrorValue::InvalidValue),
            ("schema", Some(list), OptionErrorValue::InvalidValue),
            ("read_only", Some(OptionValue::Bool(false)), OptionErrorValue::InvalidValue),
            ("no_such", None, OptionErrorValue::InvalidName),
        ] {
            assert_eq!(set_one(&mut state, name, value.as_ref()), Err(wanted), "{name}");
        }
    }
}
