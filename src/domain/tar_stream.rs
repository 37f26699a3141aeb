//! A tar archive taken apart while it passes: entries and their content, piece by piece, nothing kept.
//!
//! For archives that come over a connection and are too large to hold. Reads what image builders write:
//! ustar, GNU's long names and PAX headers.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

/// Archives are made of blocks of this many bytes.
pub const BLOCK: usize = 512;

/// Longest extended header that is believed.
const MAX_EXTENSION: u64 = 1 << 20;

/// What comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarPiece {
    /// An entry begins.
    Entry(TarEntry),
    /// The next bytes of its content.
    Data(Bytes),
    /// Its content is complete.
    End,
}

/// One entry's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarEntry {
    /// Path without a leading `./`, and without a slash at the end.
    pub path: String,
    /// Bytes of content that follow.
    pub size: u64,
    /// What it is.
    pub kind: TarKind,
    /// Where a link leads.
    pub link: String,
    /// Permission bits, those for set-user-ID, set-group-ID and stickiness included.
    pub mode: u32,
    /// User and group, by number.
    pub owner: (u64, u64),
    /// Whether other readers may take it for something else: rare and old forms, of which each knows some.
    pub ambiguous: bool,
}

/// Kinds of entries that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TarKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A hard link.
    Hardlink,
    /// A device, a pipe, or something newer.
    Other,
}

/// Bytes that are no tar archive, or only the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// A header that does not add up.
    #[error("byte {at} begins no entry of a tar archive")]
    NoHeader {
        /// Where it should have begun.
        at: u64,
    },
    /// The archive stops too early.
    #[error("the archive was cut off after {at} bytes")]
    Cut {
        /// How much there was.
        at: u64,
    },
}

/// The state between two pieces.
#[derive(Default)]
pub struct TarStream {
    /// Bytes that make no whole header yet.
    pending: BytesMut,
    /// Bytes seen so far.
    at: u64,
    state: State,
    /// What extended headers say of the next entry.
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    /// Kinds of extended headers that came before the next entry.
    extended: Vec<u8>,
    ambiguous: bool,
}

#[derive(Default)]
enum State {
    #[default]
    Header,
    /// Bytes of content left, then bytes of padding.
    Content(u64, u64),
    /// Bytes of an extended header left, padding, its type.
    Extension(u64, u64, u8, Vec<u8>),
    Padding(u64),
    /// After the first block of zeros: what follows means nothing.
    Over,
}

// === impl TarStream ===

