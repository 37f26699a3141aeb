//! A fleet that `up` finds at rest: woken as `start` does it, before anything is added to it. What is installed
//! onto Deployments that only look available would be waited for much longer.

use std::collections::BTreeSet;

use super::awake::{all_run, answers, connect, on_clusters, start_nodes};
use crate::domain::fleet::{ClusterSpec, Fleet};
use crate::domain::name::Role;
use crate::engine::{ContainerInfo, ContainerState};
use crate::ops::bootstrap::{self, Progress};
use crate::ops::context::{Kindmesh, Scope};
use crate::ops::error::{Error, Result};
use crate::ops::inventory::{Inventory, role};

/// What was found of a fleet with nodes at rest; nothing of one that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::ops) struct Revived {
    /// Clusters of which a node was at rest.
    pub(in crate::ops) woken: BTreeSet<String>,
    /// Clusters that may have a mesh: all but those that were never finished.
    pub(in crate::ops) finished: BTreeSet<String>,
}

/// Starts the nodes of the fleet's clusters that ended or are paused, and waits until what was finished runs
/// again, also in clusters that somebody has just started. Nodes that never ran, and clusters that were never
/// finished, are left to `up`; so is whatever fails here: `up` meets it again, and completes the other clusters.
///
/// # Errors
/// When the operation is cancelled.
pub(in crate::ops) async fn revive(km: &Kindmesh, fleet: &Fleet, inventory: &Inventory, scope: &Scope) -> Result<Revived> {
    let there: Vec<(String, Vec<ContainerInfo>)> = fleet.clusters.iter().filter_map(|cluster| ran(cluster, inventory)).collect();
    let is =
        |wanted: fn(ContainerState) -> bool| move |(_, nodes): &&(String, Vec<ContainerInfo>)| nodes.iter().any(|node| wanted(node.state));
    let woken: BTreeSet<String> = there.iter().filter(is(|state| state != ContainerState::Running)).map(|(name, _)| name.clone()).collect();
    if woken.is_empty() {
        return Ok(Revived::default());
    }
    let mut well = start_nodes(km, &there, &fleet.timeouts, scope).await.is_ok();
    let (mut finished, mut unknown) = (Vec::new(), Vec::new());
    for (cluster, nodes) in &there {
        match done(km, nodes, scope).await {
            Ok(None) => {}
            Ok(Some(nodes)) => finished.push((cluster.clone(), nodes)),
            Err(_) => unknown.push(cluster.clone()),
        }
    }
    well &= unknown.is_empty();
    let servers = on_clusters(km, &finished, async |cluster, _| {
        let server = connect(km, cluster).await?;
        answers(&server, &fleet.timeouts, &km.cluster_scope(cluster)).await?;
        Ok(server)
    });
    // Pods of a fleet that was only paused are those that were there.
    let ended = there.iter().any(|cluster| is(|state| !matches!(state, ContainerState::Running | ContainerState::Paused))(&cluster));
    if let Ok(servers) = servers.await
        && well
        && ended
    {
        // What does not run now, `up` may be about to mend.
        let _ = all_run(km, &finished, &servers, &fleet.timeouts).await;
    }
    match km.cancel.is_cancelled() {
        true => Err(Error::cancelled("start nodes")),
        false => Ok(Revived { woken, finished: finished.into_iter().map(|(name, _)| name).chain(unknown).collect() }),
    }
}

/// A cluster with those of its nodes that ever ran; `None` when there are none.
fn ran(cluster: &ClusterSpec, inventory: &Inventory) -> Option<(String, Vec<ContainerInfo>)> {
    let nodes = inventory.nodes(cluster.name.as_str()).iter().filter(|node| node.state != ContainerState::Created);
    let nodes: Vec<ContainerInfo> = nodes.cloned().collect();
    (!nodes.is_empty()).then(|| (cluster.name.to_string(), nodes))
}

/// The nodes of a cluster that kubeadm is done with; `None` when none of them is a control plane.
async fn done(km: &Kindmesh, nodes: &[ContainerInfo], scope: &Scope) -> Result<Option<Vec<ContainerInfo>>> {
    let mut done = Vec::new();
    for node in nodes {
        if bootstrap::progress(km.engine.as_ref(), node, &scope.cancel).await? == Progress::Done {
            done.push(node.clone());
        }
    }
    let finished = done.iter().any(|node| role(node) == Some(Role::ControlPlane));
    Ok(finished.then_some(done))
}
