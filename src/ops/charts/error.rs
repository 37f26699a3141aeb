//! Why charts could not be had.

use std::io;
use std::path::PathBuf;

use crate::domain::digest::Digest;
use crate::domain::helm::ChartError;
use crate::domain::istio::ChartsError;
use crate::k8s::fetch::FetchError;

/// Result of looking for charts.
pub type Result<T, E = LoadError> = std::result::Result<T, E>;

/// Why charts could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file or folder could not be read or written.
    #[error("{verb} {path}")]
    File {
        /// What was tried (`read`).
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A folder without one of the charts.
    #[error("no chart '{chart}' in {folder}: there is neither a folder {chart}/ nor an archive {chart}.tgz or {chart}-<version>.tgz")]
    NotThere {
        /// The chart.
        chart: &'static str,
        /// The folder.
        folder: PathBuf,
    },
    /// Several archives of a chart, of which none is the one.
    #[error("several archives of chart '{chart}' in {folder}: {}; leave one there, or name the archives one by one", found.join(", "))]
    Ambiguous {
        /// The chart.
        chart: &'static str,
        /// The folder.
        folder: PathBuf,
        /// Their names.
        found: Vec<String>,
    },
    /// An archive of everything without one of the charts.
    #[error(
        "no chart '{chart}' in {archive}: none of its folders has a Chart.yaml of that name; an archive has the charts base, istiod and \
         gateway as folders, as Istio's releases have them"
    )]
    NotInArchive {
        /// The chart.
        chart: &'static str,
        /// The archive.
        archive: PathBuf,
    },
    /// Several folders of an archive with one chart.
    #[error("several folders of chart '{chart}' in {archive}: {}; name an archive or a folder that has one", found.join(", "))]
    SeveralInArchive {
        /// The chart.
        chart: &'static str,
        /// The archive.
        archive: PathBuf,
        /// The folders.
        found: Vec<String>,
    },
    /// An archive or folder that is not taken.
    #[error("{what}: {message}")]
    Refused {
        /// The archive or folder.
        what: String,
        /// Why.
        message: String,
    },
    /// Files that are no chart.
    #[error("{what} is no chart that can be used")]
    Chart {
        /// The archive or folder.
        what: String,
        /// Why.
        #[source]
        source: ChartError,
    },
    /// Charts that are not Istio's, or do not belong together.
    #[error(transparent)]
    Charts(#[from] ChartsError),
    /// A version other than the one asked for.
    #[error("{what} is version {found} of the chart, not {expected}")]
    Version {
        /// The archive.
        what: String,
        /// What was asked for.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A download failed.
    #[error(
        "download chart '{chart}' {version}: {message}; name other repositories (`mesh.istio.repositories`), or the charts' folder or archive (`mesh.istio.charts`) when there is no way to the web"
    )]
    Download {
        /// The chart.
        chart: &'static str,
        /// Its version.
        version: String,
        /// What every repository said.
        message: String,
    },
    /// A download is not what it has to be. Nothing of it was kept.
    #[error(transparent)]
    Digest(Box<Mismatch>),
    /// Downloads that nothing is known of, all of them. Nothing of them was read or kept.
    #[error("no digest says what these charts must be, so nothing of what came is used; look at it, and if it is what you want:{}", lines(.0))]
    Unpinned(Vec<Unpinned>),
}

/// A download without a digest that it has to have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chart '{chart}' {version} from {from} has the digest {found}; write `mesh.istio.digests.{chart}: {found}` in the fleet file")]
pub struct Unpinned {
    /// The chart.
    pub chart: &'static str,
    /// Its version.
    pub version: String,
    /// Where it came from.
    pub from: String,
    /// The digest it has.
    pub found: Digest,
}

/// A download with another digest than it has to have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chart '{chart}' {version} from {from} has the digest {found}, but {expected} {whence}; nothing of it is used: {advice}")]
pub struct Mismatch {
    /// The chart.
    pub chart: &'static str,
    /// Its version.
    pub version: String,
    /// Where it came from.
    pub from: String,
    /// What it should have.
    pub expected: Digest,
    /// Who says so.
    pub whence: &'static str,
    /// What it has.
    pub found: Digest,
    /// What to do.
    pub advice: String,
}

/// Why one repository could not help.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It does not answer, or not with what was asked for.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its answer makes no sense, or it does not have the chart.
    #[error("{0}")]
    Answer(String),
}

/// One line for each.
fn lines(charts: &[Unpinned]) -> String {
    charts.iter().map(|chart| format!("\n{chart}")).collect()
}

// === impl LoadError ===

impl LoadError {
    pub(super) fn file(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { verb, path: path.into(), source }
    }

    pub(super) fn refused(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), message: message.into() }
    }
}
