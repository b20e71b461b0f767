//! Answers remembered for seconds, asked for once however many wait for them.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meesh_base::{Error, Result};
use parking_lot::Mutex;

/// Above this many entries, those that have expired are swept.
const ENTRIES_MAX: usize = 10_000;

#[derive(Debug)]
struct Answer<V> {
    at: Instant,
    value: Result<V, Error>,
}

type Slot<V> = Arc<tokio::sync::Mutex<Option<Answer<V>>>>;

/// A map from questions to answers with a lifetime.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    lifetime: Duration,
    slots: Mutex<HashMap<K, Slot<V>>>,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// An empty cache whose answers live for `lifetime`.
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { lifetime, slots: Mutex::default() }
    }

    /// The answer to `key`: remembered, or what `ask` yields.
    ///
    /// Whoever comes while the question is being asked gets that answer, an error too; an error is
    /// not remembered beyond that. Dropping the future lets the next one ask.
    pub(super) async fn get(&self, key: K, ask: impl Future<Output = Result<V>>) -> Result<V> {
        let came = Instant::now();
        let slot = Arc::clone(self.slots.lock().entry(key).or_default());
        let mut answer = slot.lock().await;
        if let Some(Answer { at, value }) = answer.as_ref()
            && (*at >= came || (value.is_ok() && at.elapsed() < self.lifetime))
        {
            return value.clone();
        }
        let value = ask.await;
        *answer = Some(Answer { at: Instant::now(), value: value.clone() });
        drop(answer);
        self.sweep();
        value
    }

    /// The answer to `key` if it is remembered.
    pub(super) fn peek(&self, key: &K) -> Option<V> {
        let slot = Arc::clone(self.slots.lock().get(key)?);
        let answer = slot.try_lock().ok()?;
        let Answer { at, value } = answer.as_ref()?;
        value.as_ref().ok().filter(|_| at.elapsed() < self.lifetime).cloned()
    }

    /// Forgets the answers whose key `forget` picks; an answer on its way is not remembered either.
    pub(super) fn forget(&self, forget: impl Fn(&K) -> bool) {
        self.slots.lock().retain(|key, _| !forget(key));
    }

    fn sweep(&self) {
        let mut slots = self.slots.lock();
        if slots.len() > ENTRIES_MAX {
            let fresh = |slot: &Slot<V>| match slot.try_lock() {
                Ok(answer) => answer.as_ref().is_some_and(|answer| answer.at.elapsed() < self.lifetime),
                Err(_in_use) => true,
            };
            slots.retain(|_, slot| fresh(slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn one_asks_for_all_and_an_error_is_not_remembered() {
        let (cache, asked) = (Cache::<&str, u32>::new(Duration::from_secs(60)), AtomicU32::new(0));
        let ask = |fail: bool| {
            let asked = &asked;
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let number = asked.fetch_add(1, Ordering::Relaxed);
                if fail { Err(Error::source_unavailable("down")) } else { Ok(number) }
            }
        };
        let (a, b) = tokio::join!(cache.get("k", ask(true)), cache.get("k", ask(true)));
        assert!(a.is_err() && b.is_err() && asked.load(Ordering::Relaxed) == 1);
        assert_eq!(cache.get("k", ask(false)).await.unwrap(), 1);
        assert_eq!(cache.get("k", ask(false)).await.unwrap(), 1);
        assert_eq!(cache.peek(&"k"), Some(1));
        cache.forget(|key| *key == "k");
        assert_eq!(cache.peek(&"k"), None);
        assert_eq!(cache.get("k", ask(false)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_lifetime_of_zero_always_asks() {
        let cache = Cache::<(), u32>::new(Duration::ZERO);
        assert_eq!(cache.get((), async { Ok(1) }).await.unwrap(), 1);
        assert_eq!(cache.get((), async { Ok(2) }).await.unwrap(), 2);
    }
}
