//! Label keys on containers and networks: the only memory there is.

/// Name of the cluster a container belongs to; kind's own key, read by its users' tools.
pub const CLUSTER: &str = "io.x-k8s.kind.cluster";
/// Role of a node container; kind's own key. Values: see [`Role`](super::name::Role).
pub const ROLE: &str = "io.x-k8s.kind.role";
/// Name of the fleet that made a container or network.
pub const FLEET: &str = "dev.kindmesh.fleet";
/// The cluster's address pool, `first-last`.
pub const POOL: &str = "dev.kindmesh.pool";
/// On a volume: the container whose cluster has another pool than its label says; the volume's own
/// [`POOL`] counts.
pub const RESIZED: &str = "dev.kindmesh.resized";
/// The node's fixed IPv4 address on a network of the fleet's own; the engine tells it only while the node
/// runs.
pub const ADDRESS: &str = "dev.kindmesh.address";
/// The part of the cluster's description that cannot be changed in place; see
/// [`spec_record`](super::spec_record).
pub const SPEC: &str = "dev.kindmesh.spec";
/// Version of kindmesh that made the object.
pub const VERSION: &str = "dev.kindmesh.version";
/// On a node image: it carries Istio for its nodes, in this version.
pub const ISTIO: &str = "dev.kindmesh.istio";
/// The warm pool that a fleet is kept in, from its creation until it is removed; see [`warm`](super::warm).
pub const WARM: &str = "dev.kindmesh.warm";
/// On the nodes of a pool's member: what it was made by, as [`warm::digest`](super::warm::digest) tells it.
pub const DESCRIPTION: &str = "dev.kindmesh.description";
/// On the marker of a lease: the kubeconfig file that was written for it, an absolute path.
pub const KUBECONFIG: &str = "dev.kindmesh.kubeconfig";
/// When the fleet is given up, in UTC (`2026-11-23T18:30:00Z`); see [`lease`](super::lease).
pub const EXPIRES: &str = "dev.kindmesh.expires";
/// On a volume: the fleet ends at the volume's own [`EXPIRES`], whatever its containers say; of several the one with the
/// highest number here counts.
pub const END: &str = "dev.kindmesh.end";
/// Who holds the fleet: it is given up when its owner is gone; see [`lease`](super::lease).
pub const OWNER: &str = "dev.kindmesh.owner";
/// Marks a container that is no node, with its purpose (`probe`, `doctor`, `build`, `lease`, `discard`, `holder`).
pub const HELPER: &str = "dev.kindmesh.helper";
/// On a volume that is a ticket of who works on the fleet: see [`ticket`](super::ticket).
pub const LOCK: &str = "dev.kindmesh.lock";
/// How the container is allowed to do its work; see [`Profile::to_label`](super::node::Profile::to_label).
pub const PRIVILEGES: &str = "dev.kindmesh.privileges";
