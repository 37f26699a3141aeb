//! Node images: which one a Kubernetes version means, and how a reference reads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::version::KubernetesVersion;

/// Kubernetes version of a cluster unless told otherwise.
pub const DEFAULT_KUBERNETES_VERSION: &str = "v1.34.4";
/// Repository of the node images that are built offline.
pub const OFFLINE_REPOSITORY: &str = "kindmesh/node";
/// Repository of the official node images.
pub const OFFICIAL_REPOSITORY: &str = "kindest/node";

/// Registry meant when a reference names none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Key of the default registry in Docker's configuration, older than the name above.
const DEFAULT_REGISTRY_KEY: &str = "https://index.docker.io/v1/";
/// Folder that repositories of one word are in, on the default registry.
const LIBRARY: &str = "library/";
/// Longest tag, by the distribution specification.
const MAX_TAG: usize = 128;

/// Images that kind's releases were published with: version and digest, oldest first.
const OFFICIAL: [(&str, &str); 10] = [
    ("v1.27.3", "3966ac761ae0136263ffdb6cfd4db23ef8a83cba8a463690e98317add2c9ba72"),
    ("v1.29.2", "51a1434a5397193442f0be2a297b488b6c919ce8a3931be0ce822606ea5ca245"),
    ("v1.30.0", "047357ac0cfea04663786a612ba1eaba9702bef25227a794b52890dd8bcd692e"),
    ("v1.31.0", "53df588e04085fd41ae12de0c3fe4c72f7013bba32a20e7325357a1ac94ba865"),
    ("v1.32.0", "c48c62eac5da28cdadcf560d1d8616cfa6783b58f0d94cf63ad1bf49600cb027"),
    ("v1.32.2", "f226345927d7e348497136874b6d207e0b32cc52154ad8323129352923a3142f"),
    ("v1.33.1", "050072256b9a903bd914c0b2866828150cb229cea0efe5892e2b644d5dd3b34f"),
    ("v1.34.0", "7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"),
    ("v1.35.0", "452d707d4862f52530247495d180205e029056831160e22870e37e3f6c1ac31f"),
    ("v1.36.1", "3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5"),
];

/// A reference to an image, taken apart and with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// A text that is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no image reference: {reason}; expected something like kindest/node:v1.34.0 or registry.example:5000/node@sha256:…")]
pub struct ImageError {
    text: String,
    reason: &'static str,
}

/// The images to try for a Kubernetes version, best first: the one built offline, which costs nothing
/// when it is there, then the official one, pinned by digest where the digest is known.
///
/// `None` means the default version. There, and only there, an official image of the same minor
/// stands in when there is none of exactly that patch: a version that somebody asked for is never
/// replaced by another.
pub fn candidates(version: Option<&KubernetesVersion>) -> Vec<ImageRef> {
    let default = default_version();
    let wanted = version.unwrap_or(&default);
    vec![offline_image(wanted), official_image(wanted, version.is_none())]
}

/// The version of a cluster for which none is named.
#[expect(clippy::expect_used, reason = "a constant of this file, read by every test")]
pub fn default_version() -> KubernetesVersion {
    DEFAULT_KUBERNETES_VERSION.parse().expect("the default version is a version")
}

/// Name of the image built offline for a version.
pub fn offline_image(version: &KubernetesVersion) -> ImageRef {
    image(OFFLINE_REPOSITORY, version.to_string(), None)
}

fn official_image(version: &KubernetesVersion, any_patch: bool) -> ImageRef {
    let text = version.to_string();
    let exact = OFFICIAL.iter().find(|(known, _)| *known == text);
    let near = || OFFICIAL.iter().rev().find(|(known, _)| known.split('.').nth(1) == Some(version.minor().to_string().as_str()));
    match exact.or_else(|| if any_patch { near() } else { None }) {
        Some((known, digest)) => image(OFFICIAL_REPOSITORY, (*known).to_owned(), Some(format!("sha256:{digest}"))),
        None => image(OFFICIAL_REPOSITORY, text, None),
    }
}

fn image(repository: &str, tag: String, digest: Option<String>) -> ImageRef {
    // A version may carry `+build`; a tag may not.
    let tag = tag.replace('+', "_");
    ImageRef { registry: DEFAULT_REGISTRY.to_owned(), repository: repository.to_owned(), tag: Some(tag), digest }
}

// === impl ImageRef ===

impl ImageRef {
    /// The registry's host, with a port when it has one (`docker.io`, `127.0.0.1:5000`).
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path within the registry (`library/alpine`, `kindest/node`).
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, when one is named or nothing is (`latest` then).
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest (`sha256:…`), when one is named.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Registry and path, as an engine's pull wants it.
    pub fn from_image(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// What an engine's pull wants for a tag: the digest where there is one, which leaves the tag out
    /// of it, else the tag.
    pub fn pull_tag(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// Complete name of what is pulled: `docker.io/kindest/node@sha256:…` or `docker.io/library/alpine:3`.
    pub fn pull_name(&self) -> String {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        format!("{}{separator}{}", self.from_image(), self.pull_tag())
    }

    /// Key under which Docker's configuration keeps the registry's credentials.
    pub fn credentials_key(&self) -> &str {
        if self.registry == DEFAULT_REGISTRY { DEFAULT_REGISTRY_KEY } else { &self.registry }
    }

    /// For people: without the digest, when there is a tag.
    pub fn short(&self) -> String {
        let mut text = self.familiar();
        match (&self.tag, &self.digest) {
            (Some(tag), _) => text = format!("{text}:{tag}"),
            (None, Some(digest)) => text = format!("{text}@{digest}"),
            (None, None) => {}
        }
        text
    }

    /// Registry and path as people write them: nothing that goes without saying.
    fn familiar(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.from_image();
        }
        self.repository.strip_prefix(LIBRARY).unwrap_or(&self.repository).to_owned()
    }
}

impl FromStr for ImageRef {
    type Err = ImageError;

    /// Reads a reference by Docker's rules: the first part is a registry when it has a dot or a port
    /// or is `localhost`, a bare word is in `library/`, and neither tag nor digest means `latest`.
    fn from_str(text: &str) -> Result<Self, ImageError> {
        let error = |reason| ImageError { text: text.to_owned(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(error("a digest is sha256: and 64 hexadecimal digits"));
        }
        // A colon before the last slash belongs to a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(error("a tag is up to 128 letters, digits, '_', '.' and '-', and begins with none of the last two"));
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first, path),
            _ => (DEFAULT_REGISTRY, name),
        };
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        if !is_host(registry) {
            return Err(error("the registry is no host name with an optional port"));
        }
        if !path.split('/').all(is_path_component) {
            return Err(error("the name is made of lower-case letters, digits and single separators"));
        }
        let library = if registry == DEFAULT_REGISTRY && !path.contains('/') { LIBRARY } else { "" };
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
        Ok(Self {
            registry: registry.to_owned(),
            repository: format!("{library}{path}"),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ImageError;
    fn try_from(text: String) -> Result<Self, ImageError> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> String {
        image.to_string()
    }
}

impl fmt::Display for ImageRef {
    /// As people write it, tag and digest both: what an engine takes for inspect and create.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')))
}

fn is_tag(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TAG
        && !text.starts_with(['.', '-'])
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is_fine = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        }),
    };
    host_is_fine && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_path_component(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let fine = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'));
    // One dot, one or two underscores, any number of dashes stand between words.
    fine && edge(text.chars().next()) && edge(text.chars().last()) && !text.contains("..") && !text.contains("___")
}

#[cfg(test)]
mod tests;
