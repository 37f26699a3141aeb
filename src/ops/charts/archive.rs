//! Charts as Helm packs them: a compressed archive of one folder.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path};

use flate2::read::GzDecoder;
use tar::EntryType;

use super::error::{LoadError, Result};

/// The largest archive that is read; Istio's are below 100 KB.
pub(super) const MAX_PACKED: usize = 16 << 20;
/// The largest that may become of it; Istio's base has 1 MB.
pub(super) const MAX_UNPACKED: u64 = 64 << 20;
/// The largest number of files.
pub(super) const MAX_FILES: usize = 2000;

/// Reads the files of a packed chart, by their path inside the chart's folder. Nothing is written anywhere.
pub(super) fn read(what: &str, packed: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let refuse = |message: String| LoadError::refused(what, message);
    if packed.len() > MAX_PACKED {
        return Err(refuse(format!("is larger than {} MiB", MAX_PACKED >> 20)));
    }
    let broken = |error: io::Error| LoadError::refused(what, format!("is no gzip-compressed tar archive: {error}"));
    // One byte more than allowed, so that too much is told from just enough.
    let mut archive = tar::Archive::new(GzDecoder::new(packed).take(MAX_UNPACKED + 1));
    let (mut files, mut folder, mut total) = (BTreeMap::new(), None, 0);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            kind => return Err(refuse(format!("has {} in it, which is no file but {kind:?}", path.display()))),
        }
        let (top, inside) = split(&path).ok_or_else(|| refuse(format!("has a file outside its folder: {}", path.display())))?;
        let folder = folder.get_or_insert_with(|| top.clone());
        if *folder != top {
            return Err(refuse(format!("has more than one folder: {folder} and {top}")));
        }
        total += entry.size();
        if files.len() >= MAX_FILES || total > MAX_UNPACKED {
            return Err(refuse(format!("has more than {MAX_FILES} files or unpacks to more than {} MiB", MAX_UNPACKED >> 20)));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(broken)?;
        if files.insert(inside.clone(), content).is_some() {
            return Err(refuse(format!("has {inside} twice")));
        }
    }
    if files.is_empty() { Err(refuse("is empty".to_owned())) } else { Ok(files) }
}

/// The folder a path begins with, and the rest. `None` for paths that lead elsewhere.
fn split(path: &Path) -> Option<(String, String)> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let (top, inside) = parts.split_first().filter(|(_, inside)| !inside.is_empty())?;
    Some(((*top).to_owned(), inside.join("/")))
}
