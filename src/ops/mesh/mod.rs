//! The mesh over a fleet: prepared once, installed in every cluster, joined when all are there.

mod install;
mod link;
mod offline;
mod plan;

use std::net::IpAddr;

pub(super) use install::{Installed, ensure as install};
pub(super) use plan::{MeshPlan, Request};

use super::cluster::Built;
use super::context::{Kindmesh, Scope};
use super::error::Result;
use super::report::{MeshMember, MeshReport};
use crate::domain::fleet::Fleet;
use crate::domain::istio::Gateway;
use crate::domain::mesh::spec::network_name;

/// Joins the clusters of a fleet to one mesh; `None` when it has none.
pub(super) async fn join(km: &Kindmesh, fleet: &Fleet, built: &[Built], scope: &Scope) -> Result<Option<MeshReport>> {
    let Some(spec) = &fleet.mesh else { return Ok(None) };
    let members: Vec<link::Member<'_>> = fleet
        .clusters
        .iter()
        .zip(built)
        .filter_map(|(cluster, built)| {
            Some(link::Member { name: &cluster.name, server: &built.server, gateways: &built.mesh.as_ref()?.gateways })
        })
        .collect();
    let changed = link::ensure(km, fleet, &members, scope).await?;
    let address = |member: &link::Member<'_>, gateway| member.gateways.get(&gateway).copied();
    let clusters = members
        .iter()
        .map(|member| MeshMember {
            cluster: member.name.to_string(),
            network: network_name(member.name),
            east_west_gateway: address(member, Gateway::EastWest).unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
            ingress_gateway: address(member, Gateway::Ingress),
            egress_gateway: address(member, Gateway::Egress),
        })
        .collect();
    Ok(Some(MeshReport { id: spec.id.clone(), clusters, changed }))
}
