//! The statements and answers of `tests/slt/*.slt`, on real PostgreSQL and a real S3 server, each file
//! with pushdown on and with pushdown off. The third oracle is in `postgres_oracle.rs`.

use std::path::PathBuf;

use async_trait::async_trait;
use meesh_connector_conformance::rows;
use meesh_engine::{Engine, Error, Session};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::environment::Environment;

struct Connection {
    engine: Engine,
    session: Session,
}

#[async_trait]
impl AsyncDB for Connection {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let stream = self.engine.query(&self.session, sql, meesh_engine::Parameters::none()).await?;
        for change in stream.changes() {
            self.session.apply(change);
        }
        let types = vec![DefaultColumnType::Text; stream.schema().fields().len()];
        let mut rows = rows::collect(stream).await?;
        // The format's own mark: a line of nothing would end the answer.
        for cell in rows.iter_mut().flatten().filter(|cell| cell.is_empty()) {
            "(empty)".clone_into(cell);
        }
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "meesh"
    }

    async fn sleep(duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }
}

pub(crate) fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let entries = std::fs::read_dir(folder).expect("tests/slt");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    files
}

#[test]
fn sql_files() {
    meesh_engine::runtime().expect("a runtime").block_on(async {
        let environment = Environment::start(include_str!("slt/types.sql")).await;
        let mut failures = Vec::new();
        for file in files() {
            for pushdown in ["true", "false"] {
                let connect = || async {
                    let mut session = Session::new("slt");
                    session.set_property("pushdown_enabled", pushdown)?;
                    Ok(Connection { engine: environment.engine.clone(), session })
                };
                let mut runner = Runner::new(connect);
                runner.with_column_validator(|_, _| true);
                if let Err(error) = runner.run_file_async(&file).await {
                    failures.push(format!("{} (pushdown {pushdown}): {error}", file.display()));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    });
}
