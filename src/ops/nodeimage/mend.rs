//! Mending a module's source before it is compiled: a known fault of a pinned version, one place each.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::golang::{self, OnLine};
use super::tools::Tools;
use super::{BuildError, Result};

/// One place in the source of a module that a build requires.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mend {
    /// The module.
    pub module: String,
    /// File in the module.
    pub file: String,
    /// What is wrong there, for people.
    #[serde(skip_serializing)]
    pub why: String,
    /// Text that stands in the file once.
    pub from: String,
    /// What stands there instead.
    pub to: String,
}

/// Makes `go.mod` in `folder` use mended copies of the modules. The module cache itself is for everyone.
pub(super) async fn apply(mends: &[Mend], tools: &Tools, folder: &Path, on_line: OnLine<'_>, cancel: &CancellationToken) -> Result<()> {
    for mend in mends {
        let place = format!("./mended/{}", mend.module);
        let copy = folder.join(&place);
        if !copy.exists() {
            let source = golang::module_source(tools, &mend.module, folder, on_line, cancel).await?;
            copy_tree(&source, &copy)?;
            let path = folder.join("go.mod");
            let requirements = fs::read_to_string(&path).map_err(BuildError::io("read", &path))?;
            let replaced = format!("{requirements}\nreplace {} => {place}\n", mend.module);
            fs::write(&path, replaced).map_err(BuildError::io("write", &path))?;
        }
        let path = copy.join(&mend.file);
        let text = fs::read_to_string(&path).map_err(BuildError::io("read", &path))?;
        let text = mend.mended(&text).map_err(|message| BuildError::Answer { what: format!("mend {}", mend.module), message })?;
        fs::write(&path, text).map_err(BuildError::io("write", &path))?;
    }
    Ok(())
}

// === impl Mend ===

impl Mend {
    /// The file's text with the place mended; what is wrong when the place is not there once.
    fn mended(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.from).count() {
            1 => Ok(text.replacen(&self.from, &self.to, 1)),
            count => Err(format!("{} holds the place to mend {count} times and not once; it is for this: {}", self.file, self.why)),
        }
    }
}

/// Copies files and folders, writable: those of a module cache are not.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(BuildError::io("make", to))?;
    for entry in fs::read_dir(from).map_err(BuildError::io("read", from))? {
        let path: PathBuf = entry.map_err(BuildError::io("read", from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_tree(&path, &target)?;
        } else {
            let content = fs::read(&path).map_err(BuildError::io("read", &path))?;
            fs::write(&target, content).map_err(BuildError::io("write", &target))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_not_there_once_is_told() {
        let mend = Mend { module: "m".into(), file: "a.go".into(), why: String::new(), from: "b".into(), to: "c".into() };
        assert_eq!(mend.mended("abd"), Ok("acd".to_owned()));
        for text in ["ad", "abbd"] {
            assert!(mend.mended(text).unwrap_err().starts_with("a.go holds the place to mend"), "{text}");
        }
    }

    #[test]
    fn a_copy_is_whole_and_may_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/b/c.go"), "c").unwrap();
        let mut only_read = fs::metadata(from.join("a/b/c.go")).unwrap().permissions();
        only_read.set_readonly(true);
        fs::set_permissions(from.join("a/b/c.go"), only_read).unwrap();
        copy_tree(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("a/b/c.go")).unwrap(), "c");
        assert!(!fs::metadata(to.join("a/b/c.go")).unwrap().permissions().readonly());
    }
}
