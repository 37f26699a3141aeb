//! What one API server has to tell: events, nodes, pods.

use std::fmt::Write as _;
use std::time::Duration;

use super::folder::Folder;
use crate::engine::{ContainerState, Engine};
use crate::k8s::{self, ApiServer, events};
use crate::ops::api_server;
use crate::ops::inventory::Inventory;

/// How long an API server may take for everything. One that is well answers in milliseconds.
const DEADLINE: Duration = Duration::from_secs(15);

/// Writes it into the cluster's folder; says why not otherwise.
pub(super) async fn export(engine: &dyn Engine, cluster: &str, inventory: &Inventory, folder: &Folder) -> Result<(), Vec<String>> {
    let told = async {
        let control_plane = inventory.control_plane(cluster).map_err(|error| vec![error.one_line()])?;
        if control_plane.state != ContainerState::Running {
            return Err(vec![format!("node {} does not run", control_plane.name)]);
        }
        let server = api_server::connect(engine, cluster, control_plane).await.map_err(|error| vec![error.one_line()])?;
        ask(&server, folder).await
    };
    let told = match tokio::time::timeout(DEADLINE, told).await {
        Ok(told) => told,
        Err(_) => Err(vec![format!("the API server did not tell within {} s", DEADLINE.as_secs())]),
    };
    told.map_err(|reasons| reasons.into_iter().map(|reason| format!("cluster {cluster}: {reason}")).collect())
}

async fn ask(server: &ApiServer, folder: &Folder) -> Result<(), Vec<String>> {
    let (events, nodes, pods) = tokio::join!(events::list(server), k8s::nodes::list(server), k8s::pods::rows(server));
    let mut failed = Vec::new();
    let mut write = |name: &str, text: Result<String, k8s::K8sError>| {
        let written = text.map_err(|error| error.to_string()).and_then(|text| {
            let written = folder.write(name, text.as_bytes());
            written.map_err(|error| format!("{name}: {error}"))
        });
        failed.extend(written.err());
    };
    let event_lines = |events: Vec<events::ClusterEvent>| events.iter().map(|event| format!("{event}\n")).collect::<String>();
    write("events.log", events.map(event_lines));
    write("nodes.txt", nodes.map(|nodes| node_lines(&nodes)));
    write("pods.txt", pods.map(|pods| pods.iter().map(|pod| format!("{pod}\n")).collect()));
    match mesh_lines(server).await {
        Ok(None) => {}
        Ok(Some(text)) => write("mesh.txt", Ok(text)),
        Err(error) => write("mesh.txt", Err(error)),
    }
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// What the cluster is in a mesh; logs of istiod and of proxies are with those of the nodes' pods.
async fn mesh_lines(server: &ApiServer) -> k8s::Result<Option<String>> {
    let Some(control_plane) = k8s::istio::control_plane(server).await? else { return Ok(None) };
    let (network, remote) = tokio::try_join!(k8s::mesh_objects::namespace_network(server), k8s::istio::remote_clusters(server))?;
    Ok(Some(format!(
        "mesh: {}\nistio: {}\nnetwork: {}\nknows: {}\nproblem: {}\n",
        control_plane.mesh_id.as_deref().unwrap_or("-"),
        control_plane.version,
        network.as_deref().unwrap_or("-"),
        remote.join(", "),
        control_plane.problem.as_deref().unwrap_or("none"),
    )))
}

fn node_lines(nodes: &[k8s::nodes::NodeState]) -> String {
    let mut text = String::new();
    for node in nodes {
        let ready = match &node.ready {
            Ok(()) => "ready".to_owned(),
            Err(why) => why.clone(),
        };
        let addresses: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {} {} {ready}", node.name, node.kubelet, addresses.join(","));
    }
    text
}
