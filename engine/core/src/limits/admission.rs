//! How many queries run at once, and how many may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use meesh_base::{Error, QueryScope, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right to run; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// A fair queue in front of the running queries.
#[derive(Debug)]
pub(crate) struct Admission {
    running: Arc<Semaphore>,
    queued: AtomicUsize,
    running_max: usize,
    queued_max: usize,
}

impl Admission {
    pub(crate) fn new(running_max: usize, queued_max: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(running_max)), queued: AtomicUsize::new(0), running_max, queued_max }
    }

    /// Waits for the right to run, in the order of arrival.
    ///
    /// # Errors
    /// `Exhausted` at once when the queue is full; `Cancelled` or `Timeout` when the query ends first.
    pub(crate) async fn enter(&self, scope: &QueryScope) -> Result<Permit> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(Permit(permit));
        }
        let _waiting = Waiting::join(self)?;
        tokio::select! {
            permit = Arc::clone(&self.running).acquire_owned() => {
                permit.map(Permit).map_err(|_| Error::exhausted("server is stopping"))
            }
            error = scope.stopped() => Err(error),
        }
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a Admission);

impl<'a> Waiting<'a> {
    fn join(admission: &'a Admission) -> Result<Self> {
        let before = admission.queued.fetch_add(1, Ordering::Relaxed);
        let place = Self(admission);
        if before < admission.queued_max {
            return Ok(place);
        }
        Err(Error::exhausted(format!(
            "too many queries: {} run and {before} wait (queries.running_max, queries.queued_max)",
            admission.running_max
        ))
        .with_hint("try again later")
        .with_code("QUERY_QUEUE_FULL"))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meesh_base::{ErrorKind, QueryId};

    fn scope() -> QueryScope {
        QueryScope::new(QueryId::generate(), "ann", None)
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_free_place_admits() {
        let admission = Arc::new(Admission::new(1, 1));
        let first = admission.enter(&scope()).await.unwrap();
        let waiting = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.enter(&scope()).await }
        });
        while admission.queued.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let refused = admission.enter(&scope()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Exhausted);
        drop(first);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_cancelled_query_leaves_the_queue() {
        let admission = Admission::new(1, 5);
        let _first = admission.enter(&scope()).await.unwrap();
        let second = scope();
        second.cancel_token().cancel();
        assert_eq!(admission.enter(&second).await.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(admission.queued.load(Ordering::Relaxed), 0);
    }
}
