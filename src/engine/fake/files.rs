//! Files of containers: archives, and the two commands that write and read one.

use std::io::Read;

use super::calls::Verb;
use super::container::Container;
use super::engine::refuse;
use super::script::{ExecCall, ExecReply};
use crate::engine::files::{READ, WRITE};
use crate::engine::{EngineError, EngineErrorKind as Kind, ExecOutput, Result};

/// A file of an archive: path, permission bits, content.
pub(super) type Packed = (String, u32, Vec<u8>);

/// A tar of files.
pub(super) fn pack<'a>(files: impl IntoIterator<Item = (&'a str, u32, &'a [u8])>) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| EngineError::new("pack from", "", Kind::Protocol, error.to_string());
    let mut builder = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_cksum();
        builder.append_data(&mut header, path, content).map_err(failed)?;
    }
    builder.into_inner().map_err(failed)
}

/// The regular files of a tar.
pub(super) fn unpack(tar: &[u8], verb: Verb, object: &str) -> Result<Vec<Packed>> {
    let failed = |error: std::io::Error| EngineError::new(verb.words(), object, Kind::Failed, error.to_string());
    let mut files = Vec::new();
    for entry in tar::Archive::new(tar).entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(failed)?.to_string_lossy().into_owned();
        let mode = entry.header().mode().map_err(failed)?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(failed)?;
        files.push((path, mode & 0o7777, content));
    }
    Ok(files)
}

// === impl Container ===

impl Container {
    pub(super) fn put(&mut self, path: &str, tar: &[u8]) -> Result<()> {
        for (name, mode, content) in unpack(tar, Verb::PutArchive, path)? {
            let full = format!("{}/{}", path.trim_end_matches('/'), name.trim_start_matches("./"));
            // As on a real engine: accepted, and never seen in the container.
            if !self.on_tmpfs(&full) {
                self.files.insert(full, (mode, content));
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let inside = |name: &str| name == path || name.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        let found: Vec<_> = self.files.iter().filter(|(name, _)| inside(name) && !self.on_tmpfs(name)).collect();
        if found.is_empty() {
            let object = format!("{}:{path}", self.name);
            return refuse(Verb::GetArchive, &object, Kind::NotFound, format!("Could not find the file {path} in container {}", self.name));
        }
        pack(found.into_iter().map(|(name, (mode, content))| (name[parent.len()..].trim_start_matches('/'), *mode, &content[..])))
    }

    /// Answers the commands by which files are written and read.
    pub(super) fn file_command(&mut self, call: &ExecCall) -> Option<ExecReply> {
        let words: Vec<&str> = call.cmd.iter().map(String::as_str).collect();
        match words[..] {
            ["sh", "-c", WRITE, _, path, mode, _] => {
                let mode = u32::from_str_radix(mode, 8).unwrap_or(0o600);
                self.files.insert(path.to_owned(), (mode, call.stdin.clone()));
                Some(ExecReply::stdout(""))
            }
            ["sh", "-c", READ, _, path] => Some(match self.files.get(path) {
                Some((_, content)) => ExecReply::Output(ExecOutput { exit_code: 0, stdout: content.clone(), stderr: Vec::new() }),
                None => ExecReply::fails(44, ""),
            }),
            _ => None,
        }
    }
}
