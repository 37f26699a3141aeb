//! What can be wrong with the description of a fleet, and where.

use std::fmt;
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use crate::domain::digest::{Digest, DigestError};
use crate::domain::fleet::MIN_POOL_SIZE;
use crate::domain::image::ImageError;
use crate::domain::istio::RepositoryError;
use crate::domain::mesh::spec::MAX_MESH_ID;
use crate::domain::name::{ClusterName, NameError};
use crate::domain::version::{IstioVersion, VersionError};

/// A fleet that cannot be: where, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct FleetError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    #[source]
    pub problem: Problem,
}

/// A place in the description of a fleet, spelled as in a fleet file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A field of the fleet itself.
    Fleet(&'static str),
    /// A field of the network.
    Network(&'static str),
    /// A field of a cluster, counted from 0.
    Cluster(usize, &'static str),
    /// A field of the MetalLB add-on.
    MetalLb(&'static str),
    /// A field of the mesh, with the parts it is in (`istio.version`).
    Mesh(&'static str),
    /// A deadline.
    Timeouts(&'static str),
}

/// What is wrong with a fleet; one variant per rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// No image reference.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A version older than what can be built.
    #[error("Kubernetes {version} is too old; v1.{minimum}.0 and later work")]
    TooOld {
        /// The version.
        version: String,
        /// Oldest minor.
        minimum: u32,
    },
    /// Two clusters of one name.
    #[error("the name '{name}' is taken by another cluster of the fleet")]
    NameTaken {
        /// The name.
        name: ClusterName,
    },
    /// No clusters at all.
    #[error("a fleet has at least one cluster")]
    NoClusters,
    /// A cluster without nodes.
    #[error("a cluster has at least one node, its control plane")]
    NoNodes,
    /// Several control planes.
    #[error("{count} control planes are not possible yet: one for now, and any number of workers")]
    ControlPlanes {
        /// How many were asked for.
        count: u32,
    },
    /// A pool too small.
    #[error("a pool of {size} addresses is too small; at least {MIN_POOL_SIZE} are needed")]
    PoolSize {
        /// Addresses asked for.
        size: u32,
    },
    /// A text that is no subnet, address and the like.
    #[error("'{text}' is no {what}")]
    Syntax {
        /// The text.
        text: String,
        /// What was expected, with an example.
        what: &'static str,
    },
    /// A subnet that clusters cannot use.
    #[error("the subnet {subnet} is reserved for {purpose}")]
    Special {
        /// The subnet.
        subnet: String,
        /// What for.
        purpose: &'static str,
    },
    /// Pods of some nodes would have no addresses.
    #[error("the pod subnet {subnet} is too small: every node takes a /24, of which it has {blocks} and needs {nodes}")]
    PodSubnetTooSmall {
        /// The subnet.
        subnet: Ipv4Network,
        /// Nodes of the cluster.
        nodes: u32,
        /// Blocks of a /24 in the subnet.
        blocks: u64,
    },
    /// A service subnet out of bounds.
    #[error("the service subnet {subnet} is out of bounds: at least a /28, at most a /12")]
    ServiceSubnet {
        /// The subnet.
        subnet: Ipv4Network,
    },
    /// A network's subnet out of bounds.
    #[error("the network's subnet {subnet} is out of bounds: at least a /28, at most a /8")]
    NetworkSubnet {
        /// The subnet.
        subnet: Ipv4Network,
    },
    /// Two subnets share addresses.
    #[error("the {what} {subnet} overlaps the {other_what} {other}")]
    Overlap {
        /// What the subnet is for (`pod subnet of east`).
        what: String,
        /// The subnet.
        subnet: Ipv4Network,
        /// What the other is for.
        other_what: String,
        /// The other.
        other: Ipv4Network,
    },
    /// All default subnets are in use.
    #[error("no default subnet is left for it; name one")]
    NoSubnetLeft,
    /// A field of an own network where there is none.
    #[error("it needs a subnet of the fleet's own beside it")]
    NeedsSubnet,
    /// Something is not inside the network's subnet.
    #[error("{what} {value} is not inside the subnet {subnet}")]
    OutsideNetwork {
        /// What.
        what: &'static str,
        /// Its value.
        value: String,
        /// The network's subnet.
        subnet: Ipv4Network,
    },
    /// The gateway lies among the addresses for something else, or is none a host can have.
    #[error("the gateway {gateway} is the network or broadcast address of {subnet}")]
    Gateway {
        /// The gateway.
        gateway: Ipv4Addr,
        /// The network's subnet.
        subnet: Ipv4Network,
    },
    /// Nodes and pools find no place on the own network.
    #[error(
        "the subnet {subnet} has {hosts} host addresses: nodes need {nodes}, pools {pools} (each in one piece), the gateway 1, \
         and the engine at least 1 to hand out{beside}"
    )]
    NoRoom {
        /// The network's subnet.
        subnet: Ipv4Network,
        /// Its host addresses.
        hosts: u64,
        /// Nodes of all clusters.
        nodes: u32,
        /// Addresses of all pools.
        pools: u64,
        /// Names the engine's own range, when the user set it.
        beside: String,
    },
    /// A number out of bounds.
    #[error("{value} is out of bounds: {min} to {max}")]
    Bounds {
        /// The number.
        value: u32,
        /// Smallest.
        min: u32,
        /// Largest.
        max: u32,
    },
    /// One port for two clusters.
    #[error("port {port} is taken by the cluster {other}")]
    PortTaken {
        /// The port.
        port: u16,
        /// The other cluster.
        other: ClusterName,
    },
    /// A sample without what makes it reachable.
    #[error("the sample needs MetalLB")]
    SampleWithoutMetalLb,
    /// A mesh without what gives its gateways addresses.
    #[error("the mesh needs MetalLB: the other clusters find its gateways by their addresses")]
    MeshWithoutMetalLb,
    /// No mesh id.
    #[error("'{id}' is no mesh id: 1 to {MAX_MESH_ID} letters, digits, '-', '_' and '.', a letter or a digit at both ends")]
    MeshId {
        /// The text.
        id: String,
    },
    /// An Istio older than what can be installed.
    #[error("Istio {version} is too old; 1.{minimum}.0 and later work")]
    IstioTooOld {
        /// The version.
        version: IstioVersion,
        /// Oldest minor.
        minimum: u32,
    },
    /// A file that is of no use without another.
    #[error("it needs {other} beside it")]
    Alone {
        /// The field of the other.
        other: &'static str,
    },
    /// No repository of charts.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// No digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A manifest with another digest than it must have.
    #[error("the manifest has the digest {found}, not {expected}")]
    OtherManifest {
        /// What it should have.
        expected: Digest,
        /// What it has.
        found: Digest,
    },
    /// Something about a download where nothing is downloaded.
    #[error("it is about a download, and {other} says where the charts are; leave one of them out")]
    InVain {
        /// The field of the other.
        other: &'static str,
    },
    /// A path that names nothing.
    #[error("the path is empty")]
    EmptyPath,
    /// A deadline of nothing.
    #[error("a deadline is longer than nothing")]
    NoTime,
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Fleet(field) => f.write_str(field),
            Place::Network(field) => write!(f, "network.{field}"),
            Place::Cluster(index, field) => write!(f, "clusters[{index}].{field}"),
            Place::MetalLb(field) => write!(f, "addons.metallb.{field}"),
            Place::Mesh(field) => write!(f, "mesh.{field}"),
            Place::Timeouts(field) => write!(f, "timeouts.{field}"),
        }
    }
}
