//! Errors of an object store, translated once: what was touched, what went wrong, what to do.

use meesh_base::{Error, format_duration};

use crate::http::Stalled;

/// What a store was asked about, for its errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The catalog's name.
    pub(crate) catalog: &'a str,
    /// What answers: `http://minio:9000`, or the directory.
    pub(crate) source: &'a str,
    /// The kind of thing and its name: `object "s3://raw/a.csv"`.
    pub(crate) what: &'a str,
}

/// Translates a store's error.
///
/// | store says | kind |
/// |---|---|
/// | not found | `NotFound` |
/// | precondition failed | `SourceData`: the object changed while it was read |
/// | forbidden, unauthenticated | `Denied` |
/// | an S3 code of [`S3_CODES`] | as there: listings wrap it into a plain failure |
/// | a key that is no path | `SourceData` naming the key |
/// | nothing ([`Stalled`]) | `SourceUnavailable` naming the key that sets the patience |
/// | anything else | `SourceUnavailable` |
pub(crate) fn store_error(subject: Subject<'_>, error: object_store::Error) -> Error {
    use object_store::Error as E;
    let root_error = root_of(&error);
    let stalled = root_error.downcast_ref::<Stalled>();
    let root = text_of(root_error);
    let code = S3_CODES.iter().find(|(code, _)| root.contains(&format!("<Code>{code}</Code>")));
    let Subject { catalog, source, what } = subject;
    let translated = match &error {
        _ if matches!(code, Some((_, S3Answer::Missing))) => {
            Error::not_found(format!("catalog {catalog:?}: {what} does not exist at {source}"))
                .with_hint("check the bucket's name, and s3.endpoint")
        }
        E::NotFound { .. } => Error::not_found(format!("catalog {catalog:?}: {what} does not exist")),
        E::Precondition { .. } | E::NotModified { .. } => changed(catalog, what),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => refused(catalog, source, what),
        _ if matches!(code, Some((_, S3Answer::Refused))) => refused(catalog, source, what),
        E::InvalidPath { source } => bad_key(catalog, what, source),
        E::NotSupported { .. } | E::NotImplemented { .. } => {
            Error::unsupported(format!("catalog {catalog:?}: files are read, never written"))
        }
        _ => match stalled {
            Some(Stalled(patience)) => stood_still(subject, *patience),
            None => Error::source_unavailable(format!("catalog {catalog:?}: {source} does not answer for {what}"))
                .with_hint("check s3.endpoint, and that the server is up"),
        },
    };
    translated.with_detail(root).with_cause(error)
}

/// What an S3 error code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum S3Answer {
    Missing,
    Refused,
}

/// Codes of S3's error documents, as its API reference lists them.
const S3_CODES: &[(&str, S3Answer)] = &[
    ("NoSuchBucket", S3Answer::Missing),
    ("NoSuchKey", S3Answer::Missing),
    ("AccessDenied", S3Answer::Refused),
    ("InvalidAccessKeyId", S3Answer::Refused),
    ("SignatureDoesNotMatch", S3Answer::Refused),
    ("ExpiredToken", S3Answer::Refused),
    ("InvalidToken", S3Answer::Refused),
];

fn refused(catalog: &str, source: &str, what: &str) -> Error {
    Error::denied(format!("catalog {catalog:?}: {source} refuses access to {what}"))
        .with_hint("set s3.aws-access-key and s3.aws-secret-key to keys that may list and read it")
}

/// The error of a server that accepted a request and sent nothing more of its answer.
pub(crate) fn stood_still(subject: Subject<'_>, patience: std::time::Duration) -> Error {
    let Subject { catalog, source, what } = subject;
    let time = format_duration(patience);
    Error::source_unavailable(format!("catalog {catalog:?}: {source} sent nothing of {what} for {time}"))
        .with_hint("raise s3.socket-read-timeout if the server is slow")
}

/// The error of a key that object stores allow and paths do not: one part of it is empty, or a dot.
fn bad_key(catalog: &str, what: &str, error: &object_store::path::Error) -> Error {
    use object_store::path::Error as E;
    match error {
        E::EmptySegment { path } | E::BadSegment { path, .. } | E::NonUnicode { path, .. } => {
            Error::source_data(format!("catalog {catalog:?}: {what} holds the key {path:?}, which cannot be read"))
                .with_hint("rename or delete it: keys are names between single slashes")
        }
        _ => Error::source_data(format!("catalog {catalog:?}: the name of {what} cannot be read")),
    }
}

/// The error of an object that is not the one that was listed.
pub(crate) fn changed(catalog: &str, what: &str) -> Error {
    Error::source_data(format!("catalog {catalog:?}: {what} changed while it was read"))
        .with_hint("run the query again")
}

fn root_of<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// The innermost error's words, on one line: wrappers name Rust types and repeat each other.
fn text_of(root: &(dyn std::error::Error + 'static)) -> String {
    let text: String = root.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meesh_base::ErrorKind;

    #[test]
    fn a_key_that_is_no_path_is_named() {
        let subject = Subject { catalog: "lake", source: "http://minio:9000", what: "folder \"s3://raw\"" };
        for key in ["raw//x", "raw/../x", "a/./b"] {
            let error = store_error(subject, object_store::path::Path::parse(key).unwrap_err().into());
            assert_eq!(error.kind(), ErrorKind::SourceData);
            assert!(error.to_string().contains(&format!("folder \"s3://raw\" holds the key {key:?}")), "{error}");
        }
    }

    #[test]
    fn each_answer_has_its_kind() {
        let subject = Subject { catalog: "lake", source: "http://minio:9000", what: "object \"s3://raw/a.csv\"" };
        let source = || "refused".into();
        let path = || "a.csv".to_owned();
        let s3 = |code: &str| format!("403: <Error><Code>{code}</Code></Error> refused").into();
        let cases = [
            (object_store::Error::NotFound { path: path(), source: source() }, ErrorKind::NotFound),
            (object_store::Error::Precondition { path: path(), source: source() }, ErrorKind::SourceData),
            (object_store::Error::PermissionDenied { path: path(), source: source() }, ErrorKind::Denied),
            (object_store::Error::Generic { store: "S3", source: source() }, ErrorKind::SourceUnavailable),
            (object_store::Error::Generic { store: "S3", source: s3("AccessDenied") }, ErrorKind::Denied),
            (object_store::Error::Generic { store: "S3", source: s3("NoSuchBucket") }, ErrorKind::NotFound),
        ];
        for (error, kind) in cases {
            let error = store_error(subject, error);
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains("s3://raw/a.csv") && error.to_string().contains("refused"), "{error}");
        }
    }
}
