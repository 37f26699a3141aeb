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
/// makes its own) and times.
fn cut<W: Write>(root: &Root, source: impl Read, target: W, cancel: CancellationToken) -> io::Result<(W, Written)> {
    let mut tarball = Tarball::new(target, cancel);
    let mut archive = Archive::new(source);
    for entry in archive.entries()? {
        let entry = entry?;
        let path = clean(&String::from_utf8_lossy(&entry.path_bytes()));
        if path.is_empty() || path.starts_with("dev/") || root.removes(&path) {
            continue;
        }
        let keep = |target: &str| Some(clean(target)).filter(|target| !root.removes(target));
        tarball.copy(&path, entry, keep)?;
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
}
