//! Writes of a connection gathered into large ones.
//!
//! HTTP/2 flushes after every frame of 16 KiB; on the way through the kernel four of them in one write
//! cost little more than one. So a flush that follows new bytes is put off until the connection's task
//! runs again, which it does at once: by then the task has either written more or has nothing to write.
//! Clients of gRPC's C++ library take frames as large as a message: those are written from where they are.
//!
//! Only HTTP/2 may stand above it, which flushes whenever it runs. A TLS handshake flushes once and waits
//! for the answer: through here it would wait for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// At this many gathered bytes a flush is not put off.
const FULL_BYTES: usize = 64 << 10;
/// More than this is not kept by a connection that has nothing to write.
const IDLE_BYTES: usize = 4 << 10;

/// `inner`, written to in large pieces.
pub(crate) struct Coalesced<S> {
    inner: S,
    gathered: Vec<u8>,
    /// How many of the gathered bytes are written.
    written: usize,
    /// Whether bytes came since the last flush.
    is_fresh: bool,
}

impl<S: AsyncWrite + Unpin> Coalesced<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, gathered: Vec::new(), written: 0, is_fresh: false }
    }

    fn waiting(&self) -> usize {
        self.gathered.len() - self.written
    }

    /// Writes until at most `rest` bytes wait.
    fn poll_drain(&mut self, cx: &mut Context<'_>, rest: usize) -> Poll<io::Result<()>> {
        while self.waiting() > rest {
            let piece = self.gathered.get(self.written..).unwrap_or_default();
            match ready!(Pin::new(&mut self.inner).poll_write(cx, piece))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        if self.waiting() == 0 {
            self.gathered.clear();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_gather(&mut self, cx: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let count = pieces.iter().map(|piece| piece.len()).sum();
        if count >= FULL_BYTES {
            ready!(self.poll_drain(cx, 0))?;
            return Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        }
        if self.waiting() >= FULL_BYTES {
            ready!(self.poll_drain(cx, FULL_BYTES - 1))?;
            self.gathered.drain(..self.written);
            self.written = 0;
        }
        if count > IDLE_BYTES && self.gathered.is_empty() {
            self.gathered.reserve(FULL_BYTES + count);
        }
        pieces.iter().for_each(|piece| self.gathered.extend_from_slice(piece));
        self.is_fresh = true;
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_gather(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_gather(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.is_fresh) && self.waiting() < FULL_BYTES {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        let was_full = self.waiting() >= FULL_BYTES;
        ready!(self.poll_drain(cx, 0))?;
        if !was_full && self.gathered.capacity() > IDLE_BYTES {
            self.gathered = Vec::new();
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx, 0))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: Connected> Connected for Coalesced<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.inner.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn the_first_flush_waits_for_more_and_the_second_does_not() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut near = Coalesced::new(near);
        let mut arrived = [0; 6];
        near.write_all(b"abc").await.unwrap();
        near.flush().await.unwrap();
        near.write_all(b"def").await.unwrap();
        near.flush().await.unwrap();
        assert!(futures::poll!(Box::pin(far.read_exact(&mut arrived))).is_pending());
        near.flush().await.unwrap();
        far.read_exact(&mut arrived).await.unwrap();
        assert_eq!(&arrived, b"abcdef");
        assert_eq!(near.waiting(), 0);
    }

    #[tokio::test]
    async fn what_is_large_is_written_at_once_behind_what_waits() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut near = Coalesced::new(near);
        near.write_all(b"abc").await.unwrap();
        let large = vec![b'x'; FULL_BYTES];
        assert_eq!(near.write(&large).await.unwrap(), large.len());
        assert_eq!(near.gathered.capacity().max(IDLE_BYTES), IDLE_BYTES, "it is not copied");
        let mut arrived = vec![0; 3 + FULL_BYTES];
        far.read_exact(&mut arrived).await.unwrap();
        assert!(arrived.starts_with(b"abcx") && arrived.ends_with(b"x"));
    }

    #[tokio::test]
    async fn every_byte_arrives_in_order_through_a_narrow_pipe_and_nothing_is_kept() {
        let (near, mut far) = tokio::io::duplex(1000);
        let sent: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move {
            let mut near = Coalesced::new(near);
            // Small pieces, which are gathered, among large ones, which are not.
            let mut rest = &sent[..];
            for length in [16_393, 9, 16_393, 100_003, 3, 70_000].into_iter().cycle() {
                let (piece, behind) = rest.split_at(length.min(rest.len()));
                near.write_all(piece).await.unwrap();
                near.flush().await.unwrap();
                assert!(near.waiting() < FULL_BYTES + 16_393);
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            poll_fn(|cx| Pin::new(&mut near).poll_flush(cx)).await.unwrap();
            assert!(near.gathered.capacity() <= IDLE_BYTES);
            near.shutdown().await.unwrap();
        });
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        writer.await.unwrap();
        assert!(arrived == expected);
    }
}
