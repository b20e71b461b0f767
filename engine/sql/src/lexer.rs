//! Text -> tokens, as Trino's lexer cuts them.
//!
//! `--` and `/* */` comments are skipped; words keep their case and are compared without it; a
//! string's doubled quotes are undone later, by whoever needs the text.

use datafusion::sql::sqlparser::tokenizer::{Location, Span};
use meesh_base::{Error, Position, Result};

use crate::limits::{Limits, too_complex};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or an unquoted identifier.
    Word,
    /// An identifier in double quotes.
    QuotedWord,
    /// `42`, `1_000`, `0xff`.
    Integer,
    /// `1.5`, `.5`, `1.`
    Decimal,
    /// `1e0`
    Double,
    /// `'text'`
    Text,
    /// `X'00ff'`
    Binary,
    /// `U&'\00e9'`
    Unicode,
    /// `?`
    Parameter,
    /// `$1`
    NumberedParameter,
    /// An operator or a punctuation mark.
    Symbol,
    /// After the last token.
    End,
}

/// One token: its kind and where it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Bytes of the text.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Token {
    pub(crate) fn position(&self) -> Position {
        Position { line: self.line, column: self.column }
    }

    /// The place as sqlparser's tree keeps it, for errors of the planner.
    pub(crate) fn span(&self) -> Span {
        let width = (self.end - self.start) as u64;
        Span::new(Location::new(self.line, self.column), Location::new(self.line, self.column + width))
    }
}

/// Longest first: the first one that fits is taken.
const SYMBOLS: &[&str] = &[
    "||", "<>", "!=", "<=", ">=", "::", "->", "=>", "(", ")", "[", "]", ",", ".", ";", "+", "-", "*", "/", "%", "=",
    "<", ">", ":", "|", "{", "}", "^",
];

