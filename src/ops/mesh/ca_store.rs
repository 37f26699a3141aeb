//! Where the root of a fleet's trust is kept: `<state>/<engine>/<fleet>/ca/root-cert.pem` and
//! `root-key.pem`, so that a cluster that is added later joins the same trust. The key is nowhere else.
//! Fleets of one name on two engines have nothing to do with each other.
//!
//! What was issued is not kept: a cluster's intermediate lives in the cluster, and is judged there.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::domain::facts::short_id;
use crate::domain::name::FleetName;
use crate::domain::pki::Root;
use crate::ops::error::{Error, ErrorKind, Result};

/// File of the root certificate.
const CERTIFICATE: &str = "root-cert.pem";
/// File of its key.
const KEY: &str = "root-key.pem";
/// Beginning of the names of folders that are not complete yet, or not any more. What a killed
/// process left of them goes with the fleet.
const UNFINISHED: &str = ".ca-";

/// The place of one fleet's root. Making the value touches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaStore {
    fleet: FleetName,
    /// `<state>/<engine>/<fleet>`.
    home: PathBuf,
}

// === impl CaStore ===

impl CaStore {
    /// The place of a fleet's root below the state folder of a user. The engine is known by what it calls
    /// itself ([`HostFacts::id`](crate::domain::facts::HostFacts::id)).
    pub fn new(state: &Path, engine: &str, fleet: &FleetName) -> Self {
        Self { fleet: fleet.clone(), home: state.join(short_id(engine).unwrap_or_else(|| "engine".to_owned())).join(fleet.as_str()) }
    }

    /// The folder that holds certificate and key.
    pub fn folder(&self) -> PathBuf {
        self.home.join("ca")
    }

