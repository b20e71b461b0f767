//! Where planning happens and how long it may take.
//!
//! Planning is synchronous, recurses as deep as the statement is nested, and cannot be interrupted
//! from outside. So it runs on threads of its own, a bounded number of them, and looks at the clock
//! between its steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::common::Result as DataFusionResult;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use meesh_base::{Error, Result};
use meesh_connector_spi::into_datafusion;
use tokio::sync::Semaphore;

use crate::exact::optimizer_rules;

/// The longest a statement may be planned. The size checks keep nearly all far below it.
const TIME_MAX: Duration = Duration::from_secs(10);

/// The optimizer's rules, which stop once the time for planning is over.
type Rules = Vec<Arc<dyn OptimizerRule + Send + Sync>>;

/// The threads that plan: those of the runtime for blocking work, a share of them.
#[derive(Debug)]
pub(crate) struct PlanningThreads(Arc<Semaphore>);

impl PlanningThreads {
    /// At most `count` plans are made at once. What reads files needs the runtime's other threads.
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// Runs synchronous, possibly deep work away from the threads that serve clients. A thread whose
    /// work goes on when nobody waits any more keeps its place until it ends.
    ///
    /// # Errors
    /// The work's; `Timeout` after 10 s, waiting for a thread included.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let task = async {
            let place = Arc::clone(&self.0).acquire_owned().await;
            let handle = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || {
                let _place = place;
                handle.block_on(work)
            })
            .await
        };
        match tokio::time::timeout(TIME_MAX, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(panicked)) => Err(Error::internal("planning the statement failed").with_cause(panicked)),
            Err(_) => Err(too_long()),
        }
    }
}

fn too_long() -> Error {
    Error::timeout("planning the statement took longer than 10 s")
        .with_hint("simplify it, or put intermediate results into a table")
        .with_code("EXCEEDED_TIME_LIMIT")
}

/// The optimizer's rules with a look at the clock before each, for a plan that is begun now.
pub(crate) fn timed_rules() -> Rules {
    let clock: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(Clock { end: Instant::now() + TIME_MAX });
    optimizer_rules().into_iter().flat_map(|rule| [Arc::clone(&clock), rule]).collect()
}

/// Fails when the time is over, and changes nothing before.
#[derive(Debug)]
struct Clock {
    end: Instant,
}

impl OptimizerRule for Clock {
    fn name(&self) -> &str {
        "planning_time"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> DataFusionResult<Transformed<LogicalPlan>> {
        if Instant::now() >= self.end {
            return Err(into_datafusion(too_long()));
        }
        Ok(Transformed::no(plan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::optimizer::{Optimizer, OptimizerContext};

    #[test]
    fn the_optimizer_stops_when_the_time_is_over() {
        let plan = LogicalPlan::default();
        let late = Optimizer::with_rules(vec![Arc::new(Clock { end: Instant::now() })]);
        let error = late.optimize(plan.clone(), &OptimizerContext::new(), |_, _| {}).unwrap_err();
        assert!(error.to_string().contains("planning the statement took longer"), "{error}");
        Optimizer::with_rules(timed_rules()).optimize(plan, &OptimizerContext::new(), |_, _| {}).unwrap();
    }

    #[tokio::test]
    async fn work_waits_for_a_thread() {
        let threads = PlanningThreads::new(1);
        let (one, two) = tokio::join!(threads.run(async { Ok(1) }), threads.run(async { Ok(2) }));
        assert_eq!((one.unwrap(), two.unwrap()), (1, 2));
    }
}
