//! The configuration folder that the demo runs on: the files that a user would write.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::data::BUCKET;
use super::postgres::{PASSWORD, PostgresServer, READER};
use super::s3::{ACCESS_KEY, S3Server, SECRET_KEY};

/// Writes `etc/catalog/*.properties` below `folder`; the path of `etc`.
pub(super) fn write(folder: &Path, databases: &[PostgresServer], s3: &S3Server) -> Result<PathBuf> {
    let etc = folder.join("etc");
    let catalogs = etc.join("catalog");
    std::fs::create_dir_all(&catalogs).with_context(|| format!("could not create folder {catalogs:?}"))?;
    let write = |name: &str, text: String| {
        let file = catalogs.join(format!("{name}.properties"));
        std::fs::write(&file, text).with_context(|| format!("could not write file {file:?}"))
    };
    for server in databases {
        write(server.database, postgres_catalog(server.port, server.database))?;
    }
    write("lake", lake_catalog(&s3.endpoint()))?;
    Ok(etc)
}

fn postgres_catalog(port: u16, database: &str) -> String {
    format!(
        "connector.name=postgresql\n\
         connection-url=jdbc:postgresql://127.0.0.1:{port}/{database}?sslmode=disable\n\
         connection-user={READER}\n\
         connection-password={PASSWORD}\n"
    )
}

fn lake_catalog(endpoint: &str) -> String {
    format!(
        "connector.name=hive\n\
         fs.native-s3.enabled=true\n\
         s3.endpoint={endpoint}\n\
         s3.region=us-east-1\n\
         s3.path-style-access=true\n\
         s3.aws-access-key={ACCESS_KEY}\n\
         s3.aws-secret-key={SECRET_KEY}\n\
         lake.root=s3://{BUCKET}\n"
    )
}
