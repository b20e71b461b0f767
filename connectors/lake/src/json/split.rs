//! Where records end, while the bytes of a file arrive in pieces.

use memchr::{memchr, memrchr};

use super::lex::Lexer;
use crate::feed::{Boundaries, Splitter};

/// How the objects of a file stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonLayout {
    /// One a line.
    Lines,
    /// One after the other, each over any number of lines.
    Values,
    /// In an array.
    Array,
}

impl JsonLayout {
    /// The layout that the start of a file shows.
    pub(crate) fn of(head: &[u8]) -> Self {
        let mut lexer = Lexer::new(head);
        if lexer.peek() == Some(b'[') {
            return Self::Array;
        }
        match lexer.skip_value() {
            Ok(value) if memchr(b'\n', value).is_none() => Self::Lines,
            Ok(_) => Self::Values,
            // An object that does not end on its line spans lines, or is broken.
            Err(fault) if memchr(b'\n', &head[..fault.at]).is_some() => Self::Values,
            Err(_) => Self::Lines,
        }
    }
}

/// The line, from 1, of a fault found at the byte `at`. Where each record has a line of its own, it is
/// the first line that is no whole record: the fault may show only lines later.
pub(crate) fn line_of_fault(records: &[u8], layout: JsonLayout, at: usize) -> usize {
    let whole = |line: &[u8]| {
        let mut lexer = Lexer::new(line);
        lexer.peek().is_none() || (lexer.skip_value().is_ok() && lexer.peek().is_none())
    };
    if layout == JsonLayout::Lines
        && let Some(broken) = records.split(|byte| *byte == b'\n').position(|line| !whole(line))
    {
        return broken + 1;
    }
    1 + memchr::memchr_iter(b'\n', &records[..at.min(records.len())]).count()
}

/// Follows brackets and texts; lines need neither, since a line break cannot stand within a text.
#[derive(Debug)]
pub(crate) struct JsonSplitter {
    layout: JsonLayout,
    depth: usize,
    in_text: bool,
    /// The next byte follows a backslash.
    escaped: bool,
}

impl JsonSplitter {
    pub(crate) fn new(layout: JsonLayout) -> Self {
        Self { layout, depth: 0, in_text: false, escaped: false }
    }

    /// The depth at which records stand.
    fn base(&self) -> usize {
        usize::from(self.layout == JsonLayout::Array)
    }

    fn scan_values(&mut self, piece: &[u8]) -> Boundaries {
        let mut ends = Boundaries::default();
        for (at, byte) in piece.iter().enumerate() {
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == self.base() && *byte == b'}' {
                        ends.first.get_or_insert(at + 1);
                        ends.last = Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        ends
    }
}

impl Splitter for JsonSplitter {
    fn scan(&mut self, piece: &[u8]) -> Boundaries {
        match self.layout {
            JsonLayout::Lines => Boundaries {
                first: memchr(b'\n', piece).map(|at| at + 1),
                last: memrchr(b'\n', piece).map(|at| at + 1),
            },
            JsonLayout::Values | JsonLayout::Array => self.scan_values(piece),
        }
    }

    fn finish(&self) -> Result<(), &'static str> {
        if self.depth > 0 || self.in_text { Err("the file ends inside a record") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_file_shows_its_layout() {
        assert_eq!(JsonLayout::of(b"{\"a\":1}\n{\"a\":2}\n"), JsonLayout::Lines);
        assert_eq!(JsonLayout::of(b"{\"a\":1}"), JsonLayout::Lines);
        assert_eq!(JsonLayout::of(b"{\n \"a\": 1\n}\n"), JsonLayout::Values);
        assert_eq!(JsonLayout::of(b"{\n \"a\": \"cut"), JsonLayout::Values);
        assert_eq!(JsonLayout::of(b" \n[{\"a\":1}]"), JsonLayout::Array);
    }

    #[test]
    fn records_end_where_their_braces_close() {
        let text = br#"[{"a":"}]\""},{"b":[{}]}]"#;
        for size in 1..text.len() {
            let mut splitter = JsonSplitter::new(JsonLayout::Array);
            let mut last = 0;
            for (number, piece) in text.chunks(size).enumerate() {
                if let Some(at) = splitter.scan(piece).last {
                    last = number * size + at;
                }
            }
            assert_eq!(last, text.len() - 1, "pieces of {size}");
            assert!(splitter.finish().is_ok());
        }
        let mut splitter = JsonSplitter::new(JsonLayout::Values);
        assert_eq!(splitter.scan(b"{\"a\":{}} {\"b\"").last, Some(8));
        assert!(splitter.finish().is_err());
    }
}
