//! The whole door over a real engine, spoken to by arrow-flight's client over a socket.

mod client;
mod limits;
mod metadata;
mod operations;
mod polls;
mod restarts;
mod sessions;
mod source;
mod statements;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use meesh_engine::{CatalogState, Engine, EngineConfig};
use tokio::sync::oneshot;

use crate::{FlightServerConfig, PasswordFile, serve};
use client::Client;

/// A running server.
struct Server {
    engine: Engine,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<meesh_engine::Result<()>>,
}

impl Server {
    async fn start(config: FlightServerConfig) -> Self {
        let spill_dir = tempfile::tempdir().unwrap().keep();
        let engine = Engine::new(EngineConfig { spill_dir, partitions: Some(2), ..EngineConfig::default() }).unwrap();
        engine.catalogs().put("shop", CatalogState::Open(Arc::new(source::Shop)));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = oneshot::channel();
        let shutdown = async { stopped.await.unwrap_or_default() };
        let served = tokio::spawn(serve(engine.clone(), config, shutdown, ready));
        Self { engine, address: address.await.unwrap(), stop: Some(stop), served }
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    async fn stop(mut self) -> meesh_engine::Result<()> {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.await.unwrap()
    }
}

fn anywhere() -> FlightServerConfig {
    FlightServerConfig { listen: "127.0.0.1:0".parse().unwrap(), ..FlightServerConfig::default() }
}

/// A configuration with the users ann and bob, whose passwords are their names backwards.
fn with_users() -> (tempfile::TempDir, FlightServerConfig) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password.db");
    let line = |user: &str, password: &str| format!("{user}:{}\n", bcrypt::hash(password, 8).unwrap());
    std::fs::write(&path, line("ann", "nna") + &line("bob", "bob")).unwrap();
    let users = Some(PasswordFile::open(path).unwrap());
    (folder, FlightServerConfig { users, ..anywhere() })
}

/// Runs a test on the engine's own runtime, whose threads have the stacks that planning needs.
fn on_runtime<T>(test: impl Future<Output = T>) -> T {
    meesh_engine::runtime().unwrap().block_on(test)
}

/// Runs a test against a server without users.
fn with_server<T, F: Future<Output = T>>(test: impl FnOnce(Arc<Server>) -> F) -> T {
    on_runtime(async { test(Arc::new(Server::start(anywhere()).await)).await })
}

#[test]
fn an_open_address_needs_users_and_tls_or_insecure() {
    on_runtime(async {
        let open = FlightServerConfig { listen: "0.0.0.0:0".parse().unwrap(), ..anywhere() };
        assert_eq!(open.warnings().len(), 2);
        assert!(anywhere().warnings().is_empty());
        let engine = Engine::new(EngineConfig::default()).unwrap();
        let refused = serve(engine, open, std::future::pending(), oneshot::channel().0).await.unwrap_err();
        assert!(refused.to_string().contains("insecure"), "{refused}");
    });
}

#[test]
fn a_taken_port_is_named_with_the_remedy() {
    on_runtime(async {
        let server = Server::start(anywhere()).await;
        let taken = FlightServerConfig { listen: server.address, ..anywhere() };
        let refused =
            serve(server.engine.clone(), taken, std::future::pending(), oneshot::channel().0).await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(&server.address.to_string()) && text.contains("flight.listen"), "{text}");
    });
}

#[test]
fn shutting_down_refuses_new_queries_and_ends() {
    on_runtime(async {
        let server = Server::start(anywhere()).await;
        let mut client = server.client().await;
        assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
        server.engine.drain(std::time::Duration::from_secs(1)).await;
        let refused = client.rows("select 1").await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable);
        assert_eq!(refused.metadata().get("retry-after").unwrap(), "5");
        server.stop().await.unwrap();
    });
}
