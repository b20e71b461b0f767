//! Java's `.properties` format, as Trino's files use it.
//!
//! The rules are those of `java.util.Properties.load`: `=`, `:` or blanks end a name, `#` and `!`
//! start a comment line, a backslash at the end of a line continues it, and `\t \n \r \f \uXXXX`
//! are escapes. Blanks at the end of a value are dropped, which Java keeps and nobody means.

use std::iter::Peekable;
use std::str::Chars;

use meesh_base::{Error, Result};

/// One `name=value` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Property {
    /// The line it starts on, from 1.
    pub(crate) line: usize,
    /// The name, escapes resolved.
    pub(crate) name: String,
    /// The value, escapes resolved, references such as `${ENV:X}` not.
    pub(crate) value: String,
}

/// The properties of `text` in the file's order; `file` is named in errors.
///
/// # Errors
/// `InvalidQuery` for a name that is given twice and for a broken `\u` escape.
pub(crate) fn parse(text: &str, file: &str) -> Result<Vec<Property>> {
    let mut properties: Vec<Property> = Vec::new();
    for (line, logical) in logical_lines(text.trim_start_matches('\u{feff}')) {
        let (name, value) = split(&logical);
        let place = || format!("{file}:{line}");
        let name = unescape(name).ok_or_else(|| broken_escape(&place()))?;
        let value = unescape(value).ok_or_else(|| broken_escape(&place()))?;
        if let Some(first) = properties.iter().find(|property| property.name == name) {
            return Err(Error::invalid_query(format!("configuration key {name:?} is given twice at {}", place()))
                .with_hint(format!("remove it there or at {file}:{}", first.line)));
        }
        properties.push(Property { line, name, value });
    }
    Ok(properties)
}

fn broken_escape(place: &str) -> Error {
    Error::invalid_query(format!("broken \\u escape at {place}"))
        .with_hint("write \\u and four hexadecimal digits, or \\\\ for a backslash")
}

/// Lines with their continuations joined, without blank lines and comments.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut physical = text.lines().enumerate();
    while let Some((index, first)) = physical.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while is_continued(&logical) {
            logical.pop();
            let Some((_, next)) = physical.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        lines.push((index + 1, logical));
    }
    lines
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Whether the line ends in a backslash that is not itself escaped.
fn is_continued(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// Name and value of a logical line, escapes still in place.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .find(|c: char| {
            let ends = !escaped && (is_blank(c) || c == '=' || c == ':');
            escaped = c == '\\' && !escaped;
            ends
        })
        .unwrap_or(line.len());
    let rest = line[end..].trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(is_blank);
    (&line[..end], trim_end(value))
}

/// Without the blanks at the end, except one that a backslash protects.
fn trim_end(value: &str) -> &str {
    let trimmed = value.trim_end_matches(is_blank);
    if trimmed.len() < value.len() && is_continued(trimmed) { &value[..trimmed.len() + 1] } else { trimmed }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => {}
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => out.push(code_point(&mut chars)?),
            Some(other) => out.push(other),
        }
    }
    Some(out)
}

/// The character of `XXXX`, or of a UTF-16 surrogate pair `XXXX\uXXXX`.
fn code_point(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    let mut unit = || -> Option<u16> {
        let digits: String = chars.by_ref().take(4).collect();
        (digits.len() == 4).then(|| u16::from_str_radix(&digits, 16).ok()).flatten()
    };
    let first = unit()?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(u32::from(first));
    }
    let mut second = || -> Option<u16> {
        (chars.next()? == '\\' && chars.next()? == 'u').then_some(())?;
        let digits: String = chars.by_ref().take(4).collect();
        u16::from_str_radix(&digits, 16).ok()
    };
    char::decode_utf16([first, second()?]).next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text, "a.properties").unwrap().into_iter().map(|p| (p.name, p.value)).collect()
    }

    fn check(text: &str, name: &str, value: &str) {
        assert_eq!(pairs(text), [(name.to_owned(), value.to_owned())], "{text:?}");
    }

    #[test]
    fn separators() {
        check("a=b", "a", "b");
        check("  a : b  ", "a", "b");
        check("a b=c", "a", "b=c");
        check("a\t= =b", "a", "=b");
        check("a", "a", "");
        check("url=jdbc:postgresql://h:5432/db?x=y", "url", "jdbc:postgresql://h:5432/db?x=y");
    }

    #[test]
    fn comments_and_blank_lines() {
        check("# c\n\n ! c\na=b # no comment\n", "a", "b # no comment");
    }

    #[test]
    fn continuation() {
        check("a=b,\\\n   c,\\\r\n\td", "a", "b,c,d");
        check("a=b\\\\\n", "a", "b\\");
        check("a=b\\", "a", "b");
    }

    #[test]
    fn escapes() {
        check("a\\=b\\:c\\ d=e", "a=b:c d", "e");
        check("a=\\tx\\u00e9\\ud83d\\ude00\\q", "a", "\txé😀q");
        check("a=b\\ ", "a", "b ");
        assert!(parse("a=\\u00g0", "f").unwrap_err().to_string().contains("f:1"));
    }

    #[test]
    fn a_name_given_twice_is_an_error_with_both_lines() {
        let text = parse("a=1\n\na=2", "f").unwrap_err().to_string();
        assert!(text.contains("f:3") && text.contains("f:1"), "{text}");
    }

    #[test]
    fn lines_are_counted_before_joining() {
        let properties = parse("a=1\\\n2\nb=3", "f").unwrap();
        assert_eq!(properties.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 3]);
    }
}
