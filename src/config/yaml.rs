//! `meesh.yaml`, flattened to dotted names with the text of their scalars.
//!
//! ```text
//! flight:                          flight.listen = 0.0.0.0:32010     (line 2)
//!   listen: 0.0.0.0:32010    ->
//! catalogs:                        catalog sales: connection-user = meesh    (line 5)
//!   sales: {connection-user: meesh}
//! ```
//!
//! Scalars keep the text that was written: a password `0123` does not become a number.

use meesh_base::{Error, Result};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};

/// One scalar of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Its dotted name.
    pub(crate) name: String,
    /// Its text, references such as `${ENV:X}` not resolved. A list is joined by commas.
    pub(crate) value: String,
}

/// One catalog of the `catalogs` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogSection {
    /// The catalog's name as written.
    pub(crate) name: String,
    /// The line of its first entry.
    pub(crate) line: usize,
    /// What it was given.
    pub(crate) given: Given,
}

/// What a catalog of `meesh.yaml` was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// `sales: postgres://…`
    Url(String),
    /// `sales: {connector.name: postgresql, …}`
    Keys(Vec<Entry>),
}

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// Everything outside `catalogs`.
    pub(crate) settings: Vec<Entry>,
    /// The `catalogs` section.
    pub(crate) catalogs: Vec<CatalogSection>,
}

/// Deeper nesting than any key has; keeps the reader from recursing without end.
const DEPTH_MAX: usize = 16;

/// Reads the text of a file; `file` is named in errors.
///
/// # Errors
/// `InvalidQuery` with line and column for text that is no YAML, for a name that is given twice and
/// for what a configuration does not need: aliases, several documents, names that are no scalars.
pub(crate) fn parse(text: &str, file: &str) -> Result<Document> {
    let mut reader = Reader { parser: Parser::new_from_str(text), file, leaves: Vec::new() };
    reader.stream()?;
    document(reader.leaves, file)
}

