//! A mesh's objects as the API server has them: labels, the gateway, secrets, pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Namespace, Pod, Secret, Service};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use kube::config::Kubeconfig;

use super::client::ApiServer;
use super::error::{K8sError, Result};
use super::{metallb, state};
use crate::domain::mesh::proof::names;
use crate::domain::mesh::proof::view::{Announced, GatewayView, PodView, RemoteSecret};

/// Labels that ask for injection: `istio-injection=enabled`, or a revision's.
const INJECTION_LABEL: &str = "istio-injection";
const REVISION_LABEL: &str = "istio.io/rev";

/// Image of a proxy whose pod was not injected: the placeholder stays.
const NOT_INJECTED: &str = "auto";

/// The labels of a namespace; `None` when there is no such one.
async fn namespace(server: &ApiServer, name: &str) -> Result<Option<Namespace>> {
    let api: Api<Namespace> = Api::all(server.client());
    api.get_opt(name).await.map_err(|error| server.error("read", format!("namespace {name}"), &error))
}

/// Network label of the control plane's namespace.
///
/// # Errors
/// The request's.
pub async fn namespace_network(server: &ApiServer) -> Result<Option<String>> {
    let namespace = namespace(server, names::SYSTEM_NAMESPACE).await?;
    Ok(namespace.and_then(|namespace| namespace.labels().get(names::NETWORK_LABEL).cloned()))
}

/// Whether pods of the sample's namespace are to be injected.
///
/// # Errors
/// The request's.
pub async fn namespace_injected(server: &ApiServer) -> Result<bool> {
    let namespace = namespace(server, names::SAMPLE_NAMESPACE).await?;
    let label = |key: &str| namespace.as_ref().and_then(|namespace| namespace.labels().get(key).cloned());
    Ok(match label(INJECTION_LABEL) {
        Some(value) => value == "enabled",
        None => label(REVISION_LABEL).is_some(),
    })
}

/// The gateway between networks; `None` without its service.
///
/// # Errors
/// The request's.
pub async fn gateway(server: &ApiServer) -> Result<Option<GatewayView>> {
    let object = format!("service {}/{}", names::SYSTEM_NAMESPACE, names::GATEWAY);
    let services: Api<Service> = Api::namespaced(server.client(), names::SYSTEM_NAMESPACE);
    let Some(service) = services.get_opt(names::GATEWAY).await.map_err(|error| server.error("read", object, &error))? else {
        return Ok(None);
    };
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
    let selector = selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let (pods, announced) = tokio::join!(list_pods(server, names::SYSTEM_NAMESPACE, &selector), announcers(server));
    Ok(Some(GatewayView {
        network: service.labels().get(names::NETWORK_LABEL).cloned(),
        address: state::service_address(&service).and_then(|address| address.parse().ok()),
        listens: service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).any(|port| port.port == i32::from(names::GATEWAY_PORT)),
        announced: announced.map_err(|error| error.to_string()),
        pods: pods?.iter().map(pod_view).collect(),
    }))
}

/// Who announces the gateway's address, where MetalLB does and tells.
async fn announcers(server: &ApiServer) -> Result<Announced> {
    let api = Api::<DynamicObject>::all_with(server.client(), &metallb::resource("ServiceL2Status", "servicel2statuses"));
    let selection = format!("metallb.io/service-name={},metallb.io/service-namespace={}", names::GATEWAY, names::SYSTEM_NAMESPACE);
    let states = match api.list(&ListParams::default().labels(&selection)).await {
        Ok(states) => states.items,
        Err(error) => {
            let error = server.error("list", "MetalLB's announcements", &error);
            return if error.is_not_found() { Ok(Announced::Untold) } else { Err(error) };
        }
    };
    let nodes = states.iter().filter_map(|state| state.data["status"]["node"].as_str()).filter(|node| !node.is_empty());
    let nodes: Vec<String> = nodes.map(str::to_owned).collect();
    Ok(if nodes.is_empty() { Announced::Nobody } else { Announced::By(nodes) })
}

/// The roots that workloads trust, by namespace: the control plane's and the sample's.
///
/// # Errors
/// The request's.
pub async fn roots(server: &ApiServer) -> Result<BTreeMap<String, Option<Vec<u8>>>> {
    let read = |namespace: &'static str| async move {
        let api: Api<ConfigMap> = Api::namespaced(server.client(), namespace);
        let object = format!("ConfigMap {namespace}/{}", names::ROOT_CONFIG_MAP);
        let map = api.get_opt(names::ROOT_CONFIG_MAP).await.map_err(|error| server.error("read", object, &error))?;
        let root = map.and_then(|map| map.data?.remove(names::ROOT_KEY)).map(String::into_bytes);
        Ok::<_, K8sError>((namespace.to_owned(), root))
    };
    let (system, sample) = tokio::try_join!(read(names::SYSTEM_NAMESPACE), read(names::SAMPLE_NAMESPACE))?;
    Ok(BTreeMap::from([system, sample]))
}

/// The secrets by which istiods read other clusters. Of what they hold only the server's address is
/// kept.
///
/// # Errors
/// The request's.
pub async fn remote_secrets(server: &ApiServer) -> Result<Vec<RemoteSecret>> {
    let api: Api<Secret> = Api::namespaced(server.client(), names::SYSTEM_NAMESPACE);
    let selection = format!("{}=true", names::REMOTE_SECRET_LABEL);
    let secrets =
        api.list(&ListParams::default().labels(&selection)).await.map_err(|error| server.error("list", "remote secrets", &error))?;
    Ok(secrets.items.iter().flat_map(remote_clusters).collect())
}

