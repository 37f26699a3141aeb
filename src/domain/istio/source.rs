//! Where Istio's charts come from, as far as it can be written down.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing for each of Istio's charts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PerChart<T> {
    /// For `base`.
    pub base: T,
    /// For `istiod`.
    pub istiod: T,
    /// For `gateway`.
    pub gateway: T,
}

/// A repository of charts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Repository {
    /// An address with an `index.yaml` below it, without a `/` at the end.
    Http(String),
    /// Host and path of an OCI registry (`ghcr.io/istio/release/charts`); the chart's name is added.
    Oci(String),
}

/// A text that names no repository which can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// No address of either form.
    #[error("'{0}' is no repository of charts; expected https://HOST/PATH or oci://HOST/PATH")]
    Syntax(String),
    /// An address that would be spoken to in the clear.
    #[error("'{0}' would be asked in the clear, where anybody on the way can alter the answer; expected https://HOST/PATH")]
    Clear(String),
    /// An address with a name and a password in it. It is not shown.
    #[error("the address of a repository holds credentials; none are sent, so leave them out")]
    Credentials,
}

/// Whether this is a name or an address of this machine, with or without a port: the only one that is spoken to in the
/// clear, as Docker has it.
pub fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

// === impl PerChart ===

impl<T> PerChart<T> {
    /// The charts' names, in the order of the fields.
    pub const NAMES: [&'static str; 3] = ["base", "istiod", "gateway"];

    /// Makes one thing for each chart.
    ///
    /// # Errors
    /// The first of `make`.
    pub fn each<E>(mut make: impl FnMut(&'static str) -> Result<T, E>) -> Result<Self, E> {
        let [base, istiod, gateway] = Self::NAMES;
        Ok(Self { base: make(base)?, istiod: make(istiod)?, gateway: make(gateway)? })
    }

    /// What is there for the chart of that name; for any other name that of `base`.
    pub fn get(&self, chart: &str) -> &T {
        match chart {
            "istiod" => &self.istiod,
            "gateway" => &self.gateway,
            _ => &self.base,
        }
    }
}

impl<T> PerChart<Option<T>> {
    /// Whether there is something for none of them.
    pub fn is_none(&self) -> bool {
        self.base.is_none() && self.istiod.is_none() && self.gateway.is_none()
    }
}

// === impl Repository ===

impl FromStr for Repository {
    type Err = RepositoryError;
    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        let error = || RepositoryError::Syntax(text.to_owned());
        let trimmed = text.trim().trim_end_matches('/');
        let (scheme, rest) = trimmed.split_once("://").ok_or_else(error)?;
        let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
        if host.contains('@') {
            return Err(RepositoryError::Credentials);
        }
        // Paths are added to it: what follows a `?` would swallow them.
        if host.is_empty() || rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
            return Err(error());
        }
        match scheme {
            "http" if !is_this_machine(host) => Err(RepositoryError::Clear(text.to_owned())),
            "http" | "https" => Ok(Self::Http(trimmed.to_owned())),
            "oci" if path.is_some() => Ok(Self::Oci(rest.to_owned())),
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for Repository {
    type Error = RepositoryError;
    fn try_from(text: String) -> Result<Self, RepositoryError> {
        text.parse()
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> String {
        repository.to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_read() {
        for text in ["https://x/y", "http://127.0.0.1:80", "http://localhost/charts", "oci://ghcr.io/istio/release/charts"] {
            assert_eq!(text.parse::<Repository>().unwrap().to_string(), text);
        }
        for text in ["", "x/y", "ftp://x", "oci://x", "https://", "https:///x", "https://x/y?z", "https://x/a b"] {
            assert_eq!(text.parse::<Repository>(), Err(RepositoryError::Syntax(text.to_owned())), "{text}");
        }
        assert_eq!("http://x/y".parse::<Repository>(), Err(RepositoryError::Clear("http://x/y".to_owned())));
        let error = "https://me:hunter2@x/y".parse::<Repository>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }

    #[test]
    fn only_this_machine_is_this_machine() {
        for host in ["localhost", "localhost:5000", "127.0.0.1", "127.1.2.3:80", "[::1]:5000", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "localhost.example", "10.0.0.1", "[2001:db8::1]:80", "ghcr.io"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
