//! The rows of a write: the query's columns, held against the target's and cast to them.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use meesh_base::{Error, NewColumn, Result};
use meesh_connector_spi::{RowAction, SourceScanExec, WriteTarget};
use meesh_sql::{assignable, assigned, type_name};

use super::types;
use crate::plan_error::plan_error;

/// Columns of a row's address.
const ADDRESS: usize = 2;

/// The columns that a write wants of its query.
pub(super) struct Wanted {
    /// Columns in front that are taken as they are: the address and the action's number.
    first: usize,
    /// The types of the values, in order.
    types: Vec<DataType>,
    statement: Statement,
}

#[derive(Clone, Copy, PartialEq)]
enum Statement {
    Insert,
    Change,
    /// The query's own types make the table's.
    Make,
}

impl Wanted {
    /// Values for these columns.
    pub(super) fn insert(target: &WriteTarget, columns: &[usize]) -> Self {
        Self { first: 0, types: types_of(target, columns), statement: Statement::Insert }
    }

    /// The address, and the values of every action.
    pub(super) fn change(target: &WriteTarget, actions: &[RowAction], merges: bool) -> Self {
        let types = actions.iter().flat_map(|action| match action {
            RowAction::Delete => Vec::new(),
            RowAction::Update(columns) | RowAction::Insert(columns) => types_of(target, columns),
        });
        let first = if merges { ADDRESS + 1 } else { ADDRESS };
        Self { first, types: types.collect(), statement: Statement::Change }
    }

    /// Values for a table that is made with them.
    pub(super) fn made(columns: &[NewColumn]) -> Self {
        let types = columns.iter().map(|column| types::stored(&column.sql_type)).collect();
        Self { first: 0, types, statement: Statement::Make }
    }

    /// The place of the first value.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// The types of the values.
    pub(super) fn types(&self) -> Vec<DataType> {
        self.types.clone()
    }

    /// The plan with its values cast, under names of their own.
    ///
    /// # Errors
    /// `InvalidQuery` (`TYPE_MISMATCH`), with both sides' types, unless every value fits its column.
    pub(super) fn cast(self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let schema = Arc::clone(plan.schema());
        let given: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let values = given.get(self.first..).unwrap_or_default();
        let fits = values.len() == self.types.len()
            && (self.statement == Statement::Make
                || values.iter().zip(&self.types).all(|(from, to)| assignable(from, to)));
        if !fits {
            return Err(self.mismatch(values));
        }
        let mut columns = Vec::new();
        for (index, (qualifier, field)) in schema.iter().enumerate() {
            let value = Expr::Column(Column::from((qualifier, field)));
            let value = match index.checked_sub(self.first).and_then(|index| self.types.get(index)) {
                Some(to) => assigned(value, to, &schema).map_err(plan_error)?,
                None => value,
            };
            columns.push(value.alias(format!("c{index}")));
        }
        LogicalPlanBuilder::from(plan).project(columns).and_then(LogicalPlanBuilder::build).map_err(plan_error)
    }

    fn mismatch(&self, given: &[DataType]) -> Error {
        let names = |types: &[DataType]| types.iter().map(type_name).collect::<Vec<_>>().join(", ");
        let (table, query) = (names(&self.types), names(given));
        let message = match self.statement {
            Statement::Insert | Statement::Make => {
                format!("Insert query has mismatched column types: Table: [{table}], Query: [{query}]")
            }
            Statement::Change => format!(
                "UPDATE table column types don't match SET expressions: Table: [{table}], Expressions: [{query}]"
            ),
        };
        let error = Error::invalid_query(message).with_code("TYPE_MISMATCH");
        match self.types.len() == given.len() {
            true => error.with_hint("CAST the values to the types of the table's columns"),
            false => error.with_hint("give one value for each column, or name the columns"),
        }
    }
}

fn types_of(target: &WriteTarget, columns: &[usize]) -> Vec<DataType> {
    columns.iter().filter_map(|index| target.columns.get(*index)).map(|column| column.data_type.clone()).collect()
}

/// Why sources did not take more of a plan.
pub(super) fn kept(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let own = plan.downcast_ref::<SourceScanExec>().map(|scan| scan.kept().to_vec()).unwrap_or_default();
    plan.children().into_iter().flat_map(kept).chain(own).collect()
}
