//! The answer to "change what is there": what a source that can be written to takes.
//!
//! ```text
//! engine                                              source
//! Writes::allowed  ------------------------------->   may it at all?
//! Writes::target   ------------------------------->   the columns of a table, to plan the rows for
//! Writes::plan(Write)  --> SourceWrite             what will be sent, shown by EXPLAIN
//! SourceWrite::run(rows) ------------------------->   one transaction; the number of rows
//! ```
//!
//! The engine plans what a statement reads as an ordinary query. Either the source computes all of it
//! ([`Rows::Computed`]), or batches are streamed to it. A table is as before or complete at any moment.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::LogicalPlan;
use futures::stream::BoxStream;
use meesh_base::{Definition, NewColumn, QueryScope, Result};

/// Rows on their way into a source. Nothing runs before the first poll.
pub type RowStream = BoxStream<'static, Result<RecordBatch>>;

/// What can be written to. One that cannot does not have it: [`crate::Connector::writes`].
#[async_trait]
pub trait Writes: Send + Sync {
    /// Whether the catalog may be written to.
    ///
    /// # Errors
    /// `Denied`, naming the key that allows it.
    fn allowed(&self) -> Result<()>;

    /// A table as it is now, to write to; `None` if there is none. Names are found without regard to
    /// case. One round trip or two.
    ///
    /// # Errors
    /// `Unsupported` for a relation that holds no rows of its own, `SourceUnavailable` when the source
    /// does not answer.
    async fn target(&self, schema: &str, table: &str) -> Result<Option<WriteTarget>>;

    /// Makes a write ready: looks up the names in it, prints it, changes nothing.
    ///
    /// # Errors
    /// `NotFound` for a table or column that is not there, `Unsupported` for what the source cannot do.
    async fn plan(&self, write: Write) -> Result<Arc<dyn SourceWrite>>;
}

/// One write, ready to run once.
#[async_trait]
pub trait SourceWrite: Debug + Send + Sync {
    /// What is sent to the source, as text for its own client.
    fn remote_text(&self) -> String;

    /// Does it, in one transaction, and returns how many rows were written; 0 for a definition. `rows`
    /// is there for [`Rows::Streamed`]; it is polled only when the transaction has begun, so that what it
    /// reads of this source can be of the same moment.
    ///
    /// Dropping the future ends the transaction without a trace, unless it was being committed.
    ///
    /// # Errors
    /// The rows' own, and the source's, after which nothing is changed. `SourceUnavailable` says in its
    /// hint if it is not known whether the transaction was committed.
    async fn run(&self, rows: Option<RowStream>, scope: Arc<QueryScope>) -> Result<u64>;
}

/// A table that rows are written to.
#[derive(Clone)]
pub struct WriteTarget {
    /// The schema's name as the source has it.
    pub schema_name: String,
    /// The table's name as the source has it.
    pub table_name: String,
    /// Its columns, in order.
    pub columns: Vec<TargetColumn>,
    /// Its rows with their addresses, for statements that change rows: columns named as the source has
    /// them, then the two of the address, of any names.
    ///
    /// `None`: the source has no addresses for these rows.
    pub addressed: Option<Arc<dyn TableProvider>>,
    /// What the connector wants to find again.
    pub handle: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for WriteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteTarget({}.{})", self.schema_name, self.table_name)
    }
}

/// A column of such a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetColumn {
    /// Its name as the source has it.
    pub name: String,
    /// The type of the values that are given for it.
    pub data_type: DataType,
    /// Why no value may be given: `generated always`. `None`: one may.
    pub refused: Option<String>,
}

/// One write.
#[derive(Debug, Clone)]
pub enum Write {
    /// A schema, table, view or column is made, changed or dropped.
    Define {
        /// The schema.
        schema: String,
        /// The table or view, if it is about one.
        table: Option<String>,
        /// What happens to it.
        definition: Definition,
    },
    /// `CREATE VIEW`.
    CreateView {
        /// The schema.
        schema: String,
        /// Its name.
        view: String,
        /// Whether it may take the place of another.
        replace: bool,
        /// Its comment.
        comment: Option<String>,
        /// Names for the query's columns.
        columns: Vec<String>,
        /// What it shows: a fragment of this source.
        query: LogicalPlan,
    },
    /// New rows.
    Insert {
        /// Where they go.
        into: Into,
        /// The rows: one column for each that is given.
        rows: Rows,
    },
    /// Rows that are there are deleted, or get other values.
    Change {
        /// The table.
        target: WriteTarget,
        /// What is done.
        actions: Vec<RowAction>,
        /// Which rows: the two columns of an address; the number of the action if `merges`; then the
        /// values of every action in their order.
        rows: Rows,
        /// Whether rows say which action they are for. The address of a row to insert is NULL.
        merges: bool,
    },
    /// A statement in the source's own language.
    Execute(String),
}

/// Where new rows go.
#[derive(Debug, Clone)]
pub enum Into {
    /// Into these columns of a table.
    Table(WriteTarget, Vec<usize>),
    /// Into a table that is made with them.
    New {
        /// The schema.
        schema: String,
        /// Its name.
        table: String,
        /// Its columns.
        columns: Vec<NewColumn>,
        /// Its comment.
        comment: Option<String>,
    },
}

/// Where the rows of a write come from.
#[derive(Debug, Clone)]
pub enum Rows {
    /// All rows of the target, for a DELETE.
    All,
    /// There are none.
    None,
    /// The source computes them: a fragment that it took.
    Computed(LogicalPlan),
    /// They are handed to [`SourceWrite::run`], with these columns.
    Streamed(SchemaRef),
}

/// What is done with the row of one address; the numbers are those of the target's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowAction {
    /// It is deleted.
    Delete,
    /// These columns get new values.
    Update(Vec<usize>),
    /// There is none: a new one gets values in these columns.
    Insert(Vec<usize>),
}
