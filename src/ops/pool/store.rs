//! Where a pool is written down: `<state>/<engine>/_pools/<pool>/pool.json`, for its owner alone, so that any
//! later process can fill it. What members there are is on the engine.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::facts::short_id;
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::recheck;
use crate::domain::name::FleetName;
use crate::ops::context::{Kindmesh, Outcome, Scope};
use crate::ops::error::{Error, ErrorKind, Result};

/// Folder of the pools of an engine. No fleet can have this name, beside whose folder it is.
const FOLDER: &str = "_pools";
const RECORD: &str = "pool.json";
/// Locked by whoever fills the pool; the kernel lets go of it when that process ends.
const LOCK: &str = "fill.lock";
/// What a filler in the background says.
const LOG: &str = "fill.log";
/// Pause between two tries to get the lock of a filler that was told to stop.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// What is kept of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// How many warm members it is to have.
    pub(super) size: u32,
    /// The description of all members.
    pub(super) fleet: Fleet,
}

/// The place of one pool. Making the value touches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PoolStore {
    pub(super) pool: FleetName,
    folder: PathBuf,
}

/// Held by the one process of this machine that fills a pool.
#[derive(Debug)]
pub(super) struct FillLock {
    _file: File,
}

/// What a try to get the lock came to.
enum Tried {
    Locked(FillLock),
    /// There is no such pool any more.
    Gone,
}

// === impl Kindmesh ===

impl Kindmesh {
    /// The place of a pool; `None` without a state folder.
    pub(super) async fn pool_store(&self, pool: &FleetName) -> Result<Option<PoolStore>> {
        Ok(self.pools_folder().await?.map(|folder| PoolStore::new(&folder, pool)))
    }

    /// The places of all pools of this engine that are written down.
    pub(super) async fn pool_stores(&self) -> Result<Vec<PoolStore>> {
        let Some(folder) = self.pools_folder().await? else { return Ok(Vec::new()) };
        let names = match fs::read_dir(&folder) {
            Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<FleetName>().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file_error("look into", &folder, error)),
        };
        let mut names: Vec<FleetName> = names.collect();
        names.sort();
        Ok(names.iter().map(|name| PoolStore::new(&folder, name)).collect())
    }

    async fn pools_folder(&self) -> Result<Option<PathBuf>> {
        // Most users have no pools: then the engine need not even be asked who it is.
        let Some(state) = self.state_dir.as_deref() else { return Ok(None) };
        let engine = self.engine.facts().await?.id;
        Ok(Some(state.join(short_id(&engine).unwrap_or_else(|| "engine".to_owned())).join(FOLDER)))
    }

    /// Where a process that fills a pool in the background may write what it says; `None` when the pool is not
    /// written down here, so that nobody here can fill it. The file is removed with the pool.
    ///
    /// # Errors
    /// When the engine does not answer, or the pool's record cannot be read.
    pub async fn pool_log(&self, pool: &FleetName) -> Result<Option<PathBuf>> {
        let Some(store) = self.pool_store(pool).await? else { return Ok(None) };
        Ok(store.record()?.map(|_| store.folder.join(LOG)))
    }
}

// === impl Tried ===

impl Tried {
    fn lock(self) -> Option<FillLock> {
        match self {
            Tried::Locked(lock) => Some(lock),
            Tried::Gone => None,
        }
    }
}

// === impl PoolStore ===

impl PoolStore {
    fn new(folder: &Path, pool: &FleetName) -> Self {
        Self { pool: pool.clone(), folder: folder.join(pool.as_str()) }
    }

    /// Where the kubeconfig of a leased member goes unless the leaser names a place.
    pub(super) fn kubeconfig(&self, member: &FleetName) -> PathBuf {
        self.folder.join(format!("{member}.kubeconfig"))
    }

    /// Makes the folder, for its owner alone.
    pub(super) fn make_folder(&self) -> Result<()> {
        let mut private = DirBuilder::new();
        private.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
        private.create(&self.folder).map_err(|error| file_error("create", &self.folder, error))
    }