struct Leaf {
    path: Vec<String>,
    line: usize,
    value: String,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: &'a str,
    leaves: Vec<Leaf>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                let (line, column) = (error.marker().line(), error.marker().col() + 1);
                Err(Error::invalid_query(format!("not valid YAML at {}:{line}:{column}", self.file))
                    .with_detail(error.info()))
            }
        }
    }

    fn stream(&mut self) -> Result<()> {
        let mut documents = 0;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(self.refuse("a second document", &span));
                    }
                }
                Event::MappingStart(..) => self.mapping(&mut Vec::new())?,
                Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => {}
                Event::Scalar(..) | Event::SequenceStart(..) | Event::Alias(_) => {
                    return Err(self.refuse("something else than names and values", &span));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn mapping(&mut self, path: &mut Vec<String>) -> Result<()> {
        while let Some((event, span)) = self.next()? {
            match event {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(name, ..) => {
                    if path.len() >= DEPTH_MAX {
                        return Err(self.refuse("nesting deeper than 16 levels", &span));
                    }
                    path.push(name.into_owned());
                    self.value(path, span.start.line())?;
                    path.pop();
                }
                Event::MappingStart(..) | Event::SequenceStart(..) | Event::Alias(_) => {
                    return Err(self.refuse("a name that is no text", &span));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn value(&mut self, path: &mut Vec<String>, line: usize) -> Result<()> {
        while let Some((event, span)) = self.next()? {
            match event {
                Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => return Ok(()),
                Event::Scalar(text, ..) => {
                    let value = text.into_owned();
                    self.leaves.push(Leaf { path: path.clone(), line, value });
                    return Ok(());
                }
                Event::MappingStart(..) => return self.mapping(path),
                Event::SequenceStart(..) => {
                    let value = self.list()?;
                    self.leaves.push(Leaf { path: path.clone(), line, value });
                    return Ok(());
                }
                Event::Alias(_) => return Err(self.refuse("an alias", &span)),
                _ => {}
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Result<String> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            match event {
                Event::SequenceEnd => break,
                Event::Scalar(text, ..) => items.push(text.into_owned()),
                Event::MappingStart(..) | Event::SequenceStart(..) | Event::Alias(_) => {
                    return Err(self.refuse("a list of anything but texts", &span));
                }
                _ => {}
            }
        }
        Ok(items.join(","))
    }

    fn refuse(&self, what: &str, span: &Span) -> Error {
        Error::invalid_query(format!("{what} is not supported at {}:{}", self.file, span.start.line()))
            .with_hint("the file holds names and values, nested or dotted: \"flight.listen: 127.0.0.1:32010\"")
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn document(leaves: Vec<Leaf>, file: &str) -> Result<Document> {
    let mut document = Document::default();
    let mut seen: Vec<(Vec<String>, usize)> = Vec::new();
    for Leaf { path, line, value } in leaves {
        let dotted = path.join(".");
        if let Some((_, first)) = seen.iter().find(|(other, _)| other.join(".") == dotted) {
            return Err(Error::invalid_query(format!("configuration key {dotted:?} is given twice at {file}:{line}"))
                .with_hint(format!("remove it there or at {file}:{first}")));
        }
        match path.as_slice() {
            [section, name, rest @ ..] if section == "catalogs" => {
                add_to_catalog(&mut document.catalogs, name, Entry { line, name: rest.join("."), value });
            }
            _ => document.settings.push(Entry { line, name: dotted, value }),
        }
        seen.push((path, line));
    }
    Ok(document)
}

fn add_to_catalog(catalogs: &mut Vec<CatalogSection>, name: &str, entry: Entry) {
    if entry.name.is_empty() {
        catalogs.push(CatalogSection { name: name.to_owned(), line: entry.line, given: Given::Url(entry.value) });
        return;
    }
    let same = catalogs.iter_mut().find_map(|section| match &mut section.given {
        Given::Keys(entries) if section.name == name => Some(entries),
        _ => None,
    });
    match same {
        Some(entries) => entries.push(entry),
        None => {
            catalogs.push(CatalogSection { name: name.to_owned(), line: entry.line, given: Given::Keys(vec![entry]) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: usize, name: &str, value: &str) -> Entry {
        Entry { line, name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn nested_and_dotted_names_are_the_same() {
        let text = "# c\nflight:\n  listen: 0.0.0.0:1\n  tls: {certificate: a.pem}\nadmin.listen: x\nmemory:\n";
        let document = parse(text, "meesh.yaml").unwrap();
        assert_eq!(
            document.settings,
            [
                entry(3, "flight.listen", "0.0.0.0:1"),
                entry(4, "flight.tls.certificate", "a.pem"),
                entry(5, "admin.listen", "x")
            ]
        );
    }

    #[test]
    fn scalars_keep_their_text() {
        let document = parse("a: 0123\nb: '~'\nc: yes\nd: 1e3\ne: [x, 'y z']\n", "f").unwrap();
        let values: Vec<&str> = document.settings.iter().map(|entry| entry.value.as_str()).collect();
        assert_eq!(values, ["0123", "~", "yes", "1e3", "x,y z"]);
    }

    #[test]
    fn catalogs_are_urls_or_keys() {
        let text = "catalogs:\n  lake: s3://bucket\n  sales:\n    connector.name: postgresql\n    a:\n      b: c\n";
        let document = parse(text, "f").unwrap();
        assert_eq!(document.catalogs.len(), 2);
        assert_eq!(document.catalogs[0].given, Given::Url("s3://bucket".to_owned()));
        assert_eq!(
            document.catalogs[1].given,
            Given::Keys(vec![entry(4, "connector.name", "postgresql"), entry(6, "a.b", "c")])
        );
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, expected) in [
            ("a: 1\nb: 2\na: 3\n", "f:3"),
            ("a:\n  b: 1\na.b: 2\n", "f:3"),
            ("a: *x\n", "f:1"),
            ("a: [1\n", "f:"),
            ("- a\n", "f:1"),
            ("a: 1\n---\nb: 1\n", "f:2"),
            ("a: {b: [{c: 1}]}\n", "f:1"),
        ] {
            let error = parse(text, "f").unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_empty_file_is_no_configuration() {
        assert_eq!(parse("", "f").unwrap(), Document::default());
        assert_eq!(parse("# only a comment\n", "f").unwrap(), Document::default());
    }
}
