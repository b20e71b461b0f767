//! meesh's errors as gRPC statuses: the one place where this door translates them.

use meesh_engine::{Error, ErrorKind, QueryId};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

/// Trailer with the query's id.
pub(crate) const QUERY_ID_HEADER: &str = "x-meesh-query-id";
/// Trailer with the stable name of the error, Trino's where Trino has one.
pub(crate) const ERROR_CODE_HEADER: &str = "x-meesh-error-code";
/// Trailer with the name of the error's kind.
pub(crate) const ERROR_KIND_HEADER: &str = "x-meesh-error-kind";

/// Longest message as it travels: percent-encoded in a header. JDBC takes 8 KiB of headers in all.
const ENCODED_BYTES_MAX: usize = 6000;

/// One row a kind of error.
const CODES: &[(ErrorKind, Code)] = &[
    (ErrorKind::InvalidQuery, Code::InvalidArgument),
    (ErrorKind::NotFound, Code::NotFound),
    (ErrorKind::AlreadyExists, Code::AlreadyExists),
    (ErrorKind::Unsupported, Code::Unimplemented),
    (ErrorKind::Denied, Code::PermissionDenied),
    (ErrorKind::Cancelled, Code::Cancelled),
    (ErrorKind::Timeout, Code::DeadlineExceeded),
    (ErrorKind::Exhausted, Code::ResourceExhausted),
    (ErrorKind::SourceUnavailable, Code::Unavailable),
    (ErrorKind::SourceData, Code::FailedPrecondition),
    (ErrorKind::Internal, Code::Internal),
];

/// The status of an error: one line of code, place, message, hint and query id; the same again in trailers.
pub(crate) fn status(error: &Error, query: Option<&QueryId>) -> Status {
    let code = CODES.iter().find(|(kind, _)| *kind == error.kind()).map_or(Code::Internal, |(_, code)| *code);
    let query = query.or(error.query());
    let name = error.code().unwrap_or(error.kind().name());
    let mut text = one_line(&format!("{name}: {error}"), ENCODED_BYTES_MAX);
    if let Some(query) = query {
        text.push_str(&format!(" [query {query}]"));
    }
    let mut trailers = MetadataMap::new();
    put(&mut trailers, ERROR_CODE_HEADER, name);
    put(&mut trailers, ERROR_KIND_HEADER, error.kind().name());
    if let Some(query) = query {
        put(&mut trailers, QUERY_ID_HEADER, query.as_str());
    }
    Status::with_metadata(code, text, trailers)
}

/// The status of a door's own refusal, shaped like [`status`]'s.
pub(crate) fn refuse(code: Code, name: &'static str, message: impl AsRef<str>) -> Status {
    let mut trailers = MetadataMap::new();
    put(&mut trailers, ERROR_CODE_HEADER, name);
    Status::with_metadata(code, one_line(&format!("{name}: {}", message.as_ref()), ENCODED_BYTES_MAX), trailers)
}

/// A command or action that this server does not have.
pub(crate) fn unsupported(what: impl AsRef<str>) -> Status {
    refuse(Code::Unimplemented, "NOT_SUPPORTED", what)
}

/// A message that does not follow the protocol.
pub(crate) fn malformed(what: impl AsRef<str>) -> Status {
    refuse(Code::InvalidArgument, "INVALID_MESSAGE", what)
}

/// A login that is missing, wrong or over.
pub(crate) fn unauthenticated(what: impl AsRef<str>) -> Status {
    refuse(Code::Unauthenticated, "AUTHENTICATION_FAILED", what)
}

/// A handle that was never given out, or to somebody else, or is used up. Which of these is not said.
pub(crate) fn unknown_handle(what: &str) -> Status {
    refuse(
        Code::NotFound,
        "HANDLE_NOT_FOUND",
        format!("{what} is unknown, expired, used up, of an earlier start of the server, or not yours"),
    )
}

/// The answer to new queries while the server stops: clients may try again, elsewhere or later.
pub(crate) fn shutting_down() -> Status {
    let mut refusal =
        refuse(Code::Unavailable, "SERVER_SHUTTING_DOWN", "the server is shutting down (try again later)");
    put(refusal.metadata_mut(), "retry-after", "5");
    put(refusal.metadata_mut(), "grpc-retry-pushback-ms", "5000");
    refusal
}

/// Sets a header, leaving out a value that no header may hold.
pub(crate) fn put(headers: &mut MetadataMap, name: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// `text` without line breaks and control characters, cut at the character that does not fit into
/// `encoded_max` bytes once encoded.
fn one_line(text: &str, encoded_max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(encoded_max));
    let mut encoded = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let gap = if line.is_empty() { "" } else { " " };
        for character in gap.chars().chain(word.chars()) {
            encoded += encoded_len(character);
            if encoded > encoded_max {
                line.push('…');
                return line;
            }
            line.push(character);
        }
    }
    line
}

/// The bytes that tonic makes of a character in a `grpc-message`. It encodes more than gRPC asks for.
fn encoded_len(character: char) -> usize {
    let is_plain = character.is_ascii_graphic() && !"\"#%<>`?{}".contains(character);
    if is_plain { 1 } else { 3 * character.len_utf8() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meesh_engine::Position;

    #[test]
    fn a_status_is_one_line_with_code_place_hint_and_id() {
        let error = Error::not_found("table \"x\" does not exist\nreally")
            .with_position(Position { line: 1, column: 15 })
            .with_hint("did you mean \"y\"?")
            .with_code("TABLE_NOT_FOUND");
        let id = QueryId::parse("20261123_1");
        let status = status(&error, Some(&id));
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(
            status.message(),
            "TABLE_NOT_FOUND: line 1:15: table \"x\" does not exist really (did you mean \"y\"?) [query 20261123_1]"
        );
        assert_eq!(status.metadata().get(QUERY_ID_HEADER).unwrap(), "20261123_1");
        assert_eq!(status.metadata().get(ERROR_CODE_HEADER).unwrap(), "TABLE_NOT_FOUND");
    }

    #[test]
    fn every_kind_has_a_status_of_its_own() {
        let mut codes: Vec<i32> = CODES.iter().map(|(_, code)| *code as i32).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), 11);
    }

    #[test]
    fn long_messages_are_cut_between_characters_to_what_a_header_takes() {
        for text in ["ä", "%", "\"", "x", "y ", "🦀"] {
            let status = refuse(Code::NotFound, "NAME", text.repeat(9000));
            let header =
                status.clone().into_http::<tonic::body::Body>().headers().get("grpc-message").cloned().unwrap();
            assert!(
                (ENCODED_BYTES_MAX - 20..ENCODED_BYTES_MAX + 20).contains(&header.len()),
                "{text}: {}",
                header.len()
            );
            assert!(status.message().trim_end_matches('…').trim_end().ends_with(text.trim()), "{status}");
        }
        assert_eq!(one_line("short\n\tand  sweet", 100), "short and sweet");
    }
}
