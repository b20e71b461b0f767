//! What the demo says when it is up: addresses, and lines to copy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::data::BUCKET;
use super::postgres::PostgresServer;
use super::s3::{ACCESS_KEY, S3Server, SECRET_KEY};

/// A statement that touches a database and a file, short enough to read in a box.
const SAMPLE: &str = "SELECT c.name, t.manager FROM sales.public.customers c \
    JOIN lake.raw.regional_targets t ON t.region = c.region AND t.quarter = '2026-Q1' ORDER BY c.name";

/// Characters of the lines above and below the box.
const RULE_WIDTH: usize = 80;

/// Where everything is.
pub(super) struct Addresses<'a> {
    /// The Flight SQL door.
    pub(super) flight: SocketAddr,
    /// The admin port.
    pub(super) admin: SocketAddr,
    /// The databases.
    pub(super) databases: &'a [PostgresServer],
    /// The lake.
    pub(super) s3: &'a S3Server,
    /// The demo's folder of throw-away data.
    pub(super) folder: &'a Path,
}

impl Addresses<'_> {
    /// The door's URI, as drivers want it.
    pub(super) fn uri(&self) -> String {
        format!("grpc://{}", self.flight)
    }

    /// The ready box. It has no lines at its sides, so that what it holds can be copied.
    pub(super) fn ready_box(&self) -> String {
        let databases: String =
            self.databases.iter().map(|server| format!("  {:<12} {}\n", server.database, server.url())).collect();
        let (uri, admin, endpoint, rule) = (self.uri(), self.admin, self.s3.endpoint(), "─".repeat(RULE_WIDTH));
        format!(
            "{rule}\n\
             meesh is up; Ctrl-C stops it and throws everything away\n\n  \
               Flight SQL   {uri}\n  \
               admin        http://{admin}/readyz?verbose\n\
             {databases}  \
               S3           {endpoint}  bucket {BUCKET}, keys {ACCESS_KEY} / {SECRET_KEY}\n\n\
             In another terminal:\n\n\
             meesh sql {uri}\n\n\
             In Python (pip install adbc-driver-flightsql pyarrow) or a notebook:\n\n\
             import adbc_driver_flightsql.dbapi as flightsql\n\
             connection = flightsql.connect(\"{uri}\", autocommit=True)\n\
             cursor = connection.cursor()\n\
             cursor.execute(\"{SAMPLE}\")\n\
             print(cursor.fetch_arrow_table().to_pylist())\n\
             cursor.close(); connection.close()\n\n\
             More in examples/notebook.ipynb: MEESH_URI={uri} jupyter lab examples/notebook.ipynb\n\
             {rule}\n"
        )
    }

    /// Writes the same for programs, as JSON; the file appears complete or not at all.
    pub(super) fn write_json(&self, file: &Path) -> Result<()> {
        let mut facts = json!({
            "flight": self.uri(),
            "admin": format!("http://{}", self.admin),
            "folder": self.folder,
            "s3": {
                "endpoint": self.s3.endpoint(),
                "bucket": BUCKET,
                "access_key": ACCESS_KEY,
                "secret_key": SECRET_KEY,
            },
            "box": self.ready_box(),
        });
        for server in self.databases {
            facts[server.database] = json!({ "url": server.url(), "port": server.port, "pid": server.pid() });
        }
        let partial = partial_name(file);
        std::fs::write(&partial, format!("{facts:#}\n"))
            .and_then(|()| std::fs::rename(&partial, file))
            .with_context(|| format!("could not write file {file:?}"))
    }
}

fn partial_name(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}
