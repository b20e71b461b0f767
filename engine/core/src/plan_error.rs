//! What DataFusion's planner says of a wrong statement, in the words of Trino's users.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use meesh_base::{Error, Position, nearest};
use meesh_connector_spi::{from_datafusion, in_sql_words, unwrap_datafusion};

/// The code of an error that two columns of a plan have one name.
pub(crate) const DUPLICATE_NAME: &str = "DUPLICATE_COLUMN_NAME";

/// An error of planning: with its position, and with the nearest names where a name was wrong.
pub(crate) fn plan_error(error: DataFusionError) -> Error {
    if let Some(own) = unwrap_datafusion(&error) {
        return own;
    }
    let position = error
        .diagnostic()
        .and_then(|diagnostic| diagnostic.span)
        .map(|span| Position { line: span.start.line, column: span.start.column });
    let translated = match error.find_root() {
        DataFusionError::SchemaError(schema, _) => Some(column_error(schema)),
        DataFusionError::Plan(text) => classify_plan_text(text),
        _ => None,
    }
    .unwrap_or_else(|| from_datafusion(error));
    match position {
        Some(position) if position.line > 0 => translated.with_position(position),
        _ => translated,
    }
}

fn column_error(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let wanted = field.name();
            let names = valid_fields.iter().map(|column| column.name());
            let error = Error::not_found(format!("column {wanted:?} does not exist")).with_code("COLUMN_NOT_FOUND");
            match nearest(wanted, names).as_slice() {
                [] => error,
                near => {
                    let near: Vec<String> = near.iter().map(|name| format!("{name:?}")).collect();
                    error.with_hint(format!("did you mean {}?", near.join(" or ")))
                }
            }
        }
        SchemaError::DuplicateUnqualifiedField { name } | SchemaError::DuplicateQualifiedField { name, .. } => {
            duplicate_name(name)
        }
        SchemaError::AmbiguousReference { field } => {
            Error::invalid_query(format!("column {:?} is ambiguous", field.name()))
                .with_hint("put the table's name in front of it")
                .with_code("AMBIGUOUS_NAME")
        }
    }
}

/// Two columns of the statement's plan are both called `name`.
pub(crate) fn duplicate_name(name: &str) -> Error {
    Error::invalid_query(format!("two columns are both called {name:?}"))
        .with_hint("compute one of them in a subquery, under another name")
        .with_code(DUPLICATE_NAME)
}

/// DataFusion reports most mistakes as plain planning errors.
fn classify_plan_text(text: &str) -> Option<Error> {
    let text = text.trim_start_matches("While expanding wildcard\ncaused by\n");
    let classes = [unknown_function, wrong_arguments, wrong_types, not_grouped, same_names];
    classes.into_iter().find_map(|class| class(text))
}

fn wrong_arguments(text: &str) -> Option<Error> {
    let (_, rest) = text.split_once("No function matches the given name and argument types '")?;
    let (call, _) = rest.split_once("'.")?;
    let call = in_sql_words(call);
    let (name, types) = call.split_once('(')?;
    let error = Error::invalid_query(format!("unexpected parameters ({types} for function {name}"));
    Some(error.with_hint("CAST them to types that the function takes").with_code("FUNCTION_NOT_FOUND"))
}

fn same_names(text: &str) -> Option<Error> {
    let (_, rest) = text.split_once(" require unique expression names but the expression \"")?;
    rest.split_once("\" at position ").map(|(name, _)| duplicate_name(name))
}

fn unknown_function(text: &str) -> Option<Error> {
    let rest = text.strip_prefix("Invalid function '")?;
    let (name, rest) = rest.split_once('\'')?;
    let error = Error::not_found(format!("function {name:?} does not exist")).with_code("FUNCTION_NOT_FOUND");
    let near = rest.split("Did you mean '").nth(1).and_then(|text| text.split('\'').next());
    Some(match near {
        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
        None => error,
    })
}

fn wrong_types(text: &str) -> Option<Error> {
    const BEGINNINGS: &[(&str, &str)] = &[
        ("Cannot coerce arithmetic expression ", "TYPE_MISMATCH"),
        ("Cannot infer common argument type for comparison operation ", "TYPE_MISMATCH"),
        ("Cannot infer common argument type for bitwise operation ", "TYPE_MISMATCH"),
        ("Cannot infer common argument type for logical boolean operation ", "TYPE_MISMATCH"),
        // To Trino it is the function concat.
        ("Cannot infer common string type for string concat operation ", "FUNCTION_NOT_FOUND"),
    ];
    let found = BEGINNINGS.iter().find_map(|(beginning, code)| Some((text.strip_prefix(beginning)?, code)));
    let (operation, code) = found?;
    let operation = operation.trim_end_matches(" to valid types");
    let error = Error::invalid_query(format!("cannot apply operator: {}", in_sql_words(operation)));
    Some(error.with_hint("CAST one side to the type of the other").with_code(code))
}

fn not_grouped(text: &str) -> Option<Error> {
    if !text.contains("must appear in the GROUP BY clause") {
        return None;
    }
    let column = text.split("column \"").nth(1)?.split('"').next()?;
    let name = column.rsplit('.').next()?;
    let error =
        Error::invalid_query(format!("{name:?} must be an aggregate expression or appear in the GROUP BY clause"));
    Some(error.with_code("EXPRESSION_NOT_AGGREGATE"))
}
