//! Archives of nodes, which are as trustworthy as what runs in them, unpacked into a folder of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kindmesh::ops::{ExportOptions, Kindmesh};
use tar::{EntryType, Header};

use crate::served::Served;
use crate::targets::Run;

/// A node that has ended: all it can give is its console and its `/var/log`.
const LISTED: &str = r#"[{"Id": "n", "Names": ["/c-control-plane"], "State": "exited",
    "Labels": {"io.x-k8s.kind.cluster": "c", "io.x-k8s.kind.role": "control-plane", "dev.kindmesh.fleet": "f"}}]"#;
const INSPECTED: &str = r#"{"Id": "n", "Name": "/c-control-plane", "Config": {"Tty": true}, "State": {"Status": "exited"}}"#;
/// Entries of an archive: many more say nothing new, and each is a file.
const MOST: usize = 300;
/// Longest name that the head of an entry has room for.
const NAME: usize = 100;
/// Where the folder lies in one of the test's own, for ways that lead upwards to end there.
const ABOVE: [&str; 3] = ["a", "b", "c"];

/// Exports a node whose logs are what the input says: nothing is written outside of the folder, and in it are nothing
/// but files and folders.
pub fn node_logs() -> Run {
    let archive = Arc::new(Mutex::new(Vec::new()));
    let answer = archive.clone();
    let served = Served::new(move |request| match request.split(['?', ' ']).nth(1).unwrap_or_default() {
        path if path.ends_with("/containers/json") => LISTED.into(),
        path if path.ends_with("/archive") => answer.lock().unwrap().clone(),
        path if path.ends_with("/json") => INSPECTED.into(),
        path if path.ends_with("/logs") => Vec::new(),
        _ => b"{}".to_vec(),
    });
    let kindmesh = Kindmesh::new(served.engine.clone());
    Box::new(move |input| {
        *archive.lock().unwrap() = packed(input);
        let home = tempfile::tempdir().unwrap();
        let folder = ABOVE.iter().fold(home.path().to_owned(), |folder, name| folder.join(name));
        let exported = served.block_on(kindmesh.export_logs(&folder.join("logs"), &ExportOptions::default()));
        let report = exported.unwrap_or_else(|error| panic!("nothing is exported: {}", error.one_line()));
        let mut above = home.path().to_owned();
        for name in ABOVE.into_iter().chain(["logs"]) {
            let found: Vec<_> = fs::read_dir(&above).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(found, [name], "written outside of the folder");
            above.push(name);
        }
        assert!(above.join("c-control-plane/serial.log").is_file(), "the node was not exported");
        let mut names = BTreeMap::new();
        only_files(&above, &mut names);
        let is_linked = names.values().any(|(_, _, all)| *all > 1);
        for (path, seen, all) in names.into_values() {
            assert_eq!(seen, all, "{path} has a name elsewhere");
        }
        // Each reason once, by its last words: what comes before is a path.
        let reasons: BTreeSet<String> = report.missing.iter().map(|reason| last_words(reason)).collect();
        let linked = if is_linked { "some with second names" } else { "" };
        format!("{linked} {}", reasons.into_iter().collect::<Vec<_>>().join("; "))
    })
}

fn last_words(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    words[words.len().saturating_sub(3)..].join(" ")
}

/// Notes each file, by what it is: a name, how many names were seen, and how many it has.
fn only_files(folder: &Path, names: &mut BTreeMap<(u64, u64), (String, u64, u64)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.is_dir() || found.is_file(), "{} is a link or a device", path.display());
        assert_eq!(found.mode() & 0o077, 0, "others may use {}", path.display());
        if found.is_dir() {
            only_files(&path, names);
        } else {
            names.entry((found.dev(), found.ino())).or_insert((path.display().to_string(), 0, found.nlink())).1 += 1;
        }
    }
}

/// The archive that an input describes, an entry a line: a letter for its kind, its path, a tab, where it leads or what
/// it holds. Heads are whole, so that an input is not lost at its first check sum; the target `archive` tears those.
fn packed(input: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    for line in input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(MOST) {
        let (kind, rest) = line.split_at(1);
        let mut parts = rest.splitn(2, |byte| *byte == b'\t');
        let (path, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match kind {
            b"d" => entry(&mut archive, EntryType::Directory, path, b"", b""),
            b"l" => entry(&mut archive, EntryType::Symlink, path, rest, b""),
            b"h" => entry(&mut archive, EntryType::Link, path, rest, b""),
            b"c" => entry(&mut archive, EntryType::Char, path, b"", b""),
            b"p" => entry(&mut archive, EntryType::Fifo, path, b"", b""),
            _ => entry(&mut archive, EntryType::Regular, path, b"", rest),
        }
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn entry(archive: &mut Vec<u8>, kind: EntryType, path: &[u8], link: &[u8], content: &[u8]) {
    for (kind, name) in [(EntryType::GNULongName, path), (EntryType::GNULongLink, link)] {
        if name.len() > NAME {
            entry(archive, kind, b"././@LongLink", b"", name);
        }
    }
    let short = |name: &[u8]| name[..name.len().min(NAME)].to_vec();
    let (path, link) = (short(path), short(link));
    let mut header = Header::new_gnu();
    let old = header.as_old_mut();
    old.name[..path.len()].copy_from_slice(&path);
    old.linkname[..link.len()].copy_from_slice(&link);
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o777);
    header.set_cksum();
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}
