//! The physical plan of a scan of Parquet files.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt, stream};
use meesh_base::SourceProgress;
use meesh_connector_spi::into_datafusion;

use super::exact::ExactAdapterFactory;
use super::footer::FooterCache;
use super::reader::{OpenFiles, Pinned, ReaderFactory};
use super::source::{ScanTrace, TracedScan};
use super::statistics;
use crate::config::ParquetConfig;
use crate::listing::PARALLEL;
use crate::pinned::PinnedObject;

/// Tables of more files are planned by their rows alone: minima and maxima of each would weigh more
/// than they help.
const STATISTICS_FILES_MAX: usize = 2_000;

/// One file to read.
#[derive(Debug, Clone)]
pub(crate) struct ParquetFile {
    pub(crate) object: Arc<PinnedObject>,
    /// Values of the columns that do not stand in the file.
    pub(crate) constants: Vec<ScalarValue>,
    /// Filled at the first scan of this version of the file.
    pub(crate) statistics: Arc<OnceLock<Arc<Statistics>>>,
}

/// What is to be read.
#[derive(Debug)]
pub(crate) struct ParquetScan {
    pub(crate) catalog: String,
    pub(crate) files: Vec<ParquetFile>,
    pub(crate) file_columns: SchemaRef,
    /// Columns of [`ParquetFile::constants`].
    pub(crate) constant_columns: Vec<FieldRef>,
    pub(crate) footers: Arc<FooterCache>,
    pub(crate) config: ParquetConfig,
    pub(crate) progress: Arc<SourceProgress>,
}

/// Plans a scan: reads the footers that are not known yet, starts nothing else.
///
/// # Errors
/// As [`FooterCache::load`].
pub(crate) async fn plan(
    scan: ParquetScan,
    state: &dyn Session,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let table_schema = TableSchema::builder(Arc::clone(&scan.file_columns))
        .with_table_partition_cols(scan.constant_columns.clone())
        .build();
    let per_file = file_statistics(&scan).await?;
    let whole = if per_file.len() == scan.files.len() {
        statistics::of_table(&per_file, table_schema.table_schema())
    } else {
        Statistics::new_unknown(table_schema.table_schema())
    };
    let url = store_url(state, &scan)?;
    let open = Arc::new(OpenFiles::default());
    let readers = ReaderFactory { footers: Arc::clone(&scan.footers), open: Arc::clone(&open) };
    let files = scan.files.iter().enumerate().map(|(number, file)| {
        let mut planned = PartitionedFile::new_from_meta(file.object.meta().clone())
            .with_partition_values(file.constants.clone())
            .with_extension(Pinned(Arc::clone(&file.object)));
        // Set as it is: the setter would call the NULLs of partition columns values.
        planned.statistics = per_file.get(number).cloned();
        planned
    });
    let groups = FileGroup::new(files.collect()).split_files(state.config().target_partitions().max(1));
    let source = ParquetSource::new(table_schema)
        .with_table_parquet_options(options(state, &scan))
        .with_parquet_file_reader_factory(Arc::new(readers));
    let config = FileScanConfigBuilder::new(url, Arc::new(source))
        .with_file_groups(groups)
        .with_statistics(whole)
        .with_limit(limit)
        .with_expr_adapter(Some(Arc::new(ExactAdapterFactory)))
        .with_projection_indices(projection.cloned())?
        .build();
    let trace = ScanTrace { catalog: scan.catalog, open, progress: scan.progress };
    Ok(DataSourceExec::from_data_source(TracedScan::new(config, trace)))
}

async fn file_statistics(scan: &ParquetScan) -> Result<Vec<Arc<Statistics>>> {
    if !scan.config.statistics || scan.files.len() > STATISTICS_FILES_MAX {
        return Ok(Vec::new());
    }
    let (footers, columns) = (&scan.footers, &scan.file_columns);
    stream::iter(scan.files.clone())
        .map(|file| async move {
            if let Some(known) = file.statistics.get() {
                return Ok(Arc::clone(known));
            }
            let footer = footers.load(&file.object).await.map_err(into_datafusion)?;
            let found = Arc::new(statistics::of_file(&footer, columns, &file.constants)?);
            Ok(Arc::clone(file.statistics.get_or_init(|| found)))
        })
        .buffered(PARALLEL)
        .try_collect()
        .await
}

fn options(state: &dyn Session, scan: &ParquetScan) -> TableParquetOptions {
    let mut options =
        TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
    options.global.coerce_int96 = Some("us".to_owned());
    options.global.pruning &= scan.config.statistics;
    options.global.bloom_filter_on_read &= scan.config.bloom_filter;
    options.global.enable_page_index &= scan.config.page_index;
    options
}

/// The plan names a store by URL. Reading goes by the pinned objects, but the name must be of this
/// catalog and bucket alone, and known to the runtime.
fn store_url(state: &dyn Session, scan: &ParquetScan) -> Result<ObjectStoreUrl> {
    let bucket = scan.files.first().map(|file| file.object.bucket());
    let place = bucket.map_or("", |bucket| bucket.url.as_str());
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
    };
    let url =
        ObjectStoreUrl::parse(format!("meesh-lake://{}.{}", plain(&scan.catalog), plain(place).trim_matches('-')))?;
    if let Some(bucket) = bucket {
        state.runtime_env().register_object_store(url.as_ref(), Arc::clone(&bucket.store));
    }
    Ok(url)
}
