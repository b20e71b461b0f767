//! Cuts a script into statements at the semicolons that end one.
//!
//! A semicolon inside '…', "…", `-- …` or `/* … */` ends nothing.

/// One statement of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// Its text, without the semicolon and the blanks and comments around it.
    pub(crate) text: &'a str,
    /// The line of the script on which it starts, from 1.
    pub(crate) line: usize,
    /// Whether a semicolon ended it.
    pub(crate) is_ended: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Text,
    Quoted(u8),
    LineComment,
    BlockComment,
}

/// The statements of a script, without those that are only blanks and comments.
pub(crate) fn statements(script: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut scan = Scan::new(script);
    while let Some(piece) = scan.next_piece() {
        pieces.push(piece);
    }
    pieces
}

/// Whether nothing is left open at the end: the last statement has its semicolon, and no quote or
/// comment is unfinished.
pub(crate) fn is_complete(script: &str) -> bool {
    let mut scan = Scan::new(script);
    let mut is_ended = true;
    while let Some(piece) = scan.next_piece() {
        is_ended = piece.is_ended;
    }
    is_ended && matches!(scan.state, State::Text | State::LineComment)
}

struct Scan<'a> {
    script: &'a str,
    at: usize,
    state: State,
}

impl<'a> Scan<'a> {
    fn new(script: &'a str) -> Self {
        Self { script, at: 0, state: State::Text }
    }

    fn next_piece(&mut self) -> Option<Piece<'a>> {
        let bytes = self.script.as_bytes();
        let mut start = None;
        // Just after the last byte of the statement that is no comment.
        let mut end = self.at;
        while self.at < bytes.len() {
            let here = self.at;
            let byte = bytes[here];
            let pair = bytes.get(here + 1).map(|next| [byte, *next]);
            self.at += 1;
            match self.state {
                State::LineComment if byte == b'\n' => self.state = State::Text,
                State::BlockComment if pair == Some(*b"*/") => {
                    self.at += 1;
                    self.state = State::Text;
                }
                State::LineComment | State::BlockComment => {}
                State::Quoted(quote) => {
                    end = self.at;
                    // A doubled quote closes and opens again, which comes to the same.
                    if byte == quote {
                        self.state = State::Text;
                    }
                }
                State::Text if pair == Some(*b"--") => self.state = State::LineComment,
                State::Text if pair == Some(*b"/*") => {
                    self.at += 1;
                    self.state = State::BlockComment;
                }
                State::Text if byte == b';' => {
                    if let Some(start) = start {
                        return Some(self.piece(start, end, true));
                    }
                }
                State::Text => {
                    if !byte.is_ascii_whitespace() {
                        start = start.or(Some(here));
                        end = self.at;
                    }
                    if matches!(byte, b'\'' | b'"') {
                        self.state = State::Quoted(byte);
                    }
                }
            }
        }
        start.map(|start| self.piece(start, end, false))
    }

    fn piece(&self, start: usize, end: usize, is_ended: bool) -> Piece<'a> {
        let line = 1 + self.script[..start].matches('\n').count();
        Piece { text: &self.script[start..end], line, is_ended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<&str> {
        statements(script).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        assert_eq!(texts("select 1; select 2"), ["select 1", "select 2"]);
        assert_eq!(texts("select 'a;b''c;', \"x;y\" ; select 2;"), ["select 'a;b''c;', \"x;y\"", "select 2"]);
        assert_eq!(texts("-- a;b\nselect 1 -- c;\n;/* d; 'e */ select 2"), ["select 1", "select 2"]);
        assert_eq!(texts("select 1 -- 'open\n + 2;"), ["select 1 -- 'open\n + 2"]);
        assert_eq!(texts("select 5 - -1 / 2 * 3"), ["select 5 - -1 / 2 * 3"]);
    }

    #[test]
    fn nothing_is_no_statement() {
        assert!(texts("").is_empty());
        assert!(texts(" ;; -- c\n; /* d */ ").is_empty());
    }

    #[test]
    fn lines_are_those_of_the_script() {
        let lines: Vec<usize> = statements("a;\n\n-- c\nb\nc; d").into_iter().map(|piece| piece.line).collect();
        assert_eq!(lines, [1, 4, 5]);
    }

    #[test]
    fn more_is_asked_for_until_the_semicolon() {
        for (script, expected) in [
            ("select 1;", true),
            ("select 1; -- done", true),
            ("", true),
            ("select 1", false),
            ("select ';", false),
            ("select 1; select", false),
            ("select 1; /* open", false),
            ("select \"é;\";", true),
        ] {
            assert_eq!(is_complete(script), expected, "{script}");
        }
    }
}
