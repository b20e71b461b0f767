//! Rows that are there: DELETE, UPDATE and MERGE, by the address of each row.
//!
//! ```text
//! rows from this source alone      DELETE FROM t USING (SELECT ctid, …) AS q WHERE t.ctid = q.c0 …
//! rows from elsewhere, too         BEGIN REPEATABLE READ; export the snapshot; scans read in it
//!                                  COPY the addresses and values into a temporary table
//!                                  DELETE FROM t USING the temporary table …; COMMIT
//! ```
//!
//! An address holds within a transaction: another one that changes such a row meanwhile makes this one
//! fail (SQLSTATE 40001), and never makes it change another row.

use std::sync::Arc;

use meesh_base::{Error, QueryScope, Result};
use meesh_connector_spi::{RowAction, RowStream, Rows, WriteTarget};

use super::computed::Computed;
use super::load::Copy;
use super::session::{CHANGING, INSERTING, Transaction};
use super::statement::{self, STAGE, Source, Step};
use super::target::PgTarget;
use crate::connector::PostgresConnector;
use crate::encode::carrier;
use crate::snapshot::QuerySnapshot;

/// Columns in front of the values: the address.
const ADDRESS: usize = 2;

/// A change, printed.
pub(super) struct Change {
    /// What makes the rows wait, and what brings them; `None`: they are computed there.
    staged: Option<(String, Copy)>,
    /// The rows that are computed there.
    computed: Option<Computed>,
    /// The statement.
    sql: String,
    /// How the transaction begins.
    begin: &'static str,
    merges: bool,
    place: Arc<str>,
}

/// Prints the statements.
///
/// # Errors
/// `Unsupported`, naming the column, for values that cannot be carried.
pub(super) fn plan(
    connector: &PostgresConnector,
    target: &WriteTarget,
    actions: &[RowAction],
    rows: Rows,
    merges: bool,
) -> Result<Change> {
    let target = PgTarget::of(target)?;
    let place = Arc::clone(&target.place);
    // The values of an action follow those of the one before it.
    let mut next = if merges { ADDRESS + 1 } else { ADDRESS };
    let (mut steps, mut written) = (Vec::new(), Vec::new());
    for action in actions {
        let columns = match action {
            RowAction::Delete => &[][..],
            RowAction::Update(columns) | RowAction::Insert(columns) => columns.as_slice(),
        };
        let columns = target.some(columns)?;
        written.extend(columns.iter().map(|column| Arc::from(column.name.as_str())));
        let numbered: Vec<_> = columns.into_iter().zip(next..).collect();
        next += numbered.len();
        steps.push(match action {
            RowAction::Delete => Step::Delete,
            RowAction::Update(_) => Step::Update(numbered),
            RowAction::Insert(_) => Step::Insert(numbered),
        });
    }
    let printed = |source: &Source| match steps.as_slice() {
        [step] if !merges => statement::change(&target.name, step, source),
        steps => statement::merge(&target.name, steps, next, source),
    };
    match rows {
        Rows::None => Err(Error::internal(format!("{place}: a change without rows"))),
        Rows::All => {
            let sql = format!("DELETE FROM {}", target.name);
            // All that there are when it begins, whatever it had to wait for.
            Ok(Change { staged: None, computed: None, sql, begin: INSERTING, merges, place })
        }
        Rows::Computed(plan) => {
            let computed = connector.computed(&plan)?;
            let sql = printed(&Source::Select(computed.clone()));
            Ok(Change { staged: None, computed: Some(computed), sql, begin: CHANGING, merges, place })
        }
        Rows::Streamed(schema) => {
            let mut names: Vec<Arc<str>> = ["ctid", "tableoid"].map(Arc::from).to_vec();
            if merges {
                names.push("case".into());
            }
            names.extend(written);
            let carriers = schema.fields().iter().zip(&names).map(|(field, name)| {
                carrier(field.data_type()).map_err(|reason| {
                    Error::unsupported(format!("{place}: column {name:?}: {reason}")).with_code("NOT_SUPPORTED")
                })
            });
            let carriers = carriers.collect::<Result<Vec<_>>>()?;
            let types: Vec<&str> = carriers.iter().map(|carrier| &*carrier.type_name).collect();
            let stage = statement::create_stage(&types);
            let sql = statement::copy(STAGE, &statement::numbered(carriers.len()));
            let encoders = carriers.into_iter().map(|carrier| carrier.encoder).collect();
            let copy = Copy { sql, encoders, names, place: Arc::clone(&place) };
            let sql = printed(&Source::Stage);
            Ok(Change { staged: Some((stage, copy)), computed: None, sql, begin: CHANGING, merges, place })
        }
    }
}

impl Change {
    /// What is sent, a statement a line.
    pub(super) fn text(&self) -> String {
        match &self.staged {
            None => self.sql.clone(),
            Some((stage, copy)) => [stage.as_str(), &copy.sql, &self.sql].join(";\n    "),
        }
    }

    /// Does it; the number of rows.
    pub(super) async fn run(
        &self,
        connector: &PostgresConnector,
        rows: Option<RowStream>,
        scope: &QueryScope,
    ) -> Result<u64> {
        let mut transaction = Transaction::begin(connector, scope, self.begin).await?;
        let mut expected = None;
        if let Some((stage, copy)) = &self.staged {
            let adopted = share_snapshot(connector, &mut transaction, scope).await?;
            transaction.execute(stage).await?;
            let staged = copy.run(&mut transaction, rows).await?;
            // Without statistics the planner takes the rows for many.
            transaction.execute(&format!("ANALYZE {STAGE}")).await?;
            // A scan that was planned again meanwhile may have read something newer.
            let shared = Arc::ptr_eq(&adopted, &QuerySnapshot::of(scope, connector.pool()));
            expected = Some(staged).filter(|_| !shared);
        }
        let count = match self.merges {
            false => transaction.execute(&self.sql).await?,
            true => self.merged(&mut transaction).await?,
        };
        if let Some(computed) = &self.computed {
            computed.check_unchanged(&mut transaction, &self.place).await?;
        }
        if expected.is_some_and(|expected| expected != count) {
            return Err(Error::source_unavailable(format!("{}: rows were changed by others meanwhile", self.place))
                .with_hint("run the statement again"));
        }
        transaction.commit().await?;
        Ok(count)
    }

    async fn merged(&self, transaction: &mut Transaction) -> Result<u64> {
        let answer = transaction.query(&self.sql).await?;
        let number = |index: usize| -> u64 {
            let text = answer.rows.first().and_then(|row| row.get(index)?.as_deref());
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        if number(1) > 0 {
            return Err(Error::invalid_query("One MERGE target table row matched more than one source row")
                .with_detail(format!("{}: {} rows too many", self.place, number(1)))
                .with_hint("make the source's rows distinct in the columns of ON")
                .with_code("MERGE_TARGET_ROW_MULTIPLE_MATCHES"));
        }
        Ok(number(0))
    }
}

/// Lets the statement's scans of this source read what the transaction sees.
async fn share_snapshot(
    connector: &PostgresConnector,
    transaction: &mut Transaction,
    scope: &QueryScope,
) -> Result<Arc<QuerySnapshot>> {
    let answer = transaction.query("SELECT pg_catalog.pg_export_snapshot()").await?;
    let exported = answer.rows.first().and_then(|row| row.first().cloned().flatten());
    let snapshot = QuerySnapshot::of(scope, connector.pool());
    snapshot.adopt(exported.ok_or_else(|| Error::internal("PostgreSQL exported no snapshot"))?);
    Ok(snapshot)
}
