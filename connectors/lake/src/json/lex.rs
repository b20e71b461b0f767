//! The tokens of JSON text (RFC 8259), found as they are asked for.

use memchr::memchr2;

/// How deep values may nest.
pub(crate) const DEPTH_MAX: usize = 100;

/// What is wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonFault {
    /// Offset in the text.
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// What a value is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Null,
    True,
    False,
    Number,
    Text,
    Object,
    Array,
}

/// The bytes between the quotes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawText<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether a backslash is among them.
    pub(crate) escaped: bool,
}

/// A place in JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn fault(&self, what: &'static str) -> JsonFault {
        JsonFault { at: self.at, what }
    }

    /// The next byte that is no white space, not consumed.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// Consumes the next byte that is no white space if it is this one.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), JsonFault> {
        if self.take(byte) { Ok(()) } else { Err(self.fault(what)) }
    }

    /// What the next value is, not consumed.
    #[inline]
    pub(crate) fn token(&mut self) -> Result<Token, JsonFault> {
        match self.peek() {
            Some(b'"') => Ok(Token::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number),
            Some(b'{') => Ok(Token::Object),
            Some(b'[') => Ok(Token::Array),
            Some(b't') => Ok(Token::True),
            Some(b'f') => Ok(Token::False),
            Some(b'n') => Ok(Token::Null),
            Some(_) => Err(self.fault("a value is expected")),
            None => Err(self.fault("the record ends too early")),
        }
    }

    /// Consumes `null`, `true` or `false`.
    #[inline]
    pub(crate) fn word(&mut self, word: &'static [u8]) -> Result<(), JsonFault> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault("null, true or false is expected"))
        }
    }

    /// Consumes a number; its text is of the characters of numbers but not checked further.
    #[inline]
    pub(crate) fn number(&mut self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let end = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Consumes a text in quotes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<RawText<'a>, JsonFault> {
        if self.text.get(self.at) != Some(&b'"') {
            return Err(self.fault("a text in quotes is expected"));
        }
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            let Some(found) = memchr2(b'"', b'\\', self.text.get(at..).unwrap_or_default()) else {
                return Err(self.fault("a text in quotes does not end"));
            };
            let place = at + found;
            if self.text[place] == b'"' {
                self.at = place + 1;
                return Ok(RawText { bytes: &self.text[start..place], escaped });
            }
            escaped = true;
            at = place + 2;
        }
    }

    /// Goes one level down; fails beyond [`DEPTH_MAX`].
    pub(crate) fn enter(&mut self) -> Result<(), JsonFault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(self.fault("values nest deeper than 100 levels")) } else { Ok(()) }
    }

    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Consumes a value of any kind and returns its text.
    pub(crate) fn skip_value(&mut self) -> Result<&'a [u8], JsonFault> {
        let token = self.token()?;
        let start = self.at;
        match token {
            Token::Null => self.word(b"null")?,
            Token::True => self.word(b"true")?,
            Token::False => self.word(b"false")?,
            Token::Number => drop(self.number()),
            Token::Text => drop(self.string()?),
            Token::Object => {
                self.enter()?;
                self.at += 1;
                self.members(|lexer, _| lexer.skip_value().map(drop))?;
                self.leave();
            }
            Token::Array => {
                self.enter()?;
                self.at += 1;
                self.items(|lexer| lexer.skip_value().map(drop))?;
                self.leave();
            }
        }
        Ok(&self.text[start..self.at])
    }

    /// The members of an object whose brace is consumed. `f` consumes each value.
    #[inline]
    pub(crate) fn members(
        &mut self,
        mut f: impl FnMut(&mut Self, RawText<'a>) -> Result<(), JsonFault>,
    ) -> Result<(), JsonFault> {
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.peek();
            let key = self.string()?;
            self.expect(b':', "a colon is expected")?;
            f(self, key)?;
            if !self.take(b',') {
                return self.expect(b'}', "a comma or closing brace is expected");
            }
        }
    }

    /// The items of an array whose bracket is consumed. `f` consumes each value.
    #[inline]
    pub(crate) fn items(&mut self, mut f: impl FnMut(&mut Self) -> Result<(), JsonFault>) -> Result<(), JsonFault> {
        if self.take(b']') {
            return Ok(());
        }
        loop {
            f(self)?;
            if !self.take(b',') {
                return self.expect(b']', "a comma or closing bracket is expected");
            }
        }
    }
}

/// A text without its escapes; `None` if one is wrong or the bytes are not UTF-8.
pub(crate) fn unescape(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let sign = after.chars().next()?;
        rest = &after[sign.len_utf8()..];
        match sign {
            '"' | '\\' | '/' => plain.push(sign),
            'b' => plain.push('\u{8}'),
            'f' => plain.push('\u{c}'),
            'n' => plain.push('\n'),
            'r' => plain.push('\r'),
            't' => plain.push('\t'),
            'u' => {
                let (unit, after) = code_unit(rest)?;
                rest = after;
                // Characters beyond the first plane come as two units (RFC 8259 section 7).
                let code = if (0xd800..0xdc00).contains(&unit) {
                    let (low, after) = code_unit(rest.strip_prefix("\\u")?)?;
                    rest = after;
                    0x10000 + ((unit - 0xd800) << 10) + low.checked_sub(0xdc00).filter(|low| *low < 0x400)?
                } else {
                    unit
                };
                plain.push(char::from_u32(code)?);
            }
            _ => return None,
        }
    }
    plain.push_str(rest);
    Some(plain)
}

fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((u32::from_str_radix(digits, 16).ok().filter(|_| plain)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_skipped_whole() {
        let text = r#" {"a\"}": [1, {"b": null}, "x]"], "c": -1.5e3} , true"#;
        let mut lexer = Lexer::new(text.as_bytes());
        assert_eq!(lexer.skip_value().unwrap(), &text.as_bytes()[1..text.len() - 7]);
        assert!(lexer.take(b','));
        assert_eq!(lexer.skip_value().unwrap(), b"true");
        assert_eq!(lexer.peek(), None);
        for wrong in ["{\"a\" 1}", "{\"a\":1", "[1 2]", "tru", "\"a", "{a:1}", "[1,]", ""] {
            assert!(Lexer::new(wrong.as_bytes()).skip_value().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Lexer::new(nested(DEPTH_MAX).as_bytes()).skip_value().is_ok());
        assert!(Lexer::new(nested(DEPTH_MAX + 1).as_bytes()).skip_value().is_err());
    }

    #[test]
    fn escapes_read_as_serde_reads_them() {
        for text in [r"a\n\t\\\/\b\f\r", r"\u00e9\ud83d\ude00", "plain é", r#"\"q\""#] {
            let expected: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(unescape(text.as_bytes()), Some(expected), "{text}");
        }
        for wrong in [r"\x", r"\u12", r"\ud83d", r"\ud83dx", r"\u+123", "\\"] {
            assert_eq!(unescape(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(unescape(b"\xff"), None);
    }
}
