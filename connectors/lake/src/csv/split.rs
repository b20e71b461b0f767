//! Where records end, while the bytes of a file arrive in pieces.

use memchr::{memchr, memrchr};

use crate::feed::{Boundaries, Splitter};

/// Follows the quotes of a file. Only quotes are looked at one by one, so a file without them costs
/// two searches a piece.
#[derive(Debug)]
pub(crate) struct CsvSplitter {
    delimiter: u8,
    in_quotes: bool,
    /// The last piece ended with a quote inside quotes: a closing one, or the first of two.
    undecided: bool,
    /// The byte before the next piece. A file starts as if after a line break.
    previous: u8,
}

impl CsvSplitter {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self { delimiter, in_quotes: false, undecided: false, previous: b'\n' }
    }

    /// The next quote from `from` on that opens a field, or the end.
    fn opening_quote(&self, piece: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(found) = memchr(b'"', &piece[at..]) {
            let quote = at + found;
            let before = if quote == 0 { self.previous } else { piece[quote - 1] };
            if before == self.delimiter || before == b'\n' {
                return quote;
            }
            at = quote + 1;
        }
        piece.len()
    }
}

impl Splitter for CsvSplitter {
    fn scan(&mut self, piece: &[u8]) -> Boundaries {
        let mut ends = Boundaries::default();
        let Some(&last) = piece.last() else { return ends };
        let mut at = 0;
        if std::mem::take(&mut self.undecided) {
            if piece[0] == b'"' {
                at = 1;
            } else {
                self.in_quotes = false;
            }
        }
        while at < piece.len() {
            if self.in_quotes {
                let Some(found) = memchr(b'"', &piece[at..]) else { break };
                let quote = at + found;
                match piece.get(quote + 1) {
                    None => self.undecided = true,
                    Some(b'"') => {}
                    Some(_) => self.in_quotes = false,
                }
                at = quote + if self.in_quotes { 2 } else { 1 };
            } else {
                let open = self.opening_quote(piece, at);
                let outside = &piece[at..open];
                if let Some(found) = memrchr(b'\n', outside) {
                    if ends.first.is_none() {
                        ends.first = memchr(b'\n', outside).map(|found| at + found + 1);
                    }
                    ends.last = Some(at + found + 1);
                }
                self.in_quotes = open < piece.len();
                at = open + 1;
            }
        }
        self.previous = last;
        ends
    }

    fn finish(&self) -> Result<(), &'static str> {
        if self.in_quotes && !self.undecided {
            Err("a quoted field is not closed before the file ends")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with `|` after each record, however it is cut into pieces.
    fn ends(text: &str) -> String {
        let whole = marked(text, text.len().max(1));
        for size in 1..text.len() {
            assert_eq!(marked(text, size), whole, "pieces of {size}");
        }
        whole
    }

    fn marked(text: &str, size: usize) -> String {
        let mut splitter = CsvSplitter::new(b',');
        let mut places = Vec::new();
        for (number, piece) in text.as_bytes().chunks(size).enumerate() {
            let found = splitter.scan(piece);
            let start = number * size;
            // A piece tells its first and last end; ones between do not matter.
            places.extend(found.first.map(|at| start + at));
            places.extend(found.last.map(|at| start + at));
        }
        let last = places.iter().max().copied().unwrap_or(0);
        let first = places.iter().min().copied().unwrap_or(0);
        format!(
            "{}|{}|{}{}",
            &text[..first],
            &text[first..last],
            &text[last..],
            if splitter.finish().is_err() { "!" } else { "" }
        )
    }

    #[test]
    fn records_end_outside_quotes_only() {
        assert_eq!(ends("a\nb\nc"), "a\n|b\n|c");
        assert_eq!(ends("\"a\nb\"\n\"c\n\"\"d\"\ne"), "\"a\nb\"\n|\"c\n\"\"d\"\n|e");
        assert_eq!(ends("5\" pipe\n6\" pipe\nx"), "5\" pipe\n|6\" pipe\n|x");
        assert_eq!(ends("a,\"b\n\",\"\"\nc,\"\n"), "a,\"b\n\",\"\"\n||c,\"\n!");
        assert_eq!(ends("a,\"b\""), "||a,\"b\"");
    }
}
