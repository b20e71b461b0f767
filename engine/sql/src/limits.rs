//! What a statement may cost before anyone plans it.
//!
//! A planner's time grows faster than its input: a kilobyte of text can keep DataFusion busy for
//! minutes, and nothing can stop it half way. So the parser counts while it reads, CTE references
//! expanded, and refuses by the name of the limit. The figures hold a plan below ten seconds on one
//! slow core.

use meesh_base::Error;

/// The caps of one statement.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of text.
    pub text_bytes: usize,
    /// Tokens, comments not counted.
    pub tokens: usize,
    /// Parentheses, function calls, CASE, subqueries and prefix operators inside one another.
    pub nesting: usize,
    /// Operators on the longest way from an expression's root to a leaf. A flat chain of arithmetic
    /// or `||` is one such way; AND and OR are balanced first and hardly count.
    pub operators: usize,
    /// Conditions in one chain of AND or of OR.
    pub conditions: usize,
    /// Queries in one chain of UNION, INTERSECT or EXCEPT.
    pub set_operands: usize,
    /// CTEs and derived tables that read one another.
    pub query_levels: usize,
    /// Query blocks and relations, every reference to a CTE counted as a copy of it.
    pub query_nodes: u64,
    /// Relations joined in one FROM.
    pub relations: usize,
    /// Window functions in one query block.
    pub windows: usize,
    /// Aggregate functions in one query block.
    pub aggregates: usize,
    /// Keys of one ORDER BY.
    pub sort_keys: usize,
    /// Columns of one SELECT list.
    pub columns: usize,
    /// Subqueries in the expressions of one query block.
    pub subqueries: usize,
    /// Estimated planning work, in microseconds of a slow core.
    pub work: u64,
}

/// The caps that [`crate::parse`] applies.
pub const STATEMENT_LIMITS: Limits = Limits {
    text_bytes: 1 << 20,
    tokens: 250_000,
    nesting: 100,
    operators: 1_000,
    conditions: 20_000,
    set_operands: 1_000,
    query_levels: 300,
    query_nodes: 20_000,
    relations: 120,
    windows: 100,
    aggregates: 1_500,
    sort_keys: 1_000,
    columns: 10_000,
    subqueries: 90,
    work: 6_000_000,
};

/// The refusal of a statement that has more than `limit` of `what`.
pub(crate) fn too_complex(what: &str, limit: impl std::fmt::Display) -> Error {
    Error::invalid_query(format!("statement is too complex: more than {limit} {what}"))
        .with_hint("split it, or put intermediate results into a table")
        .with_code("STATEMENT_TOO_COMPLEX")
}

/// The projected cost of planning a query, its CTE references expanded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) nodes: u64,
    pub(crate) levels: usize,
    pub(crate) work: u64,
}

impl Cost {
    /// Adds what stands beside this in the same query.
    pub(crate) fn add(&mut self, other: Cost) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.levels = self.levels.max(other.levels);
        self.work = self.work.saturating_add(other.work);
    }

    /// Refuses what would keep a planner busy for too long.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Error> {
        if self.levels > limits.query_levels {
            return Err(too_complex("levels of queries that read one another", limits.query_levels));
        }
        if self.nodes > limits.query_nodes {
            return Err(too_complex("query blocks and relations, CTE references expanded", limits.query_nodes));
        }
        if self.work > limits.work {
            return Err(Error::invalid_query(format!(
                "statement is too complex: planning it would take about {} s, more than {} s",
                self.work / 1_000_000,
                limits.work / 1_000_000
            ))
            .with_hint("split it, or put intermediate results into a table")
            .with_code("STATEMENT_TOO_COMPLEX"));
        }
        Ok(())
    }
}

/// What one query block holds, for the parts of planning that are not linear.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Block {
    pub(crate) relations: usize,
    pub(crate) columns: usize,
    pub(crate) windows: usize,
    pub(crate) aggregates: usize,
    pub(crate) subqueries: usize,
    pub(crate) sort_keys: usize,
    /// Conditions of CASE expressions.
    pub(crate) arms: usize,
    /// Of its expressions: nodes times height.
    pub(crate) expressions: u64,
    /// Its subqueries and derived tables, and copies of the CTEs that it reads.
    pub(crate) inner: Cost,
}

impl Block {
    /// Adds a query that stands inside the block.
    pub(crate) fn hold(&mut self, inner: Cost) {
        self.inner.add(Cost { levels: inner.levels + 1, ..inner });
    }

    /// The block with all it holds.
    pub(crate) fn cost(&self) -> Cost {
        let mut cost = Cost { nodes: 1 + self.relations as u64, levels: 1, work: self.work() };
        cost.add(self.inner);
        cost
    }

    /// The block's own work in microseconds. Measured on DataFusion 55.2, two busy cores: 100
    /// relations 1.1 s, 100 window functions 2.6 s, 1,000 sort keys 2.5 s, 1,000 aggregates 1.5 s,
    /// 10,000 columns 5 s, 20,000 arms of CASE 4 s, 100 scalar subqueries 5.6 s, a chain of 1,000 additions 2.7 s.
    fn work(&self) -> u64 {
        let square = |n: usize| (n as u64).saturating_mul(n as u64);
        let cube = |n: usize| square(n).saturating_mul(n as u64);
        100 + cube(self.relations)
            + cube(self.windows) * 5 / 2
            + cube(self.subqueries) * 5
            + square(self.sort_keys) * 5 / 2
            + square(self.aggregates) * 3 / 2
            + square(self.columns) / 20
            + square(self.arms) / 100
            + self.expressions * 4 / 3
    }

    /// Refuses a block that has too much of one kind.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Error> {
        let rows = [
            (self.relations, limits.relations, "relations in one FROM"),
            (self.columns, limits.columns, "columns in one SELECT list"),
            (self.windows, limits.windows, "window functions in one query block"),
            (self.aggregates, limits.aggregates, "aggregate functions in one query block"),
            (self.subqueries, limits.subqueries, "subqueries in the expressions of one query block"),
            (self.sort_keys, limits.sort_keys, "keys in one ORDER BY"),
        ];
        match rows.iter().find(|(count, limit, _)| count > limit) {
            Some((_, limit, what)) => Err(too_complex(what, limit)),
            None => Ok(()),
        }
    }
}
