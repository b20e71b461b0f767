//! Schemas and tables without a metastore: they are where the files are.
//!
//! ```text
//! lake.root = s3://bucket/in        in/a.csv                      default.a
//!                                   in/raw/visits.csv             raw.visits
//!                                   in/raw/visits/day=…/*.parquet raw.visits
//! no lake.root                      bucket/visits.csv             bucket.visits
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use meesh_base::{Error, Result};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::format::{file_name, is_hidden};
use crate::listing::{Folder, Lister, PARALLEL};
use crate::location::Location;
use crate::partition::is_partition;
use crate::store::{Bucket, Stores};

/// The schema of files that stand at a root itself.
const ROOT_SCHEMA: &str = "default";

/// A folder whose files and folders are tables.
#[derive(Debug, Clone)]
pub(crate) struct SchemaPlace {
    bucket: Arc<Bucket>,
    path: Path,
    /// The folders below are schemas, not tables.
    files_only: bool,
}

/// Something that may be a table.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) path: Path,
    pub(crate) kind: CandidateKind,
}

#[derive(Debug, Clone)]
pub(crate) enum CandidateKind {
    File(ObjectMeta),
    /// A folder that holds files or `key=value` folders.
    Folder,
    /// A folder of a table format that is not read.
    Foreign(&'static str),
    /// A folder of plain folders, or of nothing that is read: no table.
    Plain,
}

impl Candidate {
    /// The URL of the file, or of the folder with a slash.
    pub(crate) fn url(&self) -> String {
        let url = self.bucket.url_of(&self.path);
        if matches!(self.kind, CandidateKind::File(_)) { url } else { format!("{url}/") }
    }
}

/// Finds schemas and tables of one catalog.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) catalog: Arc<str>,
    pub(crate) roots: Vec<Location>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) lister: Arc<Lister>,
}

impl Discovery {
    /// The schemas by name, each with the folders that it is made of.
    ///
    /// # Errors
    /// As [`Lister::folder`]; `Denied` where buckets may not be listed.
    pub(crate) async fn schemas(&self) -> Result<BTreeMap<String, Vec<SchemaPlace>>> {
        let mut schemas: BTreeMap<String, Vec<SchemaPlace>> = BTreeMap::new();
        if self.roots.is_empty() {
            for name in self.lister.buckets(&self.stores).await?.iter() {
                let place = SchemaPlace { bucket: self.stores.bucket(name)?, path: Path::default(), files_only: false };
                schemas.entry(name.clone()).or_default().push(place);
            }
            return Ok(schemas);
        }
        for root in &self.roots {
            let (bucket, path) = self.stores.open(root)?;
            let folder = self.lister.folder(&bucket, &path).await?;
            for below in &folder.folders {
                if let Some(name) = plain_name(below) {
                    let place = SchemaPlace { bucket: Arc::clone(&bucket), path: below.clone(), files_only: false };
                    schemas.entry(name.to_owned()).or_default().push(place);
                }
            }
            if folder.files.iter().any(is_data) {
                let place = SchemaPlace { bucket, path, files_only: true };
                schemas.entry(ROOT_SCHEMA.to_owned()).or_default().push(place);
            }
        }
        Ok(schemas)
    }

    /// The places of one schema, whatever the case of `name`; empty if there is none.
    ///
    /// # Errors
    /// `InvalidQuery` when two schemas differ in case only.
    async fn places(&self, name: &str) -> Result<Vec<SchemaPlace>> {
        let mut found = self.schemas().await?.into_iter().filter(|(n, _)| same_name(n, name));
        let Some((first, places)) = found.next() else { return Ok(Vec::new()) };
        match found.next() {
            None => Ok(places),
            Some((second, _)) => Err(self.ambiguous("schema", name, &first, &second)),
        }
    }

