//! Nodes as the API server knows them.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Node, Taint};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::client::ApiServer;
use super::deadline::{Deadline, Observer};
use super::error::{K8sError, RequestErrorKind, Result};
use super::retry::healing;
use super::state;

/// Taints kubeadm puts on control planes; the second name is the one of versions before 1.25.
const CONTROL_PLANE_TAINTS: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// Label of a control plane, whose value is empty, as kubeadm gives it.
const ROLE_LABEL: &str = "node-role.kubernetes.io/control-plane";
/// Label kubeadm puts on control planes to keep load balancers away from them.
const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// Name.
    pub name: String,
    /// Whether it runs the control plane.
    pub control_plane: bool,
    /// Whether it is ready, or the reason why not.
    pub ready: Result<(), String>,
    /// Version of its kubelet (`v1.34.4`).
    pub kubelet: String,
    /// Its addresses inside the cluster's network.
    pub addresses: Vec<IpAddr>,
}

/// Lists the nodes, by name.
///
/// # Errors
/// The request's.
pub async fn list(server: &ApiServer) -> Result<Vec<NodeState>> {
    let mut nodes: Vec<NodeState> = read(server).await?.iter().map(NodeState::of).collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

/// Lets the only node of a cluster run pods and announce addresses, as kind does; with several
/// nodes nothing is touched. Returns whether something changed.
///
/// # Errors
/// The request's, or `Timeout`.
pub async fn open_single_node(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<bool> {
    // The node's own controllers write to it all the time; what they changed first is read again.
    let changed_meanwhile = |error: &K8sError| error.kind() == Some(RequestErrorKind::Conflict);
    healing("the only node to be opened for pods", deadline, observer, changed_meanwhile, || async {
        let nodes = read(server).await?;
        let [node] = nodes.as_slice() else { return Ok(false) };
        let Some(patch) = opening(node) else { return Ok(false) };
        let (api, name) = (Api::<Node>::all(server.client()), node.name_any());
        let patched = api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.map(|_| true).map_err(|error| server.error("open", format!("node {name}"), &error))
    })
    .await
}

/// Deletes a node; one that is not there is no error.
///
/// # Errors
/// The request's.
pub async fn delete(server: &ApiServer, name: &str) -> Result<()> {
    match Api::<Node>::all(server.client()).delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(server.error("delete", format!("node {name}"), &error)),
    }
}

async fn read(server: &ApiServer) -> Result<Vec<Node>> {
    let api: Api<Node> = Api::all(server.client());
    let nodes = api.list(&ListParams::default()).await.map_err(|error| server.error("list", "nodes", &error))?;
    Ok(nodes.items)
}

/// The change that opens a node, bound to the version it was read at; `None` for an open one.
fn opening(node: &Node) -> Option<Value> {
    let taints: &[Taint] = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let (closing, kept): (Vec<&Taint>, Vec<&Taint>) = taints.iter().partition(|taint| CONTROL_PLANE_TAINTS.contains(&taint.key.as_str()));
    let excluded = node.labels().contains_key(EXCLUDE_LABEL);
    let unnamed = !node.labels().contains_key(ROLE_LABEL);
    if closing.is_empty() && !excluded && !unnamed {
        return None;
    }
    let mut patch = json!({ "metadata": { "resourceVersion": node.resource_version() } });
    if excluded {
        patch["metadata"]["labels"][EXCLUDE_LABEL] = Value::Null;
    }
    if unnamed {
        patch["metadata"]["labels"][ROLE_LABEL] = json!("");
    }
    if !closing.is_empty() {
        patch["spec"] = json!({ "taints": kept });
    }
    Some(patch)
}

// === impl NodeState ===

impl NodeState {
    fn of(node: &Node) -> Self {
        let status = node.status.as_ref();
        let addresses = status.into_iter().flat_map(|status| status.addresses.iter().flatten());
        Self {
            name: node.name_any(),
            control_plane: CONTROL_PLANE_TAINTS.iter().any(|role| node.labels().contains_key(*role)),
            ready: state::node(node),
            kubelet: status.and_then(|status| status.node_info.as_ref()).map(|info| info.kubelet_version.clone()).unwrap_or_default(),
            addresses: addresses
                .filter(|address| address.type_ == "InternalIP")
                .filter_map(|address| address.address.parse().ok())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(labels: Value, taints: Value) -> Node {
        let metadata = json!({"name": "n", "resourceVersion": "7", "labels": labels});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"taints": taints}})).unwrap()
    }

    #[test]
    fn an_open_node_is_left_alone() {
        assert_eq!(opening(&node(json!({ROLE_LABEL: ""}), json!([]))), None);
        assert_eq!(opening(&node(json!({ROLE_LABEL: "", "a": "b"}), json!([{"key": "mine", "effect": "NoSchedule"}]))), None);
    }

    #[test]
    fn only_what_closes_the_node_is_removed() {
        let taints = json!([
            {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
            {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
        ]);
        let expected = json!({
            "metadata": {"resourceVersion": "7", "labels": {EXCLUDE_LABEL: null}},
            "spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},
        });
        assert_eq!(opening(&node(json!({ROLE_LABEL: "", EXCLUDE_LABEL: ""}), taints)), Some(expected));
    }

    #[test]
    fn the_only_node_is_named_a_control_plane() {
        let expected = json!({"metadata": {"resourceVersion": "7", "labels": {ROLE_LABEL: ""}}});
        assert_eq!(opening(&node(json!({}), json!([]))), Some(expected));
    }
}
