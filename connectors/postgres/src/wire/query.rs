//! Small requests: simple queries with text rows, and the description of a query's columns.

use meesh_base::{Error, Result};
use postgres_protocol::message::frontend;

use super::connection::Connection;
use super::error::ServerError;
use super::message::{DescribedColumn, row_description, text_row};

/// The most that one simple query may answer. What is larger is read row by row (`rows.rs`), which holds nothing.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The answer to one statement of a simple query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct QueryResult {
    /// The columns' names; empty for a statement without rows.
    pub(crate) columns: Vec<String>,
    /// The rows, values in the server's text form.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// What was done: `SELECT 3`, `BEGIN`.
    pub(crate) tag: String,
}

impl Connection {
    /// Runs one or more statements by the simple-query protocol and holds their rows; one result
    /// per statement. For catalog queries and commands.
    ///
    /// # Errors
    /// What the server said, by its SQLSTATE; the session stays usable unless it
    /// [`Connection::is_broken`]. `InvalidQuery` for a zero byte in `sql`.
    pub(crate) async fn simple_query(&mut self, sql: &str) -> Result<Vec<QueryResult>> {
        self.request(|out| frontend::query(sql, out)).await?;
        let (mut results, mut current, mut bytes) = (Vec::new(), QueryResult::default(), 0);
        loop {
            let (tag, body) = self.message().await?;
            bytes += body.len();
            match tag {
                b'T' => match row_description(body) {
                    Some(columns) => current.columns = columns.into_iter().map(|column| column.name).collect(),
                    None => return Err(self.garbage("a broken RowDescription".to_owned())),
                },
                b'D' => match text_row(body) {
                    Some(row) => current.rows.push(row),
                    None => return Err(self.garbage("a broken DataRow".to_owned())),
                },
                b'C' => {
                    let text = body.split(|byte| *byte == 0).next().unwrap_or_default();
                    current.tag = String::from_utf8_lossy(text).into_owned();
                    results.push(std::mem::take(&mut current));
                }
                b'I' => results.push(std::mem::take(&mut current)),
                b'E' => {
                    let error = ServerError::parse(body);
                    self.failed(error)?;
                }
                b'Z' => {
                    let status = body.first().copied();
                    return self.ready(status).map(|()| results);
                }
                // CopyInResponse, CopyOutResponse: only a user's own text brings them here.
                b'G' | b'H' => {
                    return Err(Error::unsupported(format!(
                        "catalog {:?}: COPY FROM STDIN and COPY TO STDOUT cannot be passed through",
                        self.place().catalog
                    ))
                    .with_hint("INSERT and SELECT carry rows through meesh")
                    .with_code("NOT_SUPPORTED"));
                }
                tag => return Err(self.garbage(format!("a message {:?} within a simple query", char::from(tag)))),
            }
            if bytes > ANSWER_BYTES_MAX {
                // The rest is not read: whoever holds the session must give it up.
                return Err(Error::exhausted(format!(
                    "catalog {:?}: the answer to a metadata query is larger than {}",
                    self.place().catalog,
                    meesh_base::format_bytes(ANSWER_BYTES_MAX as u64)
                )));
            }
        }
    }

    /// The columns of a query as the server would answer it: it is parsed and analysed there, not run.
    /// Empty for a statement without rows. Two statements in one text are an error.
    ///
    /// # Errors
    /// As [`Self::simple_query`].
    pub(crate) async fn describe(&mut self, sql: &str) -> Result<Vec<DescribedColumn>> {
        self.request(|out| {
            frontend::parse("", sql, [], out)?;
            frontend::describe(b'S', "", out)?;
            frontend::sync(out);
            Ok(())
        })
        .await?;
        let mut columns = Vec::new();
        loop {
            match self.message().await? {
                // ParseComplete, ParameterDescription, NoData
                (b'1' | b't' | b'n', _) => {}
                (b'T', body) => match row_description(body) {
                    Some(described) => columns = described,
                    None => return Err(self.garbage("a broken RowDescription".to_owned())),
                },
                (b'E', body) => {
                    let error = ServerError::parse(body);
                    self.failed(error)?;
                }
                (b'Z', body) => {
                    let status = body.first().copied();
                    return self.ready(status).map(|()| columns);
                }
                (tag, _) => return Err(self.garbage(format!("a message {:?} within a description", char::from(tag)))),
            }
        }
    }
}
