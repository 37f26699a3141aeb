//! Putting a fleet to rest: all its nodes at once, and back to none half done by doing it again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::report::{RestReport, RestState, RestedCluster};
use crate::domain::name::FleetName;
use crate::engine::{ContainerInfo, ContainerState, Engine};
use crate::ops::context::{Kindmesh, Outcome, Scope};
use crate::ops::error::{Error, ErrorKind, Result, first_of};
use crate::ops::lock;
use crate::ops::mesh::members;
use crate::ops::thaw;

/// Freezing or killing a node takes some tenths of a second; an engine under load is given time.
const DEADLINE: Duration = Duration::from_secs(60);

/// How to stop a fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// How long the programs in a node may take to end by themselves before they are killed, in whole
    /// seconds; zero kills at once. What programs have written survives a kill: only the processes end,
    /// and the machine's page cache, where also an etcd without `fsync` has its data, is the kernel's.
    pub grace: Duration,
}

impl Kindmesh {
    /// Suspends every node of a fleet: it keeps its memory and gets no processor.
    ///
    /// Undo: [`Kindmesh::resume`].
    ///
    /// # Errors
    /// When there is no such fleet, a node of it does not run (nothing is touched then), or one could
    /// not be suspended: the others are, and the message names those that are not.
    pub async fn pause(&self, fleet: &FleetName) -> Result<RestReport> {
        lock::holding(&self.begin(), fleet, "pause", async |km| pause_alone(&km, fleet).await).await
    }

    /// Ends every node of a fleet. What is on its volumes is kept.
    ///
    /// Undo: [`Kindmesh::start`].
    ///
    /// # Errors
    /// When there is no such fleet, or a node could not be stopped: the others are, and the message
    /// names those that are not.
    pub async fn stop(&self, fleet: &FleetName, options: &StopOptions) -> Result<RestReport> {
        lock::holding(&self.begin(), fleet, "stop", async |km| stop_alone(&km, fleet, options).await).await
    }
}

async fn pause_alone(km: &Kindmesh, fleet: &FleetName) -> Result<RestReport> {
    let clusters = nodes_of(km, fleet).await?;
    let ended = |node: &ContainerInfo| !matches!(node.state, ContainerState::Running | ContainerState::Paused);
    refuse(&clusters, ended, |names| {
        Error::new(ErrorKind::Conflict, format!("fleet {fleet} cannot be paused: {names} not running"))
            .hint(format!("a stopped fleet needs no processor either; `kindmesh start --fleet {fleet}` makes it run"))
    })?;
    let (engine, scope) = (km.engine.as_ref(), km.fleet_scope());
    let to_pause = |node: &ContainerInfo| node.state == ContainerState::Running;
    let changed = on_all(&scope, "pause nodes", DEADLINE, &clusters, to_pause, async |node| Ok(engine.pause_container(&node.id).await?));
    let changed = changed.await?;
    Ok(report(km, fleet, RestState::Paused, &clusters, &changed))
}

async fn stop_alone(km: &Kindmesh, fleet: &FleetName, options: &StopOptions) -> Result<RestReport> {
    let clusters = nodes_of(km, fleet).await?;
    let (engine, scope) = (&km.engine, km.fleet_scope());
    let deadline = DEADLINE + options.grace;
    let to_stop =
        |node: &ContainerInfo| matches!(node.state, ContainerState::Running | ContainerState::Paused | ContainerState::Restarting);
    let changed = on_all(&scope, "stop nodes", deadline, &clusters, to_stop, async |node| stop_one(engine, &node, options.grace).await);
    let changed = changed.await?;
    Ok(report(km, fleet, RestState::Stopped, &clusters, &changed))
}

async fn stop_one(engine: &Arc<dyn Engine>, node: &ContainerInfo, grace: Duration) -> Result<()> {
    // Not every engine delivers signals to what is suspended.
    if node.state == ContainerState::Paused {
        engine.unpause_container(&node.id).await?;
    }
    thaw::end(engine, node, thaw::End::Stop(u32::try_from(grace.as_secs()).unwrap_or(u32::MAX))).await?;
    engine.wait_container(&node.id).await?;
    Ok(())
}

/// A fleet's clusters with their nodes, in the order people count them.
pub(super) async fn nodes_of(km: &Kindmesh, fleet: &FleetName) -> Result<Vec<(String, Vec<ContainerInfo>)>> {
    let (inventory, clusters) = members::read(km, fleet).await?;
    Ok(clusters.iter().map(|cluster| (cluster.to_string(), inventory.nodes(cluster.as_str()).to_vec())).collect())
}

/// Refuses a fleet with nodes in a state that cannot be dealt with, before anything is done.
pub(super) fn refuse(
    clusters: &[(String, Vec<ContainerInfo>)],
    bad: impl Fn(&ContainerInfo) -> bool,
    error: impl FnOnce(&str) -> Error,
) -> Result<()> {
    let names: Vec<&str> = clusters.iter().flat_map(|(_, nodes)| nodes).filter(|node| bad(node)).map(|node| node.name.as_str()).collect();
    match names.as_slice() {
        [] => Ok(()),
        [name] => Err(error(&format!("node {name} is"))),
        names => Err(error(&format!("nodes {} are", names.join(", ")))),
    }
}

/// Does something with all nodes that need it, at once. One that fails does not keep the others from
/// it. Returns the names of those it was done with.
pub(super) async fn on_all<F: Future<Output = Result<()>>>(
    scope: &Scope,
    step: &str,
    deadline: Duration,
    clusters: &[(String, Vec<ContainerInfo>)],
    needs: impl Fn(&ContainerInfo) -> bool,
    verb: impl Fn(ContainerInfo) -> F,
) -> Result<Vec<String>> {
    scope
        .step(step, deadline, async {
            let nodes: Vec<&ContainerInfo> = clusters.iter().flat_map(|(_, nodes)| nodes).filter(|node| needs(node)).collect();
            let results = join_all(nodes.iter().map(|node| verb((*node).clone()))).await;
            let named = |(node, result): (&&ContainerInfo, Result<()>)| Some(result.err()?.within(format_args!("node {}", node.name)));
            if let Some(error) = first_of(nodes.iter().zip(results).filter_map(named)) {
                return Err(error);
            }
            let changed: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
            Ok(if changed.is_empty() { Outcome::unchanged(changed) } else { Outcome::changed(changed) })
        })
        .await
}

/// The report of a fleet whose nodes are in this state now.
pub(super) fn report(
    km: &Kindmesh,
    fleet: &FleetName,
    state: RestState,
    clusters: &[(String, Vec<ContainerInfo>)],
    changed: &[String],
) -> RestReport {
    let clusters: Vec<RestedCluster> = clusters
        .iter()
        .map(|(name, nodes)| {
            let nodes: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
            RestedCluster { name: name.clone(), changed: nodes.iter().any(|node| changed.contains(node)), nodes }
        })
        .collect();
    RestReport { fleet: fleet.to_string(), state, clusters, proof: None, changed: !changed.is_empty(), took: km.elapsed() }
}
