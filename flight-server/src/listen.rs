//! Accepting connections, within limits: so many at once, so many of one address, and none that never speaks.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tonic::codegen::http::Extensions;
use tonic::transport::server::{Connected, TlsConnectInfo};

/// A client's first bytes: HTTP/2's preface, or the beginning of a TLS greeting.
const GREETING_BYTES: usize = 24;

/// Pause after a failed accept, which is mostly for want of file descriptors.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How many connections may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// At once.
    pub total_max: usize,
    /// At once from one address.
    pub per_address_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total_max: 10_000, per_address_max: 1000 }
    }
}

/// The name of one accepted connection.
pub(crate) type ConnectionId = [u8; 16];

/// The client's end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Drawn at random, because addresses come again; nobody holds it once the connection is closed.
    pub(crate) connection: Arc<ConnectionId>,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: Arc::new(rand::random()) }
    }

    /// Whose request it is, by what the server noted in it.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get().or_else(|| extensions.get::<TlsConnectInfo<Self>>().map(TlsConnectInfo::get_ref))
    }
}

/// The connections that `listener` accepts. One above the limits is closed at once, and one whose client
/// says nothing for `greeting_wait` fails.
pub(crate) fn connections(
    listener: TcpListener,
    limits: ConnectionLimits,
    greeting_wait: Duration,
) -> impl Stream<Item = Connection> + Send {
    let open = Arc::new(Open { limits, addresses: Mutex::default() });
    futures::stream::unfold((listener, open), move |(listener, open)| async move {
        loop {
            match listener.accept().await {
                Ok((socket, address)) => match open.admit(address) {
                    Some(place) => {
                        // Without it, the last segment of every answer waits for an acknowledgement.
                        drop(socket.set_nodelay(true));
                        let connection = Connection::new(socket, Peer::new(address), place, greeting_wait);
                        return Some((connection, (listener, open)));
                    }
                    None => tracing::warn!(%address, "connection refused: too many are open"),
                },
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    })
}

struct Open {
    limits: ConnectionLimits,
    addresses: Mutex<Addresses>,
}

#[derive(Default)]
struct Addresses {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Open {
    fn admit(self: &Arc<Self>, peer: SocketAddr) -> Option<Place> {
        let mut addresses = self.addresses.lock();
        let from_here = addresses.by_address.get(&peer.ip()).copied().unwrap_or(0);
        if addresses.total >= self.limits.total_max || from_here >= self.limits.per_address_max {
            return None;
        }
        addresses.total += 1;
        addresses.by_address.insert(peer.ip(), from_here + 1);
        Some(Place { open: Arc::clone(self), address: peer.ip() })
    }
}

/// One place of [`Open`], given back on drop.
struct Place {
    open: Arc<Open>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.open.addresses.lock();
        addresses.total -= 1;
        if let Some(count) = addresses.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.by_address.remove(&self.address);
            }
        }
    }
}

/// A connection that fails if its client does not begin to speak.
pub(crate) struct Connection {
    socket: TcpStream,
    peer: Peer,
    greeting: Option<Greeting>,
    _place: Place,
}

struct Greeting {
    until: Pin<Box<Sleep>>,
    received: usize,
}

impl Connection {
    fn new(socket: TcpStream, peer: Peer, place: Place, greeting_wait: Duration) -> Self {
        let greeting = Greeting { until: Box::pin(tokio::time::sleep(greeting_wait)), received: 0 };
        Self { socket, peer, greeting: Some(greeting), _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        let Some(greeting) = &mut self.greeting else {
            return read;
        };
        greeting.received += buffer.filled().len() - before;
        if greeting.received >= GREETING_BYTES {
            self.greeting = None;
            return read;
        }
        if read.is_pending() {
            ready!(greeting.until.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn places_are_limited_by_address_and_given_back() {
        let open = Arc::new(Open {
            limits: ConnectionLimits { total_max: 3, per_address_max: 2 },
            addresses: Mutex::default(),
        });
        let (here, there) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:1".parse().unwrap());
        let first = open.admit(here).unwrap();
        let _second = open.admit(here).unwrap();
        assert!(open.admit(here).is_none());
        let _third = open.admit(there).unwrap();
        drop(first);
        assert!(open.admit(here).is_some());
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_dropped_and_one_that_speaks_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = Box::pin(connections(listener, ConnectionLimits::default(), Duration::from_millis(50)));
        let mut buffer = [0; 64];

        let _silent = TcpStream::connect(address).await.unwrap();
        let mut accepted = connections.next().await.unwrap();
        assert_eq!(accepted.read(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let mut speaking = TcpStream::connect(address).await.unwrap();
        speaking.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut accepted = connections.next().await.unwrap();
        accepted.read_exact(&mut buffer[..24]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(futures::poll!(Box::pin(accepted.read(&mut buffer))).is_pending());
    }
}
