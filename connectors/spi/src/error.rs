//! meesh's errors inside DataFusion's and Arrow's, and out again.

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use meesh_base::Error;

use crate::words::in_sql_words;

/// Wraps an error for a DataFusion signature; [`from_datafusion`] finds it again.
pub fn into_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Wraps an error for an Arrow signature; [`from_datafusion`] finds it again.
pub fn into_arrow(error: Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

/// The error of meesh's that a DataFusion error carries, however deep it is wrapped.
pub fn unwrap_datafusion(error: &DataFusionError) -> Option<Error> {
    let mut current: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(own) = current.downcast_ref::<Error>() {
            return Some(own.clone());
        }
        // Shared and boxed errors hide behind wrappers whose `source` skips a level.
        if let Some(DataFusionError::External(inner)) = current.downcast_ref::<DataFusionError>()
            && let Some(own) = inner.downcast_ref::<Error>()
        {
            return Some(own.clone());
        }
        if let Some(DataFusionError::Shared(inner)) = current.downcast_ref::<DataFusionError>() {
            return unwrap_datafusion(inner);
        }
        if let Some(DataFusionError::ArrowError(inner, _)) = current.downcast_ref::<DataFusionError>()
            && let ArrowError::ExternalError(inner) = inner.as_ref()
        {
            if let Some(own) = inner.downcast_ref::<Error>() {
                return Some(own.clone());
            }
            if let Some(inner) = inner.downcast_ref::<DataFusionError>() {
                return unwrap_datafusion(inner);
            }
        }
        current = current.source()?;
    }
}

/// Translates a DataFusion error: meesh's own is taken out, the rest is sorted by kind.
pub fn from_datafusion(error: DataFusionError) -> Error {
    if let Some(own) = unwrap_datafusion(&error) {
        return own;
    }
    let root = error.find_root();
    let text = in_sql_words(&first_line(&root.strip_backtrace()));
    match root {
        DataFusionError::SQL(..) => Error::invalid_query(text).with_code("SYNTAX_ERROR"),
        DataFusionError::Plan(_) | DataFusionError::Configuration(_) => Error::invalid_query(text),
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { .. } => Error::not_found(text).with_code("COLUMN_NOT_FOUND"),
            SchemaError::AmbiguousReference { .. } => Error::invalid_query(text).with_code("AMBIGUOUS_NAME"),
            _ => Error::invalid_query(text),
        },
        DataFusionError::NotImplemented(_) => Error::unsupported(text).with_code("NOT_SUPPORTED"),
        // The disk manager's own words for its limit.
        DataFusionError::ResourcesExhausted(_) if text.contains("disk space") => {
            Error::exhausted(text).with_hint("raise spill.limit, or narrow the query").with_code("EXCEEDED_SPILL_LIMIT")
        }
        DataFusionError::ResourcesExhausted(_) => Error::exhausted(text).with_code("EXCEEDED_LOCAL_MEMORY_LIMIT"),
        DataFusionError::IoError(io) if is_full(io) => Error::exhausted(format!("spill folder is full: {text}"))
            .with_hint("make room in spill.dir, or lower spill.limit")
            .with_code("EXCEEDED_SPILL_LIMIT"),
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => Error::source_unavailable(text),
        DataFusionError::ParquetError(_) => Error::source_data(text),
        DataFusionError::Execution(_) => Error::invalid_query(text),
        DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
            ArrowError::DivideByZero => Error::invalid_query("division by zero").with_code("DIVISION_BY_ZERO"),
            ArrowError::ArithmeticOverflow(_) => Error::invalid_query(text).with_code("NUMERIC_VALUE_OUT_OF_RANGE"),
            ArrowError::ComputeError(_) if text.contains("overflow") => {
                Error::invalid_query(text).with_code("NUMERIC_VALUE_OUT_OF_RANGE")
            }
            ArrowError::CastError(_) => Error::invalid_query(text).with_code("INVALID_CAST_ARGUMENT"),
            ArrowError::IoError(_, io) if is_full(io) => Error::exhausted(format!("spill folder is full: {text}"))
                .with_hint("make room in spill.dir, or lower spill.limit")
                .with_code("EXCEEDED_SPILL_LIMIT"),
            ArrowError::ParseError(_) | ArrowError::InvalidArgumentError(_) | ArrowError::ComputeError(_) => {
                Error::invalid_query(text)
            }
            _ => Error::internal(text),
        },
        _ => Error::internal(text),
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// Translates an Arrow error as [`from_datafusion`] does.
pub fn from_arrow(error: ArrowError) -> Error {
    from_datafusion(DataFusionError::from(error))
}

/// Messages of DataFusion start with their kind and may go on for a page.
fn first_line(text: &str) -> String {
    const KINDS: &[&str] = &[
        "Error during planning: ",
        "Execution error: ",
        "Schema error: ",
        "Arrow error: ",
        "Cast error: ",
        "Parser error: ",
        "Arithmetic overflow: ",
        "Compute error: ",
        "Invalid argument error: ",
        "Resources exhausted: ",
        "While expanding wildcard, ",
    ];
    let mut text = text;
    while let Some(rest) = KINDS.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    text.split("\n\nbacktrace:").next().unwrap_or(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use meesh_base::ErrorKind;

    #[test]
    fn an_own_error_survives_every_wrapping() {
        let own = || Error::source_data("column \"amount\": value does not fit");
        for wrapped in [
            into_datafusion(own()),
            into_datafusion(own()).context("while scanning"),
            DataFusionError::Shared(std::sync::Arc::new(into_datafusion(own()).context("again"))),
            DataFusionError::from(into_arrow(own())),
            DataFusionError::from(ArrowError::from(into_datafusion(own()))),
        ] {
            let back = from_datafusion(wrapped);
            assert_eq!(back.kind(), ErrorKind::SourceData, "{back}");
        }
    }
}