/// A secret may be for several clusters: each key is one's id.
fn remote_clusters(secret: &Secret) -> Vec<RemoteSecret> {
    let entries = secret.data.iter().flatten();
    entries
        .map(|(cluster, kubeconfig)| RemoteSecret {
            name: secret.name_any(),
            cluster: cluster.clone(),
            server: server_of(&String::from_utf8_lossy(&kubeconfig.0)),
        })
        .collect()
}

/// Server of a kubeconfig's current context. Errors never show its text.
fn server_of(kubeconfig: &str) -> Result<String, String> {
    let config = Kubeconfig::from_yaml(kubeconfig).map_err(|_| "it holds no kubeconfig".to_owned())?;
    let context = config.current_context.ok_or("its kubeconfig has no current context")?;
    let context = config.contexts.into_iter().find(|named| named.name == context).and_then(|named| named.context);
    let cluster = context.ok_or("its kubeconfig lacks the current context")?.cluster;
    let cluster = config.clusters.into_iter().find(|named| named.name == cluster).and_then(|named| named.cluster);
    Ok(cluster.and_then(|cluster| cluster.server).ok_or("its kubeconfig names no server")?)
}

/// Names of the istiods that are ready.
///
/// # Errors
/// The request's.
pub async fn ready_istiods(server: &ApiServer) -> Result<Vec<String>> {
    let pods = list_pods(server, names::SYSTEM_NAMESPACE, "app=istiod").await?;
    Ok(pods.iter().filter(|pod| state::pod(pod).is_ok()).map(ResourceExt::name_any).collect())
}

/// Pods of the sample: servers and client, those about to end left out.
///
/// # Errors
/// The request's.
pub async fn sample_pods(server: &ApiServer) -> Result<Vec<SamplePod>> {
    let selection = format!("app in ({},{})", names::SERVICE, names::CLIENT);
    let pods = list_pods(server, names::SAMPLE_NAMESPACE, &selection).await?;
    Ok(pods.iter().map(|pod| SamplePod { view: pod_view(pod), container: own_container(pod) }).collect())
}

/// A pod of the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplePod {
    /// What it shows.
    pub view: PodView,
    /// Its container that is no proxy.
    pub container: String,
}

async fn list_pods(server: &ApiServer, namespace: &str, selector: &str) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(server.client(), namespace);
    let pods = api
        .list(&ListParams::default().labels(selector))
        .await
        .map_err(|error| server.error("list", format!("pods of namespace {namespace}"), &error))?;
    Ok(pods.items.into_iter().filter(state::pod_counts).collect())
}

fn pod_view(pod: &Pod) -> PodView {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    PodView {
        name: pod.name_any(),
        app: pod.labels().get("app").cloned().unwrap_or_default(),
        version: pod.labels().get("version").cloned(),
        address: address.and_then(|address| address.parse().ok()),
        ready: state::pod(pod),
        injected: is_injected(pod),
    }
}

/// Whether istiod gave the pod its proxy. Since Kubernetes 1.29 that may be an init container that
/// keeps running.
pub(crate) fn is_injected(pod: &Pod) -> bool {
    let proxy = containers(pod).find(|container| container.name == names::PROXY);
    proxy.is_some_and(|proxy| proxy.image.as_deref().is_some_and(|image| !image.is_empty() && image != NOT_INJECTED))
}

fn own_container(pod: &Pod) -> String {
    let own = pod.spec.iter().flat_map(|spec| &spec.containers).find(|container| container.name != names::PROXY);
    own.map(|container| container.name.clone()).unwrap_or_default()
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "labels": {"app": "curl"}}, "spec": spec})).unwrap()
    }

    #[test]
    fn a_proxy_may_be_an_init_container_and_a_placeholder_is_none() {
        let container = |name: &str, image: &str| json!({"name": name, "image": image});
        let injected = |spec: Value| is_injected(&pod(spec));
        assert!(!injected(json!({"containers": [container("curl", "c")]})));
        assert!(injected(json!({"containers": [container("curl", "c"), container("istio-proxy", "p")]})));
        assert!(injected(json!({"initContainers": [container("istio-proxy", "p")], "containers": [container("curl", "c")]})));
        assert!(!injected(json!({"containers": [container("istio-proxy", "auto")]})));
        let view = pod_view(&pod(json!({"containers": [container("istio-proxy", "p"), container("curl", "c")]})));
        assert_eq!((view.app.as_str(), view.version, view.address), ("curl", None, None));
        assert_eq!(own_container(&pod(json!({"containers": [container("istio-proxy", "p"), container("curl", "c")]}))), "curl");
    }

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: cluster2
contexts: [{name: cluster2, context: {cluster: cluster2, user: cluster2}}]
clusters: [{name: cluster2, cluster: {server: 'https://cluster2-control-plane:6443'}}]
users: [{name: cluster2, user: {token: hunter2}}]
";

    #[test]
    fn of_a_remote_secret_only_the_server_is_kept() {
        let secret: Secret = serde_json::from_value(json!({"metadata": {"name": "istio-remote-secret-cluster2"},
            "data": {"cluster2": k8s_openapi::ByteString(KUBECONFIG.into()), "cluster3": k8s_openapi::ByteString(b"hunter2: [".to_vec())}}))
        .unwrap();
        let told = remote_clusters(&secret);
        assert_eq!(told[0].server.as_deref(), Ok("https://cluster2-control-plane:6443"));
        assert_eq!(told[1].server.clone().unwrap_err(), "it holds no kubeconfig");
        assert!(!format!("{told:?}").contains("hunter2"));
        for (what, cut) in [("current context", "current-context: cluster2"), ("server", "server: 'https://cluster2-control-plane:6443'")] {
            assert!(server_of(&KUBECONFIG.replace(cut, "")).is_err(), "{what}");
        }
    }
}
