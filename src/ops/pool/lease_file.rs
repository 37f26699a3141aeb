//! The kubeconfig of a lease: a new file for its owner alone, which goes when the lease ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::domain::kubeconfig::{ClusterEntry, Kubeconfig};
use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::domain::warm;
use crate::engine::ContainerInfo;
use crate::ops::error::{Error, ErrorKind, Result};

use super::claim;
use super::store::file_error;

/// Name of what a lease's file says of itself, so that no other file is ever removed in its place.
const EXTENSION: &str = "dev.kindmesh.lease";

/// A new file that says of which pool it is, and nothing else yet. Dropping it removes the file, unless it was filled.
#[derive(Debug)]
pub(super) struct LeaseFile {
    path: PathBuf,
    file: File,
    filled: bool,
}

// === impl LeaseFile ===

impl LeaseFile {
    /// Makes the file, so that it is known to be there for a lease of this pool before anything depends on it.
    ///
    /// # Errors
    /// When it exists, or cannot be made.
    pub(super) fn new(path: &Path, pool: &FleetName) -> Result<Self> {
        if !path.is_absolute() {
            return Err(Error::new(ErrorKind::Config, format!("{} is no absolute path, and it is noted down", path.display()))
                .hint("who ends the lease may be in another folder: name the file from the root of the file system"));
        }
        if path.to_str().is_none() {
            return Err(Error::new(ErrorKind::Config, format!("{} cannot be noted down: its name is no text", path.display()))
                .hint("name another file with --kubeconfig"));
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(file) => {
                let mut new = Self { path: path.to_path_buf(), file, filled: false };
                // What a killed leaser leaves is known by this; an empty file may be anybody's.
                let mut document = Kubeconfig::default();
                document.set_extension(EXTENSION, json!({"pool": pool.as_str()}));
                new.write(&document)?;
                Ok(new)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::new(ErrorKind::Conflict, format!("{} exists, and a lease gets a file of its own", path.display()))
                    .hint("name a file that is not there yet, or remove this one"))
            }
            Err(error) => Err(file_error("create", path, error)),
        }
    }

    /// The same in the place of a file that an earlier member of this name may have left.
    ///
    /// # Errors
    /// As [`LeaseFile::new`].
    pub(super) fn again(path: &Path, pool: &FleetName, member: &FleetName) -> Result<Self> {
        if is_of(path, member.as_str()) {
            fs::remove_file(path).map_err(|error| file_error("remove", path, error))?;
        }
        Self::new(path, pool)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the entries; the context of the first is the current one.
    ///
    /// Undo: [`remove_of`].
    ///
    /// # Errors
    /// When it cannot be written; it is removed then.
    pub(super) fn fill(mut self, member: &FleetName, entries: &[ClusterEntry]) -> Result<()> {
        let mut document = Kubeconfig::default();
        for entry in entries {
            document.upsert(entry, false);
        }
        document.set_extension(EXTENSION, json!({"fleet": member.as_str()}));
        self.write(&document)?;
        self.filled = true;
        Ok(())
    }

    /// Over what is there, so that the file is never empty.
    fn write(&mut self, document: &Kubeconfig) -> Result<()> {
        let text = document.to_yaml();
        let mut write = || -> io::Result<()> {
            self.file.rewind()?;
            self.file.write_all(text.as_bytes())?;
            self.file.set_len(text.len() as u64)?;
            self.file.sync_all()
        };
        write().map_err(|error| file_error("write", &self.path, error))
    }
}

impl Drop for LeaseFile {
    fn drop(&mut self) {
        if !self.filled {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

/// Removes the files that were written for these leases, where they are still what they were. Returns which.
///
/// # Errors
/// When one cannot be removed; the others are.
pub(in crate::ops) fn remove_of(containers: &[ContainerInfo]) -> Result<Vec<String>> {
    let (mut removed, mut failure) = (Vec::new(), None);
    for marker in containers.iter().filter(|container| claim::state(container).is_some()) {
        let (Some(path), Some(fleet)) = (marker.labels.get(labels::KUBECONFIG), marker.labels.get(labels::FLEET)) else { continue };
        if !is_of(Path::new(path), fleet) {
            continue;
        }
        match fs::remove_file(path) {
            Ok(()) => removed.push(path.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => failure = Some(file_error("remove", Path::new(path), error)),
        }
    }
    failure.map_or(Ok(removed), Err)
}

/// Whether a file is the kubeconfig of this lease, or was to be the one of a lease of its pool.
fn is_of(path: &Path, fleet: &str) -> bool {
    let Ok(text) = fs::read_to_string(path) else { return false };
    let Ok(document) = Kubeconfig::parse(&text) else { return false };
    let Some(said) = document.extension(EXTENSION) else { return false };
    let of = |key: &str| said.get(key).and_then(Value::as_str);
    match (of("fleet"), of("pool")) {
        (Some(named), _) => named == fleet,
        (None, Some(pool)) => pool.parse().is_ok_and(|pool: FleetName| warm::number(&pool, fleet).is_some()),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(cluster: &str) -> ClusterEntry {
        ClusterEntry::with_token(cluster, "https://127.0.0.1:1", "ca", "token")
    }

    #[test]
    fn a_lease_gets_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (path, pool, member) = (folder.path().join("k"), "demo".parse().unwrap(), "demo-w1".parse().unwrap());
        let file = LeaseFile::new(&path, &pool).unwrap();
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
        assert_eq!(LeaseFile::new(&path, &pool).unwrap_err().kind(), ErrorKind::Conflict);
        assert!(is_of(&path, "demo-w1") && is_of(&path, "demo-w2") && !is_of(&path, "other-w1"), "a killed leaser's");
        file.fill(&member, &[entry("cluster1"), entry("cluster2")]).unwrap();
        let document = Kubeconfig::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!((document.contexts(), document.current_context()), (vec!["kind-cluster1", "kind-cluster2"], Some("kind-cluster1")));
        assert!(is_of(&path, "demo-w1") && !is_of(&path, "demo-w2"));
        // A member of the same name was made anew.
        assert_eq!(LeaseFile::again(&path, &pool, &"demo-w2".parse().unwrap()).unwrap_err().kind(), ErrorKind::Conflict);
        drop(LeaseFile::again(&path, &pool, &member).unwrap());
        assert!(!path.exists(), "what was never filled is gone");
        assert_eq!(LeaseFile::new(&folder.path().join("none/k"), &pool).unwrap_err().kind(), ErrorKind::File);
        assert_eq!(LeaseFile::new(Path::new("k"), &pool).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn an_empty_file_is_anybodys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        fs::write(&path, "").unwrap();
        assert!(!is_of(&path, "demo-w1"));
        assert_eq!(LeaseFile::again(&path, &"demo".parse().unwrap(), &"demo-w1".parse().unwrap()).unwrap_err().kind(), ErrorKind::Conflict);
    }
}
