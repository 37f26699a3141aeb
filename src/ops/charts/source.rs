//! Where charts come from.

use std::fs;
use std::path::{Path, PathBuf};

use super::archive;
use super::bundle;
use super::download::{self, Download};
use super::error::{LoadError, Result};
use super::folder;
use crate::domain::helm::Chart;
use crate::domain::istio::{Charts, PerChart};

/// Where Istio's charts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartSource {
    /// A folder that holds the three, as folders or as archives (`base/`, `base.tgz` or `base-<version>.tgz`). In a
    /// folder out of Istio's sources istiod is `istio-control/istio-discovery/`.
    Folder(PathBuf),
    /// One archive that has the three as folders, wherever in it: a release of Istio, or a packed folder.
    Archive(PathBuf),
    /// Three archives, one by one.
    Archives(PerChart<PathBuf>),
    /// The bytes of three archives, as a node image carries them.
    Bytes(PerChart<Vec<u8>>),
    /// A repository on the web.
    Download(Download),
}

/// Gets the three charts and checks that they are Istio's, of one version.
///
/// # Errors
/// [`LoadError`] when one of them is missing, cannot be fetched, has another digest than it must, or is
/// no chart that can be used.
pub async fn load(source: &ChartSource) -> Result<Charts> {
    let charts = match source {
        ChartSource::Folder(folder) => {
            let folder = folder.clone();
            blocking(move || PerChart::each(|chart| in_folder(&folder, chart))).await?
        }
        ChartSource::Archive(path) => {
            let path = path.clone();
            blocking(move || bundle::charts(&path)).await?
        }
        ChartSource::Archives(paths) => {
            let paths = paths.clone();
            blocking(move || PerChart::each(|chart| packed_file(paths.get(chart)))).await?
        }
        ChartSource::Bytes(bytes) => PerChart::each(|chart| packed(&format!("the archive of chart '{chart}'"), bytes.get(chart)))?,
        ChartSource::Download(download) => download::charts(download).await?,
    };
    Ok(Charts::new(charts.base, charts.istiod, charts.gateway)?)
}

/// Reads files where they may take their time.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(LoadError::refused("reading charts", format!("was given up: {error}"))),
    }
}

fn in_folder(folder: &Path, chart: &'static str) -> Result<Chart> {
    let sources = Path::new("istio-control").join("istio-discovery");
    let unpacked = [Some(Path::new(chart)), (chart == "istiod").then_some(sources.as_path())];
    for path in unpacked.into_iter().flatten().map(|path| folder.join(path)) {
        if path.join("Chart.yaml").is_file() {
            let what = path.display().to_string();
            return Chart::from_files(folder::read(&path)?).map_err(|source| LoadError::Chart { what, source });
        }
    }
    let entries = fs::read_dir(folder).map_err(LoadError::file("read", folder))?;
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.strip_suffix(".tgz").is_some_and(|name| name == chart || is_version_of(name, chart)))
        .collect();
    found.sort();
    match found.as_slice() {
        [] => Err(LoadError::NotThere { chart, folder: folder.to_path_buf() }),
        [one] => packed_file(&folder.join(one)),
        _ => Err(LoadError::Ambiguous { chart, folder: folder.to_path_buf(), found }),
    }
}

/// Whether a name is `<chart>-<version>`: `base-1.31.1` is one of `base`, `base-x` is not.
fn is_version_of(name: &str, chart: &str) -> bool {
    let version = name.strip_prefix(chart).and_then(|rest| rest.strip_prefix('-'));
    version.is_some_and(|version| version.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()))
}

fn packed_file(path: &Path) -> Result<Chart> {
    let length = fs::metadata(path).map_err(LoadError::file("read", path))?.len();
    if length > archive::MAX_PACKED as u64 {
        return Err(LoadError::refused(path.display().to_string(), format!("is larger than {} MiB", archive::MAX_PACKED >> 20)));
    }
    packed(&path.display().to_string(), &fs::read(path).map_err(LoadError::file("read", path))?)
}

pub(super) fn packed(what: &str, bytes: &[u8]) -> Result<Chart> {
    Chart::from_files(archive::read(what, bytes)?).map_err(|source| LoadError::Chart { what: what.to_owned(), source })
}
