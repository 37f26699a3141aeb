//! Kubeconfig files: locked as kubectl and kind lock them, replaced atomically.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::{Error, ErrorKind, Result};
use super::holder;
use crate::domain::ticket::Holder;

/// How long a held lock is waited for. Its holders need milliseconds; longer than [`STALE_AFTER`], so that one whose
/// holder was killed is survived, whoever that was.
pub(super) const LOCK_DEADLINE: Duration = Duration::from_secs(40);
/// A lock file this old belongs to a process that died: client-go and kind hold theirs for the
/// time of one write. Ours says who holds it, and is known to be left behind at once.
const STALE_AFTER: Duration = Duration::from_secs(30);
/// First pause between two tries; doubled up to [`LOCK_PAUSE_MAX`].
const LOCK_PAUSE: Duration = Duration::from_millis(5);
const LOCK_PAUSE_MAX: Duration = Duration::from_millis(200);

/// Holds `<file>.lock`; dropping it releases the lock.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
}

/// Reads a kubeconfig; a missing file is empty.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(file_error("read", path, error)),
    }
}

/// Changes a kubeconfig under its lock. `edit` gets the text (empty when there is no file) and
/// returns the new one, or `None` to leave the file alone. Returns whether it was written.
///
/// The new text is written beside the file with mode 0600 and renamed over it, so that a reader
/// never sees half of it; an existing file keeps its mode and its owner, a symbolic link its target. A file that nothing can
/// be renamed over, since it is mounted by itself or somebody else's, is written in place.
///
/// # Errors
/// When the lock is held by a living process, when `edit` fails, or when the file cannot be written.
pub async fn edit(path: &Path, mut edit: impl FnMut(&str) -> Result<Option<String>>) -> Result<bool> {
    // Follow a link first: the lock and the new file belong beside the real one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let parent = parent(&path);
    fs::create_dir_all(&parent).map_err(|error| file_error("create the folder of", &path, error))?;
    let lock = acquire(&path).await?;
    let before = read(&path)?;
    let written = match edit(&before)? {
        Some(after) if after != before => {
            replace(&path, &parent, &after)?;
            true
        }
        _ => false,
    };
    drop(lock);
    Ok(written)
}

/// Whether somebody edits a kubeconfig, or was killed at it.
pub fn is_locked(path: &Path) -> bool {
    lock_of(&fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())).exists()
}

/// Finds out whether a kubeconfig could be written, and writes nothing: the file itself, or the nearest folder above one
/// that is not there.
///
/// # Errors
/// When this user may not write there.
pub fn check_writable(path: &Path) -> Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = parent(&path);
    let there = folder.ancestors().find(|folder| folder.is_dir() || folder.as_os_str().is_empty());
    let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The lock and the new text are files beside it.
    let beside = tempfile::Builder::new().prefix(".kubeconfig-").tempfile_in(there);
    beside.map_err(|error| file_error("write", &path, error))?;
    match path.exists() {
        true => OpenOptions::new().append(true).open(&path).map(drop).map_err(|error| file_error("write", &path, error)),
        false => Ok(()),
    }
}

fn lock_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

