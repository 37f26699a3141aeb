//! Looks at everything a verdict rests on, in all clusters at once. What cannot be seen is a part of
//! what is seen.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

use crate::domain::mesh::proof::{ClientView, ClusterView, FleetView, RestingNode, Seen};
use crate::domain::mesh::proof::{names, rest};
use crate::domain::mesh::spec::network_name;
use crate::domain::name::{ClusterName, FleetName, Role};
use crate::engine::{ContainerInfo, Engine};
use crate::k8s::mesh_objects::SamplePod;
use crate::k8s::pod_exec::Place;
use crate::k8s::{self, ApiServer, Deadline, K8sError, envoy, istiod, mesh_objects};

use super::super::api_server;
use super::super::inventory::{Inventory, is_running, rest_of, role};

/// Longest single look at one thing. All of them are answered from memory, in milliseconds.
const LOOK: Duration = Duration::from_secs(6);

/// Reading a kubeconfig out of a node takes a tenth of a second. A look is to be short, whoever else has more patience.
const CONNECT: Duration = Duration::from_secs(6);

/// A cluster that is looked at.
pub(super) struct Target {
    /// Name.
    pub(super) name: String,
    network: String,
    api_hosts: BTreeSet<String>,
    resting: Vec<RestingNode>,
    server: Seen<ApiServer>,
}

/// What was seen, and from where traffic can be sent.
pub(super) struct Look {
    /// The clusters, in the order of the targets; nothing is known of traffic yet.
    pub(super) view: FleetView,
    /// A client for each, where there is one.
    pub(super) clients: Vec<Option<Client>>,
}

/// A client pod.
#[derive(Clone)]
pub(super) struct Client {
    /// Its API server.
    pub(super) server: ApiServer,
    /// Where calls come from.
    pub(super) container: Place,
    /// Where connections come from that no proxy sees.
    pub(super) bypass: Place,
}

// === impl Target ===

impl Target {
    /// Connects to a cluster's API server; that it cannot be done is told by every look.
    pub(super) async fn connect(engine: &dyn Engine, inventory: &Inventory, cluster: &ClusterName) -> Self {
        let nodes = inventory.nodes(cluster.as_str());
        let resting = resting(nodes);
        let server = async {
            let control_plane = inventory.control_plane(cluster.as_str()).map_err(|error| error.one_line())?;
            // It tells nothing, and some engines wait until it does.
            if !is_running(control_plane) {
                return Err(rest::describe(&resting).unwrap_or_default());
            }
            api_server::connect(engine, cluster.as_str(), control_plane).await.map_err(|error| error.one_line())
        };
        let server = match tokio::time::timeout(CONNECT, server).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("its node did not tell within {} s how its API server is reached", CONNECT.as_secs())),
        };
        Self { name: cluster.to_string(), network: network_name(cluster), api_hosts: api_hosts(nodes), resting, server }
    }
}

/// The nodes that do not run.
fn resting(nodes: &[ContainerInfo]) -> Vec<RestingNode> {
    nodes.iter().filter_map(|node| Some(RestingNode { name: node.name.clone(), rest: rest_of(node)? })).collect()
}

/// Names and addresses under which pods of other clusters reach a cluster's API servers.
fn api_hosts(nodes: &[ContainerInfo]) -> BTreeSet<String> {
    let serves = |node: &&ContainerInfo| matches!(role(node), Some(Role::ControlPlane | Role::ExternalLoadBalancer));
    let hosts = nodes.iter().filter(serves).flat_map(|node| {
        let addresses = node.networks.values();
        let v4 = addresses.clone().filter_map(|network| network.ipv4.map(|address| address.to_string()));
        let v6 = addresses.filter_map(|network| network.ipv6.map(|address| address.to_string()));
        v4.chain(v6).chain([node.name.clone()]).collect::<Vec<_>>()
    });
    hosts.collect()
}

/// Looks at all targets, the clusters of a fleet.
pub(super) async fn look(fleet: &FleetName, targets: &[Target], calls_wanted: usize) -> Look {
    let (clusters, clients) = join_all(targets.iter().map(look_at)).await.into_iter().unzip();
    Look { view: FleetView { name: fleet.to_string(), clusters, calls_wanted }, clients }
}

