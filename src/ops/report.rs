//! What operations return: plain data, serialized as documented JSON.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::mesh::VerifyReport;
use crate::domain::net::ranges::AddrRanges;

/// What `up` made or found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpReport {
    /// Name of the fleet.
    pub fleet: String,
    /// Name of the network.
    pub network: String,
    /// `privileged` or `reduced`.
    pub privileges: String,
    /// The clusters, in the order of the fleet file.
    pub clusters: Vec<ClusterReport>,
    /// The mesh, when the fleet has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshReport>,
    /// False when everything was there already.
    pub changed: bool,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// The mesh of an [`UpReport`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshReport {
    /// Mesh id.
    pub id: String,
    /// Its members, in the order of the fleet file.
    pub clusters: Vec<MeshMember>,
    /// Whether the sample runs in every cluster; with an ingress gateway it answers there at `/hello`.
    pub sample: bool,
    /// What proved it; `None` when that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<VerifyReport>,
    /// False when everything was there already.
    pub changed: bool,
}

/// A cluster of a mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshMember {
    /// Name of the cluster, and its id in the mesh.
    pub cluster: String,
    /// Name of its network in the mesh.
    pub network: String,
    /// Address through which the other clusters call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub east_west_gateway: Option<IpAddr>,
    /// Address through which the outside calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_gateway: Option<IpAddr>,
    /// Address of the gateway through which calls leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_gateway: Option<IpAddr>,
}

/// One cluster of an [`UpReport`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterReport {
    /// Name.
    pub name: String,
    /// Kubeconfig context (`kind-<name>`).
    pub context: String,
    /// Kubernetes version of the control plane.
    pub kubernetes_version: String,
    /// Node image.
    pub image: String,
    /// API server as this machine reaches it.
    pub api_server: String,
    /// Names of the nodes.
    pub nodes: Vec<String>,
    /// LoadBalancer addresses of the cluster.
    pub pool: AddrRanges,
    /// Address of the sample, when it is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_address: Option<IpAddr>,
    /// False when everything was there already.
    pub changed: bool,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// What `down` removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DownReport {
    /// Clusters removed.
    pub clusters: Vec<String>,
    /// Containers removed.
    pub containers: Vec<String>,
    /// Number of volumes removed with them.
    pub volumes: usize,
    /// Networks removed.
    pub networks: Vec<String>,
    /// Networks this fleet made that are still used by others.
    pub networks_kept: Vec<String>,
    /// Kubeconfig files that had entries, and those of leases.
    pub kubeconfigs: Vec<String>,
    /// Warm pools that were given up.
    pub pools: Vec<String>,
    /// Members of these pools that stay, because they are leased.
    pub leases_kept: Vec<String>,
}

/// A fleet as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetStatus {
    /// Name.
    pub name: String,
    /// Networks its nodes are on.
    pub networks: Vec<String>,
    /// Its clusters, by name.
    pub clusters: Vec<ClusterStatus>,
}

/// A cluster as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Name.
    pub name: String,
    /// Pool recorded for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<AddrRanges>,
    /// API server as this machine reaches it; `None` while it is not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_server: Option<String>,
    /// Kubernetes version of the API server; `None` while it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Why the API server does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Nodes.
    pub nodes: Vec<NodeEntry>,
    /// Services of type LoadBalancer.
    pub services: Vec<ServiceStatus>,
    /// Its part in a mesh; `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshStatus>,
}

/// A cluster's part in a mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshStatus {
    /// Mesh id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Version of the control plane: the tag of its image.
    pub version: String,
    /// Network in the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Address through which the other clusters call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub east_west_gateway: Option<IpAddr>,
    /// Address through which the outside calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_gateway: Option<IpAddr>,
    /// Address of the gateway through which calls leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_gateway: Option<IpAddr>,
    /// Clusters that it has remote secrets for.
    pub remote_clusters: Vec<String>,
    /// Why the control plane is not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A node container, and the Kubernetes node in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeEntry {
    /// Name of container, host and Kubernetes node.
    pub name: String,
    /// Cluster.
    pub cluster: String,
    /// Role (`control-plane`, `worker`).
    pub role: String,
    /// State of the container.
    pub state: String,
    /// IPv4 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Image.
    pub image: String,
    /// Whether Kubernetes says Ready; `None` when it was not asked or does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
}

/// A service with an address of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Address; `None` while none is assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Ports (`80/TCP`).
    pub ports: Vec<String>,
}

/// A cluster on the engine, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterEntry {
    /// Name.
    pub name: String,
    /// Fleet it belongs to; `None` when kind or another tool made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Number of nodes.
    pub nodes: usize,
    /// Number of nodes that run.
    pub running: usize,
}

pub(super) fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Milliseconds are enough for a person and keep the JSON short.
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}
