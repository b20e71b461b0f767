//! The configuration folder: where it is, and the files of it that are read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use meesh_base::{Error, Result};

/// Where the folder is looked for when nobody says.
const DEFAULTS: &[&str] = &["./etc", "/etc/meesh", "/etc/trino"];

/// What makes a folder a configuration folder: a `./etc` of something else is left alone.
const MARKS: &[&str] = &["meesh.yaml", "config.properties", "catalog"];

/// Files of Trino's that are not read, and what happens instead.
pub(crate) const UNREAD: &[(&str, &str)] = &[
    ("jvm.config", "there is no Java machine here; memory.limit bounds memory"),
    ("resource-groups.properties", "the whole server has one queue (queries.running_max, queries.queued_max)"),
    ("resource-groups.json", "the whole server has one queue (queries.running_max, queries.queued_max)"),
    ("event-listener.properties", "no listeners are loaded; each query leaves one line in the log"),
    ("exchange-manager.properties", "meesh is one process: nothing is exchanged between nodes"),
    ("session-property-config.properties", "session.* in meesh.yaml sets what new sessions start with"),
    ("group-provider.properties", "users have no groups in this version"),
    ("certificate-authenticator.properties", "clients log in with a password (users.file)"),
    ("header-authenticator.properties", "clients log in with a password (users.file)"),
    ("secrets.toml", "values refer to secrets by ${ENV:NAME} and ${FILE:path}"),
];

/// The folder to read: `given`, else the first default that looks like one, else none.
///
/// # Errors
/// `NotFound` if `given` is no folder.
pub(crate) fn find(given: Option<&Path>) -> Result<Option<PathBuf>> {
    match given {
        Some(path) if path.is_dir() => Ok(Some(path.to_owned())),
        Some(path) => Err(Error::not_found(format!("configuration folder {:?} does not exist", path.display()))
            .with_hint("--etc names a folder that holds meesh.yaml, config.properties or catalog/")),
        None => Ok(DEFAULTS.iter().map(PathBuf::from).find(|path| is_etc(path))),
    }
}

fn is_etc(path: &Path) -> bool {
    MARKS.iter().any(|mark| path.join(mark).exists())
}

/// The text of a file, or `None` if there is none.
///
/// # Errors
/// `InvalidQuery` if it is there but cannot be read as text.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::invalid_query(format!("cannot read file {:?}", path.display()))
            .with_detail(error.to_string())
            .with_hint("it has to be a text file that the user of this process may read")),
    }
}

/// A warning for each file of the folder that Trino would read and meesh does not.
pub(crate) fn unread(folder: &Path) -> Vec<String> {
    UNREAD
        .iter()
        .map(|(name, instead)| (folder.join(name), instead))
        .filter(|(path, _)| path.exists())
        .map(|(path, instead)| format!("{} is not read: {instead}", path.display()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_named_must_exist() {
        assert!(find(Some(Path::new("/does/not/exist"))).is_err_and(|e| e.to_string().contains("/does/not/exist")));
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("meesh-etc-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let before = is_etc(&folder);
        std::fs::write(folder.join("meesh.yaml"), "").unwrap();
        std::fs::write(folder.join("jvm.config"), "-Xmx1G").unwrap();
        let after = is_etc(&folder);
        let warnings = unread(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(!before && after);
        assert!(warnings.len() == 1 && warnings[0].contains("memory.limit"), "{warnings:?}");
    }
}