/// Cuts `text` into tokens; the last one is [`Kind::End`].
///
/// # Errors
/// `InvalidQuery` for a text or a token count over the limits, an open string or comment, a
/// character that begins no token.
pub(crate) fn tokenize(text: &str, limits: &Limits) -> Result<Vec<Token>> {
    if text.len() > limits.text_bytes {
        return Err(too_complex("bytes of text", limits.text_bytes));
    }
    let mut lexer = Lexer { text, at: 0, line: 1, column: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let token = lexer.token()?;
        tokens.push(token);
        if token.kind == Kind::End {
            return Ok(tokens);
        }
        if tokens.len() > limits.tokens {
            return Err(too_complex("tokens", limits.tokens));
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u64,
    column: u64,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    fn advance(&mut self) {
        let Some(c) = self.peek() else { return };
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
    }

    fn advance_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.advance();
        }
    }

    fn error(&self, line: u64, column: u64, message: &str) -> Error {
        Error::invalid_query(message).with_position(Position { line, column }).with_code("SYNTAX_ERROR")
    }

    fn skip_blanks(&mut self) -> Result<()> {
        loop {
            self.advance_while(|c| c.is_whitespace() || c == '\u{feff}');
            if self.rest().starts_with("--") {
                self.advance_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                let (line, column) = (self.line, self.column);
                let Some(length) = self.rest().find("*/") else {
                    return Err(self.error(line, column, "comment is not closed: expecting '*/'"));
                };
                let end = self.at + length + 2;
                while self.at < end {
                    self.advance();
                }
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token> {
        let (start, line, column) = (self.at, self.line, self.column);
        let kind = match self.peek() {
            None => Kind::End,
            Some('"') => self.quoted('"', "identifier", Kind::QuotedWord)?,
            Some('\'') => self.quoted('\'', "string literal", Kind::Text)?,
            Some('`') => {
                let message = "backquoted identifiers are not supported; use double quotes to quote identifiers";
                return Err(self.error(line, column, message));
            }
            Some('x' | 'X') if self.peek_second() == Some('\'') => {
                self.advance();
                self.quoted('\'', "binary literal", Kind::Binary)?
            }
            Some('u' | 'U') if self.rest().get(1..3) == Some("&'") => {
                self.advance();
                self.advance();
                self.quoted('\'', "string literal", Kind::Unicode)?
            }
            Some('?') => {
                self.advance();
                Kind::Parameter
            }
            Some('$') if self.peek_second().is_some_and(|c| c.is_ascii_digit()) => {
                self.advance();
                self.advance_while(|c| c.is_ascii_digit());
                Kind::NumberedParameter
            }
            Some(c) if c.is_alphabetic() || c == '_' => {
                self.advance_while(is_word_part);
                Kind::Word
            }
            Some(c) if c.is_ascii_digit() || (c == '.' && self.peek_second().is_some_and(|d| d.is_ascii_digit())) => {
                self.number()?
            }
            Some(c) => self.symbol(c)?,
        };
        Ok(Token { kind, start, end: self.at, line, column })
    }

    fn quoted(&mut self, quote: char, what: &str, kind: Kind) -> Result<Kind> {
        let (line, column) = (self.line, self.column);
        self.advance();
        loop {
            match self.peek() {
                None => return Err(self.error(line, column, &format!("{what} is not closed: expecting {quote}"))),
                Some(c) if c == quote => {
                    self.advance();
                    if self.peek() != Some(quote) {
                        return Ok(kind);
                    }
                    self.advance();
                }
                Some(_) => self.advance(),
            }
        }
    }

    fn number(&mut self) -> Result<Kind> {
        let (line, column) = (self.line, self.column);
        let radix_mark = self.rest().get(..2).unwrap_or_default().to_ascii_lowercase();
        let kind = if matches!(radix_mark.as_str(), "0x" | "0o" | "0b") {
            self.advance_while(is_word_part);
            Kind::Integer
        } else {
            self.decimal()
        };
        if self.peek().is_some_and(|c| c.is_alphabetic() || c == '_') {
            let message = "identifiers must not start with a digit; surround the identifier with double quotes";
            return Err(self.error(line, column, message));
        }
        Ok(kind)
    }

    fn decimal(&mut self) -> Kind {
        let mut kind = Kind::Integer;
        self.digits();
        if self.peek() == Some('.') {
            kind = Kind::Decimal;
            self.advance();
            self.digits();
        }
        let exponent = self.rest().as_bytes();
        let signed = matches!(exponent.get(1), Some(b'+' | b'-'));
        let digit = exponent.get(if signed { 2 } else { 1 }).is_some_and(u8::is_ascii_digit);
        if matches!(exponent.first(), Some(b'e' | b'E')) && digit {
            kind = Kind::Double;
            self.advance();
            if signed {
                self.advance();
            }
            self.digits();
        }
        kind
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_digit())
            || (self.peek() == Some('_') && self.peek_second().is_some_and(|c| c.is_ascii_digit()))
        {
            self.advance();
        }
    }

    fn symbol(&mut self, first: char) -> Result<Kind> {
        match SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
            Some(symbol) => {
                symbol.chars().for_each(|_| self.advance());
                Ok(Kind::Symbol)
            }
            None => Err(self.error(self.line, self.column, &format!("mismatched input '{first}'"))),
        }
    }
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What a quoted token says: the quotes gone, doubled ones undone.
pub(crate) fn unquote(text: &str, quote: char) -> String {
    let inner = text.find(quote).and_then(|open| text.get(open + 1..text.len().saturating_sub(1))).unwrap_or_default();
    let doubled: String = [quote, quote].iter().collect();
    inner.replace(&doubled, quote.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STATEMENT_LIMITS;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let tokens = tokenize(text, &STATEMENT_LIMITS).unwrap();
        tokens.iter().map(|token| (token.kind, &text[token.start..token.end])).collect()
    }

    #[test]
    fn numbers_by_spelling() {
        let kinds: Vec<Kind> = kinds("1 1_000 0xFF 1.5 .5 1. 1e0 1.5E-3").into_iter().map(|(kind, _)| kind).collect();
        use Kind::*;
        assert_eq!(kinds, [Integer, Integer, Integer, Decimal, Decimal, Decimal, Double, Double, End]);
    }

    #[test]
    fn strings_identifiers_and_comments() {
        let tokens = kinds("a--x\n.\"B\"\"c\"/* y */<>'it''s'||X'00' U&'\\0041' ? $12");
        let texts: Vec<&str> = tokens.iter().map(|(_, text)| *text).collect();
        assert_eq!(texts, ["a", ".", "\"B\"\"c\"", "<>", "'it''s'", "||", "X'00'", "U&'\\0041'", "?", "$12", ""]);
        assert_eq!(unquote("\"B\"\"c\"", '"'), "B\"c");
        assert_eq!(unquote("X'00'", '\''), "00");
    }

    #[test]
    fn faults_have_a_place() {
        for (text, place, part) in [
            ("a\n 'b", (2, 2), "not closed"),
            ("a /* b", (1, 3), "not closed"),
            ("é `b`", (1, 3), "backquoted"),
            ("12ab", (1, 1), "must not start with a digit"),
            ("a # b", (1, 3), "mismatched input '#'"),
        ] {
            let error = tokenize(text, &STATEMENT_LIMITS).unwrap_err();
            let position = error.position().unwrap();
            assert_eq!((position.line, position.column), place, "{text}");
            assert!(error.message().contains(part), "{error}");
        }
    }
}
