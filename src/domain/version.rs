//! Versions of Kubernetes and of the engine's API: parse, compare, ask.

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
        let error = || VersionError { text: text.to_owned(), what: "Kubernetes", example: "v1.34.4" };
        let bare = text.trim().trim_start_matches('v');
        let split = bare.find(['-', '+']).unwrap_or(bare.len());
        let (numbers, suffix) = bare.split_at(split);
        let parts: Vec<u32> = numbers.split('.').map(|p| p.parse().map_err(|_| error())).collect::<Result<_, _>>()?;
        match parts[..] {
            [major, minor, patch] => Ok(Self { major, minor, patch, suffix: suffix.to_owned() }),
            _ => Err(error()),
        }
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
