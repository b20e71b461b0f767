//! Files that are followed: what they say is read again when they change; a broken new version
//! keeps what the old one said.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use meesh_engine::Result;
use parking_lot::Mutex;

/// How often the files' time stamps are looked at.
pub(crate) const CHECK_EVERY: Duration = Duration::from_secs(1);

/// What files say, as long as they say it.
pub(crate) struct Followed<T> {
    /// What the files are, for the log: `password file`.
    what: &'static str,
    files: Vec<PathBuf>,
    read: fn(&[PathBuf]) -> Result<T>,
    loaded: Mutex<Loaded<T>>,
}

struct Loaded<T> {
    value: Arc<T>,
    stamps: Vec<Stamp>,
    checked: Instant,
}

/// When a file was written and how long it is; `None` while there is no such file.
type Stamp = Option<(SystemTime, u64)>;

impl<T> Followed<T> {
    /// Reads `files`.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn open(what: &'static str, files: Vec<PathBuf>, read: fn(&[PathBuf]) -> Result<T>) -> Result<Self> {
        // Before the content: a change in between is then found by the next look.
        let stamps = stamps(&files);
        let value = Arc::new(read(&files)?);
        Ok(Self { what, files, read, loaded: Mutex::new(Loaded { value, stamps, checked: Instant::now() }) })
    }

    /// What the files say now, as of a second ago.
    pub(crate) fn get(&self) -> Arc<T> {
        let mut loaded = self.loaded.lock();
        if loaded.checked.elapsed() >= CHECK_EVERY {
            loaded.checked = Instant::now();
            let stamps = stamps(&self.files);
            if stamps != loaded.stamps {
                loaded.stamps = stamps;
                match (self.read)(&self.files) {
                    Ok(value) => {
                        tracing::info!(files = ?self.files, "{} read again", self.what);
                        loaded.value = Arc::new(value);
                    }
                    Err(error) => tracing::warn!(%error, "{} is broken: what was read before stays", self.what),
                }
            }
        }
        Arc::clone(&loaded.value)
    }

    /// Lets the next [`Followed::get`] look at the files.
    #[cfg(test)]
    pub(crate) fn expire(&self) {
        self.loaded.lock().checked = Instant::now().checked_sub(CHECK_EVERY).unwrap();
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use meesh_engine::Error;

    use super::*;

    #[test]
    fn a_change_of_any_file_is_seen_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|name| folder.path().join(name));
        let write = |index: usize, text: &str| std::fs::write(&files[index], text).unwrap();
        write(0, "1");
        write(1, "2");
        let sum = |files: &[PathBuf]| {
            let number = |file| std::fs::read_to_string(file).unwrap().parse::<i32>();
            files.iter().map(number).sum::<std::result::Result<i32, _>>().map_err(|_| Error::invalid_query("no"))
        };
        let followed = Followed::open("number", files.to_vec(), sum).unwrap();
        write(1, "20");
        assert_eq!(*followed.get(), 3);
        for (text, wanted) in [("20", 21), ("nonsense", 21), ("200", 201)] {
            write(1, text);
            followed.expire();
            assert_eq!(*followed.get(), wanted, "{text}");
        }
    }
}
