//! What is asked for and what comes back.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::domain::name::FleetName;
use crate::ops::error::{Error, ErrorKind};

/// Which images to load into which nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// Where the images are.
    pub source: LoadSource,
    /// Clusters of this fleet only.
    pub fleet: Option<FleetName>,
    /// These clusters only, whoever made them; all of the fleet, or of the only fleet, when empty.
    pub clusters: Vec<String>,
    /// These nodes only, of those clusters; all when empty.
    pub nodes: Vec<String>,
}

/// Where images come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadSource {
    /// The engine, under these names or IDs.
    Images(Vec<String>),
    /// A tar archive as `docker save` writes it, or an OCI layout, packed by gzip or not. What can only be
    /// read once (a pipe) does too; nothing is known of it beforehand then, so that everything is sent.
    Archive(PathBuf),
}

/// What `load` did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadReport {
    /// The nodes, by cluster.
    pub nodes: Vec<NodeLoad>,
    /// Bytes read from the engine or the archive; 0 when no node needed anything.
    pub read_bytes: u64,
    /// False when every node had everything under its name.
    pub changed: bool,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// One node of a [`LoadReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeLoad {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the node.
    pub node: String,
    /// Bytes sent to it.
    pub sent_bytes: u64,
    /// The images; empty when it failed before they were known.
    pub images: Vec<ImageLoad>,
    /// Why it did not get everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One image of a [`NodeLoad`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageLoad {
    /// Complete name, as the node knows it (`docker.io/library/nginx:latest`).
    pub name: String,
    /// What was done for it.
    pub outcome: LoadOutcome,
}

/// What was done for an image in a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LoadOutcome {
    /// Sent, as far as its layers were not there.
    Loaded,
    /// Its content was there under another name.
    Tagged,
    /// It was there under its name.
    Present,
    /// It is not there; the node's error says why.
    Failed,
}

// === impl LoadReport ===

impl LoadReport {
    /// The error that names every node that did not get everything; `None` when all did.
    pub fn failure(&self) -> Option<Error> {
        let failed: Vec<(&str, &str)> = self.nodes.iter().filter_map(|node| Some((node.node.as_str(), node.error.as_deref()?))).collect();
        let (node, reason) = failed.first()?;
        let names: Vec<&str> = failed.iter().map(|(node, _)| *node).collect();
        let error = Error::new(ErrorKind::Cluster, format!("could not load into {}: {node}: {reason}", names.join(", ")));
        let error = failed.iter().skip(1).fold(error, |error, (node, reason)| error.hint(format!("also failed: {node}: {reason}")));
        Some(error.hint("run the command again: nodes that have the images are left alone"))
    }
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}
