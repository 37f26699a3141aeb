//! The fleet's part of a mesh, once every cluster has its own.

use super::link::{self, Member};
use crate::domain::fleet::Fleet;
use crate::domain::istio::GatewayKind;
use crate::domain::mesh::spec::network_name;
use crate::ops::cluster::Built;
use crate::ops::context::{Kindmesh, Scope};
use crate::ops::error::Result;
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
    Ok(Some(MeshReport { id: spec.id.clone(), clusters, changed }))
}