    /// What is written down; `None` when there is no such pool.
    ///
    /// # Errors
    /// When it cannot be read, or is no record.
    pub(super) fn record(&self) -> Result<Option<Record>> {
        let path = self.folder.join(RECORD);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error("read", &path, error)),
        };
        let damaged = |why: String| {
            Error::new(ErrorKind::Config, format!("the record of pool {} in {} is unusable: {why}", self.pool, path.display()))
                .hint(format!("give the pool up with `kindmesh down --fleet {}`, and make it again", self.pool))
        };
        let record: Record = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        recheck(&record.fleet).map_err(|error| damaged(error.to_string()))?;
        if record.fleet.name != self.pool {
            return Err(damaged(format!("it describes the fleet {}", record.fleet.name)));
        }
        Ok(Some(record))
    }

    /// Writes it down, in place of what was there.
    pub(super) fn write(&self, record: &Record) -> Result<()> {
        self.make_folder()?;
        let path = self.folder.join(RECORD);
        let text = serde_json::to_vec_pretty(record).map_err(|error| file_error("write", &path, error.into()))?;
        // Such files are made for their owner alone.
        let write = || -> io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(".pool-").tempfile_in(&self.folder)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|error| file_error("write", &path, error))
    }

    /// Takes the record away: a filler that is at work stops. Returns whether there was one.
    pub(super) fn forget(&self) -> Result<bool> {
        remove(&self.folder.join(RECORD))
    }

    /// Takes the place of the filler; `None` when another process has it.
    pub(super) fn lock(&self) -> Result<Option<FillLock>> {
        let path = self.folder.join(LOCK);
        loop {
            let mut options = OpenOptions::new();
            options.create(true).append(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = match options.open(&path) {
                Ok(file) => file,
                // The pool was given up, with its folder.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.unknown()),
                Err(error) => return Err(file_error("open", &path, error)),
            };
            match file.try_lock() {
                // A file that was removed before it was locked keeps nobody out.
                Ok(()) if is_at(&file, &path) => return Ok(Some(FillLock { _file: file })),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(file_error("lock", &path, error)),
            }
        }
    }

    /// As [`PoolStore::lock`], for a filler that was told to stop: waits until it did. `None` where nobody
    /// can be filling, for the folder is gone.
    ///
    /// # Errors
    /// `Timeout` when it is still at it after the deadline, `Cancelled`.
    pub(super) async fn lock_within(&self, deadline: Duration, scope: &Scope) -> Result<Option<FillLock>> {
        const STEP: &str = "wait for the filler";
        if let Some(tried) = self.try_lock().transpose() {
            return tried.map(Tried::lock);
        }
        let tries = async {
            scope.progress(STEP, format!("another process still fills pool {}, which was given up", self.pool));
            loop {
                if let Some(tried) = self.try_lock()? {
                    return Ok(Outcome::unchanged(tried.lock()));
                }
                tokio::select! {
                    () = scope.cancel.cancelled() => return Err(Error::cancelled(STEP)),
                    () = tokio::time::sleep(LOCK_PAUSE) => {}
                }
            }
        };
        scope.step(STEP, deadline, tries).await.map_err(|error| match error.kind() {
            ErrorKind::Timeout => error.hint("end that process (`kindmesh pool serve`, `kindmesh up --warm`), and run the command again"),
            _ => error,
        })
    }

    /// One try; `None` when another process has the lock.
    fn try_lock(&self) -> Result<Option<Tried>> {
        match self.lock() {
            Ok(lock) => Ok(lock.map(Tried::Locked)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(Tried::Gone)),
            Err(error) => Err(error),
        }
    }

    /// Whether a filler left anything here: a pool that was given up half has no record.
    pub(super) fn has_remains(&self) -> bool {
        [LOG, LOCK].iter().any(|name| self.folder.join(name).exists())
    }

    /// Removes what only a pool needs, of one that was given up and is filled by nobody, and each folder that
    /// has become empty. Kubeconfigs of leases stay.
    pub(super) fn tidy(&self) -> Result<()> {
        // The lock of a pool that is kept is its filler's alone, also for a moment.
        if self.folder.join(RECORD).exists() {
            return Ok(());
        }
        match self.lock() {
            Ok(Some(lock)) => self.tidy_locked(&lock),
            // Whoever fills it tidies up when it stops.
            Ok(None) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The same for who has the lock.
    pub(super) fn tidy_locked(&self, _lock: &FillLock) -> Result<()> {
        if self.folder.join(RECORD).exists() {
            return Ok(());
        }
        for name in [LOG, LOCK] {
            remove(&self.folder.join(name))?;
        }
        let mut folder = Some(self.folder.as_path());
        // The pool's, that of all pools, and the engine's, which holds nothing else where no mesh is.
        for _ in 0..3 {
            let Some(path) = folder else { break };
            match fs::remove_dir(path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => break,
                Err(error) => return Err(file_error("remove", path, error)),
            }
            folder = path.parent();
        }
        Ok(())
    }

    /// That there is no such pool.
    pub(super) fn unknown(&self) -> Error {
        Error::new(ErrorKind::NotFound, format!("no pool {} is written down in {}", self.pool, self.folder.display()))
            .hint(format!("make it: `kindmesh up --warm 2 --fleet {}`, or with `-f FILE`", self.pool))
    }
}

/// Why nothing can be done about pools without a state folder.
pub(super) fn no_state() -> Error {
    Error::new(ErrorKind::Config, "there is no folder to write a pool down in").hint("set HOME, or name a folder with --state-dir")
}

/// Removes a file. Returns whether it was there.
fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(file_error("remove", path, error)),
    }
}

/// Whether the open file is the one that has this path now.
#[cfg_attr(not(unix), expect(unused_variables, reason = "other systems do not remove open files"))]
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        match (file.metadata(), fs::metadata(path)) {
            (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }
    #[cfg(not(unix))]
    true
}

pub(super) fn file_error(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::File, format!("cannot {verb} {}", path.display())).because(error)
}
