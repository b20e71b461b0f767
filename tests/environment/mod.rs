//! Real servers for the tests: PostgreSQL and S3, and an engine on them configured as a user would.

// The demo's own starters: the same servers, the same data.
#[path = "../../src/cli/demo/data.rs"]
mod data;
#[allow(dead_code, reason = "the demo shows more of its servers than the tests need")]
#[path = "../../src/cli/demo/postgres.rs"]
mod postgres;
#[path = "../../src/cli/demo/s3.rs"]
mod s3;

use meesh_base::ConfigValues;
use meesh_engine::{CatalogState, Engine, EngineConfig};
use postgres::{PostgresServer, Programs};
use s3::S3Server;
use tempfile::TempDir;

/// Sales and marketing in two PostgreSQL servers, the lake in an S3 server, and an engine over them.
pub(crate) struct Environment {
    pub(crate) engine: Engine,
    pub(crate) folder: TempDir,
    databases: [PostgresServer; 2],
    _lake: S3Server,
}

impl Environment {
    /// Starts everything with the sample data; `sql` goes to the sales database as well.
    pub(crate) async fn start(sql: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        open_to_all(folder.path());
        let programs = Programs::find().expect("PostgreSQL is installed");
        let (first, second) = (folder.path().join("sales"), folder.path().join("marketing"));
        programs.init_cluster(&first).await.expect("initdb");
        programs.copy_cluster(&first, &second).await.expect("a second cluster");
        let sales = PostgresServer::start(&programs, "sales", first).await.expect("sales starts");
        let marketing = PostgresServer::start(&programs, "marketing", second).await.expect("marketing starts");
        sales.load(&format!("{}\n{sql}", data::SALES_SQL)).await.expect("sales is loaded");
        marketing.load(data::MARKETING_SQL).await.expect("marketing is loaded");
        let root = folder.path().join("s3");
        data::write_bucket(&root).expect("the bucket is written");
        let lake = S3Server::start(&root).await.expect("the S3 server starts");
        let engine = Engine::new(EngineConfig { spill_dir: folder.path().join("spill"), ..EngineConfig::default() })
            .expect("an engine");
        for server in [&sales, &marketing] {
            let keys = [
                ("connection-url", format!("jdbc:postgresql://127.0.0.1:{}/{}", server.port, server.database)),
                ("connection-user", postgres::READER.to_owned()),
                ("connection-password", postgres::PASSWORD.to_owned()),
            ];
            add_catalog(&engine, server.database, "postgresql", &keys);
        }
        let keys = [
            ("lake.root", format!("s3://{}", data::BUCKET)),
            ("s3.endpoint", lake.endpoint()),
            ("s3.region", "us-east-1".to_owned()),
            ("s3.path-style-access", "true".to_owned()),
            ("s3.aws-access-key", s3::ACCESS_KEY.to_owned()),
            ("s3.aws-secret-key", s3::SECRET_KEY.to_owned()),
        ];
        add_catalog(&engine, "lake", "hive", &keys);
        Self { engine, folder, databases: [sales, marketing], _lake: lake }
    }

    /// The folder whose sub-folders are the S3 server's buckets.
    pub(crate) fn buckets(&self) -> std::path::PathBuf {
        self.folder.path().join("s3")
    }

    /// Where psql finds the database of a catalog; `None` if the catalog is no PostgreSQL.
    pub(crate) fn postgres_url(&self, catalog: &str) -> Option<String> {
        self.databases.iter().find(|server| server.database == catalog).map(PostgresServer::url)
    }
}

/// Adds a catalog as its file would.
pub(crate) fn add_catalog(engine: &Engine, name: &str, connector: &str, keys: &[(&str, String)]) {
    let mut values = ConfigValues::new(format!("catalog {name:?}"));
    for (key, text) in keys {
        values.set(*key, text.as_str(), "test");
    }
    let factory = meesh_connector_registry::factories()
        .into_iter()
        .find(|factory| factory.names().contains(&connector))
        .expect("the connector is registered");
    values.check(factory.keys()).expect("the keys are right");
    let opened = factory.open(name, &values).expect("the catalog opens");
    engine.catalogs().put(name, CatalogState::Open(opened));
}

/// The user `postgres` must be able to enter the folder.
fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}
