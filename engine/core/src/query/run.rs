//! Runs a planned query: admission, the first attempt, and others where they can help.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaBuilder, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::execute_stream;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use meesh_base::{Error, ErrorKind, QueryScope, Result};
use meesh_connector_spi::{from_arrow, from_datafusion};

use super::{QueryRecord, QueryState};
use crate::limits::Admission;
use crate::plan::{PlannedQuery, Planner};

/// What a run needs beside its plan.
pub(crate) struct Run {
    pub(crate) planner: Arc<Planner>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) record: Arc<QueryRecord>,
    pub(crate) scope: Arc<QueryScope>,
}

/// How often a query is planned and run again after an event that has passed.
const RESTARTS_MAX: usize = 2;

/// The rows of `planned`. Nothing happens before the first poll: then the query waits for its turn
/// and starts. Before its first row, a plan that runs out of memory is made once more with sort-merge
/// joins, which spill where a hash join's table cannot; and one whose source lost a session is made
/// again as it was.
pub(crate) fn run(run: Run, planned: PlannedQuery) -> BoxStream<'static, Result<RecordBatch>> {
    let stream = async_stream::stream! {
        let Run { planner, admission, record, scope } = run;
        record.enter(QueryState::Queued);
        let _permit = match admission.enter(&scope).await {
            Ok(permit) => permit,
            Err(error) => {
                yield Err(error);
                return;
            }
        };
        record.enter(QueryState::Running);
        let mut may_replan = true;
        let mut restarts = 0;
        'attempts: loop {
            let mut rows = match start(&planned) {
                Ok(rows) => rows,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            let mut first = true;
            while let Some(item) = next(&mut rows, &scope).await {
                match item {
                    Err(error) if first && (may_replan && out_of_memory(&error)
                        || restarts < RESTARTS_MAX && error.is_passing()) =>
                    {
                        // Frees what this attempt holds before the next begins.
                        drop(rows);
                        let replan = async {
                            if error.is_passing() {
                                restarts += 1;
                                tracing::info!(query = %scope.id(), "run again: {error}");
                                match may_replan {
                                    true => planner.replan(&planned).await,
                                    // Hash joins have run out of memory before.
                                    false => planner.replan_with_sort_merge(&planned).await,
                                }
                            } else {
                                may_replan = false;
                                planner.replan_with_sort_merge(&planned).await
                            }
                        };
                        let replanned = tokio::select! {
                            replanned = replan => replanned,
                            stopped = scope.stopped() => Err(stopped),
                        };
                        if replanned.is_err() {
                            yield Err(error);
                            return;
                        }
                        continue 'attempts;
                    }
                    Err(error) => {
                        yield Err(error);
                        return;
                    }
                    Ok(batch) => {
                        first = false;
                        yield Ok(batch);
                    }
                }
            }
            // The scope is let go with this stream, before anybody sees its end.
            record.keep_sources();
            return;
        }
    };
    stream.boxed()
}

fn out_of_memory(error: &Error) -> bool {
    error.kind() == ErrorKind::Exhausted && error.code() == Some("EXCEEDED_LOCAL_MEMORY_LIMIT")
}

fn start(planned: &PlannedQuery) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let context = Arc::new(TaskContext::from(planned.state.as_ref()));
    let rows = execute_stream(planned.physical(), context).map_err(from_datafusion)?;
    let schema = Arc::clone(&planned.schema);
    Ok(rows.map(move |batch| relabel(batch.map_err(from_datafusion)?, &schema)).boxed())
}

/// The rows under the labels that were announced, and with the types, except that a view may be a plain text.
fn relabel(batch: RecordBatch, announced: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let mut columns = batch.columns().to_vec();
    let mut schema = Arc::clone(announced);
    for (index, (column, field)) in columns.iter_mut().zip(announced.fields()).enumerate() {
        match (column.data_type(), field.data_type()) {
            (made, announced) if made == announced => {}
            (DataType::Utf8, DataType::Utf8View) => {
                let mut fields = SchemaBuilder::from(schema.as_ref());
                *fields.field_mut(index) = Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8));
                schema = Arc::new(fields.finish());
            }
            // Never NULL for what does not fit.
            (_, wanted) => {
                let strict = CastOptions { safe: false, ..CastOptions::default() };
                *column = cast_with_options(column, wanted, &strict).map_err(from_arrow)?;
            }
        }
    }
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(from_arrow)
}

/// The next batch, or the error of a query that must stop. A panic of an operator ends this query only.
async fn next(rows: &mut BoxStream<'static, Result<RecordBatch>>, scope: &QueryScope) -> Option<Result<RecordBatch>> {
    tokio::select! {
        biased;
        error = scope.stopped() => Some(Err(error)),
        item = AssertUnwindSafe(rows.next()).catch_unwind() => item.unwrap_or_else(|panic| {
            Some(Err(Error::internal("an operator of the query panicked").with_detail(panic_text(panic.as_ref()))))
        }),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
