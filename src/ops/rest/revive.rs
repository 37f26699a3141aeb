//! A fleet that `up` finds at rest: woken as `start` does it, before anything is added to it. What is installed
//! onto Deployments that only look available would be waited for much longer.

use std::collections::BTreeSet;

use super::awake::{all_run, answers, connect, on_clusters, start_nodes};
use crate::domain::fleet::Fleet;
use crate::domain::name::Role;
use crate::engine::{ContainerInfo, ContainerState};
use crate::ops::bootstrap::{self, Progress};
use crate::ops::context::{Kindmesh, Scope};
use crate::ops::error::{Error, Result};
use crate::ops::inventory::Inventory;

/// What was found at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::ops) struct Revived {
    /// Clusters of which a node was.
    pub(in crate::ops) clusters: BTreeSet<String>,
    /// Those of them that may have a mesh, and have not shown that they have none: all but those that were
    /// never finished.
    pub(in crate::ops) finished: BTreeSet<String>,
}

/// Starts the nodes of the fleet's clusters that ended or are paused, and waits until what was finished runs
/// again. Nodes that never ran, and clusters that were never finished, are left to `up`; so is whatever fails
/// here, and what the failure is of is then told by `up`, which completes the other clusters.
///
/// # Errors
/// When the engine cannot be asked, or the operation is cancelled.
pub(in crate::ops) async fn revive(km: &Kindmesh, fleet: &Fleet, inventory: &Inventory, scope: &Scope) -> Result<Revived> {
    let ran = |node: &&ContainerInfo| node.state != ContainerState::Created;
    let found: Vec<(String, Vec<ContainerInfo>)> = fleet
        .clusters
        .iter()
        .map(|cluster| (cluster.name.to_string(), inventory.nodes(cluster.name.as_str()).iter().filter(ran).cloned().collect::<Vec<_>>()))
        .filter(|(_, nodes)| nodes.iter().any(|node| node.state != ContainerState::Running))
        .collect();
    if found.is_empty() {
        return Ok(Revived::default());
    }
    let mut revived = Revived { clusters: found.iter().map(|(name, _)| name.clone()).collect(), ..Revived::default() };
    let mut well = start_nodes(km, &found, &fleet.timeouts, scope).await.is_ok();
    let mut finished = Vec::new();
    for (cluster, nodes) in &found {
        match done(km, fleet, cluster, nodes, scope).await {
            Ok(None) => {}
            Ok(Some(nodes)) => finished.push((cluster.clone(), nodes)),
            Err(_) => {
                revived.finished.insert(cluster.clone());
                well = false;
            }
        }
    }
    revived.finished.extend(finished.iter().map(|(name, _)| name.clone()));
    let servers = on_clusters(km, &finished, async |cluster, _| {
        let server = connect(km, cluster).await?;
        answers(&server, &fleet.timeouts, &km.cluster_scope(cluster)).await?;
        Ok(server)
    });
    // Pods of a cluster that was only paused are those that were there.
    let ended =
        found.iter().flat_map(|(_, nodes)| nodes).any(|node| !matches!(node.state, ContainerState::Running | ContainerState::Paused));
    if let Ok(servers) = servers.await
        && well
        && ended
    {
        // What does not run now, `up` may be about to mend.
        let _ = all_run(km, &finished, &servers, &fleet.timeouts).await;
    }
    match km.cancel.is_cancelled() {
        true => Err(Error::cancelled("start nodes")),
        false => Ok(revived),
    }
}

/// The nodes of a cluster that kubeadm is done with; `None` when its control plane is none of them.
async fn done(km: &Kindmesh, fleet: &Fleet, cluster: &str, nodes: &[ContainerInfo], scope: &Scope) -> Result<Option<Vec<ContainerInfo>>> {
    let mut done = Vec::new();
    for node in nodes {
        if bootstrap::progress(km.engine.as_ref(), node, &scope.cancel).await? == Progress::Done {
            done.push(node.clone());
        }
    }
    let control_plane = fleet.clusters.iter().find(|spec| spec.name.as_str() == cluster).map(|spec| spec.name.node(Role::ControlPlane, 1));
    let finished = done.iter().any(|node| Some(&node.name) == control_plane.as_ref());
    Ok(finished.then_some(done))
}
