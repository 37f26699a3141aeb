//! One archive with the three charts as folders somewhere in it: a release of Istio, or a packed folder.
//!
//! Releases are large, and charts a small part of them, so the archive is read as a stream, twice: once for where the
//! charts are, once for their files. Nothing is written anywhere.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use super::archive::{MAX_FILES, MAX_UNPACKED};
use super::error::{LoadError, Result};
use crate::domain::helm::Chart;
use crate::domain::istio::PerChart;
use crate::domain::tar_stream::{TarEntry, TarKind, TarPiece, TarStream};

/// The most that an archive may unpack to; Istio's releases have 200 MB.
const MAX_READ: u64 = 4 << 30;
/// The largest number of entries; Istio's releases have some thousand.
const MAX_ENTRIES: usize = 200_000;
/// The largest `Chart.yaml` that is looked into; Istio's have some hundred bytes.
const MAX_CHART_FILE: u64 = 1 << 20;
/// Bytes unpacked at once.
const CHUNK: usize = 256 << 10;
/// The file that makes a folder a chart.
const CHART_FILE: &str = "Chart.yaml";

type Files = BTreeMap<String, Vec<u8>>;

/// What of a `Chart.yaml` says whose it is.
#[derive(Deserialize)]
struct Head {
    name: Option<String>,
}

/// The charts in an archive.
pub(super) fn charts(path: &Path) -> Result<PerChart<Chart>> {
    let mut file = File::open(path).map_err(LoadError::file("read", path))?;
    let folders = find(&file, path)?;
    file.rewind().map_err(LoadError::file("read", path))?;
    let mut files = read(&file, path, &folders)?;
    PerChart::each(|chart| {
        let folder = folders.get(chart);
        let what = format!("{} in {}", shown(folder), path.display());
        Chart::from_files(files.remove(folder).unwrap_or_default()).map_err(|source| LoadError::Chart { what, source })
    })
}

/// The folders of the three charts: those whose `Chart.yaml` says so.
fn find(file: &File, path: &Path) -> Result<PerChart<String>> {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    let is_head = |entry: &TarEntry, inside: &str| {
        entry.kind == TarKind::File && entry.size <= MAX_CHART_FILE && inside.rsplit('/').next() == Some(CHART_FILE)
    };
    walk(
        file,
        path,
        |entry, inside| Ok(is_head(entry, inside)),
        |inside, content| {
            let folder = inside.strip_suffix(CHART_FILE).unwrap_or_default().trim_end_matches('/');
            // What cannot be read is no chart of Istio's, and others are nobody's business.
            let head = std::str::from_utf8(&content).ok().and_then(|text| serde_saphyr::from_str::<Head>(text).ok());
            if let Some(name) = head.and_then(|head| head.name).filter(|name| PerChart::<()>::NAMES.contains(&name.as_str())) {
                named.insert(folder.to_owned(), name);
            }
            Ok(())
        },
    )?;
    PerChart::each(|chart| {
        // What lies within one of the three is a part of that one.
        let own = |folder: &str| !named.keys().any(|other| other != folder && below(folder, other).is_some());
        let found: Vec<&String> = named.iter().filter(|(folder, name)| *name == chart && own(folder)).map(|(folder, _)| folder).collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(LoadError::NotInArchive { chart, archive: path.to_path_buf() }),
            several => {
                let found = several.iter().map(|folder| shown(folder).to_owned()).collect();
                Err(LoadError::SeveralInArchive { chart, archive: path.to_path_buf(), found })
            }
        }
    })
}

/// The files below the folders, by folder and by their path inside it.
fn read(file: &File, path: &Path, folders: &PerChart<String>) -> Result<BTreeMap<String, Files>> {
    let refuse = |message: String| LoadError::refused(path.display().to_string(), message);
    let home = |inside: &str| {
        let of = |folder: &String| below(inside, folder).map(|rest| (folder.clone(), rest.to_owned()));
        PerChart::<()>::NAMES.into_iter().find_map(|chart| of(folders.get(chart)))
    };
    let (mut count, mut total) = (0, 0_u64);
    let wanted = |entry: &TarEntry, inside: &str| {
        if home(inside).is_none() || entry.kind == TarKind::Folder {
            return Ok(false);
        }
        if entry.kind != TarKind::File {
            return Err(refuse(format!("has {inside} in it, which is no file but {:?}", entry.kind)));
        }
        count += 1;
        total = total.saturating_add(entry.size);
        if count > MAX_FILES || total > MAX_UNPACKED {
            let most = MAX_UNPACKED >> 20;
            return Err(refuse(format!("its charts have more than {MAX_FILES} files or unpack to more than {most} MiB")));
        }
        Ok(true)
    };
    let mut files: BTreeMap<String, Files> = BTreeMap::new();
    walk(file, path, wanted, |inside, content| {
        let Some((folder, rest)) = home(inside) else { return Ok(()) };
        match files.entry(folder).or_default().insert(rest, content) {
            Some(_) => Err(refuse(format!("has {inside} twice"))),
            None => Ok(()),
        }
    })?;
    Ok(files)
}

/// Goes through an archive. `wanted` looks at each entry and its path, `take` gets the content of those that it wants.
/// Hidden files are left out, as in a folder of charts.
fn walk(
    file: &File,
    path: &Path,
    mut wanted: impl FnMut(&TarEntry, &str) -> Result<bool>,
    mut take: impl FnMut(&str, Vec<u8>) -> Result<()>,
) -> Result<()> {
    let refuse = |message: String| LoadError::refused(path.display().to_string(), message);
    let broken = |message: String| refuse(format!("is no gzip-compressed tar archive: {message}"));
    let mut unpacked = MultiGzDecoder::new(BufReader::new(file));
    let (mut tar, mut pieces, mut chunk) = (TarStream::default(), Vec::new(), vec![0; CHUNK]);
    let (mut open, mut entries, mut total) = (None, 0, 0_u64);
    loop {
        let read = match unpacked.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(|error| broken(error.to_string()))?,
        };
        if read == 0 {
            return tar.finish().map_err(|error| broken(error.to_string()));
        }
        total += read as u64;
        tar.push(Bytes::copy_from_slice(&chunk[..read]), &mut pieces).map_err(|error| broken(error.to_string()))?;
        for piece in pieces.drain(..) {
            match piece {
                TarPiece::Entry(entry) => {
                    entries += 1;
                    let inside = inside(&entry.path).ok_or_else(|| refuse(format!("has {} in it, which leads out of it", entry.path)))?;
                    let hidden = inside.split('/').any(|part| part.starts_with('.'));
                    open = if !hidden && wanted(&entry, &inside)? { Some((inside, Vec::new())) } else { None };
                }
                TarPiece::Data(data) => {
                    if let Some((_, content)) = &mut open {
                        content.extend_from_slice(&data);
                    }
                }
                TarPiece::End => {
                    if let Some((inside, content)) = open.take() {
                        take(&inside, content)?;
                    }
                }
            }
        }
        if total > MAX_READ || entries > MAX_ENTRIES {
            return Err(refuse(format!("has more than {MAX_ENTRIES} entries or unpacks to more than {} GiB", MAX_READ >> 30)));
        }
    }
}

/// A path as it is meant, without `.` and doubled slashes; `None` for one that leads elsewhere.
fn inside(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!path.starts_with('/') && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// What is left of a path below a folder, of which the archive's own has no name.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

fn shown(folder: &str) -> &str {
    if folder.is_empty() { "the top" } else { folder }
}
