//! Names and numbers that Istio, its sample and this program agree on.

/// Namespace of control planes and gateways.
pub const SYSTEM_NAMESPACE: &str = "istio-system";
/// Namespace of the sample.
pub const SAMPLE_NAMESPACE: &str = "sample";
/// The sample's service, its Deployments' `app` label.
pub const SERVICE: &str = "helloworld";
/// Port of the sample's service and of its pods.
pub const SERVICE_PORT: u16 = 5000;
/// The service's page whose answer names version and pod.
pub const SERVICE_PATH: &str = "/hello";
/// The client's `app` label.
pub const CLIENT: &str = "curl";
/// Name of every proxy's container.
pub const PROXY: &str = "istio-proxy";
/// Service of the gateway between networks.
pub const GATEWAY: &str = "istio-eastwestgateway";
/// Port on which such gateways pass connections through by their server name.
pub const GATEWAY_PORT: u16 = 15443;
/// Label that says on which network something is.
pub const NETWORK_LABEL: &str = "topology.istio.io/network";
/// ConfigMap with the root that the workloads of a namespace trust.
pub const ROOT_CONFIG_MAP: &str = "istio-ca-root-cert";
/// Its key.
pub const ROOT_KEY: &str = "root-cert.pem";
/// Label of secrets that give istiod access to another cluster.
pub const REMOTE_SECRET_LABEL: &str = "istio/multiCluster";
/// Where an API server listens inside its network.
pub const API_SERVER_PORT: u16 = 6443;
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

/// Name of the remote secret for a cluster; `istioctl create-remote-secret` calls it so.
pub fn remote_secret(cluster: &str) -> String {
    format!("istio-remote-secret-{cluster}")
}
