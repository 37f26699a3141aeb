//! Remote secrets: what lets one cluster's control plane read another cluster.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::spec::SYSTEM_NAMESPACE;
use crate::domain::kubeconfig::server_url;
use crate::domain::manifest::{ManifestError, Object};
use crate::domain::name::{ClusterName, Role};
use crate::domain::node::API_SERVER_PORT;

/// Label by which istiod finds remote secrets.
pub const LABEL: &str = "istio/multiCluster";
/// Annotation that names the cluster a remote secret is for.
pub const CLUSTER_ANNOTATION: &str = "networking.istio.io/cluster";
/// What the names of remote secrets begin with, as Istio's own tools make them.
pub const NAME_PREFIX: &str = "istio-remote-secret-";

/// How a cluster is read from others.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The cluster; the id under which every control plane knows it.
    pub cluster: ClusterName,
    /// Address of its API server, as pods of other clusters reach it.
    pub server: String,
    /// Certificate authority of its API server, PEM.
    pub ca: String,
    /// Token of the reader's account.
    pub token: String,
}

/// The address of a cluster's API server for pods of other clusters: the name of its first control
/// plane, which the engine's DNS resolves for every node on the network, pods in them included. A
/// name stays when a restarted node gets another address.
pub fn server(cluster: &ClusterName) -> String {
    server_url(&cluster.node(Role::ControlPlane, 1), API_SERVER_PORT)
}

/// Name of the remote secret for a cluster.
pub fn name(cluster: &str) -> String {
    format!("{NAME_PREFIX}{cluster}")
}

// === impl Access ===

impl Access {
    /// The secret to be put into every other cluster.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_secret(&self) -> Result<Object, ManifestError> {
        let cluster = self.cluster.as_str();
        // JSON is YAML; istiod reads either.
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": cluster,
            "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": STANDARD.encode(&self.ca), "server": self.server}}],
            "users": [{"name": cluster, "user": {"token": self.token}}],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        });
        Object::try_from(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": name(cluster), "namespace": SYSTEM_NAMESPACE,
                "labels": {LABEL: "true", "app.kubernetes.io/managed-by": "kindmesh"},
                "annotations": {CLUSTER_ANNOTATION: cluster},
            },
            "data": {cluster: STANDARD.encode(kubeconfig.to_string())},
        }))
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("cluster", &self.cluster).field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn it_has_the_shape_istiod_reads() {
        let cluster: ClusterName = "west".parse().unwrap();
        let access = Access { server: server(&cluster), cluster, ca: "PEM".to_owned(), token: "secret-token".to_owned() };
        let secret = access.to_secret().unwrap();
        assert_eq!(secret.id().name, "istio-remote-secret-west");
        assert_eq!(secret.value()["metadata"]["labels"][LABEL], "true");
        assert_eq!(secret.value()["metadata"]["annotations"][CLUSTER_ANNOTATION], "west");
        let config: Value = serde_json::from_slice(&STANDARD.decode(secret.value()["data"]["west"].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://west-control-plane:6443");
        assert_eq!(config["clusters"][0]["cluster"]["certificate-authority-data"], "UEVN");
        assert_eq!(config["current-context"], "west");
        assert_eq!(config["users"][0]["user"]["token"], "secret-token");
        assert!(!format!("{access:?}").contains("secret-token"));
    }
}
