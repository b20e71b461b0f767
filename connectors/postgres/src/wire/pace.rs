//! When a reader of many rows takes what has arrived.
//!
//! PostgreSQL flushes 8 KiB at a time, so a reader that takes what is there wakes up for every 40
//! rows; the wake-ups cost more than decoding. A stream that has proven fast is read in large parts,
//! and a short timer covers the end of the result and a source that slows down.
//!
//! - From another machine, the socket becomes readable only when [`MARK`] bytes are there.
//! - On one machine the sender's kernel does the work of both ends at each flush: on the core of a
//!   PostgreSQL that has nothing to spare. The receive buffer is kept so small ([`LOCAL_BUFFER`]) that
//!   what is flushed only queues at the sender, until the reader comes, every [`BURST`], and moves it
//!   over in segments of 64 KiB on its own core. That made one connection read 13 % faster than the
//!   mark does. An even smaller one costs more: a sender that paces itself (bbr) sets timers, the more the
//!   smaller the buffer is, and on a virtual machine one that goes off takes tens of microseconds (in 6
//!   million rows 20,000 timers by 32 KiB; 9,000 by 64, and 12 ns a row more than by these 128: 8,000).
//!   Meanwhile nobody watches the socket: or each flush would wake the reader until the buffer is full,
//!   which cost it 16 ns a row.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::socket_options::set_low_water;

/// How much one wake-up should bring.
const MARK: i32 = 256 << 10;
/// How much of a server on the same machine is received ahead; Linux books twice as much.
pub(super) const LOCAL_BUFFER: i32 = 128 << 10;
/// How long the flushes of a server on the same machine queue: about 1 MB of a fast stream, less than
/// the 4 MB that Linux lets queue (`tcp_wmem`).
const BURST: Duration = Duration::from_millis(4);
/// How many marks' worth must have come before the first verdict: the rest of a small result is not
/// worth a timer.
const PROOF_MARKS: usize = 4;
/// The slowest stream that is waited for so, as the time a mark's worth takes (26 MB/s). Below that
/// the wake-ups cost little.
const MARK_TIME_MAX: Duration = Duration::from_millis(10);
/// The shortest wait for a mark; tokio's timers count milliseconds.
const WAIT_MIN: Duration = Duration::from_millis(2);

/// How what arrives is gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gather {
    /// Not at all: whatever is there is taken.
    Nothing,
    /// By the receiver's kernel, up to a mark.
    Marks,
    /// By the sender's kernel, for a time.
    Bursts,
}

/// How fast a stream has been coming, and how it is read therefore.
#[derive(Debug)]
pub(super) struct Pace {
    gather: Gather,
    since: Option<Instant>,
    bytes: usize,
    /// How many marks' worth are counted before the next verdict.
    proof: usize,
    /// How long a mark's worth took.
    mark_time: Duration,
    /// When the wait that is under way ends. Kept, because a wait that is dropped and begun anew, again
    /// and again, would never end.
    wait_until: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gather: Gather::Nothing,
            since: None,
            bytes: 0,
            proof: PROOF_MARKS,
            mark_time: Duration::ZERO,
            wait_until: None,
        }
    }
}

impl Pace {
    /// The pace of a stream that follows one that was fast, or is what is left of one.
    pub(super) fn resumed() -> Self {
        Self { proof: 1, ..Self::default() }
    }

    /// How the next bytes are gathered; says so to `socket`, where it is one that can be told, when that changes.
    pub(super) fn gather(&mut self, socket: Option<&TcpStream>) -> Gather {
        if self.gather == Gather::Nothing
            && let Some(socket) = socket
            && self.is_proven()
        {
            if is_local(socket) {
                (self.gather, self.since) = (Gather::Bursts, None);
            } else if set_low_water(socket, MARK).is_ok() {
                self.gather = Gather::Marks;
            }
        }
        self.gather
    }

    /// Whether bytes are gathered before they are taken.
    pub(super) fn gathers(&self) -> bool {
        self.gather != Gather::Nothing
    }

    /// Whether the socket has a mark.
    pub(super) fn has_mark(&self) -> bool {
        self.gather == Gather::Marks
    }

    /// Counts bytes that were taken.
    pub(super) fn count(&mut self, bytes: usize) {
        if self.gather == Gather::Bursts {
            self.bytes += bytes;
            return;
        }
        // Time before the first bytes is the server's planning and says nothing about the stream.
        if self.since.is_none() {
            self.since = Some(Instant::now());
            return;
        }
        self.bytes += bytes;
    }

    /// Until when a full mark is waited for: twice as long as one took.
    pub(super) fn mark_due(&mut self) -> Instant {
        let wait = (2 * self.mark_time).max(WAIT_MIN);
        *self.wait_until.get_or_insert_with(|| Instant::now() + wait)
    }

    /// When the next burst is to be taken; `None` if the last did not bring half of what the stream
    /// had promised: the sender was kept from sending.
    pub(super) fn burst_due(&mut self) -> Option<Instant> {
        if self.wait_until.is_none() {
            let promised = f64::from(MARK) * BURST.as_secs_f64() / self.mark_time.as_secs_f64();
            let brought = std::mem::take(&mut self.bytes) as f64;
            if self.since.is_some() && brought < promised / 2.0 {
                return None;
            }
            self.since = Some(Instant::now());
        }
        Some(*self.wait_until.get_or_insert_with(|| Instant::now() + BURST))
    }

    /// The wait that was under way is over.
    pub(super) fn waited(&mut self) {
        self.wait_until = None;
    }

    /// Whether enough came fast enough. A stream that was too slow is measured anew.
    fn is_proven(&mut self) -> bool {
        let Some(since) = self.since.filter(|_| self.bytes >= self.proof * MARK as usize) else { return false };
        self.mark_time = since.elapsed().mul_f64(f64::from(MARK) / self.bytes as f64);
        (self.since, self.bytes) = (Some(Instant::now()), 0);
        self.mark_time < MARK_TIME_MAX
    }
}

/// Whether the peer is on this machine.
pub(super) fn is_local(socket: &TcpStream) -> bool {
    let ends = (socket.local_addr(), socket.peer_addr());
    matches!(ends, (Ok(local), Ok(peer)) if local.ip() == peer.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fast_stream_is_proven() {
        let mut pace = Pace::default();
        pace.count(1 << 30);
        assert!(!pace.is_proven(), "the first read has no rate");
        pace.count(1 << 20);
        assert!(pace.is_proven());
        assert!(pace.mark_time < MARK_TIME_MAX);
        pace.count(1 << 20);
        pace.since = Instant::now().checked_sub(Duration::from_secs(1));
        assert!(!pace.is_proven());
        assert_eq!(pace.bytes, 0);
    }
}
