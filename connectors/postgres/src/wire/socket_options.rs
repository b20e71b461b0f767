//! Socket options that tokio does not offer: size and low-water mark of the receive buffer, and what
//! notices a dead peer. The only unsafe code of the connector.

use std::io;
use std::os::fd::AsRawFd;

use tokio::net::TcpStream;

/// Lets the socket become readable only when `bytes` have arrived, or its end (`socket(7)`,
/// SO_RCVLOWAT). A smaller rest does not wake the reader: set the mark to 1 to get it.
pub(super) fn set_low_water(socket: &TcpStream, bytes: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
}

/// Lets the kernel receive at most `bytes` ahead, instead of a size that follows the stream
/// (`socket(7)`, SO_RCVBUF).
pub(super) fn set_receive_buffer(socket: &TcpStream, bytes: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)
}

/// Makes a silent peer an error within 15 s (`tcp(7)`): probes after 5 s without traffic, and at
/// most 10 s for what was sent to be acknowledged.
pub(super) fn set_liveness(socket: &TcpStream) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    #[cfg(target_os = "linux")]
    for (name, value) in
        [(libc::TCP_KEEPIDLE, 5), (libc::TCP_KEEPINTVL, 5), (libc::TCP_KEEPCNT, 2), (libc::TCP_USER_TIMEOUT, 10_000)]
    {
        set_option(socket, libc::IPPROTO_TCP, name, value)?;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "setsockopt has no safe form in std or tokio")]
fn set_option(socket: &TcpStream, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the pointer is to `size`
    // bytes of an initialised integer that outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
