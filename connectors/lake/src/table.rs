//! One table as the planner sees it: its columns, its files, and the scan of those that matter.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use meesh_base::QueryScope;
use meesh_connector_spi::query_scope;
use object_store::ObjectMeta;

use crate::config::ParquetConfig;
use crate::feed::RecordRules;
use crate::format::Format;
use crate::parquet::{self, FooterCache, ParquetFile, ParquetScan};
use crate::piece::TextColumn;
use crate::pinned::{PinnedObject, Pins, ReadContext, Staleness};
use crate::prune;
use crate::scan::{ColumnOrigin, TextScan};
use crate::store::Bucket;
use crate::text::{TextFile, TextRules};

/// The hidden column: the URL of the file that a row comes from.
pub(crate) const PATH_COLUMN: &str = "$path";
/// Metadata of a field that `SELECT *` leaves out.
const HIDDEN: &str = "meesh.hidden";
/// A partition of a text scan is worth this many bytes.
const PARTITION_BYTES: u64 = 1 << 20;

/// One file of a table.
#[derive(Debug, Clone)]
pub(crate) struct LakeFile {
    pub(crate) meta: ObjectMeta,
    /// Values of the partition columns, and the path.
    pub(crate) constants: Vec<ScalarValue>,
    /// Of Parquet; filled at the first scan.
    pub(crate) statistics: Arc<OnceLock<Arc<Statistics>>>,
}

/// How CSV and JSON files of a table are read.
#[derive(Debug, Clone)]
pub(crate) struct TextReading {
    pub(crate) records: RecordRules,
    pub(crate) header: bool,
    /// Whether the columns come from samples.
    pub(crate) inferred: bool,
}

/// A table.
#[derive(Clone)]
pub(crate) struct LakeTable {
    pub(crate) schema_name: String,
    pub(crate) table_name: String,
    pub(crate) bucket: Arc<Bucket>,
    /// URL of the file or folder.
    pub(crate) url: String,
    pub(crate) format: Format,
    pub(crate) files: Arc<[LakeFile]>,
    /// Columns that stand in the files.
    pub(crate) file_columns: SchemaRef,
    pub(crate) partition_columns: Vec<FieldRef>,
    /// All columns: those of the files, those of the folders, the path.
    pub(crate) schema: SchemaRef,
    pub(crate) text: Option<TextReading>,
    pub(crate) rows: Option<u64>,
    pub(crate) shared: Arc<Shared>,
}

/// What all tables of a catalog have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) catalog: Arc<str>,
    pub(crate) footers: Arc<FooterCache>,
    pub(crate) staleness: Arc<Staleness>,
    pub(crate) parquet: ParquetConfig,
}

