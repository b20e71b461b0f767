//! New rows: INSERT, and CREATE TABLE AS.

use std::sync::Arc;

use arrow::datatypes::DataType;
use futures::StreamExt;
use meesh_base::{Error, NewColumn, QueryScope, Result, quote_identifier};
use meesh_connector_spi::{Into, RowStream, Rows};

use super::computed::Computed;
use super::define;
use super::session::{INSERTING, Transaction};
use super::statement::{self, STAGE, Source};
use super::target::{self, PgColumn, PgTarget};
use crate::connector::PostgresConnector;
use crate::encode::{BatchRows, Encoder, HEADER, TRAILER};
use crate::wire::Frame;

/// Bytes of one frame: enough that a system call costs nothing beside it, and little to hold.
const FRAME_BYTES: usize = 512 << 10;

/// New rows on their way.
pub(super) struct Load {
    /// What comes before the rows: CREATE TABLE, or a table for them to wait in.
    before: Vec<String>,
    rows: LoadRows,
    /// What comes behind them.
    after: Vec<String>,
    /// The question about the target's columns, and the answer that the encoders were made for.
    described: Option<(String, Vec<Vec<Option<String>>>)>,
    place: Arc<str>,
}

enum LoadRows {
    None,
    /// By one statement, which reads what is computed there.
    Statement(String, Computed),
    /// By a COPY.
    Copy(Copy),
}

/// A COPY FROM and what makes its bytes.
pub(super) struct Copy {
    /// `COPY … FROM STDIN (FORMAT BINARY)`.
    pub(super) sql: String,
    /// One a column.
    pub(super) encoders: Vec<Encoder>,
    /// The columns' names, for messages.
    pub(super) names: Vec<Arc<str>>,
    /// Catalog and table, for messages.
    pub(super) place: Arc<str>,
}

/// Prints the statements.
///
/// # Errors
/// `Unsupported`, naming the column, for values that cannot be carried; `NotFound` for a schema.
pub(super) async fn plan(connector: &PostgresConnector, into: Into, rows: Rows) -> Result<Load> {
    match into {
        Into::Table(target, columns) => {
            let target = PgTarget::of(&target)?;
            let chosen = target.some(&columns)?;
            load(connector, target, &chosen, rows, Vec::new())
        }
        Into::New { schema, table, columns, comment } => {
            let schema = define::exact_schema(connector, &schema).await?;
            let name = statement::qualified(&schema, &table);
            let types: Vec<DataType> = match &rows {
                Rows::Streamed(schema) => schema.fields().iter().map(|field| field.data_type().clone()).collect(),
                Rows::Computed(plan) => plan.schema().fields().iter().map(|field| field.data_type().clone()).collect(),
                Rows::All | Rows::None => Vec::new(),
            };
            let made = |(index, column): (usize, &NewColumn)| {
                PgColumn::made(column, types.get(index).unwrap_or(&DataType::Null))
            };
            let place = format!("catalog {:?}: table {name}", connector.catalog_name());
            let target = PgTarget {
                columns: columns.iter().enumerate().map(made).collect(),
                place: place.into(),
                described: None,
                has_row_policies: false,
                name,
            };
            let before = define::create_table(&target.name, &columns, comment.as_deref(), false);
            let chosen: Vec<&PgColumn> = target.columns.iter().collect();
            load(connector, &target, &chosen, rows, before)
        }
    }
}

