//! Charts as folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::archive::{MAX_FILES, MAX_UNPACKED};
use super::error::{LoadError, Result};

/// Reads the files of a chart's folder, by their path inside it. Hidden files are left out, links are not followed.
pub(super) fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut total = 0;
    let mut open = vec![(folder.to_path_buf(), String::new())];
    while let Some((path, prefix)) = open.pop() {
        for entry in fs::read_dir(&path).map_err(LoadError::file("read", &path))? {
            let entry = entry.map_err(LoadError::file("read", &path))?;
            let refuse = |message: &str| LoadError::refused(entry.path().display().to_string(), message);
            let name = entry.file_name().into_string().map_err(|_| refuse("has a name that is no text"))?;
            if name.starts_with('.') {
                continue;
            }
            let inside = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(LoadError::file("read", entry.path()))?;
            if kind.is_dir() {
                open.push((entry.path(), format!("{inside}/")));
                continue;
            }
            if !kind.is_file() {
                return Err(refuse("is neither a file nor a folder; charts are read without following links"));
            }
            let content = fs::read(entry.path()).map_err(LoadError::file("read", entry.path()))?;
            total += content.len() as u64;
            if files.len() >= MAX_FILES || total > MAX_UNPACKED {
                return Err(LoadError::refused(
                    folder.display().to_string(),
                    format!("has more than {MAX_FILES} files or more than {} MiB: this is no chart", MAX_UNPACKED >> 20),
                ));
            }
            files.insert(inside, content);
        }
    }
    Ok(files)
}
