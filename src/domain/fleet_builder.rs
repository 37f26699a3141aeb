//! Builders of fleets: what is not said gets its default, and everything is checked before a
//! [`Fleet`] comes out.

use std::time::Duration;

use super::fleet::{BootProfile, Fleet, MetalLb, Privileges, Timeouts};

mod check;
mod error;
mod mesh;
mod network;
mod subnets;

pub use check::{overlap_with_network, recheck};
pub use error::{FleetError, Place, Problem};
pub use mesh::MeshBuilder;

/// Clusters of a fleet for which no number is named.
pub const DEFAULT_CLUSTERS: u32 = 2;
/// Beginning of the names of clusters that are only counted.
pub const DEFAULT_PREFIX: &str = "cluster";
/// Name of a fleet for which none is named.
pub const DEFAULT_FLEET: &str = "kindmesh";

/// Builds a [`Fleet`]; begin with [`Fleet::builder`].
///
/// ```
/// use kindmesh::domain::fleet::Fleet;
/// use kindmesh::domain::fleet_builder::ClusterBuilder;
///
/// let fleet = Fleet::builder("demo")
///     .cluster(ClusterBuilder::new("east").nodes(3))
///     .cluster(ClusterBuilder::new("west").pod_subnet("10.20.0.0/16"))
///     .sample(true)
///     .build()?;
/// assert_eq!(fleet.clusters[0].workers, 2);
/// # Ok::<(), kindmesh::domain::fleet_builder::FleetError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct FleetBuilder {
    name: String,
    count: Option<u32>,
    prefix: String,
    clusters: Vec<ClusterBuilder>,
    defaults: ClusterBuilder,
    network: NetworkBuilder,
    metallb: Option<MetalLb>,
    sample: bool,
    mesh: Option<MeshBuilder>,
    privileges: Privileges,
    profile: BootProfile,
    timeouts: Timeouts,
}

/// Builds one cluster of a fleet; what is not said is the fleet's, or its default.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ClusterBuilder {
    name: String,
    nodes: Option<u32>,
    control_planes: Option<u32>,
    image: Option<String>,
    kubernetes_version: Option<String>,
    pod_subnet: Option<String>,
    service_subnet: Option<String>,
    pool_size: Option<u32>,
    api_server_address: Option<String>,
    api_server_port: Option<u16>,
}

/// Builds the network of a fleet. Without a subnet it is the network shared with kind.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct NetworkBuilder {
    name: Option<String>,
    subnet: Option<String>,
    ip_range: Option<String>,
    gateway: Option<String>,
    ipv6_subnet: Option<String>,
    mtu: Option<u32>,
}

// === impl Fleet ===

impl Fleet {
    /// A builder for a fleet of this name, with two clusters unless told otherwise.
    pub fn builder(name: impl Into<String>) -> FleetBuilder {
        FleetBuilder {
            name: name.into(),
            count: None,
            prefix: DEFAULT_PREFIX.to_owned(),
            clusters: Vec::new(),
            defaults: ClusterBuilder::default(),
            network: NetworkBuilder::default(),
            metallb: Some(MetalLb::default()),
            sample: false,
            mesh: None,
            privileges: Privileges::default(),
            profile: BootProfile::default(),
            timeouts: Timeouts::default(),
        }
    }
}

// === impl FleetBuilder ===

impl FleetBuilder {
    /// This many clusters, named by the prefix and counted from 1, before those that are described.
    pub fn clusters(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// One more cluster.
    pub fn cluster(mut self, cluster: ClusterBuilder) -> Self {
        self.clusters.push(cluster);
        self
    }

    /// Beginning of the names of counted clusters; [`DEFAULT_PREFIX`] unless set.
    pub fn cluster_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The network.
    pub fn network(mut self, network: NetworkBuilder) -> Self {
        self.network = network;
        self
    }

    /// Node image of clusters that name none.
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.defaults.image = Some(image.into());
        self
    }

