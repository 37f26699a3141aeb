//! What an export is asked for, and what it came to.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::domain::name::FleetName;

/// What to export, and how much of it at most.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Clusters of this fleet; of the only fleet there is when this and `clusters` say nothing.
    pub fleet: Option<FleetName>,
    /// These clusters, whoever made them.
    pub clusters: Vec<String>,
    /// Bytes written for one node at most, beside its own journal (which has 16 MiB).
    pub node_bytes: u64,
    /// Bytes of one file at most; the rest of a longer one is left out.
    pub file_bytes: u64,
    /// How long one node, or one API server, may take to tell everything. All are asked at the same time.
    pub deadline: Duration,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportReport {
    /// The folder.
    pub folder: PathBuf,
    /// The clusters, by name.
    pub clusters: Vec<ExportedCluster>,
    /// Number of files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What could not be had, each with its reason. A node that does not run cannot tell everything, and
    /// that is no failure of the export.
    pub missing: Vec<String>,
}

/// What was written of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedCluster {
    /// Its name.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<ExportedNode>,
    /// Whether its API server told of events, nodes and pods.
    pub kubernetes: bool,
}

/// What was written of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedNode {
    /// Its name, and that of its folder.
    pub name: String,
    /// State of its container (`running`, `exited`, …).
    pub state: String,
    /// Number of files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

// === impl ExportOptions ===

impl Default for ExportOptions {
    /// The only fleet; 256 MiB for a node, 64 MiB for a file, two minutes.
    fn default() -> Self {
        Self { fleet: None, clusters: Vec::new(), node_bytes: 256 << 20, file_bytes: 64 << 20, deadline: Duration::from_secs(120) }
    }
}
