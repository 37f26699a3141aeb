//! Downloaded charts, kept. Whoever uses one has its digest: what lies here may have been altered.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::error::{LoadError, Result};
use crate::domain::digest::Digest;

/// The place of one version's charts.
pub(super) struct Cache {
    folder: PathBuf,
}

// === impl Cache ===

impl Cache {
    /// Below a folder; nothing is made before there is something to keep.
    pub(super) fn new(folder: &Path, version: &str) -> Self {
        Self { folder: folder.join("istio-charts").join(version) }
    }

    /// The archive of a chart, if it is there and has this digest.
    pub(super) fn archive(&self, chart: &str, digest: &Digest) -> Result<Option<Vec<u8>>> {
        Ok(read(&self.path(chart))?.filter(|bytes| Digest::of(bytes) == *digest))
    }

    /// Keeps an archive.
    pub(super) fn keep(&self, chart: &str, bytes: &[u8]) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(LoadError::file("make", &self.folder))?;
        self.write(&self.path(chart), bytes)
    }

    fn path(&self, chart: &str) -> PathBuf {
        self.folder.join(format!("{chart}.tgz"))
    }

    /// Writes a file so that nobody ever sees half of it.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(LoadError::file("write into", &self.folder))?;
        file.write_all(bytes).map_err(LoadError::file("write", path))?;
        file.persist(path).map_err(|error| LoadError::File { verb: "write", path: path.to_path_buf(), source: error.error })?;
        Ok(())
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LoadError::file("read", path)(error)),
    }
}
