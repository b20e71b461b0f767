//! JSON inside of text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use serde_json::Value;

use super::definition::{Definition, argument, invalid_argument, is_text};

/// `json_extract_scalar(json, path)`: the scalar at the path as text; NULL for an array, an object,
/// `null`, nothing, or a text that is not JSON.
pub(super) const JSON_EXTRACT_SCALAR: Definition = Definition {
    name: "json_extract_scalar",
    accepts: |types| match types {
        [json, path] if is_text(json) && is_text(path) => Some(vec![DataType::Utf8View; 2]),
        _ => None,
    },
    returns: |_| DataType::Utf8View,
    body: json_extract_scalar,
};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

fn json_extract_scalar(arrays: &[ArrayRef], _: &ConfigOptions) -> Result<ArrayRef> {
    let (texts, paths) = (argument::<StringViewArray>(arrays, 0)?, argument::<StringViewArray>(arrays, 1)?);
    // Nearly always one path for all rows.
    let mut last: Option<(String, Vec<Step>)> = None;
    let mut result = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        if texts.is_null(row) || paths.is_null(row) {
            result.push(None);
            continue;
        }
        let path = paths.value(row);
        let steps = match &last {
            Some((text, steps)) if text == path => steps,
            _ => {
                let steps = parse_path(path).ok_or_else(|| invalid_argument(format!("invalid JSON path: '{path}'")))?;
                &last.insert((path.to_owned(), steps)).1
            }
        };
        result.push(serde_json::from_str::<Value>(texts.value(row)).ok().and_then(|json| scalar(&json, steps)));
    }
    Ok(Arc::new(StringViewArray::from_iter(result)))
}

fn scalar(json: &Value, steps: &[Step]) -> Option<String> {
    let found = steps.iter().try_fold(json, |value, step| match (step, value) {
        (Step::Key(key), Value::Object(members)) => members.get(key),
        (Step::Index(index), Value::Array(items)) => items.get(*index),
        // `$['0']` and `$[0]` may both mean an array's item or an object's member.
        (Step::Key(key), Value::Array(items)) => items.get(key.parse::<usize>().ok()?),
        (Step::Index(index), Value::Object(members)) => members.get(&index.to_string()),
        _ => None,
    })?;
    match found {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `$.a.b[0]["c d"]`. Filters, wildcards and recursive descent are not supported.
fn parse_path(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.trim().strip_prefix('$').unwrap_or_else(|| text.trim());
    let mut steps = Vec::new();
    if !rest.is_empty() && !rest.starts_with(['.', '[']) {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        steps.push(Step::Key(rest.get(..end)?.to_owned()));
        rest = rest.get(end..)?;
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let key = after.get(..end)?;
            if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | ':' | '@')) {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = after.get(end..)?;
        } else {
            let after = rest.strip_prefix('[')?;
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (step, left) = match quote {
                Some(quote) => quoted_key(after.get(1..)?, quote)?,
                None => {
                    let (index, left) = after.split_once(']')?;
                    return_index(index, left)?
                }
            };
            steps.push(step);
            rest = left;
        }
    }
    Some(steps)
}

fn return_index<'a>(index: &str, left: &'a str) -> Option<(Step, &'a str)> {
    Some((Step::Index(index.trim().parse().ok()?), left))
}

fn quoted_key(text: &str, quote: char) -> Option<(Step, &str)> {
    let mut key = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        if c == '\\' {
            key.push(characters.next()?.1);
        } else if c == quote {
            return Some((Step::Key(key), text.get(at + 1..)?.strip_prefix(']')?));
        } else {
            key.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_at_paths() {
        let json: Value =
            serde_json::from_str(r#"{"a":1,"b":[1,2.50,{"c":null}],"d e":"x","f":true,"g":12345678901234567890123}"#)
                .unwrap();
        for (path, expected) in [
            ("$.a", Some("1")),
            ("$.b[0]", Some("1")),
            ("$[\"b\"][1]", Some("2.5")),
            ("$['d e']", Some("x")),
            ("$.f", Some("true")),
            ("$.b[2].c", None),
            ("$.b", None),
            ("$.zz", None),
            ("$", None),
        ] {
            assert_eq!(scalar(&json, &parse_path(path).unwrap()).as_deref(), expected, "{path}");
        }
        for path in ["$..a", "$.b[*]", "$.b[?(@.c)]", "$[", "$.b[0"] {
            assert_eq!(parse_path(path), None, "{path}");
        }
    }
}
