//! Hashes: of inputs, so that a step's result is found again, and of what is written.

use std::fmt::Write as _;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

/// Collects the inputs of a step; equal inputs give an equal key.
///
/// Every field is written with its name and length, so that no two different lists of fields can
/// read the same.
#[derive(Debug, Clone)]
pub(super) struct Fingerprint(Sha256);

/// Hashes and counts what passes through.
pub(super) struct HashWriter<W> {
    inner: W,
    hash: Sha256,
    written: u64,
}

// === impl Fingerprint ===

impl Fingerprint {
    /// For a kind of step. Raise a step's format number when its code changes what it makes.
    pub fn new(kind: &str, format: u32) -> Self {
        Self(Sha256::new()).field("kind", kind).field("format", format.to_string())
    }

    /// Adds one input.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.add(name, value);
        self
    }

    /// Adds one input in place.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        for part in [name.as_bytes(), value.as_ref()] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part);
        }
    }

    /// The key: 64 hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

// === impl HashWriter ===

impl<W: Write> HashWriter<W> {
    /// Around a writer.
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), written: 0 }
    }

    /// The writer, the hash in hexadecimal digits and the number of bytes written.
    pub fn finish(self) -> (W, String, u64) {
        (self.inner, hex(&self.hash.finalize()), self.written)
    }
}

impl<W: Write> Write for HashWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hash.update(&buf[..n]);
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// SHA-256 of some bytes, in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_standard_says() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn fields_cannot_run_into_each_other() {
        let key = |a: &str, b: &str| Fingerprint::new("t", 1).field("x", a).field("y", b).finish();
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_ne!(Fingerprint::new("t", 1).finish(), Fingerprint::new("t", 2).finish());
        assert_eq!(key("a", "b"), key("a", "b"));
    }

    #[test]
    fn the_writer_counts_and_hashes() {
        let mut writer = HashWriter::new(Vec::new());
        writer.write_all(b"ab").unwrap();
        writer.write_all(b"c").unwrap();
        let (inner, hash, written) = writer.finish();
        assert_eq!((inner.as_slice(), hash, written), (b"abc".as_slice(), sha256(b"abc"), 3));
    }
}
