//! What a file is: by its name first, by its first bytes where the name says nothing.

use bytes::Bytes;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Csv,
    Json,
    Parquet,
}

/// How a file's bytes are packed. Parquet packs its own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// Name endings that say a format.
const EXTENSIONS: &[(&str, Format)] = &[
    ("csv", Format::Csv),
    ("tsv", Format::Csv),
    ("psv", Format::Csv),
    ("json", Format::Json),
    ("jsonl", Format::Json),
    ("ndjson", Format::Json),
    ("parquet", Format::Parquet),
    ("parq", Format::Parquet),
];

/// Name endings that say a packing; what is before them says the format.
const PACKINGS: &[&str] = &["gz", "gzip", "zst", "zstd"];

/// First bytes that say a packing (RFC 1952 section 2.3.1, RFC 8878 section 3.1.1).
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// First and last bytes of a Parquet file.
pub(crate) const PARQUET_MAGIC: &[u8] = b"PAR1";

impl Format {
    /// The format of this name, whatever the case.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::Csv, Self::Json, Self::Parquet]
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(name.trim()))
    }

    /// Its name in configuration and SHOW CREATE TABLE.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Parquet => "PARQUET",
        }
    }

    /// The format that unpacked first bytes look like.
    pub(crate) fn of_content(head: &[u8]) -> Self {
        if head.starts_with(PARQUET_MAGIC) {
            return Self::Parquet;
        }
        match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[') => Self::Json,
            _ => Self::Csv,
        }
    }
}

/// What the name of a file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName<'a> {
    /// The name without the endings that were understood.
    pub(crate) stem: &'a str,
    /// `None`: the name has no ending, and only the content tells.
    pub(crate) format: Option<Format>,
}

/// Reads a file's name; `None` for files that are no data: hidden ones and those with another ending.
pub(crate) fn file_name(name: &str) -> Option<FileName<'_>> {
    if is_hidden(name) {
        return None;
    }
    let unpacked = match name.rsplit_once('.') {
        Some((stem, ending)) if PACKINGS.iter().any(|p| p.eq_ignore_ascii_case(ending)) => stem,
        _ => name,
    };
    match unpacked.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => {
            let (_, format) = EXTENSIONS.iter().find(|(e, _)| e.eq_ignore_ascii_case(ending))?;
            Some(FileName { stem, format: Some(*format) })
        }
        _ => Some(FileName { stem: unpacked, format: None }),
    }
}

/// Names that start with `_` or `.` are bookkeeping of whoever wrote the files.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with(['_', '.'])
}

impl Packing {
    /// The packing that a file's first bytes say, whatever its name.
    pub(crate) fn of_content(head: &[u8]) -> Self {
        if head.starts_with(GZIP_MAGIC) {
            Self::Gzip
        } else if head.starts_with(ZSTD_MAGIC) {
            Self::Zstd
        } else {
            Self::Plain
        }
    }
}

/// The field delimiter that a file's ending stands for.
pub(crate) fn delimiter_of_name(name: &str) -> Option<u8> {
    let lower = name.to_ascii_lowercase();
    let has = |ending: &str| lower.contains(ending);
    if has(".tsv") {
        Some(b'\t')
    } else if has(".psv") {
        Some(b'|')
    } else {
        None
    }
}

/// Text without its byte order mark; `Err` names an encoding that is not UTF-8.
pub(crate) fn strip_byte_order_mark(head: Bytes) -> Result<Bytes, &'static str> {
    match head.as_ref() {
        [0xef, 0xbb, 0xbf, ..] => Ok(head.slice(3..)),
        [0xff, 0xfe, ..] => Err("UTF-16 (little endian)"),
        [0xfe, 0xff, ..] => Err("UTF-16 (big endian)"),
        _ => Ok(head),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_formats() {
        let told = |name| file_name(name).map(|n| (n.stem, n.format));
        assert_eq!(told("visits.csv"), Some(("visits", Some(Format::Csv))));
        assert_eq!(told("visits.2026.NDJSON.gz"), Some(("visits.2026", Some(Format::Json))));
        assert_eq!(told("part-0.snappy.parquet"), Some(("part-0.snappy", Some(Format::Parquet))));
        assert_eq!(told("000000_0"), Some(("000000_0", None)));
        assert_eq!(told("000000_0.gz"), Some(("000000_0", None)));
        for name in ["_SUCCESS", ".hidden.csv", "readme.md", "visits.csv.crc", "report.xlsx"] {
            assert_eq!(told(name), None, "{name}");
        }
    }

    #[test]
    fn content_tells_where_names_do_not() {
        assert_eq!(Format::of_content(b"PAR1\x00"), Format::Parquet);
        assert_eq!(Format::of_content(b"  \n{\"a\":1}"), Format::Json);
        assert_eq!(Format::of_content(b"a,b\n1,2\n"), Format::Csv);
        assert_eq!(Packing::of_content(&[0x1f, 0x8b, 8]), Packing::Gzip);
        assert_eq!(Packing::of_content(&[0x28, 0xb5, 0x2f, 0xfd, 0]), Packing::Zstd);
    }

    #[test]
    fn other_encodings_are_named() {
        assert_eq!(strip_byte_order_mark(Bytes::from_static(b"\xef\xbb\xbfa")).unwrap(), "a");
        assert!(strip_byte_order_mark(Bytes::from_static(b"\xff\xfea\0")).is_err());
    }
}
