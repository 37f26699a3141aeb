//! A look into layers that the engine unpacks into nodes: what it would do otherwise than containerd.
//!
//! It unpacks with the node's root as its own, and goes where links of the same layer lead: through one to an absolute path a
//! layer would write into the node. containerd stays in the layer's folder.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::domain::tar_stream::{TarEntry, TarKind, TarPiece, TarStream};

/// Watches a layer pass.
#[derive(Debug, Default)]
pub(super) struct InnerWatch {
    stream: TarStream,
    told: BTreeSet<String>,
    /// Symbolic links, and hard links to them.
    links: BTreeSet<String>,
    implied: BTreeSet<String>,
    pieces: Vec<TarPiece>,
}

// === impl InnerWatch ===

impl InnerWatch {
    /// Looks at the next bytes; the reason is told when containerd must unpack this layer.
    pub(super) fn push(&mut self, bytes: &Bytes) -> Result<(), String> {
        self.stream.push(bytes.clone(), &mut self.pieces).map_err(|error| error.to_string())?;
        let pieces = std::mem::take(&mut self.pieces);
        pieces.into_iter().try_for_each(|piece| match piece {
            TarPiece::Entry(entry) => self.entry(&entry),
            TarPiece::Data(_) | TarPiece::End => Ok(()),
        })
    }

    /// Folders that something is in and that the layer does not name itself, outermost first: they keep
    /// the attributes that they have in the layers below.
    pub(super) fn implied_folders(self) -> Vec<String> {
        self.implied.difference(&self.told).cloned().collect()
    }

    fn entry(&mut self, entry: &TarEntry) -> Result<(), String> {
        let path = entry.path.trim_start_matches('/');
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        if name.starts_with(".wh..wh.") {
            return Err("it replaces a whole folder".to_owned());
        }
        if path.contains('\n') {
            return Err("a name in it has a line break".to_owned());
        }
        if entry.ambiguous {
            return Err(format!("not everybody reads its entry {path} alike"));
        }
        if matches!(path, "" | ".") {
            // The engine leaves the folder itself as it is.
            return match entry.kind == TarKind::Folder && entry.mode & 0o7777 == 0o755 && entry.owner == (0, 0) {
                true => Ok(()),
                false => Err("it says what its root folder is".to_owned()),
            };
        }
        self.stays_inside(path)?;
        match entry.kind {
            TarKind::Folder => _ = self.told.insert(path.to_owned()),
            TarKind::Symlink => _ = self.links.insert(path.to_owned()),
            TarKind::Hardlink => {
                let target = entry.link.trim_start_matches("./").trim_start_matches('/');
                self.stays_inside(target)?;
                if self.links.contains(target) {
                    self.links.insert(path.to_owned());
                }
            }
            TarKind::File | TarKind::Other => {}
        }
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            if above.is_empty() || self.told.contains(above) || !self.implied.insert(above.to_owned()) {
                break;
            }
            folder = above;
        }
        Ok(())
    }

    /// Refuses a path that goes through a link of the layer, or that is not written in the plain way.
    fn stays_inside(&self, path: &str) -> Result<(), String> {
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!("the path {path} in it is no plain one"));
        }
        let through = path.match_indices('/').map(|(at, _)| &path[..at]).find(|above| self.links.contains(*above));
        through.map_or(Ok(()), |link| Err(format!("its entry {path} goes through the link {link}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(names: &[&str]) -> Bytes {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_ustar();
            header.set_size(0);
            header.set_mode(0o755);
            header.set_entry_type(if name.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
            builder.append_data(&mut header, name, std::io::empty()).unwrap();
        }
        builder.into_inner().unwrap().into()
    }

    fn implied(names: &[&str]) -> Vec<String> {
        let mut watch = InnerWatch::default();
        watch.push(&layer(names)).unwrap();
        watch.implied_folders()
    }

    #[test]
    fn folders_that_are_not_named_are_told() {
        assert_eq!(implied(&["etc/", "etc/apt/", "etc/apt/list", "etc/.wh.gone", "top"]), [""; 0]);
        assert_eq!(
            implied(&["usr/local/bin/tool", "usr/local/bin/other", "usr/share/x", "top/"]),
            ["usr", "usr/local", "usr/local/bin", "usr/share"]
        );
        assert_eq!(implied(&["usr/bin/tool", "usr/"]), ["usr/bin"], "named after what is in it");
    }

    #[test]
    fn what_only_containerd_can_do_is_told() {
        assert!(InnerWatch::default().push(&layer(&["var/", "var/.wh..wh..opq"])).unwrap_err().contains("whole folder"));
    }

    /// Entries as `(type, path, target)`, with these bits and this owner.
    fn watched(entries: &[(u8, &str, &str)], mode: u32, owner: u64) -> Result<(), String> {
        let mut bytes = Vec::new();
        for (kind, path, link) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(tar::EntryType::new(*kind));
            header.set_size(0);
            header.set_mode(mode);
            header.set_uid(owner);
            header.set_gid(0);
            header.set_cksum();
            bytes.extend_from_slice(header.as_bytes());
        }
        InnerWatch::default().push(&bytes.into())
    }

    #[test]
    fn nothing_goes_through_a_link_of_the_layer() {
        let refused = |entries: &[(u8, &str, &str)]| watched(entries, 0o755, 0).unwrap_err();
        assert!(refused(&[(b'2', "x", "/etc"), (b'0', "x/cron.d/job", "")]).contains("through the link x"));
        assert!(refused(&[(b'2', "./x", "/etc"), (b'0', "/x/job", "")]).contains("through the link x"));
        assert!(refused(&[(b'2', "x", "/etc"), (b'1', "y", "x/passwd")]).contains("through the link x"));
        assert!(refused(&[(b'2', "x", "/etc"), (b'1', "y", "./x"), (b'0', "y/job", "")]).contains("through the link y"));
        for path in ["a/../../etc/job", "a//job", "a/./job", "..", "../job"] {
            assert!(refused(&[(b'0', path, "")]).contains("plain"), "{path}");
        }
        // Links by themselves are what images have.
        watched(&[(b'5', "usr/bin/", ""), (b'2', "bin", "usr/bin"), (b'1', "usr/bin/b", "usr/bin/a")], 0o755, 0).unwrap();
    }

    #[test]
    fn what_a_layer_says_of_its_root_is_not_lost() {
        watched(&[(b'5', "./", "")], 0o755, 0).unwrap();
        assert!(watched(&[(b'5', "./", "")], 0o1777, 0).unwrap_err().contains("root folder"));
        assert!(watched(&[(b'5', "/", "")], 0o755, 7).unwrap_err().contains("root folder"));
        assert!(watched(&[(b'2', ".", "/etc")], 0o755, 0).unwrap_err().contains("root folder"));
    }
}