async fn acquire(file: &Path) -> Result<Lock> {
    let path = lock_of(file);
    // For people who find it, and for who waits for it: without it, a lock left behind is only known by its age.
    let holder = holder::this("edit a kubeconfig").to_label();
    let tries = async {
        let mut pause = LOCK_PAUSE;
        loop {
            match take(&path, &holder) {
                Ok(()) => return Ok(Lock { path: path.clone() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if is_stale(&path) {
                        break_stale(&path);
                        continue;
                    }
                }
                Err(error) => return Err(file_error("lock", file, error)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOCK_PAUSE_MAX);
        }
    };
    match tokio::time::timeout(LOCK_DEADLINE, tries).await {
        Ok(lock) => lock,
        Err(_) => Err(Error::new(
            ErrorKind::Conflict,
            format!("kubeconfig {} is locked: {} was there for {} s", file.display(), path.display(), LOCK_DEADLINE.as_secs()),
        )
        .hint(format!("if no kubectl, kind or kindmesh is at work, remove {}", path.display()))),
    }
}

/// Makes the lock with its holder in it, in one step where the file system can: whoever is killed between making and
/// writing it would leave one that says nothing.
fn take(lock: &Path, holder: &str) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, linkat};
        use std::os::fd::AsRawFd as _;
        // A file without a name, which goes with its process.
        if let Ok(mut file) = tempfile::tempfile_in(parent(lock))
            && file.write_all(holder.as_bytes()).is_ok()
        {
            let own = format!("/proc/self/fd/{}", file.as_raw_fd());
            match linkat(CWD, own, CWD, lock, AtFlags::SYMLINK_FOLLOW) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::EXIST) => return Err(io::ErrorKind::AlreadyExists.into()),
                // No such files here, or no /proc.
                Err(_) => {}
            }
        }
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(lock)?;
    let _written = file.write_all(holder.as_bytes());
    Ok(())
}

/// Whether a lock belongs to a process that died.
fn is_stale(lock: &Path) -> bool {
    let holder = || serde_json::from_str::<Holder>(&fs::read_to_string(lock).ok()?).ok();
    age(lock).is_some_and(|age| age > STALE_AFTER) || holder().is_some_and(|holder| holder::is_gone(&holder))
}

/// Takes a dead process's lock away. Of several that try, the rename lets one win, and it never
/// removes a lock that somebody took anew.
fn break_stale(path: &Path) {
    let mut grave = path.as_os_str().to_owned();
    grave.push(format!(".stale-{}", std::process::id()));
    let grave = PathBuf::from(grave);
    if fs::rename(path, &grave).is_err() {
        return;
    }
    // The file moved may be a fresh lock taken between the look at it and the rename.
    if !is_stale(&grave) && fs::hard_link(&grave, path).is_err() {
        tracing::warn!(lock = %path.display(), "lost a race for a kubeconfig lock");
    }
    let _gone = fs::remove_file(&grave);
}

fn replace(path: &Path, parent: &Path, text: &str) -> Result<()> {
    let mut file =
        tempfile::Builder::new().prefix(".kubeconfig-").tempfile_in(parent).map_err(|error| file_error("write beside", path, error))?;
    let existing = fs::metadata(path).ok();
    if existing.as_ref().is_some_and(|existing| give(file.as_file(), existing).is_err()) {
        return write_in_place(path, text);
    }
    let write = |file: &mut tempfile::NamedTempFile| -> io::Result<()> {
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()
    };
    write(&mut file).map_err(|error| file_error("write", path, error))?;
    match file.persist(path) {
        Ok(_) => Ok(()),
        Err(error) if existing.is_some() && matches!(error.error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices) => {
            write_in_place(path, text)
        }
        Err(error) => Err(file_error("replace", path, error.error)),
    }
}

/// Gives a new file the owner and the mode of the one that it is to replace: what `sudo` changes stays the user's.
fn give(file: &fs::File, existing: &fs::Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let is = file.metadata()?;
        if (is.uid(), is.gid()) != (existing.uid(), existing.gid()) {
            fchown(file, Some(existing.uid()), Some(existing.gid()))?;
        }
    }
    // After the owner, whose change takes bits of the mode away.
    file.set_permissions(existing.permissions())
}

fn write_in_place(path: &Path, text: &str) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| file_error("write", path, error))
}

fn age(path: &Path) -> Option<Duration> {
    let modified = fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    SystemTime::now().duration_since(modified).ok()
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn file_error(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::File, format!("cannot {verb} kubeconfig {}", path.display())).because(error)
}

// === impl Lock ===

impl Drop for Lock {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[path = "kubeconfig_file/tests.rs"]
mod tests;