    /// Kubernetes version of clusters that name none.
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.defaults.kubernetes_version = Some(version.into());
        self
    }

    /// Nodes of clusters that name no number: one control plane and the rest workers.
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.defaults.nodes = Some(nodes);
        self
    }

    /// Addresses in the pools of clusters that name no number.
    pub fn pool_size(mut self, size: u32) -> Self {
        self.defaults.pool_size = Some(size);
        self
    }

    /// Whether the echo sample is installed.
    pub fn sample(mut self, sample: bool) -> Self {
        self.sample = sample;
        self
    }

    /// How MetalLB is installed; `None` leaves it out.
    pub fn metallb(mut self, metallb: Option<MetalLb>) -> Self {
        self.metallb = metallb;
        self
    }

    /// The mesh over all clusters; `None` makes none, which is the default.
    pub fn mesh(mut self, mesh: impl Into<Option<MeshBuilder>>) -> Self {
        self.mesh = mesh.into();
        self
    }

    /// How much node containers may do.
    pub fn privileges(mut self, privileges: Privileges) -> Self {
        self.privileges = privileges;
        self
    }

    /// How clusters are bootstrapped.
    pub fn profile(mut self, profile: BootProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Deadlines.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Fills in the defaults and checks everything.
    ///
    /// # Errors
    /// [`FleetError`] with the first thing that is wrong.
    pub fn build(self) -> Result<Fleet, FleetError> {
        check::build(self)
    }
}

// === impl ClusterBuilder ===

impl ClusterBuilder {
    /// A cluster of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Number of nodes: one control plane and the rest workers.
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.nodes = Some(nodes);
        self
    }

    /// How many of the nodes are control planes; only 1 for now.
    pub fn control_planes(mut self, control_planes: u32) -> Self {
        self.control_planes = Some(control_planes);
        self
    }

    /// Node image.
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.image = Some(image.into());
        self
    }

    /// Kubernetes version (`v1.34.4`).
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.kubernetes_version = Some(version.into());
        self
    }

    /// Addresses of pods, CIDR.
    pub fn pod_subnet(mut self, subnet: impl Into<String>) -> Self {
        self.pod_subnet = Some(subnet.into());
        self
    }

    /// Addresses of services, CIDR.
    pub fn service_subnet(mut self, subnet: impl Into<String>) -> Self {
        self.service_subnet = Some(subnet.into());
        self
    }

    /// Addresses in the pool.
    pub fn pool_size(mut self, size: u32) -> Self {
        self.pool_size = Some(size);
        self
    }

    /// Address on the engine's host that the API server is published on.
    pub fn api_server_address(mut self, address: impl Into<String>) -> Self {
        self.api_server_address = Some(address.into());
        self
    }

    /// Port on the engine's host that the API server is published on.
    pub fn api_server_port(mut self, port: u16) -> Self {
        self.api_server_port = Some(port);
        self
    }
}

// === impl NetworkBuilder ===

impl NetworkBuilder {
    /// The network shared with kind, or another one made like it when it gets a name.
    pub fn shared() -> Self {
        Self::default()
    }

    /// A network of the fleet's own, with this IPv4 subnet.
    pub fn own(subnet: impl Into<String>) -> Self {
        Self { subnet: Some(subnet.into()), ..Self::default() }
    }

    /// Name; the fleet's, for a network of its own.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// IPv4 subnet, CIDR: makes it a network of the fleet's own.
    pub fn subnet(mut self, subnet: impl Into<String>) -> Self {
        self.subnet = Some(subnet.into());
        self
    }

    /// Part of the subnet that the engine hands out by itself, CIDR.
    pub fn ip_range(mut self, range: impl Into<String>) -> Self {
        self.ip_range = Some(range.into());
        self
    }

    /// Gateway.
    pub fn gateway(mut self, gateway: impl Into<String>) -> Self {
        self.gateway = Some(gateway.into());
        self
    }

    /// IPv6 subnet, CIDR.
    pub fn ipv6_subnet(mut self, subnet: impl Into<String>) -> Self {
        self.ipv6_subnet = Some(subnet.into());
        self
    }

    /// MTU in bytes.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = Some(mtu);
        self
    }
}

/// Deadlines by their names in a fleet file.
fn deadlines(timeouts: &Timeouts) -> [(&'static str, Duration); 4] {
    [
        ("nodeBoot", timeouts.node_boot),
        ("clusterReady", timeouts.cluster_ready),
        ("addonReady", timeouts.addon_ready),
        ("meshReady", timeouts.mesh_ready),
    ]
}

#[cfg(test)]
mod tests;
