//! An archive of a node's logs becomes files, whatever the archive says.

use std::collections::BTreeMap;
use std::io;

use futures_util::StreamExt as _;

use super::folder::{Folder, Output, parts};
use crate::domain::tar_stream::{TarEntry, TarKind, TarPiece, TarStream};
use crate::engine::ByteStream;

/// Entries of one archive at most.
const MAX_ENTRIES: usize = 50_000;
/// Reasons for what was left out that are told; more of them say nothing new.
const MAX_TOLD: usize = 20;

/// How much may be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of one archive.
    pub(super) total: u64,
    /// Of one file.
    pub(super) file: u64,
}

/// Where an archive goes, and what became of it.
struct Unpacking<'a> {
    folder: &'a Folder,
    /// Names below this belong to the folder; in the archive it is the first part of every path.
    root: &'a str,
    limits: Limits,
    left_out: &'a (dyn Fn(&str) -> bool + Send + Sync),
    open: Option<Open>,
    /// Symbolic links, by where they stand: given to files of this archive afterwards.
    links: BTreeMap<String, String>,
    total: u64,
    entries: usize,
    missing: Vec<String>,
}

struct Open {
    path: String,
    output: Output,
    size: u64,
    cut: bool,
}

/// Unpacks the folder `/…/<root>` of a node that an engine packed. Only files and folders are made; a symbolic link
/// becomes a second name of the file it leads to, if that came with the archive. `left_out` says which paths
/// are not wanted. Returns what was left out and why; an archive that breaks off is such a reason, too.
pub(super) async fn unpack(
    mut archive: ByteStream,
    root: &str,
    folder: &Folder,
    limits: Limits,
    left_out: &(dyn Fn(&str) -> bool + Send + Sync),
) -> Vec<String> {
    let mut unpacking =
        Unpacking { folder, root, limits, left_out, open: None, links: BTreeMap::new(), total: 0, entries: 0, missing: Vec::new() };
    let (mut tar, mut pieces) = (TarStream::default(), Vec::new());
    let mut over = false;
    while let Some(bytes) = archive.next().await {
        let read = bytes.map_err(|error| error.to_string()).and_then(|bytes| {
            let read = tar.push(bytes, &mut pieces);
            read.map_err(|error| error.to_string())
        });
        let go_on = pieces.drain(..).all(|piece| unpacking.take(piece));
        if let Err(error) = read {
            unpacking.miss(format!("the archive breaks off: {error}"));
            over = true;
        }
        if !go_on || over {
            over = true;
            break;
        }
    }
    if !over && let Err(error) = tar.finish() {
        unpacking.miss(error.to_string());
    }
    unpacking.finish()
}

// === impl Unpacking ===

impl Unpacking<'_> {
    /// Takes the next piece; false when enough was written.
    fn take(&mut self, piece: TarPiece) -> bool {
        match piece {
            TarPiece::Entry(entry) => return self.entry(entry),
            TarPiece::Data(bytes) => self.data(&bytes),
            TarPiece::End => self.end(),
        }
        true
    }

    fn entry(&mut self, entry: TarEntry) -> bool {
        self.end();
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            self.miss(format!("everything after {MAX_ENTRIES} entries"));
            return false;
        }
        if self.total >= self.limits.total {
            self.miss(format!("{} and everything after it: the limit of {} bytes is reached", printable(&entry.path), self.limits.total));
            return false;
        }
        let Some(path) = self.below_root(&entry.path) else {
            if entry.path != self.root {
                self.miss(format!("{}: a path outside of {}", printable(&entry.path), self.root));
            }
            return true;
        };
        if (self.left_out)(&path) {
            return true;
        }
        let Some(parts) = parts(&path) else { return true };
        match entry.kind {
            TarKind::Folder => self.told(&path, self.folder.folder(&parts)),
            TarKind::File => match self.folder.begin(&parts) {
                Ok(output) => self.open = Some(Open { path, output, size: 0, cut: false }),
                Err(error) => self.told(&path, Err(error)),
            },
            TarKind::Symlink => {
                self.links.insert(path, entry.link);
            }
            // The second name of a file of this archive, and never of anything else.
            TarKind::Hardlink => match self.below_root(&entry.link) {
                Some(target) => {
                    self.links.insert(path, format!("/{}", target));
                }
                None => self.miss(format!("{path}: a link to somewhere else")),
            },
            // Devices and pipes are no logs.
            TarKind::Other => self.miss(format!("{path}: neither a file nor a folder")),
        }
        true
    }

    fn data(&mut self, bytes: &[u8]) {
        let Some(open) = &mut self.open else { return };
        let room = self.limits.file.saturating_sub(open.size).min(self.limits.total.saturating_sub(self.total));
        let taken = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        open.cut |= taken < bytes.len();
        open.size += taken as u64;
        self.total += taken as u64;
        if let Err(error) = open.output.push(&bytes[..taken])
            && let Some(open) = self.open.take()
        {
            self.told(&open.path, Err(error));
        }
    }

    fn end(&mut self) {
        let Some(open) = self.open.take() else { return };
        let written = open.output.end();
        self.told(&open.path, written);
        if open.cut {
            self.miss(format!("{}: what follows its first {} bytes", open.path, open.size));
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.end();
        let links = std::mem::take(&mut self.links);
        for (path, target) in &links {
            self.second_name(path, target, &links);
        }
        if self.missing.len() > MAX_TOLD {
            let more = self.missing.len() - MAX_TOLD;
            self.missing.truncate(MAX_TOLD);
            self.missing.push(format!("{more} more of the kind"));
        }
        self.missing
    }

    /// What a link led to gets the link's name. Links that lead elsewhere are nothing of interest.
    fn second_name(&mut self, path: &str, target: &str, links: &BTreeMap<String, String>) {
        // Names of containers lead to pods, which may lead on; a circle ends.
        let mut at = resolve(path, target, self.root);
        for _ in 0..4 {
            at = at.and_then(|found| match links.get(&found) {
                Some(next) => resolve(&found, next, self.root),
                None => Some(found),
            });
        }
        let Some(target) = at else { return };
        if let (Some(from), Some(to)) = (parts(&target), parts(path)) {
            // Not there: it was removed, or never a part of the archive.
            let _ = self.folder.link(&from, &to);
        }
    }

    /// A path of the archive without its root.
    fn below_root(&self, path: &str) -> Option<String> {
        let parts = parts(path)?;
        match parts.split_first() {
            Some((first, rest)) if *first == self.root && !rest.is_empty() => Some(rest.join("/")),
            _ => None,
        }
    }

    fn told(&mut self, path: &str, done: io::Result<()>) {
        if let Err(error) = done {
            self.miss(format!("{path}: {error}"));
        }
    }

    fn miss(&mut self, what: String) {
        self.missing.push(what);
    }
}

/// Where a link leads within the archive, whose root is `/var/<root>` in the node.
fn resolve(path: &str, target: &str, root: &str) -> Option<String> {
    let mut at: Vec<&str> = Vec::new();
    let rest = match target.strip_prefix('/') {
        Some(absolute) => absolute.strip_prefix("var/").and_then(|rest| rest.strip_prefix(root)?.strip_prefix('/')).unwrap_or(absolute),
        None => {
            at.extend(path.split('/'));
            at.pop();
            target
        }
    };
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                at.pop()?;
            }
            part => at.push(part),
        }
    }
    Some(at.join("/"))
}

/// A path for a message.
fn printable(path: &str) -> String {
    path.chars().take(200).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
