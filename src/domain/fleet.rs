//! What the user wants: a fleet of clusters on one network.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnetwork::{Ipv4Network, Ipv6Network};
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::lease::Lease;
use super::mesh::MeshSpec;
use super::name::{ClusterName, FleetName};
use super::version::KubernetesVersion;

/// Name of the network shared with kind's own clusters.
pub const SHARED_NETWORK: &str = "kind";
/// Addresses in a cluster's pool unless told otherwise.
pub const DEFAULT_POOL_SIZE: u32 = 25;
/// Smallest pool: fewer cannot serve a sample and three gateways.
pub const MIN_POOL_SIZE: u32 = 4;

/// A fleet: clusters that share a network and are made and removed together. Validated: every
/// value of this type can be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// Name; labels carry it.
    pub name: FleetName,
    /// The network.
    pub network: NetworkSettings,
    /// The clusters, in the order they were named; never empty, names and subnets distinct.
    pub clusters: Vec<ClusterSpec>,
    /// What is installed into every cluster.
    pub addons: Addons,
    /// The mesh over all clusters; `None` makes none.
    pub mesh: Option<MeshSpec>,
    /// How much a node container may do.
    pub privileges: Privileges,
    /// How clusters are bootstrapped.
    pub profile: BootProfile,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// The warm pool that keeps this fleet, for a member of one; see [`warm`](super::warm). No part of a
    /// description.
    #[serde(skip)]
    pub warm: Option<FleetName>,
    /// Who else may remove it, and when; nobody by default. Written on what is created, and not changed on
    /// what is there. No part of a description.
    #[serde(skip)]
    pub lease: Lease,
}

/// One cluster of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Name.
    pub name: ClusterName,
    /// Node image as a reference; `None` means the default for the Kubernetes version.
    pub image: Option<String>,
    /// Kubernetes version; `None` means the default, or what the image holds.
    pub kubernetes_version: Option<KubernetesVersion>,
    /// Control-plane nodes; 1 for now.
    pub control_planes: u32,
    /// Worker nodes.
    pub workers: u32,
    /// Addresses of pods.
    pub pod_subnet: Ipv4Network,
    /// Addresses of services.
    pub service_subnet: Ipv4Network,
    /// Addresses in the LoadBalancer pool, at least [`MIN_POOL_SIZE`].
    pub pool_size: u32,
    /// Address on the engine's host that the API server is published on.
    pub api_server_address: IpAddr,
    /// Port on the engine's host that the API server is published on; `None` picks a free one.
    pub api_server_port: Option<u16>,
}

/// The network of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkSettings {
    /// Name; [`SHARED_NETWORK`] unless the fleet has its own.
    pub name: String,
    /// The fleet's own IPv4 subnet. With it the network is created just so (or must be just so), and
    /// nodes get fixed addresses. Without it the network is shared and made as kind makes it.
    pub ipv4_subnet: Option<Ipv4Network>,
    /// Part of the subnet that the engine hands out by itself; pools stay outside it.
    pub ip_range: Option<Ipv4Network>,
    /// Gateway; the subnet's first address when `None`.
    pub gateway: Option<Ipv4Addr>,
    /// IPv6 subnet.
    pub ipv6_subnet: Option<Ipv6Network>,
    /// MTU of the bridge; copied from the default bridge when `None`.
    pub mtu: Option<u32>,
}

/// What is installed into every cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Addons {
    /// MetalLB; `None` leaves it out.
    pub metallb: Option<MetalLb>,
    /// The echo sample behind a LoadBalancer.
    pub sample: bool,
}

/// How MetalLB is installed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetalLb {
    /// Another manifest in place of ours: the text of it, already read.
    pub manifest: Option<String>,
    /// Path or URL of another manifest, as a fleet file names it; who read that file reads this one
    /// too and puts its text into `manifest`.
    pub manifest_from: Option<String>,
    /// SHA-256 that the text of the other manifest must have; one that a fleet file names by URL has to have one.
    pub manifest_digest: Option<Digest>,
    /// Controller image in place of the pinned one.
    pub controller_image: Option<String>,
    /// Speaker image in place of the pinned one.
    pub speaker_image: Option<String>,
}

/// How much a node container may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privileges {
    /// Privileged where the engine can, reduced where it cannot.
    #[default]
    Auto,
    /// Privileged, as kind runs its nodes.
    Privileged,
    /// Every capability the host has, nothing else.
    Reduced,
}

/// How clusters are bootstrapped, where being quick and being exactly as kind makes them part ways. Both are
/// kubeadm's clusters, and kind's users and tools know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootProfile {
    /// As quickly as it goes: ECDSA keys, one replica of CoreDNS with a quick probe, no leader election for a
    /// single control plane, an etcd that does not wait for the disk, no waiting in steps of seconds.
    #[default]
    Fast,
    /// As kind does it.
    Kind,
}

/// Deadlines of a fleet's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// From a node container's start to a working container runtime in it.
    pub node_boot: Duration,
    /// From `kubeadm init` to every node Ready and every system pod running.
    pub cluster_ready: Duration,
    /// For each add-on, from apply to working.
    pub addon_ready: Duration,
    /// For the mesh, from its first object to every gateway answering and every control plane seeing
    /// the others.
    pub mesh_ready: Duration,
}

// === impl NetworkSettings ===

impl Default for NetworkSettings {
    /// The network shared with kind's clusters, made as kind makes it.
    fn default() -> Self {
        Self { name: SHARED_NETWORK.to_owned(), ipv4_subnet: None, ip_range: None, gateway: None, ipv6_subnet: None, mtu: None }
    }
}

// === impl Timeouts ===

impl Default for Timeouts {
    fn default() -> Self {
        // Ten times what a small machine needs, so that only a stuck step runs into them.
        Self {
            node_boot: Duration::from_secs(60),
            cluster_ready: Duration::from_secs(300),
            addon_ready: Duration::from_secs(180),
            mesh_ready: Duration::from_secs(300),
        }
    }
}

// === impl ClusterSpec ===

impl ClusterSpec {
    /// Number of nodes.
    pub fn nodes(&self) -> u32 {
        self.control_planes + self.workers
    }
}

#[cfg(test)]
pub(crate) mod tests_support {
    //! A fleet to test with.

    use super::*;

    /// A fleet named `test` of `clusters` single-node clusters `c1`, `c2` and so on.
    pub(crate) fn fleet(clusters: u8) -> Fleet {
        let cluster = |n: u8| ClusterSpec {
            name: format!("c{n}").parse().unwrap(),
            image: None,
            kubernetes_version: None,
            control_planes: 1,
            workers: 0,
            pod_subnet: Ipv4Network::new(Ipv4Addr::new(10, n, 0, 0), 16).unwrap(),
            service_subnet: Ipv4Network::new(Ipv4Addr::new(10, 100 + n, 0, 0), 16).unwrap(),
            pool_size: DEFAULT_POOL_SIZE,
            api_server_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            api_server_port: None,
        };
        Fleet {
            name: "test".parse().unwrap(),
            network: NetworkSettings::default(),
            clusters: (1..=clusters).map(cluster).collect(),
            addons: Addons { metallb: Some(MetalLb::default()), sample: false },
            mesh: None,
            privileges: Privileges::Auto,
            profile: BootProfile::default(),
            timeouts: Timeouts::default(),
            warm: None,
            lease: Lease::default(),
        }
    }
}