async fn look_at(target: &Target) -> (ClusterView, Option<Client>) {
    let server = match &target.server {
        Ok(server) => server,
        Err(why) => {
            let unseen = ClusterView::unseen(&target.name, &target.network, why);
            return (ClusterView { api_hosts: target.api_hosts.clone(), resting: target.resting.clone(), ..unseen }, None);
        }
    };
    let deadline = Deadline::after(LOOK);
    let (api_server, namespace_network, namespace_injected, gateway, roots, remote_secrets, istiods, pods) = tokio::join!(
        seen(deadline, async { server.server_version().await.map(|_| ()) }),
        seen(deadline, mesh_objects::namespace_network(server)),
        seen(deadline, mesh_objects::namespace_injected(server)),
        seen(deadline, mesh_objects::gateway(server)),
        seen(deadline, mesh_objects::roots(server)),
        seen(deadline, mesh_objects::remote_secrets(server)),
        seen(deadline, read_istiods(server, deadline)),
        seen(deadline, mesh_objects::sample_pods(server)),
    );
    let chosen = pods.as_ref().map_err(Clone::clone).and_then(|pods| choose_client(pods));
    let client = match &chosen {
        Err(why) => Err(why.clone()),
        Ok(pod) => Ok(ClientView {
            pod: pod.view.name.clone(),
            proxy: match pod.view.injected {
                true => seen(deadline, envoy::read_hosts(server, names::SAMPLE_NAMESPACE, &pod.view.name, deadline)).await,
                false => Err("the pod has no proxy".to_owned()),
            },
            calls: Err("no calls were made".to_owned()),
            probes: Err("nobody tried".to_owned()),
        }),
    };
    let place = chosen.ok().map(|pod| Client::of(server, pod));
    let view = ClusterView {
        name: target.name.clone(),
        network: target.network.clone(),
        api_hosts: target.api_hosts.clone(),
        resting: target.resting.clone(),
        api_server,
        namespace_network,
        namespace_injected,
        gateway,
        roots,
        remote_secrets,
        istiods,
        pods: pods.as_ref().map(|pods| pods.iter().map(|pod| pod.view.clone()).collect()).map_err(Clone::clone),
        client,
    };
    (view, place)
}

async fn read_istiods(server: &ApiServer, deadline: Deadline) -> k8s::Result<Vec<crate::domain::mesh::proof::view::IstiodView>> {
    let pods = mesh_objects::ready_istiods(server).await?;
    try_join_all(pods.iter().map(|pod| istiod::read(server, names::SYSTEM_NAMESPACE, pod, deadline))).await
}

/// A client to send traffic from: the one that most likely can.
fn choose_client(pods: &[SamplePod]) -> Result<&SamplePod, String> {
    let clients = pods.iter().filter(|pod| pod.view.app == names::CLIENT);
    let best = clients.max_by_key(|pod| (pod.view.ready.is_ok(), pod.view.injected));
    best.ok_or_else(|| format!("there is no pod app={} in namespace {}", names::CLIENT, names::SAMPLE_NAMESPACE))
}

/// What was seen before the deadline.
async fn seen<T>(deadline: Deadline, work: impl Future<Output = Result<T, K8sError>>) -> Seen<T> {
    match tokio::time::timeout(deadline.remaining(), work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", LOOK.as_secs())),
    }
}

// === impl Client ===

impl Client {
    fn of(server: &ApiServer, pod: &SamplePod) -> Self {
        let place = |container: &str| Place {
            namespace: names::SAMPLE_NAMESPACE.to_owned(),
            pod: pod.view.name.clone(),
            container: container.to_owned(),
        };
        // What the proxy's own user sends is not sent through the proxy.
        let bypass = if pod.view.injected { names::PROXY } else { &pod.container };
        Self { server: server.clone(), container: place(&pod.container), bypass: place(bypass) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::container::ContainerSpec;
    use crate::domain::labels;
    use crate::engine::fake::{FakeEngine, Verb};

    /// A cluster of two nodes that run.
    async fn engine() -> FakeEngine {
        let engine = FakeEngine::new();
        engine.add_image("node", &[]);
        for (name, role) in [("a-control-plane", "control-plane"), ("a-worker", "worker")] {
            let labels = [(labels::CLUSTER, "a"), (labels::ROLE, role)].map(|(key, value)| (key.to_owned(), value.to_owned()));
            let spec =
                ContainerSpec { image: "node".into(), network: "bridge".into(), labels: BTreeMap::from(labels), ..Default::default() };
            engine.create_container(name, &spec).await.unwrap();
            engine.start_container(name).await.unwrap();
        }
        engine
    }

    #[tokio::test]
    async fn a_node_at_rest_is_named_and_not_asked() {
        let engine = engine().await;
        engine.pause_container("a-control-plane").await.unwrap();
        engine.kill_container("a-worker", "SIGKILL").await.unwrap();
        engine.clear_calls();
        let inventory = Inventory::read(&engine).await.unwrap();
        let target = Target::connect(&engine, &inventory, &"a".parse().unwrap()).await;
        assert_eq!(engine.count(Verb::Exec), 0);
        let view = look(&"f".parse().unwrap(), &[target], 20).await.view;
        assert_eq!(view.clusters[0].api_server.as_ref().unwrap_err(), "node a-worker is stopped; node a-control-plane is paused");
        let verdict = crate::domain::mesh::proof::judge(&view);
        let told: Vec<&str> = verdict.telling().into_iter().map(|(_, failure)| failure.next.as_str()).collect();
        assert_eq!(told, ["start it: `kindmesh start --fleet f`"]);
    }
}
