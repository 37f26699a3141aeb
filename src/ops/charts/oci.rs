//! Charts in OCI registries: a manifest that names the archive by its digest.

use serde::Deserialize;

use super::archive::MAX_PACKED;
use super::download::Fetched;
use super::error::Trouble;
use crate::domain::digest::Digest;
use crate::domain::istio::is_this_machine;
use crate::k8s::fetch::{Answer, Ask, fetch as get};

/// Media type of a manifest.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of a packed chart, as Helm has it registered.
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// Manifests are a few hundred bytes.
const MAX_MANIFEST: usize = 1 << 20;

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// A registry, and the token it gave.
struct Registry<'a> {
    base: String,
    repository: &'a str,
    chart: &'a str,
    token: Option<String>,
}

/// Fetches the archive of a chart and the digest that the manifest has of it.
pub(super) async fn fetch(place: &str, chart: &str, version: &str) -> Result<Fetched, Trouble> {
    let (host, repository) = place.split_once('/').unwrap_or((place, ""));
    let mut registry = Registry { base: format!("{}://{host}", scheme(host)), repository, chart, token: None };
    let manifest = registry.get(&format!("manifests/{version}"), Some(MANIFEST), MAX_MANIFEST).await?;
    let manifest: Manifest = serde_json::from_slice(&manifest)
        .map_err(|error| Trouble::Answer(format!("its manifest of {chart} {version} is none: {error}")))?;
    let layer = manifest.layers.iter().find(|layer| layer.media_type == CHART);
    let layer = layer.ok_or_else(|| Trouble::Answer(format!("what it has as {chart} {version} is no chart")))?;
    let announced: Digest = layer.digest.parse().map_err(|error: super::DigestError| Trouble::Answer(error.to_string()))?;
    let bytes = registry.get(&format!("blobs/{announced}"), None, MAX_PACKED).await?;
    Ok(Fetched { bytes, announced: Some(announced) })
}

/// As Docker has it: only the machine itself is spoken to in the clear.
fn scheme(host: &str) -> &'static str {
    if is_this_machine(host) { "http" } else { "https" }
}

// === impl Registry ===

impl Registry<'_> {
    /// Gets something of the chart's, with a token if the registry insists on one.
    async fn get(&mut self, what: &str, accept: Option<&'static str>, max_bytes: usize) -> Result<Vec<u8>, Trouble> {
        let url = format!("{}/v2/{}/{}/{what}", self.base, self.repository, self.chart);
        let mut answer = self.ask(&url, accept, max_bytes).await?;
        if answer.status == 401 && self.token.is_none() {
            self.token = Some(self.log_in(answer.challenge.as_deref().unwrap_or_default()).await?);
            answer = self.ask(&url, accept, max_bytes).await?;
        }
        if answer.is_success() { Ok(answer.body) } else { Err(Trouble::Answer(format!("{what} of {}: {}", self.chart, answer.refusal()))) }
    }

    async fn ask(&self, url: &str, accept: Option<&'static str>, max_bytes: usize) -> Result<Answer, Trouble> {
        Ok(get(&Ask { url: url.to_owned(), accept, token: self.token.clone(), max_bytes }).await?)
    }

    /// Gets the token that registries give to everybody.
    async fn log_in(&self, challenge: &str) -> Result<String, Trouble> {
        let refuse = || Trouble::Answer("it wants credentials, and this program brings none".to_owned());
        let realm = parameter(challenge, "realm").filter(|_| challenge.to_ascii_lowercase().starts_with("bearer ")).ok_or_else(refuse)?;
        if !realm.starts_with("https://") && !self.base.starts_with("http://") {
            return Err(Trouble::Answer(format!("it wants a token from {realm}, in the clear")));
        }
        let scope = parameter(challenge, "scope").unwrap_or_else(|| format!("repository:{}/{}:pull", self.repository, self.chart));
        let service = parameter(challenge, "service").map(|service| format!("&service={}", escaped(&service))).unwrap_or_default();
        let separator = if realm.contains('?') { '&' } else { '?' };
        let url = format!("{realm}{separator}scope={}{service}", escaped(&scope));
        let answer = get(&Ask { url, max_bytes: MAX_MANIFEST, ..Ask::default() }).await?;
        if !answer.is_success() {
            return Err(refuse());
        }
        let token: Token = serde_json::from_slice(&answer.body).map_err(|_| refuse())?;
        token.token.or(token.access_token).ok_or_else(refuse)
    }
}

/// `name="value"` out of a challenge.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

/// A text as part of an address.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b':' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
