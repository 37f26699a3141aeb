//! A folder for the root key of a mesh while it is made. Only a living process has its lock, so that the next
//! one can take away what a killed one left.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::ops::{Error, ErrorKind, Result};

/// Beginning of the folders' names.
const PREFIX: &str = "kindmesh-test-";
/// File that is locked.
const LOCK: &str = "lock";
/// A folder may be without its lock for a moment when it is new.
const YOUNG: Duration = Duration::from_secs(60);

/// The folder; removed with the value.
pub(super) struct Scratch {
    // Before the folder: some systems remove no open file.
    _lock: File,
    folder: tempfile::TempDir,
}

// === impl Scratch ===

impl Scratch {
    /// Makes one for its owner alone, after sweeping away what dead processes left beside it.
    pub(super) fn new(temporary: &Path) -> Result<Self> {
        sweep(temporary, SystemTime::now());
        make(temporary).map_err(|error| {
            Error::new(ErrorKind::File, format!("no folder for the root certificate in {}", temporary.display()))
                .because(error)
                .hint("TMPDIR names another place")
        })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }
}

fn make(temporary: &Path) -> io::Result<Scratch> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let folder = builder.tempdir_in(temporary)?;
    let lock = File::create_new(folder.path().join(LOCK))?;
    lock.lock()?;
    Ok(Scratch { _lock: lock, folder })
}

/// Removes folders that nobody holds. What cannot be looked at is somebody else's.
fn sweep(temporary: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(temporary) else { return };
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let old =
            entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > YOUNG));
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        if old && entry.file_type().is_ok_and(|kind| kind.is_dir()) && lock.try_lock().is_ok() {
            // The next sweep tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_swept_away_and_not_at_once() {
        let temporary = tempfile::tempdir().unwrap();
        let held = make(temporary.path()).unwrap();
        let Scratch { _lock: lock, folder } = make(temporary.path()).unwrap();
        let dead = folder.keep();
        drop(lock);
        fs::create_dir(temporary.path().join("kindmesh-test-other")).unwrap();
        let later = SystemTime::now() + 2 * YOUNG;
        sweep(temporary.path(), SystemTime::now());
        assert!(dead.exists(), "too young");
        sweep(temporary.path(), later);
        assert!(!dead.exists() && held.path().exists());
        assert!(temporary.path().join("kindmesh-test-other").exists(), "without a lock it is none of ours");
        let path = held.path();
        drop(held);
        assert!(!path.exists());
    }
}
