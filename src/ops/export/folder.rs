//! A folder that gets files whose names come from elsewhere: nothing is ever written outside of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::domain::redact::Redactor;

/// Longest name of a file or folder, as file systems have it.
const LONGEST_NAME: usize = 255;
/// Deepest nesting.
const DEEPEST: usize = 32;

/// The folder, and what was written into it. Files and folders are their owner's alone.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    written: Arc<Written>,
}

/// How much was written.
#[derive(Debug, Default)]
struct Written {
    files: AtomicUsize,
    bytes: AtomicU64,
}

/// A file that is being written; secrets are taken out on the way.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    redactor: Redactor,
    written: Arc<Written>,
}

/// Parts of a path below a folder, made of what somebody else called it: `None` when it leads outside, or is
/// no path that every file system can have.
pub(super) fn parts(path: &str) -> Option<Vec<&str>> {
    if path.starts_with('/') || path.contains(['\0', '\\']) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let fine = |part: &&str| *part != ".." && part.len() <= LONGEST_NAME && !part.chars().any(char::is_control);
    (!parts.is_empty() && parts.len() <= DEEPEST && parts.iter().all(fine)).then_some(parts)
}

// === impl Folder ===

impl Folder {
    /// Makes the folder and those above it; one that is there already is used as it is.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent)?;
        }
        // The named folder itself may be a link: its owner chose that.
        if !path.is_dir() {
            private_dir(path)?;
        }
        Ok(Self { path: path.to_owned(), written: Arc::default() })
    }

    /// A folder in it. What was written there counts for itself.
    pub(super) fn inside(&self, name: &str) -> io::Result<Self> {
        let parts = parts(name).ok_or_else(|| outside(name))?;
        Ok(Self { path: self.reach(&parts)?, written: Arc::default() })
    }

    /// Where it is.
    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of files written, and their bytes.
    pub(super) fn written(&self) -> (usize, u64) {
        (self.written.files.load(Ordering::Relaxed), self.written.bytes.load(Ordering::Relaxed))
    }

    /// Begins a file, in the place of one that may be there. Links on the way are not followed.
    pub(super) fn begin(&self, parts: &[&str]) -> io::Result<Output> {
        let path = self.place(parts)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        self.written.files.fetch_add(1, Ordering::Relaxed);
        Ok(Output { file, redactor: Redactor::default(), written: self.written.clone() })
    }

    /// Writes a whole file.
    pub(super) fn write(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let parts = parts(path).ok_or_else(|| outside(path))?;
        let mut output = self.begin(&parts)?;
        output.push(content)?;
        output.end()
    }

    /// Gives a file that was written here a second name.
    pub(super) fn link(&self, from: &[&str], to: &[&str]) -> io::Result<()> {
        let (parents, name) = split(from)?;
        let from = self.reach(parents)?.join(name);
        if !fs::symlink_metadata(&from)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        fs::hard_link(from, self.place(to)?)
    }

    /// Makes a folder.
    pub(super) fn folder(&self, parts: &[&str]) -> io::Result<()> {
        self.reach(parts).map(drop)
    }

    /// Where a file is to be, with nothing there.
    fn place(&self, parts: &[&str]) -> io::Result<PathBuf> {
        let (parents, name) = split(parts)?;
        let path = self.reach(parents)?.join(name);
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_dir() => Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a folder of this name")),
            // A link is removed, not what it leads to.
            Ok(_) => fs::remove_file(&path).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
            Err(error) => Err(error),
        }
    }

    /// Goes down folder by folder, making what is missing and following no link.
    fn reach(&self, parts: &[&str]) -> io::Result<PathBuf> {
        let mut path = self.path.clone();
        for part in parts {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(there) if there.is_dir() => {}
                Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is no folder", path.display()))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => private_dir(&path)?,
                Err(error) => return Err(error),
            }
        }
        Ok(path)
    }
}

// === impl Output ===

impl Output {
    /// Writes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let safe = self.redactor.push(bytes);
        self.write(&safe)
    }

    /// Writes what is left.
    pub(super) fn end(mut self) -> io::Result<()> {
        let rest = self.redactor.finish();
        self.write(&rest)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn split<'a, 'b>(parts: &'a [&'b str]) -> io::Result<(&'a [&'b str], &'b str)> {
    match parts.split_last() {
        Some((name, parents)) => Ok((parents, name)),
        None => Err(outside("")),
    }
}

fn outside(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("'{path}' is no path inside the folder"))
}

fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        // Somebody else made it in the same moment; a link would not be followed by the next step.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_inside_are_paths() {
        assert_eq!(parts("./pods//a/0.log"), Some(vec!["pods", "a", "0.log"]));
        for path in ["", ".", "/etc/passwd", "../x", "a/../../x", "a/..", "a\0b", "a\\..\\b", "a\nb"] {
            assert_eq!(parts(path), None, "{path:?}");
        }
        assert_eq!(parts(&"d/".repeat(40)), None);
        assert_eq!(parts(&"n".repeat(300)), None);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_somebody_left_are_not_followed_and_modes_are_private() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
        let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = other.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        let folder = Folder::create(&home.path().join("logs/today")).unwrap();
        symlink(&victim, folder.path().join("serial.log")).unwrap();
        symlink(other.path(), folder.path().join("pods")).unwrap();
        folder.write("serial.log", b"theirs").unwrap();
        folder.write("pods/x", b"theirs").unwrap_err();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&folder.path().join("serial.log"))), (0o700, 0o600));
        folder.link(&["serial.log"], &["containers", "a.log"]).unwrap();
        assert_eq!(fs::metadata(folder.path().join("containers/a.log")).unwrap().nlink(), 2);
        folder.link(&["pods", "x"], &["b.log"]).unwrap_err();
        assert_eq!(folder.written(), (1, 6));
    }
}
