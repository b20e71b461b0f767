//! From the federated logical plan to the physical one.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session as PlannerSession;
use datafusion::common::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use meesh_connector_spi::{SourceScanExec, into_datafusion, query_scope};

use super::cut::{PushdownSwitch, cut};
use super::divide::divide;
use super::fragment::Fragment;

/// DataFusion's planner with the federation step in front of it.
#[derive(Debug)]
pub(crate) struct FederatedPlanner;

#[async_trait]
impl QueryPlanner for FederatedPlanner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn PlannerSession,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(FragmentPlanner)]);
        let scope = query_scope(session.config())?;
        let switch = session.config().get_extension::<PushdownSwitch>();
        let federated = divide(cut(logical_plan.clone(), switch.as_deref())?, &scope).await?;
        planner.create_physical_plan(&federated, session).await
    }
}

/// Plans [`Fragment`]s by asking their connectors.
struct FragmentPlanner;

#[async_trait]
impl ExtensionPlanner for FragmentPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        _physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn PlannerSession,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(fragment) = node.as_any().downcast_ref::<Fragment>() else { return Ok(None) };
        let Some(pushdown) = fragment.connector.pushdown() else { return Ok(None) };
        let scope = query_scope(session.config())?;
        let streams_max = session.config().target_partitions();
        let planned = pushdown.plan(&fragment.plan, &scope, streams_max).await.map_err(into_datafusion)?;
        Ok(Some(Arc::new(SourceScanExec::new(planned.scan).with_kept(fragment.kept.clone()))))
    }
}
