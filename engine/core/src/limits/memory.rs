//! One pool of memory for the process, and a child of it for each query.
//!
//! A query's own pool shares fairly between its operators that can spill; what it grows by is also
//! charged to the process, so that one query cannot take what another has.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use meesh_base::format_bytes;

/// The memory that all queries share.
#[derive(Debug)]
pub(crate) struct ProcessMemory {
    limit_bytes: usize,
    query_limit_bytes: usize,
    used_bytes: AtomicUsize,
}

impl ProcessMemory {
    /// All queries together may hold `limit_bytes`, one of them `query_limit_bytes`.
    pub(crate) fn new(limit_bytes: usize, query_limit_bytes: usize) -> Arc<Self> {
        let query_limit_bytes = query_limit_bytes.min(limit_bytes);
        Arc::new(Self { limit_bytes, query_limit_bytes, used_bytes: AtomicUsize::new(0) })
    }

    pub(crate) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn try_take(&self, bytes: usize) -> bool {
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.limit_bytes)
            })
            .is_ok()
    }
}

/// The memory of one query; gives back what is left of it when dropped.
#[derive(Debug)]
pub(crate) struct QueryMemoryPool {
    process: Arc<ProcessMemory>,
    limit_bytes: usize,
    own: FairSpillPool,
    peak_bytes: AtomicUsize,
}

impl QueryMemoryPool {
    /// A query's share of `process`, at most its own limit.
    pub(crate) fn new(process: Arc<ProcessMemory>) -> Arc<Self> {
        let limit_bytes = process.query_limit_bytes;
        Arc::new(Self { process, limit_bytes, own: FairSpillPool::new(limit_bytes), peak_bytes: AtomicUsize::new(0) })
    }

    /// The most the query has held at once, in bytes.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    fn note_peak(&self) {
        self.peak_bytes.fetch_max(self.own.reserved(), Ordering::Relaxed);
    }
}

impl fmt::Display for QueryMemoryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query(used: {})", format_bytes(self.own.reserved() as u64))
    }
}

impl MemoryPool for QueryMemoryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.process.used_bytes.fetch_add(additional, Ordering::Relaxed);
        self.own.grow(reservation, additional);
        self.note_peak();
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.process.used_bytes.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !self.process.try_take(additional) {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "query needs {} more memory, but {} of the server's {} are in use (memory.limit)",
                format_bytes(additional as u64),
                format_bytes(self.process.used_bytes() as u64),
                format_bytes(self.process.limit_bytes as u64)
            )));
        }
        if self.own.try_grow(reservation, additional).is_err() {
            self.process.used_bytes.fetch_sub(additional, Ordering::Relaxed);
            return Err(DataFusionError::ResourcesExhausted(format!(
                "query needs {} more memory for {}, but holds {} of its {} (memory.query_limit)",
                format_bytes(additional as u64),
                reservation.consumer().name(),
                format_bytes(self.own.reserved() as u64),
                format_bytes(self.limit_bytes as u64)
            )));
        }
        self.note_peak();
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit_bytes)
    }
}

impl Drop for QueryMemoryPool {
    fn drop(&mut self) {
        // Reservations give back on their own drop; whatever one forgot must not be lost to the process.
        self.process.used_bytes.fetch_sub(self.own.reserved(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_share_the_process_and_give_back() {
        let process = ProcessMemory::new(1000, 1000);
        let first: Arc<dyn MemoryPool> = QueryMemoryPool::new(Arc::clone(&process));
        let second: Arc<dyn MemoryPool> = QueryMemoryPool::new(Arc::clone(&process));
        let one = MemoryConsumer::new("join").register(&first);
        let two = MemoryConsumer::new("sort").register(&second);
        one.try_grow(700).unwrap();
        let error = two.try_grow(400).unwrap_err();
        assert!(error.to_string().contains("memory.limit"), "{error}");
        drop(one);
        two.try_grow(900).unwrap();
        assert_eq!(process.used_bytes(), 900);
        drop(two);
        assert_eq!(process.used_bytes(), 0);
    }

    #[test]
    fn a_query_leaves_the_rest_to_others() {
        let process = ProcessMemory::new(1000, 600);
        let heavy: Arc<dyn MemoryPool> = QueryMemoryPool::new(Arc::clone(&process));
        let light: Arc<dyn MemoryPool> = QueryMemoryPool::new(Arc::clone(&process));
        let join = MemoryConsumer::new("join").register(&heavy);
        join.try_grow(600).unwrap();
        let error = join.try_grow(1).unwrap_err();
        assert!(error.to_string().contains("join") && error.to_string().contains("memory.query_limit"), "{error}");
        MemoryConsumer::new("sort").register(&light).try_grow(400).unwrap();
    }
}
