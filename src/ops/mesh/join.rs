//! The fleet's part of a mesh, once every cluster has its own.

use super::link::{self, Member};
use super::verify::{VerifyOptions, VerifyReport};
use crate::domain::fleet::Fleet;
use crate::domain::istio::GatewayKind;
use crate::domain::mesh::spec::network_name;
use crate::ops::cluster::Built;
use crate::ops::context::{Kindmesh, Scope};
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::report::{MeshMember, MeshReport};

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
        true => Some(prove(km, fleet).await?),
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
async fn prove(km: &Kindmesh, fleet: &Fleet) -> Result<VerifyReport> {
    let clusters = fleet.clusters.iter().map(|cluster| cluster.name.clone()).collect();
    let options = VerifyOptions { wait: fleet.timeouts.mesh_ready, clusters, ..VerifyOptions::default() };
    let report = km.verify(&fleet.name, &options).await?;
    if report.ok {
        return Ok(report);
    }
    let error = Error::new(ErrorKind::Unproven, format!("the mesh of fleet {} is not proven: {}", fleet.name, first(&report)));
    Err(error.hint(format!("`kindmesh verify --fleet {}` tells all that is wrong, and what to do", fleet.name)))
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
