//! Leaves a server alone that swallows connection attempts: while it does, queries fail at once
//! instead of each after a connect timeout.

use std::time::{Duration, Instant};

use meesh_base::{Error, ErrorKind, Result};
use parking_lot::Mutex;

/// How long a server is left alone.
const REST: Duration = Duration::from_secs(5);
/// A failure faster than this costs nobody anything and leaves the breaker closed.
const SLOW: Duration = Duration::from_millis(500);
/// How long after its last sign of life a server that refuses counts as restarting.
const LATELY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    open: Option<(Error, Instant)>,
    up: Option<Instant>,
}

impl Breaker {
    /// # Errors
    /// The last attempt's in the name of `catalog`, while the server is left alone: catalogs of one
    /// source share its sessions. The first call after that is let through to try; the others go on
    /// failing until it knows more.
    pub(super) fn check(&self, catalog: &str) -> Result<()> {
        let mut state = self.0.lock();
        match &mut state.open {
            Some((error, until)) if Instant::now() < *until => Err(error.clone().reworded(|message| {
                let rest = message.strip_prefix("catalog ").and_then(|rest| rest.split_once(": "));
                rest.map_or_else(|| message.to_owned(), |(_, rest)| format!("catalog {catalog:?}: {rest}"))
            })),
            Some((_, until)) => {
                *until = Instant::now() + REST;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Takes in how an attempt went.
    pub(super) fn learn(&self, error: Option<&Error>, took: Duration) {
        let mut state = self.0.lock();
        match error {
            None => *state = State { open: None, up: Some(Instant::now()) },
            Some(error) if error.kind() == ErrorKind::SourceUnavailable && took >= SLOW => {
                state.open = Some((error.clone(), Instant::now() + REST));
            }
            // It answered, though not as wished.
            Some(_) => state.open = None,
        }
    }

    /// Takes in that a session worked.
    pub(super) fn seen_up(&self) {
        self.0.lock().up = Some(Instant::now());
    }

    /// Whether the server worked a moment ago.
    pub(super) fn was_up_lately(&self) -> bool {
        self.0.lock().up.is_some_and(|up| up.elapsed() < LATELY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slow_failures_open_it() {
        let breaker = Breaker::default();
        let gone = Error::source_unavailable("catalog \"sales\": gone");
        breaker.learn(Some(&gone), Duration::from_millis(1));
        assert!(breaker.check("sales").is_ok());
        breaker.learn(Some(&gone), Duration::from_secs(3));
        assert_eq!(breaker.check("copy").unwrap_err().message(), "catalog \"copy\": gone");
        breaker.learn(None, Duration::from_secs(3));
        assert!(breaker.check("sales").is_ok() && breaker.was_up_lately());
    }

    #[test]
    fn one_call_tries_after_the_rest() {
        let breaker = Breaker::default();
        breaker.learn(Some(&Error::source_unavailable("gone")), SLOW);
        if let Some((_, until)) = &mut breaker.0.lock().open {
            *until = Instant::now();
        }
        assert!(breaker.check("sales").is_ok());
        assert!(breaker.check("sales").is_err());
    }
}
