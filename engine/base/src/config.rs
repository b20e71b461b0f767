//! The definition of a configuration key, and the values a catalog or the server was given.
//!
//! A key is defined once, in a `const` table beside the code that reads it: name, type, default,
//! documentation, secret mark. Checking, reading and the reference page all come from that table.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Error, Result, Secret, nearest, parse_bytes, parse_duration};

/// The type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// `30s`, `5m`; a bare number is seconds.
    Duration,
    /// `512MB`; a bare number is bytes.
    Bytes,
    /// The path of a file. What it names is opened again when the file's content changes.
    File,
    /// One of these words, whatever the case.
    OneOf(&'static [&'static str]),
}

/// What setting a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It means here what it means in Trino, or what its documentation says.
    Honoured,
    /// It is accepted with a warning; the text says what happens instead.
    Ignored(&'static str),
}

/// One configuration key.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    /// Its name as files write it. A part in angle brackets, as in `table.<schema>.<table>.format`,
    /// stands for any text.
    pub name: &'static str,
    /// Older names that mean the same.
    pub aliases: &'static [&'static str],
    /// The type of its value.
    pub kind: ValueKind,
    /// The value if none is given, as text.
    pub default: Option<&'static str>,
    /// One line for the reference page.
    pub doc: &'static str,
    /// Whether the value must never be printed.
    pub secret: bool,
    /// What setting it does.
    pub effect: Effect,
}

impl ConfigKey {
    /// A key that is honoured, without a default.
    pub const fn new(name: &'static str, kind: ValueKind, doc: &'static str) -> Self {
        Self { name, aliases: &[], kind, default: None, doc, secret: false, effect: Effect::Honoured }
    }

    /// A key of Trino's that has no meaning here; `instead` says what happens instead.
    pub const fn ignored(name: &'static str, instead: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind: ValueKind::Text,
            default: None,
            doc: "",
            secret: false,
            effect: Effect::Ignored(instead),
        }
    }

    /// The same key with a default.
    #[must_use]
    pub const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// The same key with older names.
    #[must_use]
    pub const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same key, its value never printed.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name) || self.is_pattern_of(name)
    }

    /// Whether the key's name holds a placeholder, as `table.<schema>.<table>.format` does, that
    /// `name` fills in.
    fn is_pattern_of(&self, name: &str) -> bool {
        let (Some(start), Some(end)) = (self.name.find('<'), self.name.rfind('>')) else { return false };
        let (prefix, suffix) = (&self.name[..start], &self.name[end + 1..]);
        name.len() > prefix.len() + suffix.len() && name.starts_with(prefix) && name.ends_with(suffix)
    }
}

#[derive(Debug, Clone)]
struct Given {
    text: Secret,
    origin: String,
}

/// The values one catalog (or the server) was given, each with where it was said.
#[derive(Debug, Clone, Default)]
pub struct ConfigValues {
    /// `catalog "sales"`, for messages.
    subject: String,
    given: BTreeMap<String, Given>,
}

impl ConfigValues {
    /// No values yet, for `subject` (`catalog "sales"`).
    pub fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), given: BTreeMap::new() }
    }

    /// Sets `name`; `origin` is a file and line, a flag or a variable. A later call wins.
    pub fn set(&mut self, name: impl Into<String>, text: impl Into<String>, origin: impl Into<String>) {
        self.given.insert(name.into(), Given { text: Secret::new(text), origin: origin.into() });
    }

    /// What these values configure: `catalog "sales"`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The names that were given, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }

    /// The raw text under exactly this name, secrets included.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(|given| given.text.expose())
    }

    /// Holds every given name against the tables of known keys.
    ///
    /// Returns a warning for each key that has no effect here. An unknown name and a value of the
    /// wrong type are errors that name the key, its place and the nearest known key.
    pub fn check(&self, keys: &[&[ConfigKey]]) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for (name, given) in &self.given {
            let Some(key) = keys.iter().flat_map(|table| table.iter()).find(|key| key.answers_to(name)) else {
                let known = keys.iter().flat_map(|table| table.iter());
                let known = known.flat_map(|key| std::iter::once(key.name).chain(key.aliases.iter().copied()));
                let hint = match nearest(name, known).first() {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "remove it".to_owned(),
                };
                return Err(Error::invalid_query(format!(
                    "{}: unknown configuration key {name:?} at {}",
                    self.subject, given.origin
                ))
                .with_hint(hint));
            };
            if let Effect::Ignored(instead) = key.effect {
                warnings.push(format!("{}: {name} at {} has no effect here: {instead}", self.subject, given.origin));
                continue;
            }
            if let Err(expected) = fits(key.kind, given.text.expose()) {
                return Err(self.wrong(key, given, &expected));
            }
        }
        Ok(warnings)
    }

    fn wrong(&self, key: &ConfigKey, given: &Given, expected: &str) -> Error {
        let value = if key.secret { "***" } else { given.text.expose() };
        Error::invalid_query(format!(
            "{}: {} = {value:?} at {} is not {expected}",
            self.subject, key.name, given.origin
        ))
    }

    /// Where the value that holds for the key was said, or `None` if it is the default.
    pub fn origin(&self, key: &ConfigKey) -> Option<&str> {
        self.find(key).map(|given| given.origin.as_str())
    }

    /// Takes over every value of `other`; where both have one, `other`'s wins.
    pub fn merge(&mut self, other: Self) {
        self.given.extend(other.given);
    }

    fn find(&self, key: &ConfigKey) -> Option<&Given> {
        std::iter::once(key.name).chain(key.aliases.iter().copied()).find_map(|name| self.given.get(name))
    }

    /// Whether the key was given a value, rather than left to its default.
    pub fn is_set(&self, key: &ConfigKey) -> bool {
        self.find(key).is_some()
    }

    /// The value as text: given, else the default, else `None`.
    pub fn text(&self, key: &ConfigKey) -> Option<&str> {
        self.find(key).map(|given| given.text.expose()).or(key.default)
    }

    /// The value as a secret.
    pub fn secret(&self, key: &ConfigKey) -> Option<Secret> {
        self.text(key).map(Secret::new)
    }

    /// The value of a key that must be given.
    pub fn required(&self, key: &ConfigKey) -> Result<&str> {
        self.text(key).ok_or_else(|| {
            Error::invalid_query(format!("{}: configuration key {:?} is missing", self.subject, key.name))
                .with_hint(key.doc)
        })
    }

    /// The value of a [`ValueKind::Bool`] key; `false` if neither given nor defaulted.
    pub fn bool(&self, key: &ConfigKey) -> bool {
        self.text(key).and_then(parse_bool).unwrap_or(false)
    }

    /// The value of a [`ValueKind::Integer`] key.
    pub fn integer(&self, key: &ConfigKey) -> Option<i64> {
        self.text(key)?.trim().parse().ok()
    }

    /// The value of a [`ValueKind::Duration`] key.
    pub fn duration(&self, key: &ConfigKey) -> Option<Duration> {
        self.text(key).and_then(parse_duration)
    }

    /// The value of a [`ValueKind::Bytes`] key.
    pub fn bytes(&self, key: &ConfigKey) -> Option<u64> {
        self.text(key).and_then(parse_bytes)
    }
}

