//! The rows of a statement as text, for tests.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use meesh_base::Result;
use meesh_connector_spi::from_arrow;
use meesh_engine::{Engine, Parameters, QueryStream, Session};

/// Runs a statement and returns each row as its values joined by `|`, NULL as `NULL`.
///
/// # Errors
/// Whatever the statement runs into.
pub async fn rows(engine: &Engine, session: &Session, sql: &str) -> Result<Vec<String>> {
    let stream = engine.query(session, sql, Parameters::none()).await?;
    Ok(collect(stream).await?.into_iter().map(|row| row.join("|")).collect())
}

/// Every row of a stream as texts, NULL as `NULL`.
///
/// # Errors
/// Whatever the stream runs into.
pub async fn collect(mut stream: QueryStream) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).map_err(from_arrow))
            .collect::<Result<Vec<_>>>()?;
        let text = |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect();
        rows.extend((0..batch.num_rows()).map(text));
    }
    Ok(rows)
}
