//! Archives as they go into an image: sorted, with fixed times and owners, and with a listing of
//! what is in them.

use std::io::{self, Read, Write};

use tar::{Builder, EntryType, Header};
use tokio_util::sync::CancellationToken;

use super::digest::HashWriter;
use super::error::cancelled;
use super::listing::{Kind, Line, Listing};

/// Time of every file in an image: 1980-01-01, the earliest that no format refuses.
pub(super) const EPOCH: u64 = 315_532_800;
/// The only extended attribute that is kept: what a program may do without being root.
const CAPABILITY: &str = "SCHILY.xattr.security.capability";

/// Writes an archive, hashing it and listing what goes in.
pub(super) struct Tarball<W: Write> {
    builder: Builder<HashWriter<W>>,
    listing: Listing,
    cancel: CancellationToken,
}

/// What came of an archive.
pub(super) struct Written {
    /// SHA-256 in hexadecimal digits.
    pub digest: String,
    /// Length in bytes.
    pub size: u64,
    /// What is in it.
    pub listing: Listing,
}

/// What an entry is, apart from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    /// Permission bits, setuid and sticky included.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
}

struct Guarded<'a, R> {
    inner: R,
    cancel: &'a CancellationToken,
}

// === impl Meta ===

impl Meta {
    /// Owned by root.
    pub const fn root(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }

    /// Owned by the user and the group of one number.
    pub fn owned_by(mode: u32, owner: u32) -> Self {
        Self { mode, uid: owner.into(), gid: owner.into() }
    }
}

// === impl Tarball ===

impl<W: Write> Tarball<W> {
    /// Into a writer; fails with a cancelled write once `cancel` fires.
    pub fn new(out: W, cancel: CancellationToken) -> Self {
        Self { builder: Builder::new(HashWriter::new(out)), listing: Listing::default(), cancel }
    }

    /// Adds a folder.
    pub fn folder(&mut self, path: &str, meta: Meta) -> io::Result<()> {
        self.add(&format!("{path}/"), EntryType::Directory, meta, None, 0, io::empty())
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.add(path, EntryType::Symlink, Meta::root(0o777), Some(target), 0, io::empty())
    }

    /// Adds a file of exactly `size` bytes.
    pub fn file(&mut self, path: &str, meta: Meta, size: u64, content: impl Read) -> io::Result<()> {
        self.add(path, EntryType::Regular, meta, None, size, content)
    }

    /// Copies an entry of another archive under another name. `rename` maps the target of a hard
    /// link the same way; entries that are neither file, folder nor link are left out.
    pub fn copy<R: Read>(&mut self, path: &str, mut entry: tar::Entry<'_, R>, rename: impl Fn(&str) -> Option<String>) -> io::Result<()> {
        let kind = match entry.header().entry_type() {
            EntryType::Continuous | EntryType::GNUSparse => EntryType::Regular,
            kind => kind,
        };
        let link = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
        let link = match (kind, link) {
            (EntryType::Link, Some(target)) => match rename(&target) {
                Some(target) => Some(target),
                None => return Err(io::Error::other(format!("{path} is a hard link to {target}, which is left out"))),
            },
            (_, link) => link,
        };
        if !matches!(kind, EntryType::Regular | EntryType::Directory | EntryType::Symlink | EntryType::Link) {
            return Ok(());
        }
        let header = entry.header();
        // Some writers leave an owner's field empty and mean root.
        let meta = Meta { mode: header.mode()? & 0o7777, uid: header.uid().unwrap_or(0), gid: header.gid().unwrap_or(0) };
        let capability = capability(&mut entry)?;
        if let Some(value) = &capability {
            self.builder.append_pax_extensions([(CAPABILITY, value.as_slice())])?;
        }
        let size = if kind == EntryType::Regular { entry.size() } else { 0 };
        let path = if kind == EntryType::Directory { format!("{path}/") } else { path.to_owned() };
        self.add(&path, kind, meta, link.as_deref(), size, entry)
    }

    /// Ends the archive.
    pub fn finish(self) -> io::Result<(W, Written)> {
        let Self { builder, listing, .. } = self;
        let (out, digest, size) = builder.into_inner()?.finish();
        Ok((out, Written { digest, size, listing }))
    }

