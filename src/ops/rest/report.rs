//! What putting a fleet to rest, or waking it, came to.

use std::time::Duration;

use serde::Serialize;

use crate::ops::mesh::VerifyReport;
use crate::ops::report::seconds;

/// What `pause`, `resume`, `stop` or `start` did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestReport {
    /// Name of the fleet.
    pub fleet: String,
    /// How all its nodes are now.
    pub state: RestState,
    /// Its clusters, in the order of their numbers.
    pub clusters: Vec<RestedCluster>,
    /// What proved its mesh; `None` without a mesh, without its sample, and for a fleet at rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<VerifyReport>,
    /// False when it was like that already.
    pub changed: bool,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// How the nodes of a fleet are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RestState {
    /// They run.
    Running,
    /// They keep their memory and get no processor.
    Paused,
    /// They are ended; what is on their volumes is kept.
    Stopped,
}

/// One cluster of a [`RestReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestedCluster {
    /// Name.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<String>,
    /// False when it was like that already.
    pub changed: bool,
}