/// The table's columns in order: of the files, of the folders, the path.
pub(crate) fn full_schema(file_columns: &Fields, partition_columns: &[FieldRef]) -> SchemaRef {
    let hidden = HashMap::from([(HIDDEN.to_owned(), "true".to_owned())]);
    let path = Field::new(PATH_COLUMN, DataType::Utf8View, false).with_metadata(hidden);
    let fields = file_columns.iter().chain(partition_columns).cloned().chain([Arc::new(path)]);
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

impl LakeTable {
    /// The columns without the hidden one.
    pub(crate) fn visible_schema(&self) -> SchemaRef {
        let fields: Fields =
            self.schema.fields().iter().filter(|field| !field.metadata().contains_key(HIDDEN)).cloned().collect();
        Arc::new(Schema::new(fields))
    }

    /// The key that declares the table's columns, for messages.
    fn remedy(&self) -> Arc<str> {
        format!("table.{}.{}.columns", self.schema_name, self.table_name).into()
    }

    /// Columns of [`LakeFile::constants`].
    fn constant_columns(&self) -> Vec<FieldRef> {
        self.schema.fields().iter().skip(self.file_columns.fields().len()).cloned().collect()
    }

    /// The files that the filters let through.
    fn pruned(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&LakeFile>> {
        let values: Vec<&[ScalarValue]> = self.files.iter().map(|file| file.constants.as_slice()).collect();
        let kept = prune::keep(state, filters, &self.constant_columns(), &values)?;
        Ok(self.files.iter().zip(kept).filter(|(_, keep)| *keep).map(|(file, _)| file).collect())
    }

    fn pin(&self, scope: &QueryScope, file: &LakeFile) -> Arc<PinnedObject> {
        let catalog = self.shared.catalog.as_ref();
        let context = ReadContext { progress: scope.progress(catalog), staleness: Arc::clone(&self.shared.staleness) };
        let pins = scope.slot::<Pins>(catalog);
        Arc::new(PinnedObject::new(Arc::clone(&self.bucket), &file.meta, &pins, context))
    }

    fn scan_text(
        &self,
        text: &TextReading,
        files: Vec<TextFile>,
        scope: &QueryScope,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let width = self.file_columns.fields().len();
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let positions: Vec<usize> = wanted.iter().copied().filter(|column| *column < width).collect();
        let mut by_position = vec![None; width];
        positions.iter().enumerate().for_each(|(place, position)| by_position[*position] = Some(place));
        let origins = wanted
            .iter()
            .map(|column| match column.checked_sub(width) {
                Some(constant) => ColumnOrigin::Constant(constant),
                None => ColumnOrigin::File(by_position[*column].unwrap_or_default()),
            })
            .collect();
        let columns = positions
            .iter()
            .map(|column| TextColumn {
                field: Arc::clone(&self.file_columns.fields()[*column]),
                inferred: text.inferred,
            })
            .collect();
        let names = self.schema.fields().iter().map(|field| field.name().to_ascii_lowercase());
        let rules = TextRules {
            records: text.records,
            header: text.header,
            columns,
            by_name: names.zip(by_position.iter().copied().chain(std::iter::repeat(None))).collect(),
            by_position,
            remedy: self.remedy(),
        };
        let bytes: u64 = files.iter().map(|file| file.object.meta().size).sum();
        let worth = usize::try_from(bytes.div_ceil(PARTITION_BYTES)).unwrap_or(usize::MAX).max(1);
        let schema = Arc::new(self.schema.project(&wanted)?);
        Ok(DataSourceExec::from_data_source(TextScan {
            catalog: self.shared.catalog.to_string(),
            rules: Arc::new(rules),
            origins,
            partitions: state.config().target_partitions().clamp(1, worth),
            limit,
            statistics: Arc::new(self.text_statistics(&schema, bytes)),
            progress: scope.progress(&self.shared.catalog),
            metrics: ExecutionPlanMetricsSet::new(),
            files: files.into(),
            schema,
        }))
    }

    /// Rows as far as the samples tell, and the size that follows from the columns' widths.
    fn text_statistics(&self, schema: &Schema, bytes: u64) -> Statistics {
        const TEXT_WIDTH: usize = 24;
        let all: u64 = self.files.iter().map(|file| file.meta.size).sum();
        let rows = self.rows.map(|rows| rows as f64 * bytes as f64 / (all.max(1)) as f64).map(|rows| rows as usize);
        let width: usize =
            schema.fields().iter().map(|field| field.data_type().primitive_width().unwrap_or(TEXT_WIDTH)).sum();
        let of = |value: Option<usize>| value.map_or(Precision::Absent, Precision::Inexact);
        Statistics::new_unknown(schema)
            .with_num_rows(of(rows))
            .with_total_byte_size(of(rows.map(|rows| rows.saturating_mul(width))))
    }
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeTable({}.{}.{})", self.shared.catalog, self.schema_name, self.table_name)
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// What the filters say of folders drops files; what they say of Parquet columns drops row groups.
    /// Neither drops every row that it should.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let constants = self.constant_columns();
        let answer = |filter: &&Expr| {
            if prune::decides_on_files(filter, &constants) {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scope = query_scope(state.config())?;
        let files = self.pruned(state, filters)?;
        if files.is_empty() {
            let schema = match projection {
                Some(wanted) => Arc::new(self.schema.project(wanted)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let progress = scope.progress(&self.shared.catalog);
        progress.units_total.fetch_add(files.len() as u64, std::sync::atomic::Ordering::Relaxed);
        if let Some(text) = &self.text {
            let files = files
                .into_iter()
                .map(|file| TextFile { object: self.pin(&scope, file), constants: file.constants.clone() })
                .collect();
            return self.scan_text(text, files, &scope, state, projection, limit);
        }
        let files = files
            .into_iter()
            .map(|file| {
                let object = self.pin(&scope, file);
                // Another scan of the query may have pinned an older version.
                let same = *object.meta() == file.meta;
                let statistics = if same { Arc::clone(&file.statistics) } else { Arc::default() };
                ParquetFile { object, constants: file.constants.clone(), statistics }
            })
            .collect();
        let scan = ParquetScan {
            catalog: self.shared.catalog.to_string(),
            files,
            file_columns: Arc::clone(&self.file_columns),
            constant_columns: self.constant_columns(),
            footers: Arc::clone(&self.shared.footers),
            config: self.shared.parquet,
            progress,
        };
        parquet::plan(scan, state, projection, limit).await
    }
}
