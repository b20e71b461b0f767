//! Users and their password hashes, in the format of Trino's file authenticator: `user:$2y$10$…` a line.
//!
//! The file is read again when it changes; a broken new version keeps the old one. A line with a
//! PBKDF2 hash (Trino's other format) is skipped with a warning.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use meesh_engine::{Error, Result};

use crate::followed::Followed;

/// Trino refuses cheaper hashes, too.
const COST_MIN: u32 = 8;

pub(crate) type Users = HashMap<String, String>;

/// A password file that is followed as it changes.
#[derive(Clone)]
pub struct PasswordFile(Arc<Followed<Users>>);

impl std::fmt::Debug for PasswordFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} users", self.users().len())
    }
}

impl PasswordFile {
    /// Reads the file.
    ///
    /// # Errors
    /// `InvalidQuery` naming the file and, for a line that is no `user:hash`, the line.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self(Arc::new(Followed::open("password file", vec![path.into()], read)?)))
    }

    /// The users as the file has them now.
    pub(crate) fn users(&self) -> Arc<Users> {
        self.0.get()
    }
}

fn read(files: &[PathBuf]) -> Result<Users> {
    let mut users = Users::new();
    for file in files {
        let shown = file.display();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::invalid_query(format!("password file \"{shown}\" cannot be read: {error}")))?;
        users.extend(parse(&text).map_err(|(line, what)| {
            Error::invalid_query(format!("password file \"{shown}\", line {line}: {what}"))
                .with_hint("write lines with `htpasswd -B -C 10 FILE USER`")
        })?);
    }
    Ok(users)
}

fn parse(text: &str) -> Result<Users, (usize, String)> {
    let mut users = Users::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) = line.split_once(':').ok_or((number, "is not of the form user:hash".to_owned()))?;
        if user.is_empty() {
            return Err((number, "has no user name".to_owned()));
        }
        if !hash.starts_with("$2") && hash.split(':').count() == 3 {
            tracing::warn!(user, line = number, "user skipped: PBKDF2 hashes are not supported, use bcrypt");
            continue;
        }
        check_hash(hash).map_err(|what| (number, what))?;
        if users.insert(user.to_owned(), hash.to_owned()).is_some() {
            return Err((number, format!("user {user:?} is listed twice")));
        }
    }
    Ok(users)
}

/// `$2y$10$` and 53 characters.
fn check_hash(hash: &str) -> Result<(), String> {
    let mut parts = hash.splitn(4, '$').skip(1);
    let version = parts.next().unwrap_or_default();
    let cost = parts.next().and_then(|cost| cost.parse::<u32>().ok());
    let rest = parts.next().unwrap_or_default();
    if !matches!(version, "2a" | "2b" | "2x" | "2y") || rest.len() != 53 {
        return Err("holds no bcrypt hash".to_owned());
    }
    match cost {
        Some(cost) if (COST_MIN..=31).contains(&cost) => Ok(()),
        _ => Err(format!("bcrypt cost must be {COST_MIN} or more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$10$BqTb8hScP5DfcpmHo5PeyugxHz5Ky/qf3wrpD7SNm8sWuA3VlGqsa";

    fn fault(text: &str) -> String {
        let (line, what) = parse(text).unwrap_err();
        format!("{line}: {what}")
    }

    #[test]
    fn files_of_trino_are_read() {
        let users = parse(&format!("# people\n\nann:{HASH}\r\nbob:1000:5b42:f38d\n")).unwrap();
        assert_eq!(users.get("ann").unwrap(), HASH);
        assert_eq!(users.len(), 1);
    }

    #[test]
    fn faults_name_their_line() {
        assert_eq!(fault("ann\n"), "1: is not of the form user:hash");
        assert_eq!(fault("\nann:secret"), "2: holds no bcrypt hash");
        assert_eq!(fault(&format!("ann:{}", HASH.replace("$10$", "$05$"))), "1: bcrypt cost must be 8 or more");
        assert_eq!(fault(&format!("ann:{HASH}\nann:{HASH}")), "2: user \"ann\" is listed twice");
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password.db");
        std::fs::write(&path, format!("ann:{HASH}\n")).unwrap();
        let file = PasswordFile::open(&path).unwrap();
        std::fs::write(&path, format!("ann:{HASH}\nbob:{HASH}\n")).unwrap();
        file.0.expire();
        assert_eq!(file.users().len(), 2);
        std::fs::write(&path, "nonsense").unwrap();
        file.0.expire();
        assert_eq!(file.users().len(), 2);
    }
}
