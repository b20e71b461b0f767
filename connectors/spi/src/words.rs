//! DataFusion's messages in the words of SQL: users know `bigint`, not `Int64`.

/// Arrow's name of a type and SQL's.
const TYPES: &[(&str, &str)] = &[
    ("Binary", "varbinary"),
    ("BinaryView", "varbinary"),
    ("Boolean", "boolean"),
    ("Date32", "date"),
    ("Date64", "date"),
    ("Decimal128", "decimal"),
    ("Decimal256", "decimal"),
    ("Float32", "real"),
    ("Float64", "double"),
    ("Int16", "smallint"),
    ("Int32", "integer"),
    ("Int64", "bigint"),
    ("Int8", "tinyint"),
    ("Interval", "interval"),
    ("LargeBinary", "varbinary"),
    ("LargeList", "array"),
    ("LargeUtf8", "varchar"),
    ("List", "array"),
    ("Map", "map"),
    ("Null", "unknown"),
    ("Struct", "row"),
    ("Time32", "time"),
    ("Time64", "time"),
    ("Timestamp", "timestamp"),
    ("UInt16", "integer"),
    ("UInt32", "bigint"),
    ("UInt64", "decimal(20,0)"),
    ("UInt8", "smallint"),
    ("Utf8", "varchar"),
    ("Utf8View", "varchar"),
];

/// `text` with every Arrow type under its SQL name, and every literal (`Int64(1)`, `Utf8("a")`) as SQL
/// writes it.
pub fn in_sql_words(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        let (before, from) = rest.split_at(start);
        result.push_str(before);
        let end = from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(from.len());
        let (word, behind) = from.split_at(end);
        rest = behind;
        let known = TYPES.binary_search_by(|(arrow, _)| arrow.cmp(&word)).ok();
        let Some((_, sql)) = known.and_then(|at| TYPES.get(at)) else {
            result.push_str(word);
            continue;
        };
        match parenthesis(behind) {
            Some((inner, after)) => {
                result.push_str(&with_argument(word, sql, inner));
                rest = after;
            }
            None => result.push_str(sql),
        }
    }
    result.push_str(rest);
    result
}

/// What stands between the parenthesis that `text` begins with and its partner, and what follows.
fn parenthesis(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('(')?;
    let (mut depth, mut quoted) = (1, false);
    for (at, c) in inner.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((inner.get(..at)?, inner.get(at + 1..)?));
        }
    }
    None
}

/// A type with its parameters, or a literal of it.
fn with_argument(arrow: &str, sql: &str, inner: &str) -> String {
    match arrow {
        "Decimal128" | "Decimal256" => match inner.strip_prefix("Some(") {
            Some(literal) => decimal(literal).unwrap_or_else(|| literal.to_owned()),
            None => format!("{sql}({inner})"),
        },
        "Timestamp" | "Time64" | "Time32" => {
            let digits = [("ns", 9), ("µs", 6), ("ms", 3), ("s", 0)];
            let digits = digits.iter().find(|(unit, _)| inner.starts_with(unit)).map_or(3, |(_, digits)| *digits);
            let zone = if inner.contains(',') { " with time zone" } else { "" };
            format!("{sql}({digits}){zone}")
        }
        "List" | "LargeList" | "Map" | "Struct" => format!("{sql}({})", in_sql_words(inner)),
        "Interval" => sql.to_owned(),
        _ => match inner.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(text) => format!("'{text}'"),
            None => inner.to_owned(),
        },
    }
}

/// `15),2,1` is 1.5.
fn decimal(literal: &str) -> Option<String> {
    let (unscaled, rest) = literal.split_once(')')?;
    let scale: usize = rest.rsplit(',').next()?.trim().parse().ok()?;
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len().checked_sub(scale)?)?;
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrow_becomes_sql() {
        assert!(TYPES.is_sorted());
        for (text, expected) in [
            ("Utf8View + Int64", "varchar + bigint"),
            ("count(Int64(1))", "count(1)"),
            ("x = Utf8(\"a)b\") AND y", "x = 'a)b' AND y"),
            ("Decimal128(10, 2) and Decimal128(Some(-15),2,1)", "decimal(10, 2) and -1.5"),
            ("Timestamp(µs, \"UTC\") or Timestamp(ns)", "timestamp(6) with time zone or timestamp(9)"),
            ("List(Int64) is no Map", "array(bigint) is no map"),
            ("Int64x and my_Int64 stay", "Int64x and my_Int64 stay"),
            ("Boolean(NULL)", "NULL"),
        ] {
            assert_eq!(in_sql_words(text), expected);
        }
    }
}
