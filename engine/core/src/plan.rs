//! From a statement's tree to a physical plan: one state, one view and one memory pool per query.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::CatalogProviderList;
use datafusion::common::config::{ConfigNonZeroUsize, SpillCompression};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlan, Prepare, Statement};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast::{Ident, Statement as AstStatement};
use meesh_base::{Error, QueryScope, Result};
use meesh_connector_spi::from_datafusion;
use meesh_sql::{Query, TrinoOperators, sql_types};
use parking_lot::Mutex;

use crate::catalog::{CatalogView, default_catalog, default_schema};
use crate::cooperate::CooperativeJoins;
use crate::exact::{analyzer_rules, physical_rules};
use crate::federate::{FederatedPlanner, JoinKeys, PushdownSwitch, pass_plain_texts, whole, with_wanted_rows};
use crate::limits::QueryMemoryPool;
use crate::parameters::Parameters;
use crate::plan_error::plan_error;
use crate::planning::{PlanningThreads, timed_rules};
use crate::session::Session;
use crate::written::as_written;

/// What a sort sets aside for merging what it spilled, at most; a small pool allows less.
const SORT_RESERVATION_BYTES: std::ops::RangeInclusive<usize> = (256 << 10)..=(10 << 20);

/// The memory that one partition of a query is worth: with less there are fewer partitions.
const PARTITION_BYTES: usize = 16 << 20;

/// The largest build side of a join that all partitions share, times their number. Sharing spares the other
/// side being dealt out by key, row by row; but one partition alone builds the table, while the others wait.
const SHARED_TABLE_ROWS: usize = 2 << 20;
const SHARED_TABLE_BYTES: usize = 32 << 20;

/// What every query's state starts from: functions, rules and settings, made once.
pub(crate) struct Planner {
    base: SessionState,
    runtime: Arc<RuntimeEnv>,
    partitions: usize,
    threads: PlanningThreads,
}

/// A query that can be run, and planned again with other settings. Clones are the same query.
#[derive(Clone)]
pub(crate) struct PlannedQuery {
    logical: Arc<LogicalPlan>,
    /// The plan of the latest attempt.
    physical: Arc<Mutex<Arc<dyn ExecutionPlan>>>,
    /// Labels as written, every column nullable.
    pub(crate) schema: SchemaRef,
    pub(crate) state: Arc<SessionState>,
}

impl PlannedQuery {
    /// The plan that runs, or ran last.
    pub(crate) fn physical(&self) -> Arc<dyn ExecutionPlan> {
        Arc::clone(&self.physical.lock())
    }
}

/// The rows of a write.
pub(crate) enum PlannedRows {
    /// One source computes all of them.
    Computed(LogicalPlan),
    /// They flow through here.
    Streamed(PlannedQuery),
}

/// What a write makes of its query's plan, before it is optimized.
pub(crate) type Shaping = Box<dyn FnOnce(LogicalPlan) -> Result<LogicalPlan> + Send>;

/// A query's shape, before its parameters have values.
pub(crate) struct QueryShape {
    pub(crate) schema: SchemaRef,
    pub(crate) parameters: SchemaRef,
}

impl Planner {
    /// `partitions` work on one query that asks for no other number, and `query_memory_bytes` is what
    /// one query may hold.
    pub(crate) fn new(runtime: Arc<RuntimeEnv>, partitions: usize, query_memory_bytes: usize) -> Self {
        let partitions = partitions.min(query_memory_bytes / PARTITION_BYTES).max(1);
        let mut builder = SessionStateBuilder::new()
            .with_config(base_config(query_memory_bytes / (16 * partitions)))
            .with_runtime_env(Arc::clone(&runtime))
            .with_default_features()
            .with_type_planner(Arc::new(meesh_sql::TrinoTypes))
            .with_analyzer_rules(analyzer_rules())
            .with_query_planner(Arc::new(FederatedPlanner))
            .with_physical_optimizer_rules(with_wanted_rows(physical_rules()))
            .with_physical_optimizer_rule(Arc::new(JoinKeys))
            .with_physical_optimizer_rule(Arc::new(CooperativeJoins));
        // What ours replace must be gone: a state that is made of another one registers every function anew, in no
        // order, and those that are left under another name of theirs could take their place again.
        if let Some(functions) = builder.scalar_functions() {
            let ours = meesh_sql::functions::scalar_functions();
            functions.retain(|theirs| !ours.iter().any(|own| own.name() == theirs.name()));
            functions.extend(ours);
        }
        if let Some(functions) = builder.aggregate_functions() {
            let ours = meesh_sql::functions::aggregate_functions();
            functions.retain(|theirs| !ours.iter().any(|own| own.name() == theirs.name()));
            functions.extend(ours);
        }
        if let Some(functions) = builder.window_functions() {
            let ours = meesh_sql::functions::window_functions();
            functions.retain(|theirs| !ours.iter().any(|own| own.name() == theirs.name()));
            functions.extend(ours);
        }
        builder.expr_planners().get_or_insert_default().insert(0, Arc::new(TrinoOperators::default()));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = PlanningThreads::new((2 * cores).max(4));
        Self { base: builder.build(), runtime, partitions, threads }
    }

