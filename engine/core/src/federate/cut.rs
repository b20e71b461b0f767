//! The cut itself: a bottom-up walk that grows fragments as long as their source says yes.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Extension, Filter, LogicalPlan};
use meesh_connector_spi::{Connector, Pushdown, Verdict, source_table};

use super::fragment::Fragment;
use crate::session::Session;

/// What a session says of which sources may take more than plain scans.
#[derive(Debug, Clone)]
pub(crate) struct PushdownSwitch(pub(crate) Session);

impl PushdownSwitch {
    /// Whether the source `catalog` may.
    fn is_on(&self, catalog: &str) -> bool {
        self.0.pushdown_enabled(catalog)
    }
}

/// The plan with every largest fragment replaced by a [`Fragment`] leaf; `switch` is none if every source may take some.
pub(super) fn cut(plan: LogicalPlan, switch: Option<&PushdownSwitch>) -> Result<LogicalPlan> {
    Ok(Cut { switch }.walk(plan, true)?.into_local(Vec::new()))
}

struct Cut<'a> {
    switch: Option<&'a PushdownSwitch>,
}

/// A sub-plan on its way up.
enum Piece {
    /// Its source takes all of it, so far.
    Taken { plan: LogicalPlan, connector: Arc<dyn Connector> },
    /// At least its top is computed here.
    Local(LogicalPlan),
}

impl Piece {
    /// The piece as a plan of the engine's: what was taken becomes a leaf.
    fn into_local(self, kept: Vec<String>) -> LogicalPlan {
        match self {
            Self::Taken { plan, connector } => {
                LogicalPlan::Extension(Extension { node: Arc::new(Fragment { plan, connector, kept }) })
            }
            Self::Local(plan) => plan,
        }
    }
}

/// The source that has taken all of the pieces, if one has.
fn common_source(pieces: &[Piece]) -> Option<Arc<dyn Connector>> {
    let mut common: Option<&Arc<dyn Connector>> = None;
    for piece in pieces {
        let Piece::Taken { connector, .. } = piece else { return None };
        if common.is_some_and(|first| first.source_key() != connector.source_key()) {
            return None;
        }
        common = Some(connector);
    }
    common.cloned()
}

impl Cut<'_> {
    fn may_take(&self, catalog: &str) -> bool {
        self.switch.is_none_or(|switch| switch.is_on(catalog))
    }

    /// `ordered`: whether somebody above sees the order of the rows.
    fn walk(&self, plan: LogicalPlan, ordered: bool) -> Result<Piece> {
        if let LogicalPlan::TableScan(scan) = &plan {
            let Some(table) = source_table(&scan.source).filter(|table| self.may_take(&table.catalog)) else {
                return Ok(Piece::Local(plan));
            };
            return Ok(match table.connector.pushdown().map(|pushdown| pushdown.classify(&plan)) {
                Some(Verdict::Yes) => Piece::Taken { plan, connector: Arc::clone(&table.connector) },
                _ => Piece::Local(plan),
            });
        }
        if plan.inputs().is_empty() {
            return Ok(Piece::Local(plan));
        }
        let below = ordered
            && matches!(
                plan,
                LogicalPlan::Projection(_)
                    | LogicalPlan::SubqueryAlias(_)
                    | LogicalPlan::Filter(_)
                    | LogicalPlan::Limit(_)
            );
        let pieces =
            plan.inputs().into_iter().cloned().map(|input| self.walk(input, below)).collect::<Result<Vec<_>>>()?;
        match common_source(&pieces) {
            Some(connector) => self.offer(plan, pieces, &connector, ordered),
            None => self.rebuild(plan, pieces, &[]),
        }
    }

    /// Asks the source of all inputs for the node; a filter is asked for one conjunct at a time.
    fn offer(
        &self,
        plan: LogicalPlan,
        pieces: Vec<Piece>,
        connector: &Arc<dyn Connector>,
        ordered: bool,
    ) -> Result<Piece> {
        let Some(pushdown) = connector.pushdown() else { return self.rebuild(plan, pieces, &[]) };
        let inputs = pieces.into_iter().map(|piece| match piece {
            Piece::Taken { plan, .. } | Piece::Local(plan) => plan,
        });
        let inputs: Vec<LogicalPlan> = inputs.collect();
        if let LogicalPlan::Filter(filter) = plan {
            let Some(input) = inputs.into_iter().next() else { return Ok(Piece::Local(LogicalPlan::Filter(filter))) };
            return self.offer_filter(filter.predicate, input, pushdown, connector);
        }
        let expressions = plan.expressions();
        let node = plan.with_new_exprs(expressions, inputs)?;
        match pushdown.classify(&node) {
            Verdict::Yes => match &node {
                // A fragment's rows come in no order: the few that the source picked are sorted here again.
                LogicalPlan::Sort(sort) if ordered => {
                    let mut sort = sort.clone();
                    let taken = Piece::Taken { plan: node, connector: Arc::clone(connector) };
                    sort.input = Arc::new(taken.into_local(Vec::new()));
                    Ok(Piece::Local(LogicalPlan::Sort(sort)))
                }
                _ => Ok(Piece::Taken { plan: node, connector: Arc::clone(connector) }),
            },
            Verdict::No(reason) => {
                let taken = node.inputs().into_iter().cloned();
                let taken = taken.map(|plan| Piece::Taken { plan, connector: Arc::clone(connector) }).collect();
                self.rebuild(node, taken, &[reason])
            }
        }
    }

    fn offer_filter(
        &self,
        predicate: Expr,
        input: LogicalPlan,
        pushdown: &dyn Pushdown,
        connector: &Arc<dyn Connector>,
    ) -> Result<Piece> {
        let (mut pushed, mut local, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
        for conjunct in split_conjunction_owned(predicate) {
            let alone = LogicalPlan::Filter(Filter::try_new(conjunct.clone(), Arc::new(input.clone()))?);
            match pushdown.classify(&alone) {
                Verdict::Yes => pushed.push(conjunct),
                Verdict::No(reason) => {
                    reasons.push(reason);
                    local.push(conjunct);
                }
            }
        }
        let taken = match conjunction(pushed) {
            Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?),
            None => input,
        };
        let taken = Piece::Taken { plan: taken, connector: Arc::clone(connector) };
        match conjunction(local) {
            Some(predicate) => {
                let input = taken.into_local(reasons);
                self.local_node(LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?))
            }
            None => Ok(taken),
        }
    }

    /// The node computed here, over its inputs; `reasons` say why the source did not take it.
    fn rebuild(&self, plan: LogicalPlan, pieces: Vec<Piece>, reasons: &[String]) -> Result<Piece> {
        let inputs: Vec<LogicalPlan> = pieces.into_iter().map(|piece| piece.into_local(reasons.to_vec())).collect();
        let mut inputs = inputs.into_iter();
        // map_children keeps everything else of the node as it is, where with_new_exprs would recompute it.
        let rebuilt = plan.map_children(|child| Ok(Transformed::yes(inputs.next().unwrap_or(child))))?;
        self.local_node(rebuilt.data)
    }

    /// A node that is computed here; the subqueries in its expressions have fragments of their own.
    fn local_node(&self, plan: LogicalPlan) -> Result<Piece> {
        Ok(Piece::Local(plan.map_subqueries(|subquery| Ok(Transformed::yes(cut(subquery, self.switch)?)))?.data))
    }
}
