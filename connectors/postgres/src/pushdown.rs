//! What PostgreSQL takes over of a plan, and the SELECT that it becomes.
//!
//! ```text
//! fragment --print--> Select (select.rs) --finish--> text + decoders --> scan/plan.rs
//!    |                   ^
//!    `- expressions: expression.rs, compare.rs, function.rs, literal.rs, all by whitelist.rs
//! ```
//!
//! Never a wrong row for a fast one: what PostgreSQL might answer otherwise than the engine stays local.

mod aggregate;
mod compare;
mod expression;
mod function;
mod join;
pub(crate) mod literal;
pub(crate) mod print;
mod select;
mod statement;
mod term;
mod whitelist;
mod window;

pub(crate) use select::Select;
pub(crate) use statement::select_text;

#[cfg(test)]
mod tests;