    /// The threads on which deep synchronous work is done.
    pub(crate) fn threads(&self) -> &PlanningThreads {
        &self.threads
    }

    /// The names of every function: scalar, aggregate and window.
    pub(crate) fn function_names(&self) -> Vec<String> {
        let scalar = self.base.scalar_functions().keys();
        scalar
            .chain(self.base.aggregate_functions().keys())
            .chain(self.base.window_functions().keys())
            .cloned()
            .collect()
    }

    /// The state of one query: its session's settings, its scope, its memory, its view of the catalogs.
    pub(crate) fn state(
        &self,
        session: &Session,
        scope: &Arc<QueryScope>,
        memory: &Arc<QueryMemoryPool>,
        view: CatalogView,
    ) -> Result<SessionState> {
        let partitions = session.partitions().unwrap_or(self.partitions);
        let mut config = self
            .base
            .config()
            .clone()
            .with_default_catalog_and_schema(default_catalog(session), default_schema(session))
            .with_target_partitions(partitions)
            .with_extension(Arc::clone(scope));
        let options = config.options_mut();
        options.execution.time_zone = Some(session.time_zone.clone());
        for (threshold, shared) in [
            (&mut options.optimizer.hash_join_single_partition_threshold, SHARED_TABLE_BYTES),
            (&mut options.optimizer.hash_join_single_partition_threshold_rows, SHARED_TABLE_ROWS),
        ] {
            *threshold = (shared / partitions.max(1)).max(*threshold);
        }
        config = config.with_extension(Arc::new(PushdownSwitch(session.clone())));
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_memory_pool(Arc::clone(memory) as _)
            .build_arc()
            .map_err(from_datafusion)?;
        let mut state = SessionStateBuilder::new_from_existing(self.base.clone())
            .with_config(config)
            .with_runtime_env(runtime)
            .with_catalog_list(view as Arc<dyn CatalogProviderList>)
            .with_optimizer_rules(timed_rules())
            .build();
        // What now() is, everywhere in the query.
        state.mark_start_execution();
        Ok(state)
    }

    /// The query's schema and parameters. Plans, but neither optimizes nor asks a source.
    pub(crate) async fn shape(&self, state: SessionState, query: Query) -> Result<QueryShape> {
        self.threads.run(shape(state, query)).await
    }

    /// The query ready to run.
    pub(crate) async fn plan(&self, state: SessionState, query: Query, parameters: Parameters) -> Result<PlannedQuery> {
        self.threads.run(plan(state, query, parameters)).await
    }

    /// The rows of a write to the source `source`, made of a query by `shaping`.
    pub(crate) async fn plan_rows(
        &self,
        state: SessionState,
        query: Query,
        parameters: Parameters,
        source: String,
        shaping: Shaping,
    ) -> Result<PlannedRows> {
        self.threads.run(plan_rows(state, query, parameters, source, shaping)).await
    }

    /// Plans the same query with joins that sort and spill instead of holding a hash table.
    ///
    /// # Errors
    /// `Exhausted` when it holds no hash table now, so that another plan would not help.
    pub(crate) async fn replan_with_sort_merge(&self, planned: &PlannedQuery) -> Result<()> {
        if !has_hash_join(&planned.physical()) {
            return Err(Error::exhausted("no join of the query holds a hash table"));
        }
        let mut config = planned.state.config().clone();
        config.options_mut().optimizer.prefer_hash_join = false;
        // With one partition DataFusion makes hash joins whatever is preferred.
        config = config.clone().with_target_partitions(config.target_partitions().max(2));
        self.replan_with(planned, config).await
    }

