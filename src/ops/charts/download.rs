//! Charts out of repositories on the web.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::cache::Cache;
use super::digest::Digest;
use super::error::{LoadError, Mismatch, Result, Trouble};
use super::source::{PerChart, blocking, packed};
use super::{http_repository, oci, pins};
use crate::domain::helm::Chart;
use crate::domain::version::IstioVersion;

/// Where Istio publishes its charts: a repository of Helm's own kind, and an OCI registry.
const ISTIO: [&str; 2] = ["https://blob.istio.io/istio-release/charts", "oci://ghcr.io/istio/release/charts"];

/// Charts to be downloaded, unless they have been before.
///
/// An archive is used only when its digest is the expected one. Expected is, in this order: what
/// [`Download::digests`] says; what this program has pinned for the version; what came the first time, which is noted in
/// the cache. The first time, without a pin, it is what the repository itself announces: the digest in the index or in
/// the manifest, which every download has to match in any case.
#[derive(Debug, Clone)]
pub struct Download {
    /// The version.
    pub version: IstioVersion,
    /// Asked one after the other, until one has the chart; empty for Istio's own.
    pub repositories: Vec<Repository>,
    /// Digests the caller insists on; they outweigh all others.
    pub digests: PerChart<Option<Digest>>,
    /// Folder in which downloads are kept, below `istio-charts/<version>/`.
    pub cache: PathBuf,
}

/// A repository of charts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repository {
    /// An address with an `index.yaml` below it, without a `/` at the end.
    Http(String),
    /// Host and path of an OCI registry (`ghcr.io/istio/release/charts`); the chart's name is added.
    Oci(String),
}

/// A text that names no repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no repository of charts; expected https://HOST/PATH or oci://HOST/PATH")]
pub struct RepositoryError(String);

/// An archive and what was announced of it.
pub(super) struct Fetched {
    /// The archive.
    pub(super) bytes: Vec<u8>,
    /// Its digest as the repository announces it.
    pub(super) announced: Option<Digest>,
}

/// Gets the three charts, those that are not kept at once.
pub(super) async fn charts(download: &Download) -> Result<PerChart<Chart>> {
    let one = |chart: &'static str| one(download, chart);
    let [base, istiod, gateway] = PerChart::<()>::NAMES;
    let (base, istiod, gateway) = tokio::try_join!(one(base), one(istiod), one(gateway))?;
    Ok(PerChart { base, istiod, gateway })
}

async fn one(download: &Download, chart: &'static str) -> Result<Chart> {
    let version = download.version.to_string();
    let (folder, wanted) = (download.cache.clone(), download.digests.get(chart).clone());
    let (expected, kept) = {
        let version = version.clone();
        blocking(move || {
            let cache = Cache::new(&folder, &version);
            let expected = match wanted.map(|digest| (digest, "was asked for")) {
                Some(wanted) => Some(wanted),
                None => match pins::pinned(chart, &version) {
                    Some(pin) => Some((pin, "is pinned for it")),
                    None => cache.noted(chart)?.map(|digest| (digest, "came the first time")),
                },
            };
            let kept = expected.as_ref().map_or(Ok(None), |(digest, _)| cache.archive(chart, digest))?;
            Ok((expected, kept))
        })
        .await?
    };
    if let Some(bytes) = kept {
        return unpack(chart, &version, bytes).await;
    }
    let (from, fetched) = fetch(download, chart, &version).await?;
    let found = Digest::of(&fetched.bytes);
    let announced = fetched.announced.map(|digest| (digest, "is what it announces"));
    for (expected, whence) in announced.into_iter().chain(expected) {
        if expected != found {
            let advice = match whence {
                "came the first time" => {
                    format!("remove {} if the new one is to be trusted", Cache::new(&download.cache, &version).note(chart).display())
                }
                "is what it announces" => "something on the way alters it; try again, or give the charts' folder".to_owned(),
                _ => "give the digest of the archive that is to be trusted".to_owned(),
            };
            return Err(LoadError::Digest(Box::new(Mismatch { chart, version, from, expected, whence, found, advice })));
        }
    }
    // Before it is kept: what is no chart would otherwise be found again and again.
    let unpacked = unpack(chart, &version, fetched.bytes.clone()).await?;
    let (folder, version) = (download.cache.clone(), version);
    blocking(move || Cache::new(&folder, &version).keep(chart, &fetched.bytes)).await?;
    Ok(unpacked)
}

/// Asks one repository after the other.
async fn fetch(download: &Download, chart: &'static str, version: &str) -> Result<(String, Fetched)> {
    let istio = || ISTIO.iter().filter_map(|text| text.parse().ok()).collect();
    let repositories = if download.repositories.is_empty() { istio() } else { download.repositories.clone() };
    let mut troubles = Vec::new();
    for repository in repositories {
        let fetched = match &repository {
            Repository::Http(address) => http_repository::fetch(address, chart, version).await,
            Repository::Oci(place) => oci::fetch(place, chart, version).await,
        };
        match fetched {
            Ok(fetched) => return Ok((repository.to_string(), fetched)),
            Err(trouble @ Trouble::Fetch(_)) => troubles.push(trouble.to_string()),
            Err(Trouble::Answer(message)) => troubles.push(format!("{repository}: {message}")),
        }
    }
    Err(LoadError::Download { chart, version: version.to_owned(), message: troubles.join("; ") })
}

async fn unpack(chart: &'static str, version: &str, bytes: Vec<u8>) -> Result<Chart> {
    let version = version.to_owned();
    blocking(move || {
        let what = format!("the archive of chart '{chart}' {version}");
        let unpacked = packed(&what, &bytes)?;
        // Some tools put a `v` before the version.
        let found = unpacked.version().trim_start_matches('v');
        match found == version {
            true => Ok(unpacked),
            false => Err(LoadError::Version { what, expected: version, found: found.to_owned() }),
        }
    })
    .await
}

// === impl Repository ===

impl FromStr for Repository {
    type Err = RepositoryError;
    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        let error = || RepositoryError(text.to_owned());
        let trimmed = text.trim().trim_end_matches('/');
        let (scheme, rest) = trimmed.split_once("://").filter(|(_, rest)| !rest.is_empty()).ok_or_else(error)?;
        match scheme {
            "http" | "https" => Ok(Self::Http(trimmed.to_owned())),
            "oci" if rest.contains('/') => Ok(Self::Oci(rest.to_owned())),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(address) => f.write_str(address),
            Self::Oci(place) => write!(f, "oci://{place}"),
        }
    }
}