/// Whether a text is a value of the kind; else what was expected.
fn fits(kind: ValueKind, text: &str) -> std::result::Result<(), String> {
    let (good, expected) = match kind {
        ValueKind::Text | ValueKind::File => (true, ""),
        ValueKind::Bool => (parse_bool(text).is_some(), "true or false"),
        ValueKind::Integer => (text.trim().parse::<i64>().is_ok(), "a whole number"),
        ValueKind::Duration => (parse_duration(text).is_some(), "a duration such as 30s"),
        ValueKind::Bytes => (parse_bytes(text).is_some(), "a size such as 512MB"),
        ValueKind::OneOf(words) => {
            let good = words.iter().any(|word| word.eq_ignore_ascii_case(text.trim()));
            return if good { Ok(()) } else { Err(format!("one of {}", words.join(", "))) };
        }
    };
    if good { Ok(()) } else { Err(expected.to_owned()) }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[ConfigKey] = &[
        ConfigKey::new("connection-url", ValueKind::Text, "where the server is"),
        ConfigKey::new("connect-timeout", ValueKind::Duration, "").or("3s"),
        ConfigKey::new("connection-password", ValueKind::Text, "").secret(),
        ConfigKey::new("fs.native-s3.enabled", ValueKind::Bool, "").also(&["hive.s3.enabled"]),
        ConfigKey::ignored("join-pushdown.strategy", "joins are pushed when they do not swell"),
    ];

    fn values(pairs: &[(&str, &str)]) -> ConfigValues {
        let mut values = ConfigValues::new("catalog \"sales\"");
        for (name, text) in pairs {
            values.set(*name, *text, "sales.properties:1");
        }
        values
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = values(&[("conection-url", "x")]).check(&[KEYS]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("did you mean \"connection-url\"?") && text.contains("sales.properties:1"), "{text}");
    }

    #[test]
    fn a_placeholder_takes_any_text_but_none() {
        const TABLES: &[ConfigKey] = &[ConfigKey::new("table.<schema>.<table>.format", ValueKind::Text, "")];
        assert!(values(&[("table.raw.visits.format", "csv")]).check(&[TABLES]).is_ok());
        assert!(values(&[("table.format", "csv")]).check(&[TABLES]).is_err());
        assert!(values(&[("table.raw.visits.formats", "csv")]).check(&[TABLES]).is_err());
    }

    #[test]
    fn a_key_without_meaning_warns() {
        let warnings = values(&[("join-pushdown.strategy", "EAGER")]).check(&[KEYS]).unwrap();
        assert!(warnings[0].contains("joins are pushed when they do not swell"), "{warnings:?}");
    }

    #[test]
    fn a_wrong_value_names_what_was_expected() {
        let error = values(&[("connect-timeout", "soon")]).check(&[KEYS]).unwrap_err();
        assert!(error.to_string().contains("is not a duration"), "{error}");
    }

    #[test]
    fn defaults_aliases_and_secrets() {
        let values = values(&[("hive.s3.enabled", "TRUE"), ("connection-password", "hunter2")]);
        assert_eq!(values.duration(&KEYS[1]), Some(Duration::from_secs(3)));
        assert!(values.bool(&KEYS[3]));
        assert!(!format!("{values:?}").contains("hunter2"));
        assert_eq!(values.secret(&KEYS[2]).unwrap().expose(), "hunter2");
    }
}