    /// Plans the same query again: scans hold on to what their source said when they were planned.
    ///
    /// # Errors
    /// As for the first plan.
    pub(crate) async fn replan(&self, planned: &PlannedQuery) -> Result<()> {
        self.replan_with(planned, planned.state.config().clone()).await
    }

    async fn replan_with(&self, planned: &PlannedQuery, config: SessionConfig) -> Result<()> {
        let state = SessionStateBuilder::new_from_existing(planned.state.as_ref().clone())
            .with_config(config)
            .with_optimizer_rules(timed_rules())
            .build();
        let logical = Arc::clone(&planned.logical);
        let work = async move {
            let optimized = state.optimize(&logical).map_err(plan_error)?;
            physical_plan(&state, &optimized).await
        };
        *planned.physical.lock() = self.threads.run(work).await?;
        Ok(())
    }
}

async fn shape(state: SessionState, query: Query) -> Result<QueryShape> {
    let labels = query.labels.clone();
    let count = query.parameters;
    let logical = logical_plan(&state, query).await?;
    let types = parameter_types(&logical, count)?;
    let fields = types
        .into_iter()
        .enumerate()
        .map(|(i, kind)| Field::new(format!("${}", i + 1), kind.unwrap_or(DataType::Utf8), true));
    // Parameters without values have no types yet, which may keep others from being found.
    let schema = match analyzed(&state, logical.clone()) {
        Ok(analyzed) => Arc::clone(analyzed.schema()),
        Err(_) if count > 0 => Arc::clone(logical.schema()),
        Err(error) => return Err(error),
    };
    Ok(QueryShape {
        schema: labelled(schema.as_arrow(), &labels),
        parameters: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
    })
}

async fn plan(state: SessionState, query: Query, parameters: Parameters) -> Result<PlannedQuery> {
    let labels = query.labels.clone();
    let logical = with_values(&state, query, parameters).await?;
    let optimized = state.optimize(&logical).map_err(plan_error)?;
    // Before they were analyzed, columns may have had other types: a union its first side's.
    let schema = labelled(optimized.schema().as_arrow(), &labels);
    let physical = Arc::new(Mutex::new(physical_plan(&state, &optimized).await?));
    Ok(PlannedQuery { logical: Arc::new(logical), physical, schema, state: Arc::new(state) })
}

async fn physical_plan(state: &SessionState, optimized: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    let physical = state.query_planner().create_physical_plan(optimized, state).await.map_err(plan_error)?;
    pass_plain_texts(physical).map_err(plan_error)
}

/// The plan with the types that its values have in the end.
pub(crate) fn analyzed(state: &SessionState, logical: LogicalPlan) -> Result<LogicalPlan> {
    state.analyzer().execute_and_check(logical, state.config_options(), |_, _| {}).map_err(plan_error)
}

async fn plan_rows(
    state: SessionState,
    query: Query,
    parameters: Parameters,
    source: String,
    shaping: Shaping,
) -> Result<PlannedRows> {
    let logical = shaping(analyzed(&state, with_values(&state, query, parameters).await?)?)?;
    let optimized = state.optimize(&logical).map_err(plan_error)?;
    let switch = state.config().get_extension::<PushdownSwitch>();
    if let Some(fragment) = whole(&optimized, &source, switch.as_deref()).map_err(plan_error)? {
        return Ok(PlannedRows::Computed(fragment));
    }
    let physical = state.query_planner().create_physical_plan(&optimized, &state).await.map_err(plan_error)?;
    let schema = labelled(logical.schema().as_arrow(), &meesh_sql::Labels::default());
    let physical = Arc::new(Mutex::new(physical));
    Ok(PlannedRows::Streamed(PlannedQuery { logical: Arc::new(logical), physical, schema, state: Arc::new(state) }))
}

/// The query's plan with values for its parameters.
async fn with_values(state: &SessionState, query: Query, parameters: Parameters) -> Result<LogicalPlan> {
    let count = query.parameters;
    let text = (count > 0).then(|| query.clone());
    let logical = logical_plan(state, query).await?;
    let values = parameters.for_types(&parameter_types(&logical, count)?)?;
    let Some(text) = text else { return Ok(logical) };
    let (logical, values) = match typed(state, text, &values).await? {
        Some(typed) => typed,
        None => (logical, values),
    };
    let values = values.into_iter().map(Into::into).collect();
    logical.with_param_values(ParamValues::List(values)).map_err(plan_error)
}

