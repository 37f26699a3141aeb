//! Where the results of steps are kept: one folder per step and key of its inputs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::layer::Layer;
use super::listing::Listing;
use super::tarball::Written;
use super::{BuildError, Result};

/// Digits of a key in a folder's name; enough never to meet twice.
const KEY_DIGITS: usize = 24;
/// Results of one step that are kept beside the one in use: other Kubernetes versions, a change that
/// is taken back.
const KEEP: usize = 3;
/// Results used within this time are never removed: another build may be reading them.
const YOUNG: Duration = Duration::from_secs(24 * 3600);
/// Name of a kept layer in its step's folder.
const LAYER: &str = "layer.tar";

/// The cache folder.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
}

/// A folder under way: becomes a step's result when it is kept, and is gone otherwise.
#[derive(Debug)]
pub(super) struct Draft {
    folder: tempfile::TempDir,
    target: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct LayerRecord {
    digest: String,
    size: u64,
}

// === impl Cache ===

impl Cache {
    /// At a folder, which is made if it is not there. Blocking.
    pub fn open(root: &Path) -> Result<Self> {
        let cache = Self { root: std::path::absolute(root).map_err(BuildError::io("find", root))? };
        for folder in [cache.root.join("steps"), cache.root.join("tmp")] {
            fs::create_dir_all(&folder).map_err(BuildError::io("make the cache folder", &folder))?;
        }
        Ok(cache)
    }

    /// Where a step's result is, or would be.
    pub fn folder(&self, step: &str, key: &str) -> PathBuf {
        let step: String = step.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        self.root.join("steps").join(format!("{step}-{}", &key[..KEY_DIGITS.min(key.len())]))
    }

    /// Whether a step's result is there.
    pub fn has(&self, step: &str, key: &str) -> bool {
        self.folder(step, key).is_dir()
    }

    /// Begins a step's result. Blocking.
    pub fn draft(&self, step: &str, key: &str) -> Result<Draft> {
        let folder = self.scratch(step)?;
        // Results are read by whoever may read the cache; only drafts are private.
        fs::create_dir(folder.path().join("out")).map_err(BuildError::io("make", folder.path()))?;
        Ok(Draft { folder, target: self.folder(step, key) })
    }

    /// A folder that is gone when dropped. Blocking.
    pub fn scratch(&self, step: &str) -> Result<tempfile::TempDir> {
        let temporary = self.root.join("tmp");
        tempfile::Builder::new()
            .prefix(&format!("{}-", step.replace(' ', "-")))
            .tempdir_in(&temporary)
            .map_err(BuildError::io("make a folder in", &temporary))
    }

    /// Reads a layer that a step kept. Blocking.
    pub fn layer(&self, step: &str, key: &str) -> Result<Layer> {
        let folder = self.folder(step, key);
        let damaged = |path: PathBuf, message: String| BuildError::Io {
            verb: "read the kept layer (remove its folder and build again)",
            path,
            source: io::Error::other(message),
        };
        let record = folder.join("layer.json");
        let text = fs::read(&record).map_err(BuildError::io("read", &record))?;
        let LayerRecord { digest, size } = serde_json::from_slice(&text).map_err(|error| damaged(record, error.to_string()))?;
        let files = folder.join("files");
        let text = fs::read_to_string(&files).map_err(BuildError::io("read", &files))?;
        let listing: Listing = text.parse().map_err(|error: super::listing::ListingError| damaged(files, error.to_string()))?;
        Ok(Layer::kept(&folder.join(LAYER), digest, size, listing))
    }

    /// Writes the listing of an image beside the steps; returns where. Blocking.
    pub fn write_listing(&self, key: &str, listing: &Listing) -> Result<PathBuf> {
        let path = self.listing(key);
        let mut file = tempfile::NamedTempFile::new_in(self.root.join("tmp")).map_err(BuildError::io("make a file for", &path))?;
        io::Write::write_all(&mut file, listing.to_string().as_bytes()).map_err(BuildError::io("write", &path))?;
        file.persist(&path).map_err(|error| BuildError::Io { verb: "write", path: path.clone(), source: error.error })?;
        Ok(path)
    }

    /// Where the listing of an image is.
    pub fn listing(&self, key: &str) -> PathBuf {
        self.root.join(format!("{}.files", &key[..KEY_DIGITS.min(key.len())]))
    }

    /// Notes that these results were used, and removes old ones that nobody uses any more: of each
    /// step all but the newest few. Blocking.
    pub fn tidy(&self, used: &[PathBuf]) -> Result<()> {
        self.tidy_at(used, SystemTime::now())
    }

    fn tidy_at(&self, used: &[PathBuf], now: SystemTime) -> Result<()> {
        for folder in used.iter().filter(|folder| folder.is_dir()) {
            fs::File::open(folder).and_then(|open| open.set_modified(now)).map_err(BuildError::io("mark as used", folder))?;
        }
        let steps = self.root.join("steps");
        let mut results: BTreeMap<String, Vec<(SystemTime, PathBuf)>> = BTreeMap::new();
        for entry in fs::read_dir(&steps).map_err(BuildError::io("read", &steps))? {
            let entry = entry.map_err(BuildError::io("read", &steps))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Another build may have removed it in between.
            let (Some((step, _)), Ok(metadata)) = (name.rsplit_once('-'), entry.metadata()) else { continue };
            let when = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            results.entry(step.to_owned()).or_default().push((when, entry.path()));
        }
        for mut of_step in results.into_values() {
            of_step.sort();
            of_step.reverse();
            let old = of_step.into_iter().skip(KEEP);
            for (_, folder) in old.filter(|(when, path)| now.duration_since(*when).is_ok_and(|age| age > YOUNG) && !used.contains(path)) {
                remove(&folder)?;
            }
        }
        Ok(())
    }

