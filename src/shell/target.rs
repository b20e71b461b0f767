//! Where statements run: in this process, or in a server.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use futures::stream::BoxStream;
use meesh_engine::{Engine, Parameters, Result, Session, StatementKind};

use super::progress::Look;
use super::remote::Remote;

/// One statement's answer, under way. Dropping it cancels the query down to its sources.
pub(crate) struct Answer {
    /// The query's id, if it is known.
    pub(crate) id: Option<String>,
    /// Whether rows come, or one count of what was done.
    pub(crate) kind: StatementKind,
    /// The columns.
    pub(crate) schema: SchemaRef,
    /// The rows.
    pub(crate) rows: BoxStream<'static, Result<RecordBatch>>,
    /// Where the query stands, if somebody can tell.
    pub(crate) look: Option<Look>,
}

/// An engine of this process with one session, or a connection.
pub(crate) enum Target {
    /// An engine in this process.
    Local {
        /// The engine.
        engine: Engine,
        /// Where names start, and properties.
        session: Box<Session>,
    },
    /// A server.
    Remote(Box<Remote>),
}

impl Target {
    /// Sends a statement. Rows flow when the answer is polled.
    ///
    /// # Errors
    /// The engine's or the server's; `SourceUnavailable` if the server cannot be reached.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Answer> {
        match self {
            Self::Remote(remote) => remote.query(sql).await,
            Self::Local { engine, session } => {
                let stream = engine.query(session, sql, Parameters::none()).await?;
                for change in stream.changes() {
                    session.apply(change);
                }
                let (engine, id) = (engine.clone(), stream.id().clone());
                Ok(Answer {
                    id: Some(id.to_string()),
                    kind: stream.kind(),
                    schema: stream.schema(),
                    look: Some(Box::new(move || engine.query_info(&id))),
                    rows: stream.boxed(),
                })
            }
        }
    }

    /// What the prompt says: where names start, or the server.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Remote(remote) => remote.authority().to_owned(),
            Self::Local { session, .. } => match (&session.catalog, &session.schema) {
                (Some(catalog), Some(schema)) => format!("{catalog}.{schema}"),
                (Some(catalog), None) => catalog.clone(),
                _ => "meesh".to_owned(),
            },
        }
    }
}