    fn add(&mut self, path: &str, kind: EntryType, meta: Meta, link: Option<&str>, size: u64, content: impl Read) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(meta.mode);
        header.set_uid(meta.uid);
        header.set_gid(meta.gid);
        header.set_mtime(EPOCH);
        header.set_size(size);
        let mut line = Line { mode: meta.mode, uid: meta.uid, gid: meta.gid, size, kind: Kind::File, content: String::new() };
        match (kind, link) {
            (EntryType::Symlink | EntryType::Link, Some(target)) => {
                self.builder.append_link(&mut header, path, target)?;
                line.kind = if kind == EntryType::Link { Kind::HardLink } else { Kind::Symlink };
                line.content = target.to_owned();
            }
            (EntryType::Directory, _) => {
                self.builder.append_data(&mut header, path, io::empty())?;
                line.kind = Kind::Folder;
            }
            _ => {
                let mut hashed = Hashing::new(Guarded { inner: content.take(size), cancel: &self.cancel });
                self.builder.append_data(&mut header, path, &mut hashed)?;
                let (digest, read) = hashed.finish();
                if read != size {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{path}: {read} of {size} bytes")));
                }
                line.content = digest;
            }
        }
        self.listing.insert(path.trim_end_matches('/'), line);
        Ok(())
    }
}

fn capability<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Option<Vec<u8>>> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(None) };
    for extension in extensions {
        let extension = extension?;
        if extension.key_bytes() == CAPABILITY.as_bytes() {
            return Ok(Some(extension.value_bytes().to_vec()));
        }
    }
    Ok(None)
}

// === impl Guarded ===

impl<R: Read> Read for Guarded<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        self.inner.read(buf)
    }
}

/// Hashes what is read.
struct Hashing<R> {
    inner: R,
    hash: HashWriter<io::Sink>,
}

// === impl Hashing ===

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, hash: HashWriter::new(io::sink()) }
    }

    fn finish(self) -> (String, u64) {
        let (_, digest, read) = self.hash.finish();
        (digest, read)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hash.write_all(&buf[..n])?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::Archive;

    fn sample(rename: impl Fn(&str) -> Option<String> + Copy) -> io::Result<(Vec<u8>, Written)> {
        let mut source = Builder::new(Vec::new());
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o104_755);
        header.set_uid(3);
        header.set_gid(4);
        header.set_mtime(99);
        header.set_size(5);
        source.append_pax_extensions([(CAPABILITY, [1u8, 0, 0, 2].as_slice()), ("SCHILY.xattr.user.x", b"y".as_slice())])?;
        source.append_data(&mut header, "./bin/ping", b"hello".as_slice())?;
        header.set_entry_type(EntryType::Link);
        header.set_size(0);
        source.append_link(&mut header, "./bin/ping6", "./bin/ping")?;
        header.set_entry_type(EntryType::Char);
        source.append_data(&mut header, "./dev/null", io::empty())?;
        let source = source.into_inner()?;

        let mut target = Tarball::new(Vec::new(), CancellationToken::new());
        for entry in Archive::new(source.as_slice()).entries()? {
            let entry = entry?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if let Some(path) = rename(&path) {
                target.copy(&path, entry, rename)?;
            }
        }
        target.finish()
    }

    #[test]
    fn copies_owner_mode_capability_and_hard_links_and_nothing_else() {
        let (bytes, written) = sample(|path| Some(format!("root/{}", path.trim_start_matches("./")))).unwrap();
        let mut archive = Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let extensions: Vec<String> = entry
                .pax_extensions()
                .unwrap()
                .map(|all| all.map(|one| one.unwrap().key().unwrap().to_owned()).collect())
                .unwrap_or_default();
            let header = entry.header();
            seen.push(format!(
                "{} {:o} {}:{} {} {:?} {extensions:?}",
                entry.path().unwrap().display(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                header.mtime().unwrap(),
                entry.link_name().unwrap(),
            ));
        }
        assert_eq!(
            seen,
            [
                "root/bin/ping 4755 3:4 315532800 None [\"SCHILY.xattr.security.capability\"]",
                "root/bin/ping6 4755 3:4 315532800 Some(\"root/bin/ping\") []",
            ]
        );
        assert_eq!(written.size, bytes.len() as u64);
        assert_eq!(written.digest, super::super::digest::sha256(&bytes));
        assert_eq!(written.listing.len(), 2);
    }

    #[test]
    fn a_hard_link_to_what_is_left_out_is_an_error() {
        let error = sample(|path| path.ends_with("ping6").then(|| path.to_owned())).err().unwrap();
        assert!(error.to_string().contains("hard link"), "{error}");
    }

    #[test]
    fn a_short_file_is_an_error() {
        let mut target = Tarball::new(Vec::new(), CancellationToken::new());
        let error = target.file("x", Meta::root(0o644), 4, b"abc".as_slice()).unwrap_err();
        assert!(error.to_string().contains("3 of 4 bytes"), "{error}");
    }

    #[test]
    fn a_cancelled_archive_stops() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        assert!(Tarball::new(Vec::new(), cancel).folder("x", Meta::root(0o755)).is_err());
    }
}
