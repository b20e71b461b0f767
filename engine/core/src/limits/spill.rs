//! The folder in which operators put what does not fit in memory.

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use meesh_base::{Error, Result};
use parking_lot::Mutex;

const PREFIX: &str = "meesh-spill-";

/// The folders that this process has swept, and how many it has made: a folder of its own number is a leftover
/// only before the first.
static SWEPT: Mutex<(Vec<PathBuf>, u64)> = Mutex::new((Vec::new(), 0));

/// Makes a folder of this process's under `dir` and removes those of processes that are gone.
///
/// # Errors
/// `InvalidQuery` when the folder cannot be made, naming it and the key.
pub(crate) fn open_spill(dir: &Path, limit_bytes: u64) -> Result<(PathBuf, DiskManagerBuilder)> {
    let broken = |error: std::io::Error| {
        Error::invalid_query(format!("spill folder {} cannot be written: {error}", dir.display()))
            .with_hint("set spill.dir to a folder this process may write")
    };
    fs::create_dir_all(dir).map_err(broken)?;
    let number = {
        let mut state = SWEPT.lock();
        let (swept, made) = &mut *state;
        if !swept.iter().any(|known| known == dir) {
            sweep(dir);
            swept.push(dir.to_owned());
        }
        *made += 1;
        *made
    };
    let own = dir.join(format!("{PREFIX}{}-{number}", std::process::id()));
    fs::create_dir_all(&own).map_err(broken)?;
    let builder = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![own.clone()]))
        .with_max_temp_directory_size(limit_bytes);
    Ok((own, builder))
}

/// Removes the spill folders of processes that no longer run. A container's process often has the
/// same number as the one before it, so our own number's folder is a leftover too.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let pid = number.split('-').next().unwrap_or(number);
        let ours = pid == std::process::id().to_string();
        if ours || !Path::new("/proc").join(pid).exists() {
            // A folder that cannot be removed is only wasted space; the limit still holds.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_dead_processes_are_swept() {
        let dir = std::env::temp_dir().join(format!("meesh-spill-test-{}", rand_suffix()));
        let dead = dir.join(format!("{PREFIX}999999999-1"));
        let before = dir.join(format!("{PREFIX}{}-0", std::process::id()));
        fs::create_dir_all(&dead).unwrap();
        fs::create_dir_all(&before).unwrap();
        let (own, _) = open_spill(&dir, 1 << 20).unwrap();
        assert!(own.exists() && !dead.exists() && !before.exists());
        // Another engine of the process leaves the first one's alone.
        let (second, _) = open_spill(&dir, 1 << 20).unwrap();
        assert!(own.exists() && second.exists() && own != second);
        fs::remove_dir_all(&dir).unwrap();
    }

    fn rand_suffix() -> u128 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
    }
}
