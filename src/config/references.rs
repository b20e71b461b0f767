//! References in values: `${ENV:NAME}` and `${FILE:path}`.
//!
//! The environment is captured once at start, so that tests need not change the process's own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use meesh_base::{Error, Result, nearest};

/// Where references are looked up: the environment and the configuration folder.
#[derive(Clone, Default)]
pub(crate) struct References {
    variables: BTreeMap<String, String>,
    folder: Option<PathBuf>,
}

/// Says nothing of the variables: some are secrets.
impl fmt::Debug for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "References({} variables, {:?})", self.variables.len(), self.folder)
    }
}

impl References {
    /// With these variables; relative paths start at `folder`.
    pub(crate) fn new(variables: BTreeMap<String, String>, folder: Option<PathBuf>) -> Self {
        Self { variables, folder }
    }

    /// With the process's environment; variables that are not Unicode are left out.
    pub(crate) fn of_process(folder: Option<PathBuf>) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::new(variables, folder)
    }

    /// The variables, by name.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// `text` with every reference replaced; `place` (`file:line`) is named in errors.
    ///
    /// A `$` that starts no reference stays as it is.
    ///
    /// # Errors
    /// `InvalidQuery` for a variable that is not set, a file that cannot be read and a kind other
    /// than `ENV` and `FILE`.
    pub(crate) fn expand(&self, text: &str, place: &str) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let Some((kind, key, length)) = reference(&rest[start..]) else {
                out.push_str(&rest[..start + 2]);
                rest = &rest[start + 2..];
                continue;
            };
            out.push_str(&rest[..start]);
            out.push_str(&self.look_up(kind, key, place)?);
            rest = &rest[start + length..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn look_up(&self, kind: &str, key: &str, place: &str) -> Result<String> {
        match kind.to_ascii_uppercase().as_str() {
            "ENV" => self.variable(key, place),
            "FILE" => self.file(key, place),
            _ => Err(Error::invalid_query(format!("unknown reference ${{{kind}:{key}}} at {place}"))
                .with_hint("write ${ENV:NAME} or ${FILE:path}")),
        }
    }

    fn variable(&self, name: &str, place: &str) -> Result<String> {
        self.variables.get(name).cloned().ok_or_else(|| {
            let error = Error::invalid_query(format!("environment variable {name:?} at {place} is not set"));
            match nearest(name, self.variables.keys().map(String::as_str)).first() {
                Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                None => error.with_hint("set it, or write the value in its place"),
            }
        })
    }

    /// The file's text without the line ends that editors and `kubectl` leave behind it.
    fn file(&self, path: &str, place: &str) -> Result<String> {
        let path = self.path(Path::new(path.trim()));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(Error::invalid_query(format!("cannot read file {:?} at {place}", path.display()))
                .with_detail(error.to_string())),
        }
    }

    /// Where a path in a file points to: below the configuration folder, else beside it (Trino's
    /// files say `etc/password.db`), else from the working directory; the first that exists.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        let Some(folder) = self.folder.as_deref().filter(|_| path.is_relative()) else { return path.to_owned() };
        let below = folder.join(path);
        let beside = folder.parent().map(|parent| parent.join(path));
        [Some(below.clone()), beside, Some(path.to_owned())]
            .into_iter()
            .flatten()
            .find(|candidate| candidate.exists())
            .unwrap_or(below)
    }
}

/// Kind, key and length of the reference that `text` starts with.
fn reference(text: &str) -> Option<(&str, &str, usize)> {
    let end = text.find('}')?;
    let (kind, key) = text[2..end].split_once(':')?;
    let is_word = !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    (is_word && !key.is_empty()).then_some((kind, key, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(folder: Option<PathBuf>) -> References {
        References::new([("DB_PASSWORD".to_owned(), "s3cret".to_owned())].into(), folder)
    }

    #[test]
    fn variables_are_replaced_anywhere() {
        let expand = |text| references(None).expand(text, "f:1").unwrap();
        assert_eq!(expand("a${ENV:DB_PASSWORD}b${env:DB_PASSWORD}"), "as3cretbs3cret");
        assert_eq!(expand("$x ${} ${a} ${"), "$x ${} ${a} ${");
    }

    #[test]
    fn a_missing_variable_names_its_place_and_the_nearest() {
        let text = references(None).expand("${ENV:DB_PASSWRD}", "sales.properties:4").unwrap_err().to_string();
        assert!(text.contains("sales.properties:4") && text.contains("\"DB_PASSWORD\""), "{text}");
        assert!(references(None).expand("${VAULT:x}", "f:1").unwrap_err().to_string().contains("${VAULT:x}"));
    }

    #[test]
    fn files_are_found_below_the_folder_and_lose_their_last_line_end() {
        let folder = std::env::temp_dir().join(format!("meesh-references-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("secrets")).unwrap();
        std::fs::write(folder.join("secrets/password"), "p w\n").unwrap();
        let expanded = references(Some(folder.clone())).expand("<${FILE:secrets/password}>", "f:1").unwrap();
        let missing = references(Some(folder.clone())).expand("${FILE:nope}", "f:1").unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(expanded, "<p w>");
        assert!(missing.to_string().contains("nope"), "{missing}");
    }
}
