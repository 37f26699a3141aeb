//! What is told about certificates.

use serde::Serialize;

use crate::domain::pki::{CertificateSummary, ChainSummary};

/// The certificates of a fleet's mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaReport {
    /// The fleet.
    pub fleet: String,
    /// The stored root; `None` when this machine does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<CertificateSummary>,
    /// Folder that is looked into for the root; `None` without a state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// What each cluster has.
    pub clusters: Vec<ClusterCa>,
    /// Whether every cluster has a chain that istiod accepts, all of them under the same root, which is
    /// the stored one if there is one.
    pub healthy: bool,
}

/// The certificates of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCa {
    /// The cluster.
    pub name: String,
    /// Its chain, signing certificate first; `None` when it has none or cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainSummary>,
    /// What is wrong; `None` when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A cluster's intermediate that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// The cluster.
    pub cluster: String,
    /// The signing certificate before; `None` when it was missing or unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<CertificateSummary>,
    /// The signing certificate that istiod serves now.
    pub now: CertificateSummary,
    /// From the new Secret to istiod serving it, in seconds.
    #[serde(serialize_with = "crate::ops::report::seconds")]
    pub took: std::time::Duration,
}
