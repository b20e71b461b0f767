//! Text functions that count code points and mean something else than DataFusion's of the same name.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use meesh_base::Error;

use super::definition::{Definition, argument, external, function, invalid_argument, is_integer, is_text};

/// `substr(text, start[, length])`: a negative start counts from the end, 0 is nowhere.
pub(super) const SUBSTR: Definition = Definition {
    name: "substr",
    accepts: |types| match types {
        [text, numbers @ ..] if is_text(text) && (1..=2).contains(&numbers.len()) && numbers.iter().all(is_integer) => {
            Some([vec![DataType::Utf8View], vec![DataType::Int64; numbers.len()]].concat())
        }
        _ => None,
    },
    returns: |_| DataType::Utf8View,
    body: substr,
};

/// `split_part(text, delimiter, index)`: NULL behind the last part.
pub(super) const SPLIT_PART: Definition = Definition {
    name: "split_part",
    accepts: |types| match types {
        [text, delimiter, index] if is_text(text) && is_text(delimiter) && is_integer(index) => {
            Some(vec![DataType::Utf8View, DataType::Utf8View, DataType::Int64])
        }
        _ => None,
    },
    returns: |_| DataType::Utf8View,
    body: split_part,
};

/// `$fitted(text, length)`, which a number or time becomes that is cast to varchar(n).
const FITTED: Definition = Definition {
    name: "$fitted",
    accepts: |types| match types {
        [text, length] if is_text(text) && is_integer(length) => Some(vec![DataType::Utf8View, DataType::Int64]),
        _ => None,
    },
    returns: |_| DataType::Utf8View,
    body: fit,
};

/// A text as varchar(n): a text itself is cut to the length, of anything else it is an error not to fit.
pub(crate) fn fitted(is_text: bool, text: Expr, length: Expr) -> Expr {
    let function = if is_text { datafusion::functions::unicode::left() } else { function(&FITTED) };
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![text, length]))
}

fn fit(arrays: &[ArrayRef], _: &ConfigOptions) -> Result<ArrayRef> {
    let (texts, lengths) = (argument::<StringViewArray>(arrays, 0)?, argument::<Int64Array>(arrays, 1)?);
    for (text, length) in texts.iter().zip(lengths) {
        let (Some(text), Some(length)) = (text, length) else { continue };
        if text.chars().count() as u64 > length.unsigned_abs() {
            let message = format!("value {text} cannot be represented as varchar({length})");
            return Err(external(Error::invalid_query(message).with_code("INVALID_CAST_ARGUMENT")));
        }
    }
    Ok(Arc::new(texts.clone()))
}

fn substr(arrays: &[ArrayRef], _: &ConfigOptions) -> Result<ArrayRef> {
    let (texts, starts) = (argument::<StringViewArray>(arrays, 0)?, argument::<Int64Array>(arrays, 1)?);
    let lengths = if arrays.len() > 2 { Some(argument::<Int64Array>(arrays, 2)?) } else { None };
    let result: StringViewArray = (0..texts.len())
        .map(|row| {
            let missing = texts.is_null(row) || starts.is_null(row) || lengths.is_some_and(|array| array.is_null(row));
            let length = lengths.map_or(i64::MAX, |array| array.value(row));
            (!missing).then(|| part(texts.value(row), starts.value(row), length))
        })
        .collect();
    Ok(Arc::new(result))
}

/// At most `length` code points from the `start`th on.
fn part(text: &str, start: i64, length: i64) -> &str {
    if start == 0 || length <= 0 {
        return "";
    }
    let skipped = if start > 0 {
        Some(start as u64 - 1)
    } else {
        (text.chars().count() as u64).checked_sub(start.unsigned_abs())
    };
    let Some(skipped) = skipped.and_then(|skipped| usize::try_from(skipped).ok()) else { return "" };
    let mut places = text.char_indices().map(|(place, _)| place);
    let Some(begin) = places.nth(skipped) else { return "" };
    let end = usize::try_from(length).ok().and_then(|length| places.nth(length.saturating_sub(1)));
    text.get(begin..end.unwrap_or(text.len())).unwrap_or_default()
}

fn split_part(arrays: &[ArrayRef], _: &ConfigOptions) -> Result<ArrayRef> {
    let (texts, delimiters) = (argument::<StringViewArray>(arrays, 0)?, argument::<StringViewArray>(arrays, 1)?);
    let indexes = argument::<Int64Array>(arrays, 2)?;
    let result = (0..texts.len()).map(|row| {
        if texts.is_null(row) || delimiters.is_null(row) || indexes.is_null(row) {
            return Ok(None);
        }
        let Ok(index @ 1..) = usize::try_from(indexes.value(row)) else {
            return Err(invalid_argument("index must be greater than zero"));
        };
        let (text, delimiter) = (texts.value(row), delimiters.value(row));
        // Nothing between the parts: every code point is one.
        if delimiter.is_empty() {
            return Ok(text.char_indices().nth(index - 1).and_then(|(at, c)| text.get(at..at + c.len_utf8())));
        }
        Ok(text.split(delimiter).nth(index - 1))
    });
    Ok(Arc::new(result.collect::<Result<StringViewArray>>()?))
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_of_text() {
        for (text, start, length, expected) in [
            ("日本語😀", 2, 2, "本語"),
            ("abc", -2, i64::MAX, "bc"),
            ("abc", -4, 2, ""),
            ("abc", 0, 2, ""),
            ("abc", 2, -1, ""),
            ("abc", i64::MIN, 1, ""),
            ("abc", i64::MAX, i64::MAX, ""),
            ("Hello World", 1, 10, "Hello Worl"),
        ] {
            assert_eq!(part(text, start, length), expected, "substr({text}, {start}, {length})");
        }
    }
}
