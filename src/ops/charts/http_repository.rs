//! Repositories of Helm's own kind: an index beside archives.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::archive::MAX_PACKED;
use super::download::Fetched;
use super::error::Trouble;
use crate::domain::digest::Digest;
use crate::k8s::fetch::{Ask, fetch as get};

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    entries: BTreeMap<String, Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    version: String,
    #[serde(default)]
    urls: Vec<String>,
    digest: Option<String>,
}

/// Fetches the archive of a chart and the digest that the index has of it.
pub(super) async fn fetch(repository: &str, chart: &str, version: &str) -> Result<Fetched, Trouble> {
    let index = get(&Ask { url: format!("{repository}/index.yaml"), ..Ask::default() }).await?;
    if !index.is_success() {
        return Err(Trouble::Answer(format!("its index.yaml: {}", index.refusal())));
    }
    let entry = find(&index.body, chart, version)?;
    let announced = entry.digest.as_deref().map(str::parse::<Digest>).transpose().map_err(|error| Trouble::Answer(error.to_string()))?;
    let url = entry.urls.first().ok_or_else(|| Trouble::Answer(format!("its index has no address for {chart} {version}")))?;
    let url = resolve(repository, url)?;
    let archive = get(&Ask { url: url.clone(), max_bytes: MAX_PACKED, ..Ask::default() }).await?;
    if !archive.is_success() {
        return Err(Trouble::Answer(format!("{url}: {}", archive.refusal())));
    }
    Ok(Fetched { bytes: archive.body, announced })
}

fn find(index: &[u8], chart: &str, version: &str) -> Result<Entry, Trouble> {
    let text = std::str::from_utf8(index).map_err(|_| Trouble::Answer("its index.yaml is no text".to_owned()))?;
    let options = serde_saphyr::options! { with_snippet: false };
    let index: Index = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Trouble::Answer(format!("its index.yaml is no index of charts: {}", error.without_snippet())))?;
    let mut entries = index.entries;
    let known = entries.remove(chart).ok_or_else(|| Trouble::Answer(format!("it has no chart '{chart}'")))?;
    let newest = known.first().map(|entry| entry.version.clone()).unwrap_or_default();
    known
        .into_iter()
        .find(|entry| entry.version.trim_start_matches('v') == version)
        .ok_or_else(|| Trouble::Answer(format!("it has no version {version} of '{chart}'; its first is {newest}")))
}

/// The address of an archive, which an index may give in full or beside itself.
fn resolve(repository: &str, url: &str) -> Result<String, Trouble> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(url.to_owned());
    }
    if url.contains("://") || url.starts_with('/') || url.split('/').any(|part| part == "..") {
        return Err(Trouble::Answer(format!("its index names '{url}', which is neither an address nor a file beside it")));
    }
    Ok(format!("{repository}/{url}"))
}
