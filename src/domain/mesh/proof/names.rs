//! Names and numbers that Istio, its sample and this program agree on.

pub use crate::domain::istio::NETWORK_LABEL;
pub use crate::domain::mesh::objects::{CLIENT, SAMPLE_NAMESPACE, SAMPLE_PORT as SERVICE_PORT, SAMPLE_SERVICE as SERVICE};
pub use crate::domain::mesh::remote_secret::{LABEL as REMOTE_SECRET_LABEL, name as remote_secret};
pub use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
pub use crate::domain::node::API_SERVER_PORT;

/// The service's page whose answer names version and pod.
pub const SERVICE_PATH: &str = "/hello";
/// Name of every proxy's container.
pub const PROXY: &str = "istio-proxy";
/// Service of the gateway between networks.
pub const GATEWAY: &str = "istio-eastwestgateway";
/// Port on which such gateways pass connections through by their server name.
pub const GATEWAY_PORT: u16 = 15443;
/// ConfigMap with the root that the workloads of a namespace trust.
pub const ROOT_CONFIG_MAP: &str = "istio-ca-root-cert";
/// Its key.
pub const ROOT_KEY: &str = "root-cert.pem";
/// Status of a cluster whose objects an istiod has read.
pub const SYNCED: &str = "synced";
/// Fewest calls that prove something: of two pods taken at random, one stays unseen in two of a
/// million runs.
pub const MIN_CALLS: usize = 20;
/// Calls go on until every pod's cluster and version has answered, up to this many times as many as
/// were asked for: with six clusters in turn, one stays unseen in less than one of a million runs.
pub const MOST_ROUNDS: usize = 5;

/// Host name of the sample's service as every cluster's mesh knows it.
pub fn service_host() -> String {
    format!("{SERVICE}.{SAMPLE_NAMESPACE}.svc.cluster.local")
}

/// Envoy's name for the sample's service, seen from a client.
pub fn envoy_cluster() -> String {
    format!("outbound|{SERVICE_PORT}||{}", service_host())
}
