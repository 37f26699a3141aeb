//! Waking a fleet: its nodes go on or start again, and it is as it was when that is told.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::awake::{all_run, answers, connect, on_clusters, start_nodes};
use super::report::{RestReport, RestState};
use super::sleep::{nodes_of, on_all, refuse, report};
use crate::domain::fleet::Timeouts;
use crate::domain::name::FleetName;
use crate::engine::{ContainerInfo, ContainerState};
use crate::k8s::{ApiServer, istio, mesh_objects};
use crate::ops::context::{Kindmesh, Scope};
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::install::failed;
use crate::ops::inventory::Inventory;
use crate::ops::kubeconfig_entry;
use crate::ops::lock;
use crate::ops::mesh::prove;

/// Letting a node go on takes some milliseconds.
const RESUME_DEADLINE: Duration = Duration::from_secs(60);

impl Kindmesh {
    /// Lets a paused fleet go on, and waits until its API servers answer and its mesh, if it has one
    /// with the sample, is proven.
    ///
    /// # Errors
    /// When there is no such fleet, a node is stopped (nothing is touched then), one could not be
    /// resumed, or the fleet does not become what it was.
    pub async fn resume(&self, fleet: &FleetName) -> Result<RestReport> {
        lock::holding(&self.begin(), fleet, "resume", async |km| resume_alone(&km, fleet).await).await
    }

    /// Starts a stopped fleet, or lets a paused one go on, and repairs what a restart moves: the nodes
    /// follow their new addresses themselves, kubeconfig entries follow the published ports. Waits until
    /// everything that kindmesh installed runs again and the mesh, if there is one with the sample, is
    /// proven. Pools, certificates and remote secrets are those from before.
    ///
    /// # Errors
    /// When there is no such fleet, a node of it never ran (nothing is touched then), one does not start,
    /// or the fleet does not become what it was.
    pub async fn start(&self, fleet: &FleetName) -> Result<RestReport> {
        lock::holding(&self.begin(), fleet, "start", async |km| start_alone(&km, fleet).await).await
    }
}

async fn resume_alone(km: &Kindmesh, fleet: &FleetName) -> Result<RestReport> {
    let clusters = nodes_of(km, fleet).await?;
    let ended = |node: &ContainerInfo| !matches!(node.state, ContainerState::Running | ContainerState::Paused);
    refuse(&clusters, ended, |names| {
        Error::new(ErrorKind::Conflict, format!("fleet {fleet} cannot be resumed: {names} not paused but stopped"))
            .hint(format!("start it: `kindmesh start --fleet {fleet}`"))
    })?;
    let (engine, scope) = (km.engine.as_ref(), km.fleet_scope());
    let paused = |node: &ContainerInfo| node.state == ContainerState::Paused;
    let changed =
        on_all(&scope, "resume nodes", RESUME_DEADLINE, &clusters, paused, async |node| Ok(engine.unpause_container(&node.id).await?))
            .await?;
    let servers = on_clusters(km, &clusters, async |cluster, _| {
        let scope = km.cluster_scope(cluster);
        let server = connect(km, cluster).await?;
        answers(&server, &Timeouts::default(), &scope).await?;
        Ok(server)
    });
    let servers = servers.await?;
    finish(km, fleet, &scope, &servers, report(km, fleet, RestState::Running, &clusters, &changed)).await
}

async fn start_alone(km: &Kindmesh, fleet: &FleetName) -> Result<RestReport> {
    let clusters = nodes_of(km, fleet).await?;
    refuse(
        &clusters,
        |node| node.state == ContainerState::Created,
        |names| {
            Error::new(ErrorKind::Conflict, format!("fleet {fleet} was never finished: {names} still to be started for the first time"))
                .hint("run `kindmesh up` with the description of the fleet again")
        },
    )?;
    let (engine, scope) = (km.engine.as_ref(), km.fleet_scope());
    let timeouts = Timeouts::default();
    let changed = start_nodes(km, &clusters, &timeouts, &scope).await?;
    let servers = on_clusters(km, &clusters, async |cluster, _| {
        let scope = km.cluster_scope(cluster);
        let inventory = Inventory::read(engine).await?;
        let server = connect(km, cluster).await?;
        tokio::try_join!(
            kubeconfig_entry::write(km, cluster, false, inventory.control_plane(cluster)?, None, &scope),
            answers(&server, &timeouts, &scope),
        )?;
        Ok(server)
    });
    let servers = servers.await?;
    // Now that all API servers answer: control planes of a mesh read each other's.
    all_run(km, &clusters, &servers, &timeouts).await?;
    let mut report = finish(km, fleet, &scope, &servers, report(km, fleet, RestState::Running, &clusters, &changed)).await?;
    // What has no probe counts as running from its start, and ends once more when the service network is not
    // back in time: looked at again, now that it is.
    all_run(km, &clusters, &servers, &timeouts).await?;
    report.took = km.elapsed();
    Ok(report)
}

/// Proves the mesh, where there is one that can be.
async fn finish(km: &Kindmesh, fleet: &FleetName, scope: &Scope, servers: &[ApiServer], mut report: RestReport) -> Result<RestReport> {
    let looks = servers.iter().map(|server| async move {
        let (control_plane, sample) = tokio::try_join!(istio::control_plane(server), mesh_objects::sample_pods(server))
            .map_err(|error| failed("look for a mesh", error))?;
        Ok::<_, Error>((control_plane.is_some(), !sample.is_empty()))
    });
    let looks = try_join_all(looks).await?;
    let (meshed, sample) = (looks.iter().any(|(meshed, _)| *meshed), looks.iter().any(|(_, sample)| *sample));
    if meshed && sample {
        report.proof = Some(prove(km, fleet, Vec::new(), Timeouts::default().mesh_ready).await?);
    } else if meshed {
        scope.note("prove the mesh", "the mesh has no sample to send traffic through; it is not proven");
    }
    report.took = km.elapsed();
    Ok(report)
}
