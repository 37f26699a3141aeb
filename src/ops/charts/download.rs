//! Charts out of repositories on the web.

use std::path::PathBuf;

use super::cache::Cache;
use super::error::{LoadError, Mismatch, Result, Trouble, Unpinned};
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
/// An archive is used only when its digest is the expected one. Expected is what [`Download::digests`] says, else what
/// this program has pinned for the version. Where neither has one the archive is refused, and its digest told. What the
/// repository itself announces, in its index or its manifest, has to match as well, and is never enough: who can replace
/// the archive can replace that, too.
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

/// Gets the three charts, those that are not kept at once. Of those without a digest all are told together, so that
/// they are written down once.
pub(super) async fn charts(download: &Download) -> Result<PerChart<Chart>> {
    let one = |chart: &'static str| one(download, chart);
    let [base, istiod, gateway] = PerChart::<()>::NAMES;
    match tokio::try_join!(one(base), one(istiod), one(gateway))? {
        (Ok(base), Ok(istiod), Ok(gateway)) => Ok(PerChart { base, istiod, gateway }),
        (base, istiod, gateway) => Err(LoadError::Unpinned([base, istiod, gateway].into_iter().filter_map(Result::err).collect())),
    }
}

/// One chart, or what came of one that nothing is known of.
async fn one(download: &Download, chart: &'static str) -> Result<Result<Chart, Unpinned>> {
    let version = download.version.to_string();
    let asked = download.digests.get(chart).clone().map(|digest| (digest, "was asked for"));
    let expected = asked.or_else(|| pins::pinned(chart, &version).map(|pin| (pin, "is pinned for it")));
    if let Some((digest, _)) = expected.clone() {
        let cache = Cache::new(&download.cache, &version);
        if let Some(bytes) = blocking(move || cache.archive(chart, &digest)).await? {
            return unpack(chart, &version, bytes).await.map(Ok);
        }
    }
    let (from, fetched) = fetch(download, chart, &version).await?;
    let found = Digest::of(&fetched.bytes);
    if let Some(announced) = fetched.announced.filter(|announced| *announced != found) {
        let advice = "something on the way alters it; try again, or name the charts' folder or archive (`mesh.istio.charts`)".to_owned();
        let whence = "is what it announces";
        return Err(LoadError::Digest(Box::new(Mismatch { chart, version, from, expected: announced, whence, found, advice })));
    }
    let Some((expected, whence)) = expected else {
        return Ok(Err(Unpinned { chart, version, from, found }));
    };
    if expected != found {
        let advice = format!("if this archive is to be trusted, write `mesh.istio.digests.{chart}: {found}` in the fleet file");
        return Err(LoadError::Digest(Box::new(Mismatch { chart, version, from, expected, whence, found, advice })));
    }
    // Before it is kept: what is no chart would otherwise be found again and again.
    let unpacked = unpack(chart, &version, fetched.bytes.clone()).await?;
    let cache = Cache::new(&download.cache, &version);
    blocking(move || cache.keep(chart, &fetched.bytes)).await?;
    Ok(Ok(unpacked))
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
