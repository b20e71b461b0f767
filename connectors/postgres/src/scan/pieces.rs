//! The parts of a scan that its streams take, one after the other.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The smallest range of pages: 8 MB, so that a statement's own cost is little beside it.
pub(super) const PIECE_PAGES_MIN: u64 = 1_000;
/// How many pieces a stream takes while nothing of the relation is left for the others.
const PIECES_A_STREAM: u64 = 4;

/// What is left to be read.
#[derive(Debug)]
pub(super) struct Pieces {
    left: Left,
    taken: Notify,
}

#[derive(Debug)]
enum Left {
    /// Nothing.
    None,
    /// All of it, unless somebody has taken it.
    Whole(AtomicBool),
    /// These pages and those after them.
    Pages(Mutex<Pages>),
}

#[derive(Debug)]
struct Pages {
    next: u64,
    /// How many there were when they were counted last: what has come since is behind them.
    count: u64,
    streams: u64,
    done: bool,
}

impl Pieces {
    fn new(left: Left) -> Self {
        Self { left, taken: Notify::new() }
    }

    /// Nothing.
    pub(super) fn none() -> Self {
        Self::new(Left::None)
    }

    /// All of it at once.
    pub(super) fn whole() -> Self {
        Self::new(Left::Whole(AtomicBool::new(false)))
    }

    /// Ranges of about so many pages, for so many streams. They get smaller towards the end, so that the
    /// streams end together.
    pub(super) fn pages(count: u64, streams: usize) -> Self {
        Self::new(Left::Pages(Mutex::new(Pages { next: 0, count, streams: streams.max(1) as u64, done: false })))
    }

    /// Whether all of it is read by one statement.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.left, Left::Whole(_))
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        match &self.left {
            Left::None => true,
            Left::Whole(taken) => taken.load(Ordering::Relaxed),
            Left::Pages(pages) => pages.lock().done,
        }
    }

    /// Waits until nothing is left.
    pub(super) async fn exhausted(&self) {
        loop {
            let taken = self.taken.notified();
            if self.is_empty() {
                return;
            }
            taken.await;
        }
    }

    /// The next piece, as a condition on `ctid` if it is one of several. A range of `ctid` in a parent is
    /// one in each of its children, so the pieces of the largest are those of all.
    pub(super) fn take(&self) -> Option<Option<String>> {
        let piece = match &self.left {
            Left::None => None,
            Left::Whole(taken) => (!taken.swap(true, Ordering::Relaxed)).then_some(None),
            Left::Pages(pages) => pages.lock().take().map(Some),
        };
        self.taken.notify_waiters();
        piece
    }
}

impl Pages {
    fn take(&mut self) -> Option<String> {
        if self.done {
            return None;
        }
        let left = self.count.saturating_sub(self.next);
        let size = (left / (PIECES_A_STREAM * self.streams)).max(PIECE_PAGES_MIN);
        let (from, to) = (self.next, self.next + size);
        let tid = |page: u64| format!("'({page},0)'::tid");
        let least = (from > 0).then(|| format!("ctid >= {}", tid(from)));
        // The last has no end: the relation may have grown.
        self.done = size >= left;
        let end = (!self.done).then(|| format!("ctid < {}", tid(to)));
        self.next = to;
        let bounds: Vec<String> = [least, end].into_iter().flatten().collect();
        Some(if bounds.is_empty() { "TRUE".to_owned() } else { bounds.join(" AND ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_meet_and_the_last_is_open() {
        let pieces = Pieces::pages(20_000, 2);
        let taken: Vec<String> = std::iter::from_fn(|| pieces.take()).flatten().collect();
        assert_eq!(taken.first().unwrap(), "ctid < '(2500,0)'::tid");
        assert!(pieces.is_empty());
        let last = taken.last().unwrap();
        assert!(last.starts_with("ctid >= ") && !last.contains('<'), "{last}");
        for pair in taken.windows(2) {
            let end = pair[0].split("ctid < ").nth(1).unwrap();
            assert!(pair[1].starts_with(&format!("ctid >= {end}")), "{pair:?}");
        }
    }

    #[test]
    fn a_whole_is_taken_once() {
        let pieces = Pieces::whole();
        assert_eq!(pieces.take(), Some(None));
        assert_eq!(pieces.take(), None);
    }

    #[test]
    fn what_is_smaller_than_a_piece_is_one() {
        let pieces = Pieces::pages(10, 2);
        assert_eq!(pieces.take(), Some(Some("TRUE".to_owned())));
        assert_eq!(pieces.take(), None);
    }
}
