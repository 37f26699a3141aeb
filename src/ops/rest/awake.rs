//! The steps from nodes at rest to clusters that run again, for everything that wakes some.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

use super::sleep::on_all;
use super::system;
use crate::domain::fleet::Timeouts;
use crate::engine::{ContainerInfo, ContainerState};
use crate::k8s::{ApiServer, Deadline, wait};
use crate::ops::context::{Kindmesh, Outcome, Scope};
use crate::ops::error::{Result, all_or_first};
use crate::ops::install::failed;
use crate::ops::inventory::Inventory;
use crate::ops::{api_server, boot};

/// For the engine to start a container, beside the node's own boot.
const START_SLACK: Duration = Duration::from_secs(60);

/// Clusters with nodes of theirs.
pub(super) type Clusters = [(String, Vec<ContainerInfo>)];

/// Starts the nodes that do not run, lets paused ones go on, and waits until they have booted. Returns the
/// names of those it was done with.
pub(super) async fn start_nodes(km: &Kindmesh, clusters: &Clusters, timeouts: &Timeouts, scope: &Scope) -> Result<Vec<String>> {
    let engine = km.engine.as_ref();
    let at_rest = |node: &ContainerInfo| node.state != ContainerState::Running;
    on_all(scope, "start nodes", timeouts.node_boot + START_SLACK, clusters, at_rest, async |node| {
        boot::ensure_started(engine, &node).await?;
        let node = engine.inspect_container(&node.id).await?;
        boot::wait_booted(engine, &node, timeouts.node_boot, &scope.cancel).await
    })
    .await
}

/// The way to a cluster's API server, whose node was just started.
pub(super) async fn connect(km: &Kindmesh, cluster: &str) -> Result<ApiServer> {
    // Read anew: only a container that runs tells its published port.
    let inventory = Inventory::read(km.engine.as_ref()).await?;
    api_server::connect(km.engine.as_ref(), cluster, inventory.control_plane(cluster)?).await
}

/// Waits until an API server calls itself ready.
pub(super) async fn answers(server: &ApiServer, timeouts: &Timeouts, scope: &Scope) -> Result<()> {
    const STEP: &str = "wait for the API server";
    let deadline = timeouts.cluster_ready;
    scope
        .step(STEP, deadline, async {
            let seen = |state: &str| scope.progress(STEP, state);
            wait::ready(server, Deadline::after(deadline), &seen).await.map_err(|error| failed(STEP, error))?;
            Ok(Outcome::unchanged(()))
        })
        .await
}

/// Waits until everything that kindmesh installed runs in every cluster. All API servers of the fleet must
/// answer: control planes of a mesh read each other's.
pub(super) async fn all_run(km: &Kindmesh, clusters: &Clusters, servers: &[ApiServer], timeouts: &Timeouts) -> Result<()> {
    let engine = km.engine.as_ref();
    let ready = on_clusters(km, clusters, async |cluster, nodes| {
        let Some((server, _)) = servers.iter().zip(clusters).find(|(_, (name, _))| name == cluster) else { return Ok(()) };
        // Told by an inspect only: when each was started.
        let nodes = try_join_all(nodes.iter().map(|node| engine.inspect_container(&node.id))).await?;
        system::ready(engine, server, &nodes, timeouts.cluster_ready, &km.cluster_scope(cluster)).await
    });
    ready.await.map(drop)
}

/// Does something with all clusters at once; one that fails does not stop the others.
pub(super) async fn on_clusters<'a, T, F: Future<Output = Result<T>>>(
    km: &Kindmesh,
    clusters: &'a Clusters,
    work: impl Fn(&'a str, &'a [ContainerInfo]) -> F,
) -> Result<Vec<T>> {
    let results = join_all(clusters.iter().map(|(cluster, nodes)| {
        let work = work(cluster, nodes);
        async move { km.cluster_scope(cluster).within(work).await.map_err(|error| error.within(format_args!("cluster {cluster}"))) }
    }))
    .await;
    all_or_first(results)
}
