//! The recipe's folder: the one built into the program, or one on disk.

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::{Dir, include_dir};

use super::{BuildError, Result};

/// `node-images/`, so that an installed program needs no checkout.
static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/node-images");

/// Every file of a recipe's folder, by path with `/` between the parts.
#[derive(Debug, Clone)]
pub(super) struct Files {
    place: String,
    files: BTreeMap<String, Vec<u8>>,
}

// === impl Files ===

impl Files {
    /// The folder that is built into the program.
    pub fn built_in() -> Self {
        let mut files = BTreeMap::new();
        collect(&BUILT_IN, &mut files);
        Self { place: "built in".to_owned(), files }
    }

    /// A folder on disk. Blocking.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        read_into(folder, "", &mut files)?;
        Ok(Self { place: folder.display().to_string(), files })
    }

    /// Replaces a file.
    #[cfg(test)]
    pub fn set(&mut self, path: &str, content: &[u8]) {
        self.files.insert(path.to_owned(), content.to_vec());
    }

    /// Where the recipe comes from, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// One file's content.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Files below a folder, by path relative to it.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let prefix = format!("{folder}/");
        self.files.iter().filter_map(move |(path, content)| Some((path.strip_prefix(&prefix)?, content.as_slice())))
    }
}

fn collect(folder: &Dir<'_>, files: &mut BTreeMap<String, Vec<u8>>) {
    for file in folder.files() {
        files.insert(file.path().to_string_lossy().replace('\\', "/"), file.contents().to_vec());
    }
    folder.dirs().for_each(|below| collect(below, files));
}

fn read_into(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let failed = |path: &Path| BuildError::io("read the recipe's folder", path.to_path_buf());
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if std::fs::metadata(&path).map_err(failed(&path))?.is_dir() {
            read_into(&path, &format!("{name}/"), files)?;
        } else {
            files.insert(name, std::fs::read(&path).map_err(failed(&path))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_folder_is_the_one_on_disk() {
        let on_disk = Files::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("node-images")).unwrap();
        let built_in = Files::built_in();
        assert_eq!(built_in.files.keys().collect::<Vec<_>>(), on_disk.files.keys().collect::<Vec<_>>());
        assert!(built_in.files == on_disk.files, "a file's content is stale");
        assert!(built_in.below("modules/etcd").any(|(path, _)| path == "go.mod"));
        assert!(built_in.below("modules/etc").next().is_none());
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Files::read(Path::new("/nonexistent/recipe")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/recipe"), "{error}");
    }
}
