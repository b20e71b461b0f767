//! The byte stream below the protocol: TCP, a Unix socket, or TLS over TCP.

use std::io::{self, Read as _, Write as _};
use std::mem;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::pace::{LOCAL_BUFFER, is_local};
use super::socket_options::{set_liveness, set_receive_buffer};

/// One address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// An address and port.
    Tcp(SocketAddr),
    /// The path of a socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Whether what is sent there cannot be seen from another machine.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// An open stream to a server.
pub(crate) enum Transport {
    /// Not encrypted.
    Tcp(TcpStream),
    /// The same while what arrives wakes nobody.
    Unwatched(std::net::TcpStream),
    /// On this machine.
    Unix(UnixStream),
    /// Encrypted. The reader below gathers what rustls would read in pieces of 4 KiB.
    Tls(Box<TlsStream<BufReader<TcpStream>>>),
    /// Gone: what is left behind where a session was moved out.
    Closed,
}

impl Transport {
    /// Connects, without TLS yet.
    pub(crate) async fn open(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let socket = TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                set_liveness(&socket)?;
                if is_local(&socket) {
                    set_receive_buffer(&socket, LOCAL_BUFFER)?;
                }
                Ok(Self::Tcp(socket))
            }
            Endpoint::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
        }
    }

    /// Reads what is there, at least one byte; zero at the end of the stream. Nothing is lost when
    /// the call is dropped.
    pub(super) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.watch()?;
        match self {
            Self::Tcp(socket) => socket.read(into).await,
            Self::Unix(socket) => socket.read(into).await,
            Self::Tls(stream) => stream.read(into).await,
            Self::Unwatched(_) | Self::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Reads what is there; `None` if nothing is, or only for a plain TCP stream. What arrives from now on wakes
    /// nobody, until something else is done with the stream.
    pub(super) fn read_now(&mut self, into: &mut [u8]) -> Option<io::Result<usize>> {
        if let Err(error) = self.unwatch() {
            return Some(Err(error));
        }
        let Self::Unwatched(socket) = self else { return None };
        match socket.read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            read => Some(read),
        }
    }

    /// Sends everything. When the call is dropped, some of it may have been sent.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.watch()?;
        match self {
            Self::Tcp(socket) => socket.write_all(bytes).await,
            Self::Unix(socket) => socket.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::Unwatched(_) | Self::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Sends `bytes` if that takes no waiting; for a goodbye.
    pub(super) fn try_write(&self, bytes: &[u8]) {
        // Whether it arrives does not matter: the socket is closed next.
        let _sent = match self {
            Self::Tcp(socket) => socket.try_write(bytes),
            Self::Unwatched(socket) => (&*socket).write(bytes),
            Self::Unix(socket) => socket.try_write(bytes),
            Self::Tls(_) | Self::Closed => Ok(0),
        };
    }

    fn unwatch(&mut self) -> io::Result<()> {
        if let Self::Tcp(_) = self
            && let Self::Tcp(socket) = mem::replace(self, Self::Closed)
        {
            *self = Self::Unwatched(socket.into_std()?);
        }
        Ok(())
    }

    /// Lets what arrives wake the reader again.
    fn watch(&mut self) -> io::Result<()> {
        if let Self::Unwatched(_) = self
            && let Self::Unwatched(socket) = mem::replace(self, Self::Closed)
        {
            *self = Self::Tcp(TcpStream::from_std(socket)?);
        }
        Ok(())
    }

    /// The socket, where a low-water mark on it makes sense.
    pub(super) fn plain_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(socket) => Some(socket),
            _ => None,
        }
    }

    /// The TLS version and cipher suite in use, if it is encrypted.
    pub(crate) fn encryption(&self) -> Option<String> {
        let Self::Tls(stream) = self else { return None };
        let session = stream.get_ref().1;
        let version = session.protocol_version().and_then(|version| version.as_str());
        let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        Some(format!("{} {}", version.unwrap_or("TLS"), suite.unwrap_or_default()))
    }

    /// The certificate the server showed, if it is encrypted.
    pub(super) fn server_certificate(&self) -> Option<&[u8]> {
        let Self::Tls(stream) = self else { return None };
        stream.get_ref().1.peer_certificates()?.first().map(AsRef::as_ref)
    }
}
