//! Exit codes, and the last words of a command that failed.

use std::process::ExitCode;

use meesh_base::{Error, ErrorKind};

/// What the process's exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// A statement failed.
    Failed = 1,
    /// The arguments or the configuration are wrong.
    Usage = 2,
    /// A source or server cannot be reached.
    Unavailable = 3,
    /// The person pressed Ctrl-C: 128 and SIGINT's number, as shells have it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The code of an error that ended a command before any statement ran.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<Error>().map(Error::kind) {
            Some(ErrorKind::SourceUnavailable) => Self::Unavailable,
            Some(ErrorKind::Cancelled) => Self::Interrupted,
            Some(ErrorKind::Internal) | None => Self::Failed,
            Some(_) => Self::Usage,
        }
    }

    /// The code of a statement that failed.
    pub(super) fn of_statement(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::SourceUnavailable => Self::Unavailable,
            _ => Self::Failed,
        }
    }
}

/// The error for a person, with a line end: message and cause, then what to do.
pub(super) fn explain(error: &anyhow::Error) -> String {
    let Some(own) = error.downcast_ref::<Error>() else { return format!("error: {error:#}\n") };
    let mut text = format!("error: {}", own.message());
    if let Some(detail) = own.detail() {
        text.push_str(&format!(": {detail}"));
    }
    text.push('\n');
    if let Some(hint) = own.hint() {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_what_to_do() {
        let exit = |error: Error| Exit::of(&anyhow::Error::from(error).context("while starting"));
        assert_eq!(exit(Error::invalid_query("unknown key")), Exit::Usage);
        assert_eq!(exit(Error::source_unavailable("no server")), Exit::Unavailable);
        assert_eq!(Exit::of(&anyhow::anyhow!("broken terminal")), Exit::Failed);
        assert_eq!(Exit::of_statement(ErrorKind::NotFound), Exit::Failed);
    }

    #[test]
    fn the_remedy_has_its_own_line() {
        let error = Error::invalid_query("port taken").with_detail("in use").with_hint("take another");
        assert_eq!(explain(&error.into()), "error: port taken: in use\n  hint: take another\n");
    }
}
