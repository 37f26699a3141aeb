//! The fleet's part of a mesh, once every cluster has its own.

use std::time::Duration;

use futures_util::future::join_all;

use super::link::{self, Member};
use super::verify::{VerifyOptions, VerifyReport};
use crate::domain::fleet::Fleet;
use crate::domain::istio::GatewayKind;
use crate::domain::mesh::spec::network_name;
use crate::domain::name::{ClusterName, FleetName};
use crate::k8s::istio;
use crate::ops::api_server;
use crate::ops::cluster::Built;
use crate::ops::context::{Kindmesh, Scope};
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::install::failed;
use crate::ops::inventory::Inventory;
use crate::ops::report::{MeshMember, MeshReport};

/// For a word to a cluster that another one is going.
const TELL_DEADLINE: Duration = Duration::from_secs(5);

/// Joins the clusters of a fleet to one mesh; `None` when it has none.
pub(in crate::ops) async fn join(km: &Kindmesh, fleet: &Fleet, built: &[Built], scope: &Scope) -> Result<Option<MeshReport>> {
    let Some(spec) = &fleet.mesh else { return Ok(None) };
    let members: Vec<Member<'_>> = fleet
        .clusters
        .iter()
        .zip(built)
        .filter_map(|(cluster, built)| {
            Some(Member { name: &cluster.name, server: &built.server, gateways: &built.mesh.as_ref()?.gateways })
        })
        .collect();
    let changed = link::ensure(km, fleet, &members, scope).await?;
    let proof = match spec.verify {
        true => {
            let clusters = fleet.clusters.iter().map(|cluster| cluster.name.clone()).collect();
            Some(prove(km, &fleet.name, clusters, fleet.timeouts.mesh_ready).await?)
        }
        false => None,
    };
    let clusters = members
        .iter()
        .map(|member| MeshMember {
            cluster: member.name.to_string(),
            network: network_name(member.name),
            east_west_gateway: member.gateways.get(&GatewayKind::EastWest).copied(),
            ingress_gateway: member.gateways.get(&GatewayKind::Ingress).copied(),
            egress_gateway: member.gateways.get(&GatewayKind::Egress).copied(),
        })
        .collect();
    Ok(Some(MeshReport { id: spec.id.clone(), clusters, sample: spec.verify || fleet.addons.sample, proof, changed }))
}

/// Calls through the mesh until all is right; endpoints follow the last secret within seconds.
pub(in crate::ops) async fn prove(km: &Kindmesh, fleet: &FleetName, clusters: Vec<ClusterName>, wait: Duration) -> Result<VerifyReport> {
    let options = VerifyOptions { wait, clusters, ..VerifyOptions::default() };
    let report = km.prove(fleet, &options).await?;
    if report.ok {
        return Ok(report);
    }
    let error = Error::new(ErrorKind::Unproven, format!("the mesh of fleet {fleet} is not proven: {}", first(&report)));
    Err(error.hint(format!("`kindmesh verify --fleet {fleet}` tells all that is wrong, and what to do")))
}

/// Takes a cluster that is about to go out of the meshes of its fleet's other clusters. One that cannot
/// be told is told by the next `up`.
pub(in crate::ops) async fn forget(km: &Kindmesh, cluster: &str, inventory: &Inventory, scope: &Scope) {
    const STEP: &str = "leave the mesh";
    let Some(fleet) = inventory.fleet_of_cluster(cluster).and_then(|fleet| fleet.parse().ok()) else { return };
    let others = inventory.of_fleet(&fleet).filter(|(name, _)| *name != cluster).map(|(name, _)| async move {
        let told = async {
            let server = api_server::connect(km.engine.as_ref(), name, inventory.control_plane(name)?).await?;
            istio::forget_cluster(&server, cluster).await.map_err(|error| failed("remove a remote secret", error))
        };
        match tokio::time::timeout(TELL_DEADLINE, told).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => scope.warn(STEP, format!("cluster {name} still knows {cluster}: {}", error.one_line())),
            Err(_) => scope.warn(STEP, format!("cluster {name} still knows {cluster}: it does not answer")),
        }
    });
    join_all(others).await;
}

/// The failure that most likely explains the others.
fn first(report: &VerifyReport) -> String {
    match report.verdict.failures().first() {
        Some((check, failure)) => {
            let place = check.cluster.as_deref().unwrap_or("the fleet");
            format!("{place}: {}: {}", failure.cause, failure.message)
        }
        None => "nothing was looked at".to_owned(),
    }
}
