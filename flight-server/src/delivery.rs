//! Streams that are on their way to clients, and those whose client stopped reading.
//!
//! A client that goes away resets its call, which drops the stream and the query with it. One that
//! stays and does not read would keep the query's memory and connections for ever: after a while its
//! stream is dropped all the same, and the client finds a status when it reads on.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use futures::{Stream, StreamExt};
use meesh_base::format_duration;
use meesh_engine::{Error, QueryId};
use parking_lot::Mutex;
use tonic::Status;

use crate::encode::{WireMessage, WireStream};
use crate::error::status;

/// Every stream that a client is reading.
pub(crate) struct Deliveries {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Shared>>>,
    unread_max: Duration,
}

struct Shared {
    query: QueryId,
    user: String,
    /// `None` once the stream ended or was given up.
    messages: Mutex<Option<WireStream>>,
    turn: Arc<Turn>,
}

/// Whose turn it is, the client's to read or ours to have something for it.
///
/// It stands as a waker between the messages and the task of the connection: that task asks once more
/// behind the last message the client has room for, is told to wait, and asks again only when there is
/// room. So it becomes the client's turn when the messages wake the task, not when they are asked for.
struct Turn {
    began: Instant,
    /// Since when it is the client's turn, in milliseconds from `began`; 0 while it is ours.
    client_since_ms: AtomicU64,
    connection: AtomicWaker,
}

impl Turn {
    fn ours(&self) {
        self.client_since_ms.store(0, Ordering::Relaxed);
    }

    fn clients(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.client_since_ms.store(since, Ordering::Relaxed);
    }

    /// Whether it has been the client's for `limit` now.
    fn is_clients_for(&self, limit: Duration) -> bool {
        let since = self.client_since_ms.load(Ordering::Relaxed);
        since != 0 && self.began.elapsed().saturating_sub(Duration::from_millis(since)) >= limit
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.clients();
        self.connection.wake();
    }
}

impl Deliveries {
    /// Gives up streams that were not read for `unread_max`.
    pub(crate) fn new(unread_max: Duration) -> Arc<Self> {
        Arc::new(Self { next: AtomicU64::new(0), open: Mutex::default(), unread_max })
    }

    /// `messages`, under watch until dropped.
    pub(crate) fn watch(self: &Arc<Self>, messages: WireStream, query: QueryId, user: String) -> Delivery {
        let turn =
            Turn { began: Instant::now(), client_since_ms: AtomicU64::default(), connection: AtomicWaker::new() };
        turn.clients();
        let turn = Arc::new(turn);
        let woken = Waker::from(Arc::clone(&turn));
        let shared = Arc::new(Shared { query, user, messages: Mutex::new(Some(messages)), turn });
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(key, Arc::clone(&shared));
        Delivery { shared, woken, key, deliveries: Arc::clone(self), ended: false }
    }

    /// Drops the streams, and with them the queries, whose clients have not read for too long.
    pub(crate) fn sweep(&self) {
        for shared in self.unread(self.unread_max) {
            tracing::warn!(
                query = %shared.query,
                user = shared.user,
                limit = format_duration(self.unread_max),
                "query dropped: its client stopped reading"
            );
            let messages = shared.messages.lock().take();
            drop(messages);
        }
    }

    fn unread(&self, limit: Duration) -> Vec<Arc<Shared>> {
        let is_unread = |shared: &&Arc<Shared>| shared.turn.is_clients_for(limit) && shared.messages.lock().is_some();
        self.open.lock().values().filter(is_unread).cloned().collect()
    }
}

/// One stream under watch.
pub(crate) struct Delivery {
    shared: Arc<Shared>,
    /// What the messages wake: [`Shared::turn`].
    woken: Waker,
    key: u64,
    deliveries: Arc<Deliveries>,
    ended: bool,
}

impl Stream for Delivery {
    type Item = Result<WireMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.shared.turn.ours();
        self.shared.turn.connection.register(cx.waker());
        let polled = match self.shared.messages.lock().as_mut() {
            Some(messages) => ready!(messages.poll_next_unpin(&mut Context::from_waker(&self.woken))),
            None => Some(Err(self.given_up())),
        };
        self.ended = !matches!(polled, Some(Ok(_)));
        self.shared.turn.clients();
        Poll::Ready(polled)
    }
}

impl Delivery {
    fn given_up(&self) -> Status {
        let limit = format_duration(self.deliveries.unread_max);
        let error = Error::cancelled(format!("query was dropped: its client did not read for {limit}"))
            .with_hint("read results without pause, or in parts with LIMIT")
            .with_code("ABANDONED_QUERY");
        status(&error, Some(&self.shared.query))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.deliveries.open.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn message() -> Result<WireMessage, Status> {
        Ok(WireMessage { header: Bytes::new(), body: Vec::new() })
    }

    #[tokio::test]
    async fn only_a_client_that_does_not_read_is_found() {
        let deliveries = Deliveries::new(Duration::from_secs(60));
        let endless = futures::stream::iter([message()]).chain(futures::stream::pending()).boxed();
        let mut delivery = deliveries.watch(endless, QueryId::parse("q1"), "ann".into());
        assert!(delivery.next().await.is_some());
        assert_eq!(deliveries.unread(Duration::ZERO).len(), 1);
        assert_eq!(deliveries.unread(Duration::from_secs(60)).len(), 0);
        assert!(futures::poll!(delivery.next()).is_pending());
        assert_eq!(deliveries.unread(Duration::ZERO).len(), 0);
        drop(delivery);
        assert!(deliveries.open.lock().is_empty());
    }

    #[tokio::test]
    async fn a_client_without_room_for_what_it_once_waited_for_is_found() {
        let deliveries = Deliveries::new(Duration::from_secs(60));
        let (sender, messages) = futures::channel::mpsc::unbounded();
        let mut delivery = deliveries.watch(messages.boxed(), QueryId::parse("q1"), "ann".into());
        assert!(futures::poll!(delivery.next()).is_pending());
        assert_eq!(deliveries.unread(Duration::ZERO).len(), 0);
        // Now the connection could ask, and does not.
        sender.unbounded_send(message()).unwrap();
        assert_eq!(deliveries.unread(Duration::ZERO).len(), 1);
        assert!(delivery.next().await.is_some());
    }

    #[tokio::test]
    async fn a_dropped_stream_ends_with_a_status_that_says_why() {
        let deliveries = Deliveries::new(Duration::ZERO);
        let messages = futures::stream::iter([message(), message()]).boxed();
        let mut delivery = deliveries.watch(messages, QueryId::parse("q1"), "ann".into());
        assert!(delivery.next().await.is_some_and(|message| message.is_ok()));
        deliveries.sweep();
        let status = delivery.next().await.unwrap().unwrap_err();
        assert!(status.message().contains("did not read") && status.message().contains("q1"), "{status}");
        assert!(delivery.next().await.is_none());
    }
}