    /// The tables of a schema, sorted by name. One of several things of one name is listed; asking
    /// for it is the error.
    pub(crate) async fn tables(&self, schema: &str) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for place in self.places(schema).await? {
            let folder = self.lister.folder(&place.bucket, &place.path).await?;
            if self.foreign_format(&place.bucket, &folder).await?.is_some() {
                continue;
            }
            let candidates = stream::iter(candidates(&place, &folder))
                .map(|candidate| self.classify(candidate))
                .buffered(PARALLEL)
                .try_collect::<Vec<_>>()
                .await?;
            let tables = candidates.into_iter().filter(|c| !matches!(c.kind, CandidateKind::Plain));
            names.extend(tables.map(|candidate| candidate.name));
        }
        names.sort();
        names.dedup_by(|a, b| same_name(a, b));
        Ok(names)
    }

    /// The file or folder of a table, whatever the case of its name, or `None`.
    ///
    /// # Errors
    /// `SourceData` naming both when a file and a folder, or two files, make the same table;
    /// `Unsupported` for a folder of a table format that is not read.
    pub(crate) async fn table(&self, schema: &str, table: &str) -> Result<Option<Candidate>> {
        let mut found: Vec<Candidate> = Vec::new();
        for place in self.places(schema).await? {
            let folder = self.lister.folder(&place.bucket, &place.path).await?;
            let named: Vec<Candidate> =
                candidates(&place, &folder).into_iter().filter(|candidate| same_name(&candidate.name, table)).collect();
            if !named.is_empty()
                && let Some(format) = self.foreign_format(&place.bucket, &folder).await?
            {
                return Err(self.foreign(format, &format!("{}/", place.bucket.url_of(&place.path))));
            }
            for candidate in named {
                found.push(self.classify(candidate).await?);
            }
        }
        if let [first, second, ..] = found.as_slice() {
            let message = format!(
                "catalog {:?}: {:?} and {:?} are both table {:?}",
                self.catalog,
                first.url(),
                second.url(),
                first.name
            );
            return Err(Error::source_data(message).with_hint("rename one of them, or move the file into the folder"));
        }
        match found.pop() {
            Some(Candidate { kind: CandidateKind::Plain, .. }) | None => Ok(None),
            Some(candidate) => match candidate.kind {
                CandidateKind::Foreign(format) => Err(self.foreign(format, &candidate.url())),
                _ => Ok(Some(candidate)),
            },
        }
    }

    /// What a location that the catalog file names is.
    pub(crate) async fn declared(&self, name: &str, location: &Location) -> Result<Candidate> {
        let (bucket, path) = self.stores.open(location)?;
        let file = if path.is_root() { None } else { self.lister.file(&bucket, &path).await? };
        let candidate = Candidate {
            name: name.to_owned(),
            bucket,
            path,
            kind: file.map_or(CandidateKind::Folder, CandidateKind::File),
        };
        match self.classify(candidate).await? {
            Candidate { kind: CandidateKind::Foreign(format), bucket, path, .. } => {
                Err(self.foreign(format, &format!("{}/", bucket.url_of(&path))))
            }
            // Declared is declared: the folder may be empty yet.
            candidate if matches!(candidate.kind, CandidateKind::Plain) => {
                Ok(Candidate { kind: CandidateKind::Folder, ..candidate })
            }
            candidate => Ok(candidate),
        }
    }

    /// Looks into a folder; a file is what it is.
    async fn classify(&self, candidate: Candidate) -> Result<Candidate> {
        if matches!(candidate.kind, CandidateKind::File(_)) {
            return Ok(candidate);
        }
        let folder = self.lister.folder(&candidate.bucket, &candidate.path).await?;
        let kind = match self.foreign_format(&candidate.bucket, &folder).await? {
            Some(format) => CandidateKind::Foreign(format),
            None if folder.files.iter().any(is_data) => CandidateKind::Folder,
            None if folder.folders.iter().any(|f| f.filename().is_some_and(is_partition)) => CandidateKind::Folder,
            None => CandidateKind::Plain,
        };
        Ok(Candidate { kind, ..candidate })
    }

    /// The table format whose bookkeeping a folder holds. Its data files alone would be read wrongly:
    /// deleted rows come back, updated ones come twice.
    async fn foreign_format(&self, bucket: &Arc<Bucket>, folder: &Folder) -> Result<Option<&'static str>> {
        for below in &folder.folders {
            match below.filename() {
                Some("_delta_log") => return Ok(Some("Delta Lake (_delta_log)")),
                Some(".hoodie") => return Ok(Some("Hudi (.hoodie)")),
                Some("metadata") => {
                    let metadata = self.lister.folder(bucket, below).await?;
                    let is_iceberg = |meta: &ObjectMeta| {
                        let name = meta.location.filename().unwrap_or_default();
                        name.ends_with(".metadata.json") || name == "version-hint.text"
                    };
                    if metadata.files.iter().any(is_iceberg) {
                        return Ok(Some("Iceberg"));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn foreign(&self, format: &str, url: &str) -> Error {
        Error::unsupported(format!(
            "catalog {:?}: folder {url:?} is a {format} table, which is not read yet",
            self.catalog
        ))
        .with_hint("export it as Parquet files into a folder of their own")
    }

    fn ambiguous(&self, kind: &str, name: &str, first: &str, second: &str) -> Error {
        Error::invalid_query(format!(
            "catalog {:?}: {kind} {name:?} may be {first:?} or {second:?}: names are compared without regard to case",
            self.catalog
        ))
        .with_hint("rename one of the folders")
    }
}

/// Whether a file may hold rows: it is not empty, and nobody's bookkeeping.
pub(crate) fn may_hold_rows(meta: &ObjectMeta) -> bool {
    meta.size > 0 && meta.location.filename().is_some_and(|name| !is_hidden(name))
}

/// Whether a file may hold rows and is named as data.
pub(crate) fn is_data(meta: &ObjectMeta) -> bool {
    may_hold_rows(meta) && meta.location.filename().is_some_and(|name| file_name(name).is_some())
}

pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// What may be tables in a schema's folder; folders are not looked into yet.
fn candidates(place: &SchemaPlace, folder: &Folder) -> Vec<Candidate> {
    let candidate = |name: &str, path: &Path, kind| Candidate {
        name: name.to_owned(),
        bucket: Arc::clone(&place.bucket),
        path: path.clone(),
        kind,
    };
    let mut found = Vec::new();
    for meta in &folder.files {
        let name = meta.location.filename().unwrap_or_default();
        // An empty file without an ending stands for a folder: `t_$folder$`.
        if let Some(told) = file_name(name).filter(|told| told.format.is_some() || meta.size > 0) {
            found.push(candidate(told.stem, &meta.location, CandidateKind::File(meta.clone())));
        }
    }
    for path in folder.folders.iter().filter(|_| !place.files_only) {
        if let Some(name) = plain_name(path) {
            found.push(candidate(name, path, CandidateKind::Plain));
        }
    }
    found
}

/// The name of a folder that may be a schema or a table. One without a name comes of a key that
/// starts with a slash.
fn plain_name(folder: &Path) -> Option<&str> {
    folder.filename().filter(|name| !name.is_empty() && !is_hidden(name) && !is_partition(name))
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
