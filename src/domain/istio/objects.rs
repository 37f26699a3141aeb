//! What stands around the charts: the namespace, and the way in for the other clusters.

use serde_json::json;

use super::gateway::GatewayKind;
use crate::domain::manifest::{ManifestError, Object};
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;

/// Label that says which network a namespace's or a service's workloads are in.
pub const NETWORK_LABEL: &str = "topology.istio.io/network";
/// Name of the Gateway object that lets the other clusters in; Istio's own for it.
pub const CROSS_NETWORK_GATEWAY: &str = "cross-network-gateway";

/// The control plane's namespace. istiod reads its label when it starts, so this comes first.
pub(super) fn namespace(network: &str) -> Result<Object, ManifestError> {
    Object::try_from(json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": SYSTEM_NAMESPACE, "labels": { NETWORK_LABEL: network } },
    }))
}

/// Every service of the mesh, reachable through the east-west gateway by the name in the TLS handshake; the gateway
/// passes the encrypted bytes on as they are.
pub(super) fn cross_network_gateway() -> Result<Object, ManifestError> {
    Object::try_from(json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": { "name": CROSS_NETWORK_GATEWAY, "namespace": SYSTEM_NAMESPACE },
        "spec": {
            "selector": { "istio": GatewayKind::EastWest.selector() },
            "servers": [{
                "port": { "number": 15443, "name": "tls", "protocol": "TLS" },
                "tls": { "mode": "AUTO_PASSTHROUGH" },
                "hosts": ["*.local"],
            }],
        },
    }))
}
