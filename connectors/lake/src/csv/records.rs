//! Records one by one, for samples and headers: slower than the tokenizer, and forgiving.

use memchr::memchr;

use crate::merge::COLUMNS_MAX;

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) text: Vec<u8>,
    pub(crate) quoted: bool,
}

impl Field {
    /// Whether the field is NULL: empty and not in quotes.
    pub(crate) fn is_null(&self) -> bool {
        self.text.is_empty() && !self.quoted
    }
}

/// The record at the start of `text` and where the next one starts. A record without a line break
/// ends with the text. Of a record of more fields than tables have columns only one more is returned:
/// megabytes of delimiters would be gigabytes of fields.
pub(crate) fn first_record(text: &[u8], delimiter: u8) -> (Vec<Field>, usize) {
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let (field, end) = first_field(&text[at..], delimiter);
        if fields.len() <= COLUMNS_MAX {
            fields.push(field);
        }
        at += end;
        match text.get(at) {
            Some(byte) if *byte == delimiter => at += 1,
            Some(b'\r') => return (fields, at + 2),
            Some(_) => return (fields, at + 1),
            None => return (fields, text.len()),
        }
    }
}

/// All records of a sample; blank lines are none.
pub(crate) fn records(mut text: &[u8], delimiter: u8) -> impl Iterator<Item = Vec<Field>> {
    std::iter::from_fn(move || {
        while !text.is_empty() {
            let (fields, next) = first_record(text, delimiter);
            text = text.get(next..).unwrap_or_default();
            if !matches!(fields.as_slice(), [only] if only.is_null()) {
                return Some(fields);
            }
        }
        None
    })
}

/// A field and where it ends: at a delimiter, a line break or the end.
fn first_field(text: &[u8], delimiter: u8) -> (Field, usize) {
    let mut content = Vec::new();
    let mut at = 0;
    let quoted = text.first() == Some(&b'"');
    if quoted {
        at = 1;
        loop {
            let Some(found) = memchr(b'"', &text[at..]) else {
                content.extend_from_slice(&text[at..]);
                return (Field { text: content, quoted }, text.len());
            };
            content.extend_from_slice(&text[at..at + found]);
            at += found + 1;
            if text.get(at) != Some(&b'"') {
                break;
            }
            content.push(b'"');
            at += 1;
        }
    }
    let end = text[at..].iter().position(|byte| *byte == delimiter || *byte == b'\n').map_or(text.len(), |n| at + n);
    let end = if end > at && text.get(end) == Some(&b'\n') && text[end - 1] == b'\r' { end - 1 } else { end };
    content.extend_from_slice(&text[at..end]);
    (Field { text: content, quoted }, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_sample() {
        let text = b"a;\"b;\n\"\"c\"\"\"\r\n\r\n;\"\"\nlast";
        let found: Vec<Vec<(String, bool)>> = records(text, b';')
            .map(|fields| fields.into_iter().map(|f| (String::from_utf8(f.text).unwrap(), f.quoted)).collect())
            .collect();
        let field = |text: &str, quoted| (text.to_owned(), quoted);
        assert_eq!(
            found,
            [
                vec![field("a", false), field("b;\n\"c\"", true)],
                vec![field("", false), field("", true)],
                vec![field("last", false)],
            ]
        );
    }

    #[test]
    fn very_many_fields_are_not_kept() {
        let (fields, used) = first_record(&[b','; 1 << 20], b',');
        assert_eq!((fields.len(), used), (COLUMNS_MAX + 1, 1 << 20));
    }
}
