//! Names of fleets, clusters, nodes and contexts, after kind's rules.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest cluster name that leaves room for every node name derived from it: a host name has at
/// most 63 characters, and `-external-load-balancer` (23) is the longest suffix.
pub const MAX_CLUSTER_NAME: usize = 40;

/// A cluster's name: a DNS label, so that every name derived from it is a valid host name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(String);

/// A fleet's name; the same rules as a cluster's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FleetName(String);

/// What a node container does, spelled as kind's role label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the API server and its companions.
    ControlPlane,
    /// Runs workloads.
    Worker,
    /// Balances several API servers.
    ExternalLoadBalancer,
}

/// Why a name was refused; one variant per rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("the name is empty; use lower-case letters, digits and '-'")]
    Empty,
    /// Too long for the host names made from it.
    #[error("'{name}' has {length} characters, at most {max} leave room for node names such as '{name}-control-plane'")]
    TooLong {
        /// The name.
        name: String,
        /// Its length.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// A character DNS labels may not have.
    #[error("'{name}' has the character {character:?}; a name is made of lower-case letters, digits and '-'")]
    Character {
        /// The name.
        name: String,
        /// The first offending character.
        character: char,
    },
    /// Begins or ends with a dash.
    #[error("'{name}' must begin and end with a letter or a digit")]
    Edge {
        /// The name.
        name: String,
    },
}

// === impl ClusterName ===

impl ClusterName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name of the `index`-th node of a role, counted from 1: container, host and Kubernetes node
    /// name in one (`c-worker`, `c-worker2`).
    pub fn node(&self, role: Role, index: usize) -> String {
        match index {
            0 | 1 => format!("{}-{}", self.0, role.as_str()),
            n => format!("{}-{}{n}", self.0, role.as_str()),
        }
    }

    /// Name of cluster, user and context in a kubeconfig (`kind-c`).
    pub fn context(&self) -> String {
        context_name(&self.0)
    }
}

impl FleetName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Role ===

impl Role {
    /// Value of the role label.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::ControlPlane => "control-plane",
            Role::Worker => "worker",
            Role::ExternalLoadBalancer => "external-load-balancer",
        }
    }

    /// Reads a role label's value.
    pub fn from_label(value: &str) -> Option<Self> {
        [Role::ControlPlane, Role::Worker, Role::ExternalLoadBalancer].into_iter().find(|role| role.as_str() == value)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Name of cluster, user and context in a kubeconfig, for any name that kind allows.
pub fn context_name(cluster: &str) -> String {
    format!("kind-{cluster}")
}

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if let Some(character) = name.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')) {
        return Err(NameError::Character { name: name.to_owned(), character });
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(NameError::Edge { name: name.to_owned() });
    }
    if name.len() > MAX_CLUSTER_NAME {
        return Err(NameError::TooLong { name: name.to_owned(), length: name.len(), max: MAX_CLUSTER_NAME });
    }
    Ok(())
}

macro_rules! name_impls {
    ($type:ident) => {
        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text)?;
                Ok(Self(text))
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_impls!(ClusterName);
name_impls!(FleetName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for name in ["a", "a1", "1", "a-b", &"x".repeat(MAX_CLUSTER_NAME)] {
            assert_eq!(name.parse::<ClusterName>().unwrap().to_string(), name);
        }
        let error = |name: &str| name.parse::<ClusterName>().unwrap_err().to_string();
        assert_eq!(error(""), "the name is empty; use lower-case letters, digits and '-'");
        assert_eq!(error("a_b"), "'a_b' has the character '_'; a name is made of lower-case letters, digits and '-'");
        assert_eq!(error("a.b"), "'a.b' has the character '.'; a name is made of lower-case letters, digits and '-'");
        assert_eq!(error("-a"), "'-a' must begin and end with a letter or a digit");
        assert_eq!(error("a-"), "'a-' must begin and end with a letter or a digit");
        let long = "x".repeat(MAX_CLUSTER_NAME + 1);
        assert!(error(&long).contains("has 41 characters, at most 40 leave room"), "{}", error(&long));
    }

    #[test]
    fn every_derived_name_is_a_host_name() {
        let longest: ClusterName = "x".repeat(MAX_CLUSTER_NAME).parse().unwrap();
        for role in [Role::ControlPlane, Role::Worker, Role::ExternalLoadBalancer] {
            assert!(longest.node(role, if role == Role::ExternalLoadBalancer { 1 } else { 999 }).len() <= 63, "{role}");
        }
    }

    #[test]
    fn nodes_are_counted_as_kind_counts() {
        let name: ClusterName = "c".parse().unwrap();
        assert_eq!(name.node(Role::ControlPlane, 1), "c-control-plane");
        assert_eq!(name.node(Role::Worker, 1), "c-worker");
        assert_eq!(name.node(Role::Worker, 2), "c-worker2");
        assert_eq!(name.node(Role::ExternalLoadBalancer, 1), "c-external-load-balancer");
        assert_eq!(name.context(), "kind-c");
    }

    #[test]
    fn roles_are_read_back_from_labels() {
        for role in [Role::ControlPlane, Role::Worker, Role::ExternalLoadBalancer] {
            assert_eq!(Role::from_label(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!(Role::from_label("external-etcd"), None);
    }

    #[test]
    fn names_are_checked_when_decoded() {
        assert_eq!(serde_json::from_str::<FleetName>("\"demo\"").unwrap().as_str(), "demo");
        assert!(serde_json::from_str::<FleetName>("\"Demo\"").is_err());
    }
}
