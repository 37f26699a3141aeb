//! A look into layers that are unpacked by tar: what it would do otherwise than containerd.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::domain::tar_stream::{TarEntry, TarKind, TarPiece, TarStream};

/// Watches a layer pass.
#[derive(Debug, Default)]
pub(super) struct InnerWatch {
    stream: TarStream,
    told: BTreeSet<String>,
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
        if entry.kind == TarKind::Folder {
            self.told.insert(path.to_owned());
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
}
