//! Runs a planned query: admission, the first attempt, and one more with joins that can spill.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use futures::stream::BoxStream;
use meesh_base::{Error, ErrorKind, QueryScope, Result};
use meesh_connector_spi::{from_arrow, from_datafusion};
use tokio::time::Instant;

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

/// The rows of `planned`. Nothing happens before the first poll: then the query waits for its turn
/// and starts. A plan that runs out of memory before its first row is made once more with sort-merge
/// joins, which spill where a hash join's table cannot.
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
        let mut physical = Arc::clone(&planned.physical);
        let mut may_replan = true;
        'attempts: loop {
            let mut rows = match start(&physical, &planned) {
                Ok(rows) => rows,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            let mut first = true;
            while let Some(item) = next(&mut rows, &scope).await {
                match item {
                    Err(error) if first && may_replan && out_of_memory(&error) => {
                        may_replan = false;
                        // Frees what the first attempt holds before the second begins.
                        drop(rows);
                        match planner.replan_with_sort_merge(&planned).await {
                            Ok(other) => physical = other,
                            Err(_) => {
                                yield Err(error);
                                return;
                            }
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
            return;
        }
    };
    stream.boxed()
}

fn out_of_memory(error: &Error) -> bool {
    error.kind() == ErrorKind::Exhausted && error.code() == Some("EXCEEDED_LOCAL_MEMORY_LIMIT")
}

fn start(physical: &Arc<dyn ExecutionPlan>, planned: &PlannedQuery) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let context = Arc::new(TaskContext::from(&planned.state));
    let rows = execute_stream(Arc::clone(physical), context).map_err(from_datafusion)?;
    let schema = Arc::clone(&planned.schema);
    Ok(rows.map(move |batch| relabel(batch.map_err(from_datafusion)?, &schema)).boxed())
}

/// The batch under the labels that were announced.
fn relabel(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let mut columns = batch.columns().to_vec();
    for (column, field) in columns.iter_mut().zip(schema.fields()) {
        if column.data_type() != field.data_type() {
            *column = arrow::compute::cast(column, field.data_type()).map_err(from_arrow)?;
        }
    }
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(from_arrow)
}

/// The next batch, or the error of a query that must stop.
async fn next(rows: &mut BoxStream<'static, Result<RecordBatch>>, scope: &QueryScope) -> Option<Result<RecordBatch>> {
    let stopped = async {
        match scope.deadline() {
            Some(deadline) => tokio::select! {
                () = scope.cancel_token().cancelled() => {}
                () = tokio::time::sleep_until(Instant::from_std(deadline)) => {}
            },
            None => scope.cancel_token().cancelled().await,
        }
    };
    tokio::select! {
        biased;
        () = stopped => Some(Err(scope.check().err().unwrap_or_else(|| scope.timeout()))),
        item = rows.next() => item,
    }
}
