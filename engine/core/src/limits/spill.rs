//! The folder in which operators put what does not fit in memory.

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use meesh_base::{Error, Result};

const PREFIX: &str = "meesh-spill-";

/// Makes this process's folder under `dir` and removes those of processes that are gone.
///
/// # Errors
/// `InvalidQuery` when the folder cannot be made, naming it and the key.
pub(crate) fn open_spill(dir: &Path, limit_bytes: u64) -> Result<(PathBuf, DiskManagerBuilder)> {
    let own = dir.join(format!("{PREFIX}{}", std::process::id()));
    let broken = |error: std::io::Error| {
        Error::invalid_query(format!("spill folder {} cannot be written: {error}", dir.display()))
            .with_hint("set spill.dir to a folder this process may write")
    };
    fs::create_dir_all(dir).map_err(broken)?;
    sweep(dir);
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
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
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
        let dead = dir.join(format!("{PREFIX}999999999"));
        fs::create_dir_all(&dead).unwrap();
        let (own, _) = open_spill(&dir, 1 << 20).unwrap();
        assert!(own.exists() && !dead.exists());
        fs::remove_dir_all(&dir).unwrap();
    }

    fn rand_suffix() -> u128 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
    }
}
