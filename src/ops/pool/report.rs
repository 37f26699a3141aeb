//! What is told about warm pools, and how a lease is asked for.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::ops::report::seconds;

/// How to lease a member of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseOptions {
    /// The new file that gets the kubeconfig. An absolute path, for it is noted down: who ends the lease may be in
    /// another folder. `None` puts it beside the pool's record in the state folder.
    pub kubeconfig: Option<PathBuf>,
}

/// A member of a pool that was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseReport {
    /// The pool.
    pub pool: String,
    /// The fleet that was handed out; [`Kindmesh::down`](crate::ops::Kindmesh::down) ends the lease.
    pub fleet: String,
    /// The kubeconfig that was written for it.
    pub kubeconfig: PathBuf,
    /// Its clusters, in the order of the description.
    pub clusters: Vec<LeasedCluster>,
    /// Whether it has a mesh that was proven.
    pub proven: bool,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// One cluster of a [`LeaseReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeasedCluster {
    /// What the description calls it.
    pub name: String,
    /// What it is called on the engine.
    pub cluster: String,
    /// Its context in the kubeconfig, by the description's name.
    pub context: String,
}

/// What filling or giving up a pool came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolReport {
    /// The pool.
    pub pool: String,
    /// How many warm members it is to have; 0 when it was given up.
    pub size: u32,
    /// Members that wait.
    pub warm: Vec<String>,
    /// Members that are handed out.
    pub leased: Vec<String>,
    /// Members that are being made or removed, whose maker was killed, or that are of another description.
    pub unfinished: Vec<String>,
    /// Members that were made or completed now.
    pub made: Vec<String>,
    /// Members that were removed now.
    pub removed: Vec<String>,
    /// Whether another process is filling the pool; then nothing was done here.
    pub busy: bool,
    /// False when nothing had to be done.
    pub changed: bool,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// A pool as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// Its name.
    pub pool: String,
    /// How many warm members it is to have; `None` when its record is not in this state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Members that wait.
    pub warm: Vec<String>,
    /// Members that are handed out.
    pub leased: Vec<String>,
    /// Members that are being made or removed, whose maker was killed, or that are of another description.
    pub unfinished: Vec<String>,
    /// Why its record cannot be used, when it cannot: then its size is not known either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
