//! Layers of images: kept as an archive, or written on the fly from files that are kept anyway.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::digest::sha256;
use super::listing::Listing;
use super::tarball::{Meta, Tarball};

/// Files to put into a layer, by path without a leading slash. Parents are added by themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree(BTreeMap<String, Node>);

/// A layer whose digest is known.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// SHA-256 of the uncompressed archive, in hexadecimal digits.
    pub diff_id: String,
    /// Length of the archive in bytes.
    pub size: u64,
    /// What is in it.
    pub listing: Listing,
    source: Source,
}

#[derive(Debug, Clone)]
enum Node {
    Folder(Meta),
    Symlink(String),
    Bytes(u32, Vec<u8>),
    Copy(u32, PathBuf),
}

#[derive(Debug, Clone)]
enum Source {
    Archive(PathBuf),
    Tree(Arc<Tree>),
}

// === impl Tree ===

impl Tree {
    /// Adds a folder.
    pub fn folder(&mut self, path: &str, meta: Meta) {
        self.add(path, Node::Folder(meta));
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.add(path, Node::Symlink(target.to_owned()));
    }

    /// Adds a file with this content.
    pub fn bytes(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.add(path, Node::Bytes(mode, content));
    }

    /// Adds a copy of a file on disk, read when the layer is written.
    pub fn copy(&mut self, path: &str, mode: u32, from: PathBuf) {
        self.add(path, Node::Copy(mode, from));
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Path and description of every entry: what the layer follows from, short of the content of
    /// copied files.
    pub fn describe(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(path, node)| {
            let what = match node {
                Node::Folder(meta) => format!("folder {:o} {}:{}", meta.mode, meta.uid, meta.gid),
                Node::Symlink(target) => format!("link {target}"),
                Node::Bytes(mode, content) => format!("file {mode:o} {}", sha256(content)),
                Node::Copy(mode, from) => format!("copy {mode:o} {}", from.display()),
            };
            (path.as_str(), what)
        })
    }

    fn add(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            if !self.0.contains_key(parent) {
                self.0.insert(parent.to_owned(), Node::Folder(Meta::root(usual_mode(parent))));
            }
        }
        self.0.insert(path.to_owned(), node);
    }

    fn write_into<W: Write>(&self, tarball: &mut Tarball<W>) -> io::Result<()> {
        for (path, node) in &self.0 {
            match node {
                Node::Folder(meta) => tarball.folder(path, *meta)?,
                Node::Symlink(target) => tarball.symlink(path, target)?,
                Node::Bytes(mode, content) => tarball.file(path, Meta::root(*mode), content.len() as u64, content.as_slice())?,
                Node::Copy(mode, from) => {
                    let file = File::open(from)?;
                    let size = file.metadata()?.len();
                    tarball.file(path, Meta::root(*mode), size, BufReader::with_capacity(256 * 1024, file))?;
                }
            }
        }
        Ok(())
    }
}

/// A layer's folder entry replaces the one below it, so a parent that nobody described must look
/// as it does in every distribution.
fn usual_mode(folder: &str) -> u32 {
    match folder {
        "tmp" | "var/tmp" => 0o1777,
        "root" => 0o700,
        _ => 0o755,
    }
}

// === impl Layer ===

impl Layer {
    /// From an archive that was written, and hashed, before.
    pub fn kept(path: &Path, diff_id: String, size: u64, listing: Listing) -> Self {
        Self { diff_id, size, listing, source: Source::Archive(path.to_path_buf()) }
    }

    /// From files: reads each once to learn the digest. Blocking.
    pub fn from_tree(tree: Tree, cancel: &CancellationToken) -> io::Result<Self> {
        let mut tarball = Tarball::new(io::sink(), cancel.clone());
        tree.write_into(&mut tarball)?;
        let (_, written) = tarball.finish()?;
        let (diff_id, size, listing) = (written.digest, written.size, written.listing);
        Ok(Self { diff_id, size, listing, source: Source::Tree(Arc::new(tree)) })
    }

    /// Writes the archive. Blocking.
    pub fn write_to(&self, out: &mut dyn Write, cancel: &CancellationToken) -> io::Result<()> {
        match &self.source {
            Source::Archive(path) => {
                let copied = io::copy(&mut BufReader::with_capacity(256 * 1024, File::open(path)?), out)?;
                if copied != self.size {
                    return Err(io::Error::other(format!("{} has {copied} bytes instead of {}", path.display(), self.size)));
                }
                Ok(())
            }
            Source::Tree(tree) => {
                let mut tarball = Tarball::new(out, cancel.clone());
                tree.write_into(&mut tarball)?;
                let (_, written) = tarball.finish()?;
                if written.digest != self.diff_id {
                    return Err(io::Error::other("a file changed while its layer was written; build again"));
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_written_sorted_with_its_parents() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("kubelet");
        std::fs::write(&binary, b"elf").unwrap();
        let mut tree = Tree::default();
        tree.copy("/usr/bin/kubelet", 0o755, binary.clone());
        tree.bytes("/root/.profile", 0o600, b"x".to_vec());
        tree.symlink("/etc/systemd/system/default.target", "/lib/systemd/system/multi-user.target");
        tree.folder("/var/lib/kubelet", Meta::root(0o750));
        let cancel = CancellationToken::new();
        let layer = Layer::from_tree(tree, &cancel).unwrap();
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes, &cancel).unwrap();
        assert_eq!(layer.diff_id, super::super::digest::sha256(&bytes));
        let names: Vec<String> = tar::Archive::new(bytes.as_slice())
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                format!("{:o} {}", entry.header().mode().unwrap(), entry.path().unwrap().display())
            })
            .collect();
        assert_eq!(
            names,
            [
                "755 etc/",
                "755 etc/systemd/",
                "755 etc/systemd/system/",
                "777 etc/systemd/system/default.target",
                "700 root/",
                "600 root/.profile",
                "755 usr/",
                "755 usr/bin/",
                "755 usr/bin/kubelet",
                "755 var/",
                "755 var/lib/",
                "750 var/lib/kubelet/",
            ]
        );
        std::fs::write(&binary, b"ELF").unwrap();
        let error = layer.write_to(&mut io::sink(), &cancel).unwrap_err();
        assert!(error.to_string().contains("changed while"), "{error}");
    }
}
