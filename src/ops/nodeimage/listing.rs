//! What is in an image, file by file, so that two builds can be compared.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Files of an image by path (without a leading slash): mode, owner, size and content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<String, Line>);

/// One file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, setuid and sticky included.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Length in bytes; 0 for everything but files.
    pub size: u64,
    /// SHA-256 of a file in hexadecimal digits, target of a link, empty for a folder.
    pub content: String,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A hard link.
    HardLink,
}

/// How two listings differ in one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Only the first has it.
    Missing(String),
    /// Only the second has it.
    Added(String),
    /// Both have it, unlike.
    Changed(String),
}

/// A line of a stored listing that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {number} of the listing is no entry: {text}")]
pub struct ListingError {
    number: usize,
    text: String,
}

/// Database files of containerd: their pages hold creation times, so equal stores differ in them.
const VOLATILE: [&str; 2] = ["/io.containerd.metadata.v1.bolt/meta.db", "/metadata.db"];

// === impl Listing ===

impl Listing {
    /// Adds an entry, or replaces one: a later layer hides an earlier one.
    pub(super) fn insert(&mut self, path: &str, line: Line) {
        self.0.insert(path.to_owned(), line);
    }

    /// Puts another layer on top.
    pub(super) fn stack(&mut self, upper: &Listing) {
        self.0.extend(upper.0.iter().map(|(path, line)| (path.clone(), line.clone())));
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry of a path, written without a leading slash.
    pub fn get(&self, path: &str) -> Option<&Line> {
        self.0.get(path)
    }

    /// Entries by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Line)> {
        self.0.iter().map(|(path, line)| (path.as_str(), line))
    }

    /// Where another listing differs. The databases of the containerd store are compared by their
    /// presence only.
    pub fn differences(&self, other: &Listing) -> Vec<Difference> {
        let mut found = Vec::new();
        for (path, line) in &self.0 {
            match other.0.get(path) {
                None => found.push(Difference::Missing(path.clone())),
                Some(theirs) if theirs != line && !is_volatile(path) => found.push(Difference::Changed(path.clone())),
                Some(_) => {}
            }
        }
        found.extend(other.0.keys().filter(|path| !self.0.contains_key(*path)).map(|path| Difference::Added(path.clone())));
        found
    }
}

/// One line per entry, tab-separated: kind, mode in octal, owner, size, content, path.
impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, line) in &self.0 {
            let Line { kind, mode, uid, gid, size, content } = line;
            writeln!(f, "{}\t{mode:04o}\t{uid}:{gid}\t{size}\t{content}\t{path}", kind.letter())?;
        }
        Ok(())
    }
}

impl FromStr for Listing {
    type Err = ListingError;
    fn from_str(text: &str) -> Result<Self, ListingError> {
        let mut listing = Listing::default();
        for (index, line) in text.lines().enumerate() {
            let (path, line) = parse_line(line).ok_or_else(|| ListingError { number: index + 1, text: line.to_owned() })?;
            listing.insert(path, line);
        }
        Ok(listing)
    }
}

fn parse_line(text: &str) -> Option<(&str, Line)> {
    let mut fields = text.splitn(6, '\t');
    let kind = Kind::from_letter(fields.next()?)?;
    let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
    let (uid, gid) = fields.next()?.split_once(':')?;
    let size = fields.next()?.parse().ok()?;
    let content = fields.next()?.to_owned();
    Some((fields.next()?, Line { kind, mode, uid: uid.parse().ok()?, gid: gid.parse().ok()?, size, content }))
}

fn is_volatile(path: &str) -> bool {
    path.contains("/io.containerd.") && VOLATILE.iter().any(|end| path.ends_with(end))
}

// === impl Kind ===

impl Kind {
    fn letter(self) -> &'static str {
        match self {
            Kind::File => "f",
            Kind::Folder => "d",
            Kind::Symlink => "l",
            Kind::HardLink => "h",
        }
    }

    fn from_letter(letter: &str) -> Option<Self> {
        [Kind::File, Kind::Folder, Kind::Symlink, Kind::HardLink].into_iter().find(|kind| kind.letter() == letter)
    }
}

// === impl Difference ===

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing(path) => write!(f, "- {path}"),
            Difference::Added(path) => write!(f, "+ {path}"),
            Difference::Changed(path) => write!(f, "~ {path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: &str = "kind/store/io.containerd.metadata.v1.bolt/meta.db";

    fn file(content: &str) -> Line {
        Line { kind: Kind::File, mode: 0o4755, uid: 1, gid: 2, size: 3, content: content.to_owned() }
    }

    fn listing(entries: &[(&str, &str)]) -> Listing {
        let mut listing = Listing::default();
        entries.iter().for_each(|(path, content)| listing.insert(path, file(content)));
        listing
    }

    #[test]
    fn text_and_back() {
        let mut all = listing(&[("usr/bin/with space", "aa")]);
        all.insert("bin", Line { kind: Kind::Symlink, content: "usr/bin".into(), ..file("") });
        let text = all.to_string();
        assert_eq!(text, "l\t4755\t1:2\t3\tusr/bin\tbin\nf\t4755\t1:2\t3\taa\tusr/bin/with space\n");
        assert_eq!(text.parse::<Listing>().unwrap(), all);
        let error = "f\tnonsense".parse::<Listing>().unwrap_err();
        assert!(error.to_string().starts_with("line 1 "), "{error}");
    }

    #[test]
    fn differences_name_each_path_once_and_forgive_databases() {
        let first = listing(&[("a", "1"), ("b", "1"), ("c", "1"), (DB, "1")]);
        let second = listing(&[("b", "2"), ("c", "1"), ("d", "1"), (DB, "2")]);
        let found: Vec<String> = first.differences(&second).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["- a", "~ b", "+ d"]);
        assert_eq!(first.differences(&first), []);
    }

    #[test]
    fn a_later_layer_hides_an_earlier_one() {
        let mut base = listing(&[("a", "1"), ("b", "1")]);
        base.stack(&listing(&[("b", "2")]));
        assert_eq!(base, listing(&[("a", "1"), ("b", "2")]));
    }
}
