//! Debian roots: made by mmdebstrap, cut down and made reproducible as they stream by.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use tar::Archive;
use tokio_util::sync::CancellationToken;

use super::golang::OnLine;
use super::recipe::Root;
use super::tarball::{EPOCH, Tarball, Written};
use super::tools::{Program, Run, Tools};
use super::{BuildError, Result};

/// Asks mmdebstrap for its version: part of the key of every root.
pub(super) async fn version(tools: &Tools, cancel: &CancellationToken) -> Result<String> {
    let run = Run {
        program: Program::Mmdebstrap,
        what: "ask mmdebstrap for its version".into(),
        args: vec!["--version".into()],
        dir: None,
        env: vec![],
    };
    Ok(String::from_utf8_lossy(&tools.run(&run, &|_| {}, cancel).await?).trim().to_owned())
}

/// Makes a root and writes it to `target` as a layer.
pub(super) async fn build(
    tools: &Tools,
    suite: &str,
    name: &str,
    root: &Root,
    target: &Path,
    on_line: OnLine<'_>,
    cancel: &CancellationToken,
) -> Result<Written> {
    let args = vec![
        format!("--variant={}", root.variant),
        format!("--include={}", root.packages.join(",")),
        "--aptopt=Apt::Install-Recommends \"false\"".to_owned(),
        // The archive goes to standard output and is never on disk as a whole.
        "--format=tar".to_owned(),
        suite.to_owned(),
        "-".to_owned(),
    ];
    let env = vec![("SOURCE_DATE_EPOCH".to_owned(), EPOCH.to_string()), ("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
    let run = Run { program: Program::Mmdebstrap, what: format!("make the Debian root '{name}'"), args, dir: None, env };
    let (root, file, stop) = (root.clone(), target.to_path_buf(), cancel.clone());
    let consume = move |output: io::PipeReader| {
        let out = BufWriter::with_capacity(1 << 20, File::create(file)?);
        let (out, written) = cut(&root, output, out, stop)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok::<_, io::Error>(written)
    };
    tools.run_into(&run, on_line, cancel, consume).await?.map_err(BuildError::io("write the Debian root", target))
}

/// Copies a root's archive, leaving out what the recipe removes, everything in `/dev` (the engine
/// makes its own) and times; what the recipe moves lies elsewhere, with a link in its place.
fn cut<W: Write>(root: &Root, source: impl Read, target: W, cancel: CancellationToken) -> io::Result<(W, Written)> {
    let mut tarball = Tarball::new(target, cancel);
    let mut archive = Archive::new(source);
    for entry in archive.entries()? {
        let entry = entry?;
        let path = clean(&String::from_utf8_lossy(&entry.path_bytes()));
        if path.is_empty() || path.starts_with("dev/") || root.removes(&path) {
            continue;
        }
        let keep = |target: &str| Some(clean(target)).filter(|target| !root.removes(target)).map(|target| root.place(&target));
        tarball.copy(&root.place(&path), entry, keep)?;
    }
    for moved in &root.moves {
        tarball.symlink(moved.from.trim_start_matches('/'), &moved.to)?;
    }
    // What follows the last entry is padding, but the writer must be able to write it.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    tarball.finish()
}

fn clean(path: &str) -> String {
    path.trim_start_matches("./").trim_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use tar::{Builder, EntryType, Header};

    use super::super::recipe::Move;
    use super::*;

    #[test]
    fn devices_and_removed_paths_are_cut_and_names_are_plain() {
        let mut source = Builder::new(Vec::new());
        let mut header = Header::new_ustar();
        header.set_mode(0o755);
        header.set_size(0);
        header.set_entry_type(EntryType::Directory);
        for folder in ["./", "./dev/", "./dev/pts/", "./var/log/", "./var/log/apt/"] {
            source.append_data(&mut header, folder, io::empty()).unwrap();
        }
        header.set_entry_type(EntryType::Symlink);
        source.append_link(&mut header, "./bin", "usr/bin").unwrap();
        let source = source.into_inner().unwrap();
        let root = Root { remove: vec!["/var/log/*".into()], ..Root::default() };
        let (bytes, written) = cut(&root, source.as_slice(), Vec::new(), CancellationToken::new()).unwrap();
        let names: Vec<&str> = written.listing.iter().map(|(path, _)| path).collect();
        assert_eq!(names, ["bin", "dev", "var/log"]);
        assert_eq!(bytes.len() as u64, written.size);
    }

    #[test]
    fn a_moved_folder_leaves_a_link() {
        let mut source = Builder::new(Vec::new());
        let mut header = Header::new_ustar();
        header.set_mode(0o755);
        header.set_size(0);
        header.set_entry_type(EntryType::Directory);
        for folder in ["./usr/lib/", "./var/lib/db/", "./var/lib/dbus/", "./var/lib/db/info/"] {
            source.append_data(&mut header, folder, io::empty()).unwrap();
        }
        header.set_entry_type(EntryType::Regular);
        source.append_data(&mut header, "./var/lib/db/info/a", io::empty()).unwrap();
        header.set_entry_type(EntryType::Link);
        source.append_link(&mut header, "./var/lib/db/info/b", "./var/lib/db/info/a").unwrap();
        let source = source.into_inner().unwrap();
        let moves = vec![Move { from: "/var/lib/db".into(), to: "/usr/lib/db".into() }];
        let root = Root { moves, ..Root::default() };
        let (bytes, _) = cut(&root, source.as_slice(), Vec::new(), CancellationToken::new()).unwrap();
        let mut archive = Archive::new(bytes.as_slice());
        let entries: Vec<(String, Option<String>)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let link = entry.link_name().unwrap().map(|link| link.display().to_string());
                (entry.path().unwrap().display().to_string(), link)
            })
            .collect();
        let plain = |path: &str| (path.to_owned(), None);
        let link = |path: &str, target: &str| (path.to_owned(), Some(target.to_owned()));
        assert_eq!(
            entries,
            [
                plain("usr/lib/"),
                plain("usr/lib/db/"),
                plain("var/lib/dbus/"),
                plain("usr/lib/db/info/"),
                plain("usr/lib/db/info/a"),
                link("usr/lib/db/info/b", "usr/lib/db/info/a"),
                link("var/lib/db", "/usr/lib/db"),
            ]
        );
    }
}
