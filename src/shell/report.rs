//! Errors for people: the message, the place in the statement with a caret, the hint, the query's id.
//!
//! ```text
//! error: column "amont" does not exist
//!   line 1: select amont from orders
//!                  ^
//!   hint:  did you mean "amount"?
//!   query: 20261123_141502_00042_k3xq9
//! ```

use meesh_engine::{Error, Position};

use super::cells::printable;

/// Characters of a long line that are shown on each side of the place.
const CONTEXT_CHARS: usize = 60;

/// The report of an error of statement `sql`, with a line end.
pub(crate) fn report(error: &Error, sql: &str) -> String {
    let mut out = format!("error: {}", printable(error.message()));
    if let Some(detail) = error.detail() {
        out.push_str(&format!(": {}", printable(detail)));
    }
    out.push('\n');
    if let Some(place) = error.position().and_then(|position| caret(sql, position)) {
        out.push_str(&place);
    }
    if let Some(hint) = error.hint() {
        out.push_str(&format!("  hint:  {}\n", printable(hint)));
    }
    if let Some(id) = error.query() {
        out.push_str(&format!("  query: {id}\n"));
    }
    out
}

/// The line of the statement that the position is in, and a caret below the place.
fn caret(sql: &str, position: Position) -> Option<String> {
    let line = sql.lines().nth(usize::try_from(position.line).ok()?.checked_sub(1)?)?;
    let column = usize::try_from(position.column).ok()?.checked_sub(1)?;
    let length = line.chars().count();
    // A statement that ends too early is at fault one character behind its end.
    let column = column.min(length);
    let first = column.saturating_sub(CONTEXT_CHARS);
    let cut = |from: usize, to: usize| printable_line(&line.chars().skip(from).take(to - from).collect::<String>());
    let before = format!("{}{}", if first > 0 { "…" } else { "" }, cut(first, column));
    let last = (column + CONTEXT_CHARS).min(length);
    let after = format!("{}{}", cut(column, last), if last < length { "…" } else { "" });
    let head = format!("  line {}: ", position.line);
    let indent = " ".repeat(head.chars().count() + before.chars().count());
    Some(format!("{head}{before}{after}\n{indent}^\n"))
}

/// Every character as one, so that the caret stands below its place.
fn printable_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '?'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use meesh_base::QueryId;

    use super::*;

    fn error(line: u64, column: u64) -> Error {
        Error::not_found("column \"amont\" does not exist").with_position(Position { line, column })
    }

    #[test]
    fn the_caret_stands_below_the_place() {
        let error = error(2, 8).with_hint("did you mean \"amount\"?").with_query(&QueryId::parse("q1"));
        let expected = "\
error: column \"amont\" does not exist
  line 2: select\tamont
                 ^
  hint:  did you mean \"amount\"?
  query: q1
";
        assert_eq!(report(&error, "-- é\nselect\tamont\nfrom orders"), expected.replace('\t', " "));
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let sql = format!("{}amont{}", "x".repeat(500), "y".repeat(500));
        let report = report(&error(1, 501), &sql);
        let lines: Vec<&str> = report.lines().collect();
        let column = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().skip(column).take(5).collect::<String>(), "amont");
        assert!(lines[1].chars().count() < 140 && lines[1].ends_with('…'));
    }

    #[test]
    fn a_place_outside_the_text_has_no_line() {
        assert_eq!(report(&error(9, 1), "select 1").lines().count(), 1);
        assert!(report(&error(1, 99), "select").contains("\n                ^\n"));
    }
}