/// The query's plan with parameters of the types that their values have, and these: they mean what literals in
/// their places would. `None` if a type is none that SQL can write.
async fn typed(
    state: &SessionState,
    query: Query,
    values: &[ScalarValue],
) -> Result<Option<(LogicalPlan, Vec<ScalarValue>)>> {
    let types: Vec<DataType> = values.iter().map(ScalarValue::data_type).collect();
    let Some(data_types) = sql_types(&types) else { return Ok(None) };
    let statement = Box::new(AstStatement::Query(query.ast));
    let prepare = AstStatement::Prepare { name: Ident::new("values"), data_types, statement };
    let plan = as_written(state, prepare).await?;
    let LogicalPlan::Statement(Statement::Prepare(Prepare { fields, input, .. })) = plan else { return Ok(None) };
    let in_type = |(value, field): (&ScalarValue, &FieldRef)| {
        let (own, wanted) = (value.data_type(), field.data_type());
        let instants = matches!((&own, wanted), (DataType::Timestamp(..), DataType::Timestamp(..)));
        match own == *wanted || (own.is_string() && wanted.is_string()) || instants {
            true => value.cast_to(wanted).ok(),
            false => None,
        }
    };
    let values = values.iter().zip(&fields).map(in_type).collect::<Option<Vec<_>>>();
    let Some(values) = values.filter(|values| values.len() == types.len()) else { return Ok(None) };
    Ok(Some((Arc::unwrap_or_clone(input), values)))
}

fn has_hash_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<HashJoinExec>().is_some() || plan.children().into_iter().any(has_hash_join)
}

/// The settings of `specs`: each one that differs from DataFusion's default says why.
fn base_config(sort_reservation_bytes: usize) -> SessionConfig {
    // The default catalog would replace the view's of the same name.
    let mut config = SessionConfig::new().with_information_schema(false).with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    // Trino's language: see meesh-sql, which folds every identifier itself.
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.default_null_ordering = "nulls_last".to_owned();
    options.sql_parser.support_varchar_with_length = true;
    options.sql_parser.collect_spans = true;
    // Wrong answers with it on: apache/datafusion#25414.
    options.optimizer.enable_leaf_expression_pushdown = false;
    // It refuses plans in which the optimizer has learned that a column is, or is not, NULL: a CASE whose
    // condition is never true, below a DISTINCT.
    options.execution.skip_physical_aggregate_schema_check = true;
    // Buffering the probe side would start sources before their dynamic filters are known.
    options.execution.hash_join_buffering_capacity = 0;
    options.execution.collect_statistics = true;
    // Taken by every partition of a sort before its first row: ten MiB each would be all of a small pool.
    options.execution.sort_spill_reservation_bytes =
        sort_reservation_bytes.clamp(*SORT_RESERVATION_BYTES.start(), *SORT_RESERVATION_BYTES.end());
    // A pod's disk is slower than its cores.
    options.execution.spill_compression = SpillCompression::Lz4Frame;
    // Footers wait for the network, not for the cores.
    if let Ok(requests) = ConfigNonZeroUsize::try_new(64) {
        options.execution.meta_fetch_concurrency = requests;
    }
    options.execution.parquet.coerce_int96 = Some("us".to_owned());
    // Partition columns come from folder names.
    options.execution.keep_partition_by_columns = false;
    config
}

async fn logical_plan(state: &SessionState, query: Query) -> Result<LogicalPlan> {
    as_written(state, AstStatement::Query(query.ast)).await
}

/// The types of `$1 … $n` in numeric order, as far as the plan tells them.
fn parameter_types(plan: &LogicalPlan, count: usize) -> Result<Vec<Option<DataType>>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let known = plan.get_parameter_types().map_err(plan_error)?;
    Ok((1..=count).map(|n| known.get(&format!("${n}")).cloned().flatten()).collect())
}

/// The schema a client sees: labels as the statement wrote them. Every column is nullable, so that
/// what is announced before the first row holds whatever the plan derives later.
fn labelled(schema: &Schema, labels: &meesh_sql::Labels) -> SchemaRef {
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let names = labels.apply(&names);
    let fields =
        schema.fields().iter().zip(names).map(|(field, name)| Field::new(name, field.data_type().clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