    /// Links programs under a folder that stays the same from build to build. Blocking.
    pub fn link_programs(&self, version: &str, programs: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf> {
        let folder = self.root.join("bin").join(version);
        fs::create_dir_all(&folder).map_err(BuildError::io("make", &folder))?;
        for program in programs {
            let Some(name) = program.file_name() else { continue };
            let link = folder.join(name);
            if fs::read_link(&link).is_ok_and(|target| target == program) {
                continue;
            }
            // A link cannot be replaced in one call; a rename over it can.
            let temporary = self.scratch("link")?;
            let new = temporary.path().join(name);
            std::os::unix::fs::symlink(&program, &new).map_err(BuildError::io("link", &link))?;
            fs::rename(&new, &link).map_err(BuildError::io("link", &link))?;
        }
        Ok(folder)
    }
}

/// Removes a result so that it is never there in part: out of sight first.
fn remove(folder: &Path) -> Result<()> {
    let hidden = folder.with_extension("gone");
    match fs::rename(folder, &hidden).and_then(|()| fs::remove_dir_all(&hidden)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BuildError::io("remove the old result", folder)(error)),
        _ => Ok(()),
    }
}

// === impl Draft ===

impl Draft {
    /// The folder to fill.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// A name that no other draft has at the time.
    pub fn name(&self) -> String {
        let name = self.folder.path().file_name().unwrap_or_default().to_string_lossy();
        name.rsplit('-').next().unwrap_or_default().to_owned()
    }

    /// File that a kept layer is written to.
    pub fn layer_path(&self) -> PathBuf {
        self.path().join(LAYER)
    }

    /// Notes what the layer holds. Blocking.
    pub fn describe_layer(&self, written: &Written) -> Result<()> {
        let record = LayerRecord { digest: written.digest.clone(), size: written.size };
        let path = self.path().join("layer.json");
        let text =
            serde_json::to_vec(&record).map_err(|error| BuildError::Io { verb: "write", path: path.clone(), source: error.into() })?;
        fs::write(&path, text).map_err(BuildError::io("write", &path))?;
        let files = self.path().join("files");
        fs::write(&files, written.listing.to_string()).map_err(BuildError::io("write", &files))
    }

    /// Makes it the step's result. Another build that was faster with the same inputs wins. Blocking.
    pub fn keep(self) -> Result<PathBuf> {
        match fs::rename(self.path(), &self.target) {
            Ok(()) => Ok(self.target),
            Err(_) if self.target.is_dir() => Ok(self.target),
            Err(source) => Err(BuildError::Io { verb: "keep the result in", path: self.target, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kept_draft_is_a_result() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let draft = cache.draft("compile etcd", "abc").unwrap();
        fs::write(draft.path().join("etcd"), "1").unwrap();
        drop(draft);
        assert!(!cache.has("compile etcd", "abc"));
        for content in ["2", "3"] {
            let draft = cache.draft("compile etcd", "abc").unwrap();
            fs::write(draft.path().join("etcd"), content).unwrap();
            assert_eq!(draft.keep().unwrap(), cache.folder("compile etcd", "abc"));
        }
        assert_eq!(fs::read_to_string(cache.folder("compile etcd", "abc").join("etcd")).unwrap(), "2", "the first stays");
        assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0, "drafts are left behind");
    }

    #[test]
    fn a_layer_comes_back_as_it_was_kept() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let draft = cache.draft("root", "k").unwrap();
        let file = fs::File::create(draft.layer_path()).unwrap();
        let mut tarball = super::super::tarball::Tarball::new(file, Default::default());
        tarball.symlink("a", "b").unwrap();
        let (_, written) = tarball.finish().unwrap();
        draft.describe_layer(&written).unwrap();
        draft.keep().unwrap();
        let layer = cache.layer("root", "k").unwrap();
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes, &Default::default()).unwrap();
        assert_eq!(super::super::digest::sha256(&bytes), layer.diff_id);
        assert_eq!(layer.listing, written.listing);
    }

    #[test]
    fn old_results_go_but_never_a_young_or_used_one() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let keys = ["a", "b", "c", "d", "e"];
        for key in keys {
            cache.draft("compile etcd", key).unwrap().keep().unwrap();
        }
        cache.draft("compile coredns", "a").unwrap().keep().unwrap();
        let left = || keys.into_iter().filter(|key| cache.has("compile etcd", key)).collect::<String>();
        cache.tidy(&[]).unwrap();
        assert_eq!(left(), "abcde", "all are young");
        let later = SystemTime::now() + 2 * YOUNG;
        cache.tidy_at(&[cache.folder("compile etcd", "a")], later).unwrap();
        assert_eq!(left(), "ade", "the one in use and the youngest two");
        assert!(cache.has("compile coredns", "a"), "another step's only result went");
    }

    #[test]
    fn links_follow_the_newest_program() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        for program in ["/one/kubectl", "/two/kubectl", "/two/kubectl"] {
            let folder = cache.link_programs("v1.34.4", [PathBuf::from(program)]).unwrap();
            assert_eq!(fs::read_link(folder.join("kubectl")).unwrap(), Path::new(program));
        }
    }
}
