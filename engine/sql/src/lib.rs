//! Trino's SQL: text -> [`Statement`], and the functions that statements call.
//!
//! [`parse`] reads one statement, settles names, labels and CTE scopes, and refuses by name what
//! cannot be honoured, before DataFusion sees anything. No I/O happens here, and nothing here knows
//! a session or a source.

mod assign;
mod balance;
pub mod functions;
mod hidden;
mod keywords;
mod labels;
mod lexer;
mod limits;
mod operators;
mod parser;
mod set_operations;
mod statement;
#[cfg(test)]
mod tests;
mod types;
mod write;

use meesh_base::Result;

pub use assign::{assignable, assigned, sql_types};
pub use keywords::RESERVED_WORDS;
pub use labels::Labels;
pub use limits::{Limits, STATEMENT_LIMITS};
pub use operators::{TrinoOperators, common_type, interval_key};
pub use set_operations::{FirstOperands, first_operand, mark_first_operands};
pub use statement::{ExplainFormat, ExplainKind, GROUPS_END, Literal, PassThrough, Query, Statement, TableName};
pub use types::{TrinoTypes, second_digits, type_name};
pub use write::{Action, CASE, ColumnName, PART, ROW, SchemaName, TARGET, Write};

/// Reads exactly one statement; a `;` may end it.
///
/// Nesting is bounded, so a thread with a stack of a few megabytes is enough; what the planner makes
/// of the result wants more.
///
/// # Errors
/// `InvalidQuery` with a position for wrong syntax (`SYNTAX_ERROR`) and for a statement over
/// [`STATEMENT_LIMITS`] (`STATEMENT_TOO_COMPLEX`); `Unsupported` (`NOT_SUPPORTED`) for a kind of
/// statement or a construct that meesh does not do, by its name.
pub fn parse(sql: &str) -> Result<Statement> {
    parse_with(sql, &STATEMENT_LIMITS)
}

/// [`parse`] with other limits.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(sql: &str, limits: &Limits) -> Result<Statement> {
    parser::parse(sql, limits)
}
