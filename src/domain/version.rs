//! Versions of Kubernetes, of Istio and of the engine's API: parse, compare, ask.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Kubernetes version, `v1.34.4`; a pre-release suffix is kept for display and ignored in comparisons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KubernetesVersion {
    major: u32,
    minor: u32,
    patch: u32,
    suffix: String,
}

/// An Istio release, `1.31.1`; a pre-release suffix is kept for display and ignored in comparisons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IstioVersion(KubernetesVersion);

/// Version of the engine's HTTP API, `1.41`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EngineApiVersion {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {what} version; expected something like {example}")]
pub struct VersionError {
    text: String,
    what: &'static str,
    example: &'static str,
}

// === impl KubernetesVersion ===

impl KubernetesVersion {
    /// Minor number: 34 of `v1.34.4`.
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// Whether it is `major.minor` or later.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// Without the leading `v`.
    pub fn bare(&self) -> String {
        format!("{}.{}.{}{}", self.major, self.minor, self.patch, self.suffix)
    }
}

impl FromStr for KubernetesVersion {
    type Err = VersionError;
    fn from_str(text: &str) -> Result<Self, VersionError> {
        release(text).ok_or_else(|| VersionError { text: text.to_owned(), what: "Kubernetes", example: "v1.34.4" })
    }
}

/// Three numbers and what follows them.
fn release(text: &str) -> Option<KubernetesVersion> {
    let bare = text.trim().trim_start_matches('v');
    let split = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, suffix) = bare.split_at(split);
    let parts: Vec<u32> = numbers.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [major, minor, patch] => Some(KubernetesVersion { major, minor, patch, suffix: suffix.to_owned() }),
        _ => None,
    }
}

impl TryFrom<String> for KubernetesVersion {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<KubernetesVersion> for String {
    fn from(version: KubernetesVersion) -> String {
        version.to_string()
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.bare())
    }
}

// === impl IstioVersion ===

impl IstioVersion {
    /// Minor number: 31 of `1.31.1`.
    pub fn minor(&self) -> u32 {
        self.0.minor
    }

    /// Whether it is `major.minor` or later.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        self.0.at_least(major, minor)
    }
}

impl FromStr for IstioVersion {
    type Err = VersionError;
    fn from_str(text: &str) -> Result<Self, VersionError> {
        release(text).map(Self).ok_or_else(|| VersionError { text: text.to_owned(), what: "Istio", example: "1.31.1" })
    }
}

impl TryFrom<String> for IstioVersion {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<IstioVersion> for String {
    fn from(version: IstioVersion) -> String {
        version.to_string()
    }
}

impl fmt::Display for IstioVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.bare())
    }
}

// === impl EngineApiVersion ===

impl EngineApiVersion {
    /// From its two numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl FromStr for EngineApiVersion {
    type Err = VersionError;
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = || VersionError { text: text.to_owned(), what: "engine API", example: "1.41" };
        let (major, minor) = text.trim().split_once('.').ok_or_else(error)?;
        Ok(Self { major: major.parse().map_err(|_| error())?, minor: minor.parse().map_err(|_| error())? })
    }
}

impl fmt::Display for EngineApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubernetes(text: &str) -> KubernetesVersion {
        text.parse().unwrap()
    }

    #[test]
    fn a_leading_v_is_welcome_and_shown() {
        for text in ["v1.34.4", "1.34.4", " v1.34.4\n"] {
            assert_eq!(kubernetes(text).to_string(), "v1.34.4");
            assert_eq!(kubernetes(text).bare(), "1.34.4");
        }
        assert_eq!(kubernetes("1.36.0-alpha.1+build").to_string(), "v1.36.0-alpha.1+build");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", "v", "1", "1.34", "1.34.x", "1.34.4.1", "latest", "-1.2.3"] {
            let error = text.parse::<KubernetesVersion>().unwrap_err();
            assert_eq!(error.to_string(), format!("'{text}' is no Kubernetes version; expected something like v1.34.4"));
        }
        assert_eq!("1".parse::<EngineApiVersion>().unwrap_err().to_string(), "'1' is no engine API version; expected something like 1.41");
    }

    #[test]
    fn a_pre_release_counts_as_the_release() {
        assert!(kubernetes("v1.36.0-alpha.1").at_least(1, 36));
        assert!(!kubernetes("v1.35.9").at_least(1, 36));
        assert!(kubernetes("v2.0.0").at_least(1, 36));
        assert_eq!(kubernetes("v1.34.4").minor(), 34);
    }

    #[test]
    fn istio_has_no_leading_v() {
        let version: IstioVersion = "v1.31.1".parse().unwrap();
        assert_eq!((version.to_string().as_str(), version.minor()), ("1.31.1", 31));
        assert!(version.at_least(1, 30) && !version.at_least(1, 32));
        assert_eq!("1.31".parse::<IstioVersion>().unwrap_err().to_string(), "'1.31' is no Istio version; expected something like 1.31.1");
    }

    #[test]
    fn engine_versions_are_numbers_not_texts() {
        let version = |text: &str| text.parse::<EngineApiVersion>().unwrap();
        assert!(version("1.9") < version("1.41"));
        assert!(version("1.51") > EngineApiVersion::new(1, 44));
        assert_eq!(version(" 1.41 ").to_string(), "1.41");
    }
}
