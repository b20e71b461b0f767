//! Where files are: a prefix of a bucket, or a directory.

use std::fmt;
use std::path::PathBuf;

use meesh_base::{Error, Result};
use object_store::path::Path;
use url::Url;

/// A place that a configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// Keys of an S3 bucket that start with a prefix.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix, empty for all of it.
        prefix: Path,
    },
    /// A directory or file of this machine, absolute.
    Local(PathBuf),
}

impl Location {
    /// Reads `s3://bucket[/prefix]`, `s3a://…`, `file:///directory`, or `local:///path` below
    /// `local_root`.
    ///
    /// # Errors
    /// `InvalidQuery` for any other scheme and for text that is no URL.
    pub(crate) fn parse(text: &str, local_root: Option<&str>) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid_query(format!("location {text:?} {why}"))
                .with_hint("write s3://bucket/prefix or file:///directory")
        };
        let text = text.trim();
        let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("holds a ? or #"));
        }
        match url.scheme() {
            "s3" | "s3a" | "s3n" => {
                // The key is taken as written: object keys are not URL-encoded in Trino's files.
                let rest = text.split_once("://").map_or("", |(_, rest)| rest);
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() || bucket.contains('@') {
                    return Err(wrong("names no bucket"));
                }
                let prefix =
                    Path::parse(prefix.trim_matches('/')).map_err(|_| wrong("holds an empty or relative part"))?;
                Ok(Self::S3 { bucket: bucket.to_owned(), prefix })
            }
            "file" => {
                let path = url.to_file_path().map_err(|()| wrong("is not a path of this machine"))?;
                Ok(Self::Local(path))
            }
            "local" => {
                let root = local_root.ok_or_else(|| wrong("needs local.location"))?;
                let below = text.split_once("://").map_or("", |(_, rest)| rest).trim_start_matches('/');
                if below.split('/').any(|part| part == "..") {
                    return Err(wrong("leaves local.location"));
                }
                Ok(Self::Local(PathBuf::from(root).join(below)))
            }
            other => Err(wrong(&format!("has the unknown scheme {other:?}"))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_root() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Local(path) => write!(f, "file://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_read_back_as_written() {
        for text in ["s3://raw", "s3://raw/a/b", "file:///srv/lake"] {
            assert_eq!(Location::parse(text, None).unwrap().to_string(), text);
        }
        assert_eq!(Location::parse("s3a://raw/a/", None).unwrap().to_string(), "s3://raw/a");
        assert_eq!(Location::parse("local:///a", Some("/srv")).unwrap().to_string(), "file:///srv/a");
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in ["raw/a", "http://x/y", "s3://", "s3:///a", "s3://b/a/../c", "local:///a", "s3://b/a?x=1"] {
            assert!(Location::parse(text, None).is_err(), "{text}");
        }
        assert!(Location::parse("local:///../etc", Some("/srv")).is_err());
    }
}
