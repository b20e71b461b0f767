//! EXPLAIN and EXPLAIN ANALYZE: one row with the plan as text.
//!
//! The plan's tree comes first; then, for every source, what is sent to it, as text that can be
//! pasted into the source's own client, and what was not sent with the reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use futures::StreamExt;
use futures::stream::BoxStream;
use meesh_base::{Error, Result, format_bytes, format_duration};
use meesh_connector_spi::{ScanReport, SourceScanExec, from_arrow};
use meesh_sql::{ExplainFormat, ExplainKind};

use crate::plan::PlannedQuery;
use crate::query::{Run, run};
use crate::write::PlannedWrite;

/// The answer's columns.
///
/// # Errors
/// `Unsupported` for a form of EXPLAIN that is not there yet, by its name.
pub(crate) fn explain_schema(kind: ExplainKind, format: ExplainFormat) -> Result<SchemaRef> {
    let refused = |what: &str| {
        Err(Error::unsupported(format!("EXPLAIN ({what}) is not supported yet")).with_code("NOT_SUPPORTED"))
    };
    match (kind, format) {
        (ExplainKind::Validate, _) => Ok(Arc::new(Schema::new(vec![Field::new("Valid", DataType::Boolean, true)]))),
        (ExplainKind::Io, _) => refused("TYPE IO"),
        (_, ExplainFormat::Json) => refused("FORMAT JSON"),
        (_, ExplainFormat::Graphviz) => refused("FORMAT GRAPHVIZ"),
        (ExplainKind::Distributed | ExplainKind::Logical, ExplainFormat::Text) => {
            Ok(super::text_schema(&["Query Plan"]))
        }
    }
}

/// The answer's one row, made at the first poll; ANALYZE runs the query then.
pub(crate) fn explain(
    run_of: Run,
    planned: PlannedQuery,
    schema: SchemaRef,
    kind: ExplainKind,
    analyze: bool,
    verbose: bool,
) -> BoxStream<'static, Result<RecordBatch>> {
    let row = async move {
        let column: ArrayRef = match kind {
            // What is not valid has failed before.
            ExplainKind::Validate => Arc::new(BooleanArray::from(vec![true])),
            _ if analyze => Arc::new(StringArray::from(vec![analyzed(run_of, planned, verbose).await?])),
            _ => Arc::new(StringArray::from(vec![plain(&planned, verbose)])),
        };
        RecordBatch::try_new(schema, vec![column]).map_err(from_arrow)
    };
    futures::stream::once(row).boxed()
}

/// The answer to EXPLAIN of a write, which is not done.
///
/// # Errors
/// `Unsupported` for ANALYZE, which would do it.
pub(crate) fn explain_write(
    planned: &PlannedWrite,
    schema: SchemaRef,
    kind: ExplainKind,
    analyze: bool,
    verbose: bool,
) -> Result<RecordBatch> {
    if analyze {
        return Err(Error::unsupported("EXPLAIN ANALYZE of a statement that writes is not supported")
            .with_hint("EXPLAIN shows what would be sent")
            .with_code("NOT_SUPPORTED"));
    }
    let column: ArrayRef = match kind {
        ExplainKind::Validate => Arc::new(BooleanArray::from(vec![true])),
        _ => {
            let rows = planned.rows.as_ref().map(|rows| plain(rows, verbose)).unwrap_or_default();
            let sent = planned.remote_text().filter(|text| !text.is_empty());
            let sent = sent.unwrap_or_else(|| "nothing: there is nothing to do".to_owned());
            Arc::new(StringArray::from(vec![format!("{rows}\nSent to {}:\n    {sent}\n", planned.catalog)]))
        }
    };
    RecordBatch::try_new(schema, vec![column]).map_err(from_arrow)
}

fn plain(planned: &PlannedQuery, verbose: bool) -> String {
    let physical = planned.physical();
    let tree = displayable(physical.as_ref()).indent(verbose).to_string();
    format!("{}{}", tree, sources(&physical))
}

async fn analyzed(run_of: Run, planned: PlannedQuery, verbose: bool) -> Result<String> {
    let scope = Arc::clone(&run_of.scope);
    let start = Instant::now();
    let mut rows = run(run_of, planned.clone());
    let (mut count, mut bytes) = (0usize, 0usize);
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows();
        bytes += batch.get_array_memory_size();
    }
    // The plan of the last attempt: the first may have run out of memory.
    let physical = planned.physical();
    let tree = DisplayableExecutionPlan::with_metrics(physical.as_ref()).indent(verbose).to_string();
    let mut text = format!(
        "{count} rows, {} in {}\n\n{tree}{}",
        format_bytes(bytes as u64),
        format_duration(start.elapsed()),
        sources(&physical)
    );
    for (catalog, progress) in scope.all_progress() {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        text.push_str(&format!(
            "\nReceived from {catalog}: {} rows, {}",
            load(&progress.rows),
            format_bytes(load(&progress.bytes))
        ));
    }
    Ok(text)
}

/// What each source is asked for, in the order of the plan; and what it did, if the query has run.
fn sources(physical: &Arc<dyn ExecutionPlan>) -> String {
    let mut text = String::new();
    collect(physical, &mut text);
    text
}

fn collect(plan: &Arc<dyn ExecutionPlan>, text: &mut String) {
    if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
        text.push_str(&format!("\nSent to {}:\n    {}\n", scan.scan().catalog(), scan.scan().remote_text()));
        for reason in scan.kept() {
            text.push_str(&format!("    not pushed: {reason}\n"));
        }
        match scan.report().elapsed() {
            Some(elapsed) => text.push_str(&format!("    {}\n", reported(scan.report(), elapsed))),
            None if scan.scan().partitions() > 1 => {
                text.push_str(&format!("    read in up to {} streams\n", scan.scan().partitions()));
            }
            None => {}
        }
        for filter in scan.report().filters() {
            text.push_str(&format!("    dynamic filter: {filter}\n"));
        }
        if scan.has_filters() && scan.report().filters().is_empty() {
            text.push_str("    dynamic filter: keys of a join, once they are known\n");
        }
    }
    for child in plan.children() {
        collect(child, text);
    }
}

/// What a scan did: `1,204 rows, 58.3 KiB in 12ms, 2 streams`.
fn reported(report: &ScanReport, elapsed: Duration) -> String {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let streams = load(&report.streams);
    format!(
        "received {} rows, {} in {}, {streams} stream{}",
        load(&report.rows),
        format_bytes(load(&report.bytes)),
        format_duration(elapsed),
        if streams == 1 { "" } else { "s" }
    )
}
