//! Charts out of repositories on the web.

use std::path::PathBuf;

use super::cache::Cache;
use super::error::{LoadError, Mismatch, Result, Trouble};
use super::source::{blocking, packed};
use super::{http_repository, oci, pins};
use crate::domain::digest::Digest;
use crate::domain::helm::Chart;
use crate::domain::istio::{PerChart, Repository};
use crate::domain::version::IstioVersion;

/// Where Istio publishes its charts: a repository of Helm's own kind, and an OCI registry.
const ISTIO: [&str; 2] = ["https://blob.istio.io/istio-release/charts", "oci://ghcr.io/istio/release/charts"];

/// Charts to be downloaded, unless they have been before.
///
/// An archive is used only when its digest is the expected one. Expected is, in this order: what
/// [`Download::digests`] says; what this program has pinned for the version; what came the first time, which is noted in
/// the cache. The first time, without a pin, it is what the repository itself announces: the digest in the index or in
/// the manifest, which every download has to match in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
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
                "is what it announces" => {
                    "something on the way alters it; try again, or name the charts' folder or archive (`mesh.istio.charts`)".to_owned()
                }
                _ => format!("if this archive is to be trusted, write `mesh.istio.digests.{chart}: {found}` in the fleet file"),
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
