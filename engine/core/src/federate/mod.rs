//! Cuts the largest parts of a plan that one source can compute, and leaves the rest.
//!
//! ```text
//! before                                    after
//! HashJoin                                  HashJoin
//!   Filter amount > 10 AND f(name)            Filter f(name)
//!     TableScan sales.orders                    Fragment sales: SELECT … WHERE amount > 10
//!   TableScan lake.traffic                    TableScan lake.traffic
//! ```
//!
//! It runs after the logical optimizer, so that filters, projections and limits are where they will
//! stay. It knows no connector: it asks, node by node and from the leaves up, whether the source of
//! a node's inputs takes the node too. The rows are the same with this step switched off.

mod cut;
mod divide;
mod fragment;
mod keys;
mod pass;
mod planner;
mod wanted;
mod whole;

pub(crate) use cut::PushdownSwitch;
pub(crate) use keys::JoinKeys;
pub(crate) use pass::pass_plain_texts;
pub(crate) use planner::FederatedPlanner;
pub(crate) use wanted::with_wanted_rows;
pub(crate) use whole::whole;
