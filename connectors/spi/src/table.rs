//! A table of a source that takes fragments.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, Statistics, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScanBuilder, TableSource, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::{Connector, SourceScanExec, into_datafusion, query_scope};

/// The provider of a table whose connector answers [`Connector::pushdown`].
///
/// It reports no filter pushdown of its own: filters stay visible in the plan, and the engine's
/// federation step cuts out what the source takes, filters included.
#[derive(Clone)]
pub struct SourceTable {
    /// The catalog's name in meesh.
    pub catalog: String,
    /// The schema's name as the source has it.
    pub schema_name: String,
    /// The table's name as the source has it.
    pub table_name: String,
    /// The columns. Field names are the source's.
    pub columns: SchemaRef,
    /// The catalog.
    pub connector: Arc<dyn Connector>,
    /// What the connector wants to find again when it prints a fragment (remote types, collations).
    pub handle: Arc<dyn Any + Send + Sync>,
    /// What the source knows of the table's size and values.
    pub statistics: Statistics,
    /// What it is, for metadata.
    pub table_type: TableType,
}

impl SourceTable {
    /// The connector's own record of this table.
    pub fn handle<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.handle.downcast_ref()
    }
}

impl fmt::Debug for SourceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceTable({}.{}.{})", self.catalog, self.schema_name, self.table_name)
    }
}

/// The [`SourceTable`] behind a scan's source, if it is one.
pub fn source_table(source: &Arc<dyn TableSource>) -> Option<Arc<SourceTable>> {
    let provider = source_as_provider(source).ok()?;
    provider.downcast_ref::<SourceTable>().map(|table| Arc::new(table.clone()))
}

#[async_trait]
impl TableProvider for SourceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    fn table_type(&self) -> TableType {
        self.table_type
    }

    /// The plain scan, taken when the federation step is off or left the scan alone.
    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scope = query_scope(state.config())?;
        let Some(pushdown) = self.connector.pushdown() else {
            return Err(DataFusionError::Internal(format!("{self:?} takes no fragments")));
        };
        let name = TableReference::full(self.catalog.as_str(), self.schema_name.as_str(), self.table_name.as_str());
        let source = provider_as_source(Arc::new(self.clone()));
        let scan =
            TableScanBuilder::new(name, source).with_projection(projection.cloned()).with_fetch(limit).build()?;
        let planned = pushdown
            .plan(&LogicalPlan::TableScan(scan), &scope, state.config().target_partitions())
            .await
            .map_err(into_datafusion)?;
        Ok(Arc::new(SourceScanExec::new(planned.scan).without_filters()))
    }
}
