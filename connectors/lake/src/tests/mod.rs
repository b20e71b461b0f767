//! The connector end to end: files in a directory, SQL over them by DataFusion, and what a query says
//! when a file is not what it should be.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::SessionConfig;
use futures::TryStreamExt;
use meesh_base::{ConfigValues, Error, QueryId, QueryScope, Result};
use meesh_connector_spi::{Connector, from_datafusion};

use crate::LakeConnector;
use crate::testing::TempDir;

mod damage;
mod parquet;
mod s3;
mod text;

/// A directory as a catalog.
pub(crate) struct Lake {
    pub(crate) directory: TempDir,
    pub(crate) connector: LakeConnector,
}

/// The rows of a query and what its scope counted.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Cells joined by `|`, NULL as nothing; sorted.
    pub(crate) rows: Vec<String>,
    pub(crate) files: u64,
    pub(crate) scanned_rows: u64,
    pub(crate) scanned_bytes: u64,
}

impl Lake {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With settings beside the root. Listings are always fresh, unless the settings say otherwise.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let directory = TempDir::new();
        let mut values = ConfigValues::new("catalog \"lake\"");
        values.set("lake.list-ttl", "0s", "test");
        values.set("lake.root", format!("file://{}", directory.path().display()), "test");
        for (key, text) in settings {
            values.set(*key, *text, "test");
        }
        values.check(crate::keys::KEYS).unwrap();
        Self { connector: LakeConnector::open("lake", &values).unwrap(), directory }
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        self.directory.write(name, content);
    }

    /// A session that knows the tables of schema `raw` by name, as a query of the engine would.
    pub(crate) async fn session(&self) -> Result<(SessionContext, Arc<QueryScope>)> {
        let scope = Arc::new(QueryScope::new(QueryId::generate(), "ann", None));
        let config = SessionConfig::new().with_target_partitions(2).with_extension(Arc::clone(&scope));
        let context = SessionContext::new_with_config(config);
        for table in self.connector.tables("raw").await? {
            let provider = self.connector.table("raw", &table.name).await?.unwrap();
            context.register_table(table.name.as_str(), provider).map_err(from_datafusion)?;
        }
        Ok((context, scope))
    }

    pub(crate) async fn query(&self, sql: &str) -> Result<Answer> {
        let (context, scope) = self.session().await?;
        let batches = run(&context, sql).await?;
        let progress = scope.progress("lake");
        Ok(Answer {
            rows: rows(&batches),
            files: progress.units_total.load(Ordering::Relaxed),
            scanned_rows: progress.rows.load(Ordering::Relaxed),
            scanned_bytes: progress.bytes.load(Ordering::Relaxed),
        })
    }

    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        self.query(sql).await.unwrap().rows
    }

    pub(crate) async fn error(&self, sql: &str) -> Error {
        match self.query(sql).await {
            Ok(answer) => panic!("an error was expected, not {answer:?}"),
            Err(error) => error,
        }
    }

    /// Column names and SQL types: `id bigint, name varchar`.
    pub(crate) async fn columns(&self, table: &str) -> Result<String> {
        let found = self.connector.describe("raw", table).await?.unwrap();
        let columns = found.columns.iter().map(|column| format!("{} {}", column.name, column.native_type));
        Ok(columns.collect::<Vec<_>>().join(", "))
    }
}

pub(crate) async fn run(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    let frame = context.sql(sql).await.map_err(from_datafusion)?;
    let stream = frame.execute_stream().await.map_err(from_datafusion)?;
    stream.try_collect().await.map_err(from_datafusion)
}

pub(crate) fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let cell = |array: &dyn Array, row| {
        if array.is_null(row) { String::new() } else { array_value_to_string(array, row).unwrap() }
    };
    let mut rows: Vec<String> = batches
        .iter()
        .flat_map(|batch| {
            (0..batch.num_rows())
                .map(|row| batch.columns().iter().map(|c| cell(c.as_ref(), row)).collect::<Vec<_>>().join("|"))
        })
        .collect();
    rows.sort();
    rows
}
