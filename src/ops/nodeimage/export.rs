//! Files out of a Go module's source, and charts packed as Helm packs them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use tokio_util::sync::CancellationToken;

use super::parts::{Chart, Export};
use super::tarball::{Meta, Tarball};
use super::{BuildError, Result};

/// File that makes a folder a chart.
const CHART: &str = "Chart.yaml";

/// Copies the files and packs the charts of a module whose source is in `source`. Blocking.
pub(super) fn export(export: &Export, source: &Path, target: &Path, cancel: &CancellationToken) -> Result<()> {
    for file in &export.files {
        let (from, to) = (source.join(&file.path), target.join(&file.name));
        // Modules' sources are write-protected; what is copied out of them is not.
        let content = fs::read(&from).map_err(BuildError::io("export", &from))?;
        fs::write(&to, content).map_err(BuildError::io("write", &to))?;
    }
    for chart in &export.charts {
        let path = target.join(chart.file());
        let out = File::create(&path).map_err(BuildError::io("make", &path))?;
        pack(chart, &source.join(&chart.path), BufWriter::new(out), cancel)?;
    }
    Ok(())
}

/// Writes a chart as a package: equal files give equal bytes.
fn pack(chart: &Chart, folder: &Path, out: impl Write, cancel: &CancellationToken) -> Result<()> {
    let mut files = Vec::new();
    collect(folder, "", &mut files).map_err(BuildError::io("read the chart", folder))?;
    // Helm writes this one first, so that a reader need not look at the rest.
    files.sort_by(|(one, _), (other, _)| (one != CHART, one).cmp(&(other != CHART, other)));
    match files.first_mut() {
        Some((name, content)) if name == CHART => *content = stamp(chart, content)?,
        _ => return Err(wrong(chart, format!("{} holds no {CHART}", folder.display()))),
    }
    // No name and no time in the header: they would differ from build to build.
    let mut tarball = Tarball::new(GzBuilder::new().write(out, Compression::best()), cancel.clone());
    let written = files.iter().try_for_each(|(name, content)| {
        tarball.file(&format!("{}/{name}", chart.name), Meta::root(0o644), content.len() as u64, content.as_slice())
    });
    let finished = written.and_then(|()| tarball.finish()?.0.finish()?.flush());
    finished.map_err(BuildError::io("pack the chart", folder))
}

/// Puts the version into a chart's description; the sources carry a placeholder.
fn stamp(chart: &Chart, description: &[u8]) -> Result<Vec<u8>> {
    let text = String::from_utf8_lossy(description);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim);
    match field("name") {
        Some(name) if name == chart.name => {}
        name => return Err(wrong(chart, format!("its description says the name is '{}'", name.unwrap_or_default()))),
    }
    if field("version").is_none() || field("appVersion").is_none() {
        return Err(wrong(chart, "its description names no version and appVersion".to_owned()));
    }
    let line = |line: &str| match line.split_once(": ") {
        Some((name @ ("version" | "appVersion"), _)) => format!("{name}: {}\n", chart.version),
        _ => format!("{line}\n"),
    };
    Ok(text.lines().map(line).collect::<String>().into_bytes())
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push((name, fs::read(entry.path())?));
        }
    }
    Ok(())
}

fn wrong(chart: &Chart, message: String) -> BuildError {
    BuildError::Answer { what: format!("pack the chart {}", chart.name), message }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::super::parts::Member;
    use super::*;

    const DESCRIPTION: &str = "apiVersion: v2\nname: base\n# version: never\nversion: 1.0.0\nappVersion: 1.0.0\n  version: 2\n";

    fn source() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("charts/base/templates")).unwrap();
        for (name, content) in [
            ("charts/base/Chart.yaml", DESCRIPTION),
            ("charts/base/A.md", "a"),
            ("charts/base/templates/x.yaml", "x: 1\n"),
            ("y.json", "{}"),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn wanted() -> Export {
        Export {
            name: "istio".into(),
            dir: "modules/istio".into(),
            module: "istio.io/istio".into(),
            files: vec![Member { path: "y.json".into(), name: "z.json".into() }],
            charts: vec![Chart { path: "charts/base".into(), name: "base".into(), version: "1.31.1-x".into() }],
        }
    }

    fn run(wanted: &Export, source: &Path) -> Result<Vec<u8>> {
        let target = tempfile::tempdir().unwrap();
        export(wanted, source, target.path(), &CancellationToken::new())?;
        assert_eq!(fs::read_to_string(target.path().join("z.json")).unwrap(), "{}");
        Ok(fs::read(target.path().join("base.tgz")).unwrap())
    }

    #[test]
    fn a_package_holds_the_chart_with_its_version_stamped_on() {
        let package = run(&wanted(), source().path()).unwrap();
        let mut seen = Vec::new();
        for entry in tar::Archive::new(GzDecoder::new(package.as_slice())).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            seen.push((entry.path().unwrap().display().to_string(), content));
        }
        let description = "apiVersion: v2\nname: base\n# version: never\nversion: 1.31.1-x\nappVersion: 1.31.1-x\n  version: 2\n";
        let expected = [("base/Chart.yaml", description), ("base/A.md", "a"), ("base/templates/x.yaml", "x: 1\n")];
        assert_eq!(seen, expected.map(|(path, content)| (path.to_owned(), content.to_owned())));
    }

    #[test]
    fn equal_sources_give_equal_packages() {
        assert!(run(&wanted(), source().path()).unwrap() == run(&wanted(), source().path()).unwrap(), "two packages differ");
    }

    #[test]
    fn what_is_no_chart_of_that_name_is_told() {
        let folder = source();
        let mut other = wanted();
        other.charts[0].name = "istiod".into();
        assert!(run(&other, folder.path()).unwrap_err().to_string().contains("says the name is 'base'"));
        fs::write(folder.path().join("charts/base/Chart.yaml"), "name: base\n").unwrap();
        assert!(run(&wanted(), folder.path()).unwrap_err().to_string().contains("names no version"));
        fs::remove_file(folder.path().join("charts/base/Chart.yaml")).unwrap();
        assert!(run(&wanted(), folder.path()).unwrap_err().to_string().contains("holds no Chart.yaml"));
        fs::remove_file(folder.path().join("y.json")).unwrap();
        assert!(run(&wanted(), folder.path()).unwrap_err().to_string().contains("y.json"));
    }
}