    /// The stored root; `None` when there is none.
    ///
    /// # Errors
    /// When it is damaged, expired, or readable by others than its owner; nothing is changed.
    pub fn load(&self, now: Timestamp) -> Result<Option<Root>> {
        let folder = self.folder();
        match fs::symlink_metadata(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error("look at", &folder, error)),
            Ok(_) => {}
        }
        let certificate = read(&folder.join(CERTIFICATE))?;
        let key = folder.join(KEY);
        private(&key)?;
        let key = zeroize::Zeroizing::new(read(&key)?);
        let root = Root::from_pem(&certificate, &key, now).map_err(|error| {
            Error::new(ErrorKind::Config, format!("the stored root of fleet {} in {} is unusable: {error}", self.fleet, folder.display()))
                .hint(format!("put the right {CERTIFICATE} and {KEY} there; nothing was changed"))
                .hint(format!("or start over with new certificates: `kindmesh down --fleet {}` removes them with the fleet", self.fleet))
        })?;
        Ok(Some(root))
    }

    /// The root of the fleet: the stored one, or else `own` (the user's), or else a new one, which is
    /// stored. Of several processes at once one stores its root, and all get that one. Returns it and
    /// whether it is new in the store.
    ///
    /// # Errors
    /// As [`CaStore::load`]; when `own` is another root than the stored one; when nothing can be
    /// written.
    pub fn ensure(&self, own: Option<&Root>, now: Timestamp) -> Result<(Root, bool)> {
        if let Some(stored) = self.load(now)? {
            return Ok((self.agree(stored, own)?, false));
        }
        let root = match own {
            Some(own) => own.clone(),
            None => Root::generate(&self.fleet, now)
                .map_err(|error| Error::new(ErrorKind::Cluster, format!("certificates of fleet {}", self.fleet)).because(error))?,
        };
        if self.store(&root)? {
            return Ok((root, true));
        }
        // Another process was faster: its root counts.
        match self.load(now)? {
            Some(stored) => Ok((self.agree(stored, own)?, false)),
            None => Err(Error::new(ErrorKind::Conflict, format!("{} was removed while it was made", self.folder().display()))
                .hint("run the command again when the other `kindmesh down` is done")),
        }
    }

    /// Removes root and key, and the fleet's folder when nothing else is in it. Returns whether there
    /// was anything. Files that kindmesh did not put there stay.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove(&self) -> Result<bool> {
        let folder = self.folder();
        let mut removed = false;
        for file in [folder.join(KEY), folder.join(CERTIFICATE)] {
            removed |= gone(fs::remove_file(&file)).map_err(|error| file_error("remove", &file, error))?;
        }
        for leftover in self.unfinished()? {
            removed |= gone(fs::remove_dir_all(&leftover)).map_err(|error| file_error("remove", &leftover, error))?;
        }
        // Neither goes while it holds anything.
        let engine = self.home.parent().map(Path::to_path_buf);
        for folder in [Some(&folder), Some(&self.home), engine.as_ref()].into_iter().flatten() {
            match gone(fs::remove_dir(folder)) {
                Ok(was_there) => removed |= was_there,
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                Err(error) => return Err(file_error("remove", folder, error)),
            }
        }
        Ok(removed)
    }

    /// One root for a fleet: what the user brings must be what is stored.
    pub(super) fn agree(&self, stored: Root, own: Option<&Root>) -> Result<Root> {
        match own {
            Some(own) if !own.same_certificate(&stored) => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "fleet {} has another root certificate than the one given: stored in {} is {}, given is {}",
                    self.fleet,
                    self.folder().display(),
                    stored.summary().fingerprint,
                    own.summary().fingerprint
                ),
            )
            .hint("leave --root-ca and `mesh.rootCA` out to go on with the stored one")
            .hint(format!("a running mesh cannot change its root: to start over, `kindmesh down --fleet {}` first", self.fleet))),
            _ => Ok(stored),
        }
    }

    /// Writes both files at once, or nothing: a folder that is complete is renamed into place. `false`
    /// when another process was faster.
    fn store(&self, root: &Root) -> Result<bool> {
        let mut private = DirBuilder::new();
        private.recursive(true);
        mode(&mut private);
        private.create(&self.home).map_err(|error| file_error("create", &self.home, error))?;
        let folder = self.folder();
        let mut unfinished = tempfile::Builder::new();
        unfinished.prefix(UNFINISHED);
        #[cfg(unix)]
        unfinished.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let new = unfinished.tempdir_in(&self.home).map_err(|error| file_error("write beside", &folder, error))?;
        for (name, text) in [(CERTIFICATE, root.certificate()), (KEY, root.key().expose())] {
            let path = new.path().join(name);
            write(&path, text).map_err(|error| file_error("write", &path, error))?;
        }
        match fs::rename(new.path(), &folder) {
            Ok(()) => {
                // Nothing is left at the old place to be removed.
                let _renamed = new.keep();
                Ok(true)
            }
            // A folder with files in it is never replaced.
            Err(_) if folder.exists() => Ok(false),
            Err(error) => Err(file_error("put in place", &folder, error)),
        }
    }

    fn unfinished(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.home) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file_error("look into", &self.home, error)),
        };
        let names = entries.filter_map(|entry| entry.ok()).filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED));
        Ok(names.map(|entry| entry.path()).collect())
    }
}

/// Whether something was removed; that it was not there is no error.
fn gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| {
        file_error("read", path, error).hint("put the missing file back, or remove its folder to start over with a new root")
    })
}

/// A new file for its owner alone, written down to the disk.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Folders for their owner alone.
#[cfg_attr(not(unix), expect(unused_variables, reason = "other systems keep users apart by the place of the folder"))]
fn mode(builder: &mut DirBuilder) {
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700);
}

/// Refuses a key that others may read: it may be theirs as well by now.
#[cfg_attr(not(unix), expect(unused_variables, clippy::unnecessary_wraps, reason = "other systems have no modes"))]
fn private(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = match fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode() & 0o777,
            // Reading it will say more.
            Err(_) => return Ok(()),
        };
        if mode & 0o077 != 0 {
            let message = format!("the root key {} is open to other users: its mode is {mode:03o}", path.display());
            return Err(Error::new(ErrorKind::File, message).hint(format!("if nobody has read it: `chmod 600 {}`", path.display())));
        }
    }
    Ok(())
}

fn file_error(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::File, format!("cannot {verb} {}", path.display())).because(error)
}
