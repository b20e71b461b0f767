//! An S3 server in this process, over a folder: one sub-folder a bucket.
//!
//! It checks signatures as S3 does. It is for the demo and for tests; it hashes a whole object on
//! each GET, so that figures taken against it say nothing about any other S3.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The access key the server takes.
pub(super) const ACCESS_KEY: &str = "demo";

/// The secret key the server takes.
pub(super) const SECRET_KEY: &str = "demo-secret";

/// A running server; dropping it closes the port and its connections.
pub(super) struct S3Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
    _stop: DropGuard,
}

impl S3Server {
    /// Serves the folders below `root` on a free loopback port.
    ///
    /// # Errors
    /// When `root` cannot be opened or no port is to be had.
    pub(super) async fn start(root: &Path) -> Result<Self> {
        let files = s3s_fs::FileSystem::new(root).map_err(|e| anyhow!("could not open folder {root:?}: {e:?}"))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no loopback port for the S3 server")?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, builder.build(), stop.clone()));
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// The endpoint URL, as catalog files name it.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(listener: TcpListener, service: S3Service, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else {
            // Out of file descriptors, say: let some connections end before the next try.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        // Small answers would wait 40 ms for the peer's delayed acknowledgement otherwise.
        let _ = socket.set_nodelay(true);
        let (service, stop) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            let connections = Builder::new(TokioExecutor::new());
            tokio::select! {
                () = stop.cancelled() => {}
                _ = connections.serve_connection(TokioIo::new(socket), service) => {}
            }
        });
    }
}
