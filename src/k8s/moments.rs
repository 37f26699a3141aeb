//! When what makes a cluster usable was there, as its API server recorded it: to the second.

use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use super::client::ApiServer;
use super::error::Result;

/// Something that happened in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterMoment {
    /// What happened.
    pub name: String,
    /// The node it happened on, if on one.
    pub node: Option<String>,
    /// When, seconds since 1970.
    pub at: i64,
}

/// Reads them: CoreDNS ready, a moment for each of its pods, and the default service account made.
///
/// # Errors
/// The requests'.
pub async fn moments(server: &ApiServer) -> Result<Vec<ClusterMoment>> {
    let pods: Api<Pod> = Api::namespaced(server.client(), "kube-system");
    let accounts: Api<ServiceAccount> = Api::namespaced(server.client(), "default");
    let dns = ListParams::default().labels("k8s-app=kube-dns");
    let (pods, account) =
        tokio::try_join!(async { pods.list(&dns).await.map_err(|error| server.error("list", "pods of CoreDNS", &error)) }, async {
            accounts.get_opt("default").await.map_err(|error| server.error("read", "ServiceAccount default/default", &error))
        },)?;
    let mut moments: Vec<ClusterMoment> = pods.items.iter().filter_map(ready).collect();
    let made = account.as_ref().and_then(ResourceExt::creation_timestamp).map(|time| time.0.as_second());
    moments.extend(made.map(|at| ClusterMoment { name: "default service account".to_owned(), node: None, at }));
    Ok(moments)
}

/// When a pod of CoreDNS became ready, if it is.
fn ready(pod: &Pod) -> Option<ClusterMoment> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let ready = conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    let at = ready.last_transition_time.as_ref()?.0.as_second();
    Some(ClusterMoment { name: "CoreDNS ready".to_owned(), node: pod.spec.as_ref()?.node_name.clone(), at })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mock;
    use super::*;

    #[tokio::test]
    async fn a_pod_that_is_not_ready_has_no_moment() {
        let pod = |name: &str, status: &str| {
            json!({"metadata": {"name": name}, "spec": {"nodeName": "n1", "containers": []}, "status": {"conditions": [
                {"type": "Ready", "status": status, "lastTransitionTime": "2026-11-22T22:46:13Z"}]}})
        };
        let (server, _) = mock::server(move |_, path, _| match path {
            "/api/v1/namespaces/kube-system/pods" => {
                (200, json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [pod("a", "True"), pod("b", "False")]}))
            }
            _ => mock::failure(404, "no such account"),
        });
        let ready = ClusterMoment { name: "CoreDNS ready".to_owned(), node: Some("n1".to_owned()), at: 1_795_387_573 };
        assert_eq!(moments(&server).await.unwrap(), [ready]);
    }
}
