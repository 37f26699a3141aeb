//! Archives on this machine: what is in them, and their bytes.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::domain::oci::{Blob, Contents, Packing};
use crate::engine::{ByteStream, EngineError, EngineErrorKind};
use crate::ops::error::{Error, ErrorKind, Result};

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// Chunks under way.
const DEPTH: usize = 4;
/// Larger files of an archive are layers, whatever they begin with.
pub(super) const MAX_DOCUMENT: u64 = 4 << 20;
/// Bytes by which a layer is recognised: a tar's first header.
const MAGIC: usize = 512;

/// An archive that has been opened.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    title: String,
    gzip: bool,
    /// What is in it, unless that takes reading all of it.
    pub(super) contents: Option<Contents>,
}

// === impl Archive ===

impl Archive {
    /// Opens an archive and reads its documents, which takes no time when it is a plain file.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let (path, title) = (path.to_owned(), path.display().to_string());
        let told = title.clone();
        let opening = tokio::task::spawn_blocking(move || Self::open_blocking(&path, title));
        let opened = opening.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        opened.map_err(|error| {
            let kind = if error.kind() == io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::File };
            Error::new(kind, format!("read the archive {told}")).because(error)
        })
    }

    fn open_blocking(path: &Path, title: String) -> io::Result<Self> {
        let mut file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; pack it with tar"));
        }
        if !file.metadata()?.is_file() {
            return Ok(Self { file, title, gzip: false, contents: None });
        }
        let mut magic = [0; 2];
        let gzip = file.read(&mut magic)? == 2 && magic == [0x1f, 0x8b];
        file.seek(SeekFrom::Start(0))?;
        let contents = if gzip { None } else { Some(scan(&file)?) };
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, title, gzip, contents })
    }

    /// Its bytes, unpacked, from the beginning.
    pub(super) fn stream(&self) -> Result<ByteStream> {
        let failed = |error: io::Error| Error::new(ErrorKind::File, format!("read the archive {}", self.title)).because(error);
        let mut file = self.file.try_clone().map_err(failed)?;
        // A pipe is read once, from where it is.
        if self.contents.is_some() || self.gzip {
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
        }
        let (sender, receiver) = mpsc::channel(DEPTH);
        let (gzip, title) = (self.gzip, self.title.clone());
        tokio::task::spawn_blocking(move || {
            let result = if gzip { copy(flate2::read::MultiGzDecoder::new(file), &sender) } else { copy(file, &sender) };
            if let Err(error) = result {
                let error = EngineError::new("read the archive", title, EngineErrorKind::Interrupted, error.to_string());
                // Nobody listens any more when something else failed first.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(futures_util::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) }).boxed())
    }
}

/// How the bytes of a file of an archive are packed; `None` when they are no layer.
pub(super) fn packing(first: &[u8]) -> Option<Packing> {
    let zeros = first.len() >= MAGIC && first[..MAGIC].iter().all(|byte| *byte == 0);
    if first.starts_with(&[0x1f, 0x8b]) {
        Some(Packing::Gzip)
    } else if first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Some(Packing::Zstd)
    } else if zeros || first.get(257..262) == Some(b"ustar") {
        Some(Packing::Plain)
    } else {
        None
    }
}

/// Whether bytes begin like a JSON document.
pub(super) fn is_document(content: &[u8]) -> bool {
    matches!(content.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'['))
}

/// Reads documents and the beginnings of layers; the rest is passed over.
fn scan(file: &File) -> io::Result<Contents> {
    let mut contents = Contents::default();
    for entry in tar::Archive::new(file).entries_with_seek()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        if entry.header().entry_type().is_symlink() {
            if let Some(target) = entry.link_name()? {
                contents.link(&path, &target.to_string_lossy());
            }
            continue;
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let size = entry.size();
        let mut first = Vec::new();
        entry.by_ref().take(MAGIC as u64).read_to_end(&mut first)?;
        if size <= MAX_DOCUMENT && is_document(&first) {
            entry.read_to_end(&mut first)?;
            contents.document(&path, first.into());
        } else if let Some(packing) = packing(&first) {
            contents.blob(&path, Blob { size, digest: String::new(), packing });
        }
    }
    Ok(contents)
}

fn copy(mut from: impl Read, to: &mpsc::Sender<crate::engine::Result<Bytes>>) -> io::Result<()> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match from.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        chunk.truncate(read);
        if read == 0 || to.blocking_send(Ok(chunk.into())).is_err() {
            return Ok(());
        }
    }
}