impl TarStream {
    /// Takes the next bytes and tells what is in them.
    ///
    /// # Errors
    /// [`TarError::NoHeader`] when this is no tar archive.
    pub fn push(&mut self, mut bytes: Bytes, out: &mut Vec<TarPiece>) -> Result<(), TarError> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Over => {
                    self.at += bytes.len() as u64;
                    return Ok(());
                }
                State::Content(left, padding) => {
                    let piece = bytes.split_to(cap(bytes.len(), *left));
                    self.at += piece.len() as u64;
                    *left -= piece.len() as u64;
                    let (done, padding) = (*left == 0, *padding);
                    out.push(TarPiece::Data(piece));
                    if done {
                        out.push(TarPiece::End);
                        self.state = after(padding);
                    }
                }
                State::Extension(left, padding, kind, text) => {
                    let piece = bytes.split_to(cap(bytes.len(), *left));
                    self.at += piece.len() as u64;
                    *left -= piece.len() as u64;
                    text.extend_from_slice(&piece);
                    if *left == 0 {
                        let (padding, kind, text) = (*padding, *kind, std::mem::take(text));
                        self.extend(kind, &text);
                        self.state = after(padding);
                    }
                }
                State::Padding(left) => {
                    let skipped = cap(bytes.len(), *left);
                    bytes.advance(skipped);
                    self.at += skipped as u64;
                    *left -= skipped as u64;
                    if *left == 0 {
                        self.state = State::Header;
                    }
                }
                State::Header => {
                    let piece = bytes.split_to((BLOCK - self.pending.len()).min(bytes.len()));
                    self.at += piece.len() as u64;
                    self.pending.extend_from_slice(&piece);
                    if self.pending.len() == BLOCK {
                        let block = std::mem::take(&mut self.pending);
                        self.header(&block, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// After the last bytes.
    ///
    /// # Errors
    /// [`TarError::Cut`] unless the archive's own end was seen.
    pub fn finish(&self) -> Result<(), TarError> {
        match self.state {
            State::Over => Ok(()),
            _ => Err(TarError::Cut { at: self.at }),
        }
    }

    fn header(&mut self, block: &[u8], out: &mut Vec<TarPiece>) -> Result<(), TarError> {
        if block.iter().all(|byte| *byte == 0) {
            self.state = State::Over;
            return Ok(());
        }
        let wrong = TarError::NoHeader { at: self.at - BLOCK as u64 };
        if number(&block[148..156]) != Some(checksum(block)) {
            return Err(wrong);
        }
        let Some(own_size) = number(&block[124..136]) else { return Err(wrong) };
        let kind = block[156];
        if matches!(kind, b'x' | b'L' | b'K' | b'g') {
            // Which of two that say the same counts, and what a global one is for, is read differently.
            let mixed = |one: u8| kind == one || kind == b'x' || one == b'x';
            self.ambiguous |= kind == b'g' || self.extended.iter().any(|one| mixed(*one));
            self.extended.push(kind);
            if own_size > MAX_EXTENSION {
                return Err(wrong);
            }
            self.state = match own_size {
                0 => State::Header,
                size => State::Extension(size, padding(size), kind, Vec::new()),
            };
            return Ok(());
        }
        // Sparse files may have another name in their content; an old ustar ends its prefix elsewhere.
        let star = &block[257..263] == b"ustar\0" && &block[508..512] == b"tar\0";
        let known = matches!(kind, 0 | b'0'..=b'7');
        let ambiguous = std::mem::take(&mut self.ambiguous) || star || !known;
        self.extended.clear();
        let headers_only = matches!(kind, b'1'..=b'6');
        let kind = match kind {
            0 | b'0' | b'7' => TarKind::File,
            b'5' => TarKind::Folder,
            b'2' => TarKind::Symlink,
            b'1' => TarKind::Hardlink,
            _ => TarKind::Other,
        };
        let size = self.size.take().unwrap_or(own_size);
        // Some writers give links and folders a size; nothing follows all the same.
        let size = if headers_only { 0 } else { size };
        let path = self.path.take().unwrap_or_else(|| full_name(block));
        let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
        let link = self.link.take().unwrap_or_else(|| text(&block[157..257]));
        let number = |at: std::ops::Range<usize>| number(&block[at]);
        let (mode, user, group) = (number(100..108), number(108..116), number(116..124));
        let ambiguous = ambiguous || mode.is_none() || user.is_none() || group.is_none();
        let owner = (user.unwrap_or_default(), group.unwrap_or_default());
        let mode = mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or_default();
        out.push(TarPiece::Entry(TarEntry { path, size, kind, link, mode, owner, ambiguous }));
        self.state = match size {
            0 => {
                out.push(TarPiece::End);
                State::Header
            }
            size => State::Content(size, padding(size)),
        };
        Ok(())
    }

    fn extend(&mut self, kind: u8, content: &[u8]) {
        match kind {
            b'L' => self.path = Some(text(content)),
            b'K' => self.link = Some(text(content)),
            b'x' => {
                for (key, value) in pax_records(content) {
                    // To some it means that the record counts for nothing.
                    self.ambiguous |= value.is_empty() && matches!(key.as_str(), "path" | "linkpath" | "size");
                    match key.as_str() {
                        "path" => self.path = Some(value),
                        "linkpath" => self.link = Some(value),
                        "size" => self.size = value.parse().ok(),
                        // Of no use here, and not worth a second way of telling them.
                        "uid" | "gid" => self.ambiguous |= value != "0",
                        _ => self.ambiguous |= key.starts_with("GNU.sparse."),
                    }
                }
            }
            _ => {}
        }
    }
}

impl fmt::Debug for TarStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarStream").field("at", &self.at).finish_non_exhaustive()
    }
}

/// The header of a plain file, for archives that are written piece by piece.
pub fn file_header(path: &str, size: u64) -> Bytes {
    let mut block = [0u8; BLOCK];
    let name = path.as_bytes();
    let length = name.len().min(100);
    block[..length].copy_from_slice(&name[..length]);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    if size < 1 << 33 {
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    } else {
        // GNU's form for what octal digits cannot hold.
        block[128..136].copy_from_slice(&size.to_be_bytes());
        block[124] = 0x80;
    }
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Bytes::copy_from_slice(&block)
}

/// Zeros that fill up the last block of so many bytes.
pub fn filler(size: u64) -> Bytes {
    Bytes::from_static(&[0; BLOCK]).slice(..usize::try_from(padding(size)).unwrap_or(0))
}

/// The end of an archive.
pub fn trailer() -> Bytes {
    Bytes::from_static(&[0; 2 * BLOCK])
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn after(padding: u64) -> State {
    if padding == 0 { State::Header } else { State::Padding(padding) }
}

fn cap(available: usize, wanted: u64) -> usize {
    usize::try_from(wanted).map_or(available, |wanted| wanted.min(available))
}

/// Sum of all bytes, those of the sum itself counted as spaces.
fn checksum(block: &[u8]) -> u64 {
    block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum()
}

/// Octal digits, or GNU's binary form.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        return field[1..].iter().try_fold(0u64, |sum, byte| sum.checked_mul(256)?.checked_add(u64::from(*byte)));
    }
    let digits = text(field);
    match digits.trim() {
        "" => Some(0),
        digits => u64::from_str_radix(digits, 8).ok(),
    }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn full_name(block: &[u8]) -> String {
    let (name, prefix) = (text(&block[..100]), text(&block[345..500]));
    // GNU's old format keeps times where POSIX keeps the beginning of the name.
    if &block[257..263] == b"ustar\0" && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// Records of a PAX header: `<length> <key>=<value>\n`.
fn pax_records(mut content: &[u8]) -> Vec<(String, String)> {
    let mut records = Vec::new();
    while let Some(space) = content.iter().position(|byte| *byte == b' ') {
        let length = std::str::from_utf8(&content[..space]).ok().and_then(|digits| digits.parse::<usize>().ok());
        let Some(length) = length.filter(|length| (space + 2..=content.len()).contains(length)) else { break };
        let record = String::from_utf8_lossy(&content[space + 1..length - 1]).into_owned();
        if let Some((key, value)) = record.split_once('=') {
            records.push((key.to_owned(), value.to_owned()));
        }
        content = &content[length..];
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        let long = format!("{}/file", "folder/".repeat(30));
        for (name, size) in [("a", 0usize), ("./b/c", 700), (long.as_str(), 512)] {
            header.set_size(size as u64);
            builder.append_data(&mut header, name, vec![b'x'; size].as_slice()).unwrap();
        }
        builder.append_pax_extensions([("path", "ünï".as_bytes())]).unwrap();
        header.set_size(3);
        builder.append_data(&mut header, "plain", b"pax".as_slice()).unwrap();
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        builder.append_link(&mut link, "l", "../b/c").unwrap();
        builder.into_inner().unwrap()
    }

    fn read(bytes: &[u8], step: usize) -> Result<Vec<(TarEntry, Vec<u8>)>, TarError> {
        let (mut stream, mut pieces) = (TarStream::default(), Vec::new());
        for chunk in bytes.chunks(step) {
            stream.push(Bytes::copy_from_slice(chunk), &mut pieces)?;
        }
        stream.finish()?;
        let mut entries: Vec<(TarEntry, Vec<u8>)> = Vec::new();
        for piece in pieces {
            match piece {
                TarPiece::Entry(entry) => entries.push((entry, Vec::new())),
                TarPiece::Data(data) => entries.last_mut().unwrap().1.extend_from_slice(&data),
                TarPiece::End => {}
            }
        }
        Ok(entries)
    }

    #[test]
    fn entries_come_out_whatever_the_pieces() {
        let bytes = archive();
        for step in [1, 7, 512, 1000, bytes.len()] {
            let entries = read(&bytes, step).unwrap();
            let seen: Vec<(String, usize)> = entries.iter().map(|(entry, data)| (entry.path.clone(), data.len())).collect();
            let long = format!("{}/file", "folder/".repeat(30)).replace("//", "/");
            let expected = [("a", 0), ("b/c", 700), (&long, 512), ("ünï", 3), ("l", 0)];
            assert_eq!(
                seen.iter().map(|(path, size)| (path.replace("//", "/"), *size)).collect::<Vec<_>>(),
                expected.map(|(p, s)| (p.to_owned(), s)),
                "step {step}"
            );
            assert_eq!((entries[4].0.kind, entries[4].0.link.as_str()), (TarKind::Symlink, "../b/c"));
        }
    }

    #[test]
    fn a_cut_archive_is_told_wherever_it_is_cut() {
        let bytes = archive();
        for end in [0, 100, 512, 1024, 1600, bytes.len() - 1024] {
            assert_eq!(read(&bytes[..end], 64), Err(TarError::Cut { at: end as u64 }), "cut at {end}");
        }
    }

    #[test]
    fn what_is_no_archive_is_told() {
        assert_eq!(read(&[b'x'; 2048], 512), Err(TarError::NoHeader { at: 0 }));
    }

    #[test]
    fn what_is_written_reads_back() {
        let name = format!("blobs/sha256/{}", "a".repeat(64));
        let bytes = [file_header(&name, 5), Bytes::from_static(b"hello"), filler(5), trailer()].concat();
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut read = tar::Archive::new(bytes.as_slice());
        let mut entries = read.entries().unwrap();
        let entry = entries.next().unwrap().unwrap();
        assert_eq!((entry.path().unwrap().display().to_string(), entry.size()), (name, 5));
        assert!(entries.next().is_none());
        // More than 8 GiB: the size is no octal number any more.
        assert_eq!(number(&file_header("x", 1 << 40)[124..136]), Some(1 << 40));
    }
}
