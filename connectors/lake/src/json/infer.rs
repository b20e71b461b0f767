//! The types of JSON fields, from every record of a sample.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};

use super::lex::{JsonFault, Lexer, Token, unescape};
use super::split::JsonLayout;
use crate::infer::{Guess, observe_json_text};

/// An object with more fields is read as text: its keys are data.
pub(crate) const FIELDS_MAX: usize = 1000;

/// The values seen in one place.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct JsonGuess {
    scalar: Guess,
    /// Whether any scalar but null was seen.
    has_scalar: bool,
    object: Option<Vec<(String, JsonGuess)>>,
    list: Option<Box<JsonGuess>>,
    too_many_fields: bool,
}

/// What a sample of one file shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonFacts {
    pub(crate) root: JsonGuess,
    pub(crate) rows: usize,
}

/// Looks at a sample of whole records.
///
/// # Errors
/// The place of what is no JSON, or no object.
pub(crate) fn infer(sample: &[u8], layout: JsonLayout) -> Result<JsonFacts, JsonFault> {
    let mut lexer = Lexer::new(sample);
    let mut facts = JsonFacts { root: JsonGuess::default(), rows: 0 };
    if layout == JsonLayout::Array {
        lexer.take(b'[');
    }
    loop {
        match lexer.peek() {
            None => return Ok(facts),
            Some(b',' | b']') if layout == JsonLayout::Array => {
                lexer.take(b',');
                lexer.take(b']');
            }
            Some(b'{') => {
                facts.root.observe(&mut lexer)?;
                facts.rows += 1;
            }
            Some(_) => return Err(lexer.fault("a record is expected to be an object")),
        }
    }
}

impl JsonGuess {
    fn observe(&mut self, lexer: &mut Lexer<'_>) -> Result<(), JsonFault> {
        match lexer.token()? {
            Token::Null => return lexer.word(b"null"),
            Token::True | Token::False | Token::Number => {
                let text = lexer.skip_value()?;
                self.has_scalar = true;
                self.scalar.observe(text);
            }
            Token::Text => {
                let raw = lexer.string()?;
                self.has_scalar = true;
                if raw.escaped { self.scalar.observe_text() } else { observe_json_text(&mut self.scalar, raw.bytes) }
            }
            Token::Object => {
                lexer.enter()?;
                lexer.take(b'{');
                let mut fields = self.object.take().unwrap_or_default();
                let mut next = 0;
                let outcome = lexer.members(|lexer, key| {
                    let fault = lexer.fault("a key is not valid text");
                    let name = unescape(key.bytes).ok_or(fault)?;
                    // One more than the limit is enough to know, and each is searched among all.
                    let at = match position(&fields, &name, next) {
                        Some(at) => at,
                        None if fields.len() > FIELDS_MAX => return lexer.skip_value().map(drop),
                        None => {
                            fields.push((name, Self::default()));
                            fields.len() - 1
                        }
                    };
                    next = at + 1;
                    if fields.len() > FIELDS_MAX {
                        return lexer.skip_value().map(drop);
                    }
                    fields[at].1.observe(lexer)
                });
                self.too_many_fields |= fields.len() > FIELDS_MAX;
                self.object = Some(fields);
                outcome?;
                lexer.leave();
            }
            Token::Array => {
                lexer.enter()?;
                lexer.take(b'[');
                let mut item = self.list.take().unwrap_or_default();
                let outcome = lexer.items(|lexer| item.observe(lexer));
                self.list = Some(item);
                outcome?;
                lexer.leave();
            }
        }
        Ok(())
    }

    /// The type that holds every value seen; `Null` if there was none.
    pub(crate) fn data_type(&self) -> DataType {
        match (&self.object, &self.list, self.has_scalar) {
            (None, None, _) => self.scalar.data_type(),
            (Some(fields), None, false) if !fields.is_empty() && !self.too_many_fields => {
                DataType::Struct(fields_of(fields))
            }
            (None, Some(item), false) => {
                DataType::List(Arc::new(Field::new("item", text_if_unknown(item.data_type()), true)))
            }
            // Of no common type: the JSON text itself.
            _ => DataType::Utf8View,
        }
    }

    /// Whether an object of too many fields was seen here.
    pub(crate) fn is_too_wide(&self) -> bool {
        self.too_many_fields
    }

    /// The columns of records.
    pub(crate) fn columns(&self) -> Vec<(String, DataType)> {
        let fields = self.object.as_deref().unwrap_or_default();
        fields.iter().map(|(name, guess)| (name.clone(), guess.data_type())).collect()
    }
}

fn position(fields: &[(String, JsonGuess)], name: &str, likely: usize) -> Option<usize> {
    match fields.get(likely) {
        Some((found, _)) if found == name => Some(likely),
        _ => fields.iter().position(|(found, _)| found == name),
    }
}

fn fields_of(fields: &[(String, JsonGuess)]) -> Fields {
    fields.iter().map(|(name, guess)| Field::new(name, text_if_unknown(guess.data_type()), true)).collect()
}

/// A field of which nothing but null was seen is text.
fn text_if_unknown(data_type: DataType) -> DataType {
    if data_type == DataType::Null { DataType::Utf8View } else { data_type }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqltype::sql_name;

    fn columns(sample: &str) -> String {
        let facts = infer(sample.as_bytes(), JsonLayout::of(sample.as_bytes())).unwrap();
        let columns = facts.root.columns();
        columns.iter().map(|(name, t)| format!("{name} {}", sql_name(t))).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn types_hold_every_value_of_the_sample() {
        assert_eq!(columns("{\"a\":1,\"b\":null}\n{\"b\":\"x\",\"a\":2.5}"), "a double, b varchar");
        assert_eq!(columns("{\"a\":1}\n{\"a\":\"1\"}"), "a varchar");
        assert_eq!(columns("{\"a\":\"1\"}"), "a varchar");
        assert_eq!(columns("{\"a\":\"2026-11-23\"}\n{\"a\":null}"), "a date");
        assert_eq!(columns("{\"a\":\"2026-11-23T10:15:00Z\"}"), "a timestamp(6) with time zone");
        assert_eq!(columns("[{\"a\":{\"b\":1}},{\"a\":{\"c\":[true]}}]"), "a row(b bigint, c array(boolean))");
        assert_eq!(columns("{\"a\":{\"b\":1}}\n{\"a\":[1]}"), "a varchar");
        assert_eq!(columns("{\"a\":[]}\n{\"a\":[{\"b\":1},{\"c\":2}]}"), "a array(row(b bigint, c bigint))");
        assert_eq!(columns("{\"a\":{}}"), "a varchar");
        assert_eq!(columns("{\"a\":null}"), "a unknown");
        assert_eq!(columns("{\"a\":12345678901234567890}"), "a varchar");
    }

    #[test]
    fn what_is_no_object_is_a_fault() {
        assert!(infer(b"1\n", JsonLayout::Lines).is_err());
        assert!(infer(b"[1]", JsonLayout::Array).is_err());
        assert!(infer(b"{\"a\":}\n", JsonLayout::Lines).is_err());
    }

    #[test]
    fn an_object_of_very_many_keys_is_text() {
        let keys: Vec<String> = (0..FIELDS_MAX + 5).map(|n| format!("\"k{n}\":1")).collect();
        assert_eq!(columns(&format!("{{\"a\":{{{}}}}}", keys.join(","))), "a varchar");
        let keys: Vec<String> = (0..200_000).map(|n| format!("\"k{n}\":1")).collect();
        let started = std::time::Instant::now();
        assert_eq!(columns(&format!("{{\"a\":{{{}}}}}", keys.join(","))), "a varchar");
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
