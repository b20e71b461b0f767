//! What DataFusion's planner would answer otherwise than SQL, each with the rule that mends it.
//!
//! ```text
//! statement  recursion (an error), dependencies (groups as they are written)
//! analyzer   common_types, one_row with single_row -> DataFusion's -> correlated, membership
//! optimizer  zeros, cases -> DataFusion's, lists before each simplify_expressions, filters before and totals around each
//!            push_down_filter, keys around what finds a join's, dependencies before what goes by them, unions in what
//!            does away with the empty
//! physical   sorts -> DataFusion's, filters, limits and constants around those that they mend -> sorts -> its last check
//! ```
//!
//! `tests/slt/planner.slt`, `correlated.slt` and `membership.slt` have a statement for each.

mod cases;
mod common_types;
mod constants;
mod correlated;
mod dependencies;
mod filters;
mod keys;
mod limits;
mod lists;
mod membership;
mod one_row;
mod recursion;
mod single_row;
mod sorts;
mod totals;
mod unions;
mod zeros;

use std::sync::Arc;

use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use cases::LazyCases;
use common_types::CommonTypes;
use constants::{PlainStatistics, SideConstants};
use correlated::CorrelatedKeys;
use dependencies::KnownDependencies;
use filters::{FiltersByName, LiteralsLast, WholeFilters};
use keys::KeysAsConditions;
use limits::LimitsBelowWindows;
use lists::ListsOfValues;
use membership::Membership;
use one_row::OneRowSubqueries;
use sorts::{ComputedEqualities, ForgottenKeys, MissedSorts, RunningExtremes};
use totals::{TotalsLimited, TotalsUnlimited};
use unions::OneSidedUnions;
use zeros::CanonicalFloats;

pub(crate) use dependencies::groups_as_written;
pub(crate) use recursion::check_recursion;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;
type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rules for a plan as it was written.
pub(crate) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let first: [Arc<dyn AnalyzerRule + Send + Sync>; 2] = [Arc::new(CommonTypes), Arc::new(OneRowSubqueries)];
    let last: [Arc<dyn AnalyzerRule + Send + Sync>; 2] = [Arc::new(CorrelatedKeys), Arc::new(Membership)];
    first.into_iter().chain(Analyzer::new().rules).chain(last).collect()
}

/// The rules that make a plan fast.
pub(crate) fn optimizer_rules() -> Vec<Rule> {
    let known: Rule = Arc::new(KnownDependencies);
    let with_ours = |rule: Rule| -> Vec<Rule> {
        match rule.name() {
            "eliminate_duplicated_expr" | "eliminate_join" | "optimize_projections" | "replace_distinct_aggregate" => {
                vec![Arc::clone(&known), rule]
            }
            "push_down_filter" => {
                vec![Arc::new(LiteralsLast), Arc::new(TotalsLimited), rule, Arc::new(TotalsUnlimited)]
            }
            "propagate_empty_relation" => vec![Arc::new(OneSidedUnions(rule))],
            "simplify_expressions" => vec![Arc::new(ListsOfValues), rule],
            "extract_equijoin_predicate" => vec![Arc::new(KeysAsConditions), rule, Arc::new(KeysAsConditions)],
            _ => vec![rule],
        }
    };
    let first: [Rule; 2] = [Arc::new(CanonicalFloats), Arc::new(LazyCases)];
    let last: [Rule; 2] = [Arc::new(KeysAsConditions), Arc::new(ExtractEquijoinPredicate::new())];
    first.into_iter().chain(Optimizer::new().rules.into_iter().flat_map(with_ours)).chain(last).collect()
}

/// The rules that make the plan of operators fast.
pub(crate) fn physical_rules() -> Vec<PhysicalRule> {
    let mended = |rule: PhysicalRule| -> PhysicalRule {
        match rule.name() {
            name if name.starts_with("FilterPushdown") => Arc::new(FiltersByName { rule }),
            "ProjectionPushdown" => Arc::new(WholeFilters(rule)),
            "LimitAggregation" => Arc::new(LimitsBelowWindows(rule)),
            "aggregate_statistics" => Arc::new(PlainStatistics(rule)),
            _ => rule,
        }
    };
    // Joins are swapped by one of the rules, and the next use what is known of their sides.
    let with_ours = |rule: PhysicalRule| -> Vec<PhysicalRule> {
        match rule.name() {
            "join_selection" => {
                vec![rule, Arc::new(SideConstants), Arc::new(ForgottenKeys), Arc::new(RunningExtremes)]
            }
            "SanityCheckPlan" => vec![Arc::new(MissedSorts), rule],
            _ => vec![rule],
        }
    };
    let first: [PhysicalRule; 1] = [Arc::new(ComputedEqualities)];
    first.into_iter().chain(PhysicalOptimizer::new().rules.into_iter().map(mended).flat_map(with_ours)).collect()
}