fn load(
    connector: &PostgresConnector,
    target: &PgTarget,
    columns: &[&PgColumn],
    rows: Rows,
    mut before: Vec<String>,
) -> Result<Load> {
    let mut after = Vec::new();
    let rows = match rows {
        Rows::All | Rows::None => LoadRows::None,
        Rows::Computed(plan) => {
            let computed = connector.computed(&plan)?;
            let source = Source::Select(computed.clone());
            LoadRows::Statement(statement::insert(&target.name, columns, &source), computed)
        }
        Rows::Streamed(_) => {
            let place = Arc::clone(&target.place);
            let names = columns.iter().map(|column| Arc::from(column.name.as_str())).collect();
            let direct: Option<Vec<Encoder>> = columns.iter().map(|column| column.direct.clone()).collect();
            // The server takes no COPY into a table with policies for rows.
            let direct = direct.filter(|_| !target.has_row_policies);
            LoadRows::Copy(match direct {
                Some(encoders) => {
                    let quoted: Vec<String> = columns.iter().map(|column| quote_identifier(&column.name)).collect();
                    Copy { sql: statement::copy(&target.name, &quoted), encoders, names, place }
                }
                None => {
                    let carriers = columns.iter().map(|column| target.carrier(column)).collect::<Result<Vec<_>>>()?;
                    let types: Vec<&str> = carriers.iter().map(|carrier| &*carrier.type_name).collect();
                    before.push(statement::create_stage(&types));
                    after.push(statement::insert(&target.name, columns, &Source::Stage));
                    let encoders = carriers.iter().map(|carrier| carrier.encoder.clone()).collect();
                    Copy { sql: statement::copy(STAGE, &statement::numbered(columns.len())), encoders, names, place }
                }
            })
        }
    };
    Ok(Load { before, rows, after, described: target.described.clone(), place: Arc::clone(&target.place) })
}

impl Load {
    /// What is sent, a statement a line.
    pub(super) fn text(&self) -> String {
        let rows = match &self.rows {
            LoadRows::None => None,
            LoadRows::Statement(sql, _) => Some(sql.as_str()),
            LoadRows::Copy(copy) => Some(copy.sql.as_str()),
        };
        let before = self.before.iter().map(String::as_str);
        before.chain(rows).chain(self.after.iter().map(String::as_str)).collect::<Vec<_>>().join(";\n    ")
    }

    /// Does it; the number of rows.
    pub(super) async fn run(
        &self,
        connector: &PostgresConnector,
        rows: Option<RowStream>,
        scope: &QueryScope,
    ) -> Result<u64> {
        let mut transaction = Transaction::begin(connector, scope, INSERTING).await?;
        for sql in &self.before {
            transaction.execute(sql).await?;
        }
        let mut count = match &self.rows {
            LoadRows::None => 0,
            LoadRows::Statement(sql, computed) => {
                let count = transaction.execute(sql).await?;
                computed.check_unchanged(&mut transaction, &self.place).await?;
                count
            }
            LoadRows::Copy(copy) => copy.run(&mut transaction, rows).await?,
        };
        for sql in &self.after {
            count = transaction.execute(sql).await?;
        }
        if let Some((question, answer)) = &self.described {
            self.check_unchanged(&mut transaction, question, answer).await?;
        }
        transaction.commit().await?;
        Ok(count)
    }

    /// Binary values carry no types. The lock that the COPY took keeps the table as it is from here on.
    async fn check_unchanged(
        &self,
        transaction: &mut Transaction,
        question: &str,
        answer: &[Vec<Option<String>>],
    ) -> Result<()> {
        if target::same_columns(&transaction.query(question).await?.rows, answer) {
            return Ok(());
        }
        Err(Error::source_unavailable(format!("{}: its definition has changed", self.place))
            .with_hint("run the statement again"))
    }
}

impl Copy {
    /// Sends all rows; how many the server took.
    ///
    /// # Errors
    /// The rows' own, a value's that PostgreSQL cannot hold, and the server's.
    pub(super) async fn run(&self, transaction: &mut Transaction, rows: Option<RowStream>) -> Result<u64> {
        let missing = || Error::internal(format!("{}: there are no rows to write", self.place));
        let mut rows = rows.ok_or_else(missing)?;
        let session = transaction.session();
        session.start_copy_in(&self.sql).await?;
        let mut frame = Frame::new(FRAME_BYTES + FRAME_BYTES / 8);
        frame.payload().extend_from_slice(HEADER);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let mut encoded = BatchRows::new(&batch, &self.encoders, &self.names, &self.place)?;
            loop {
                // Only a full frame leaves rows behind.
                if !encoded.fill(frame.payload(), FRAME_BYTES)? {
                    break;
                }
                session.send_copy(&mut frame).await?;
            }
        }
        frame.payload().extend_from_slice(TRAILER);
        session.send_copy(&mut frame).await?;
        session.finish_copy().await
    }
}
