//! The nodes that get images.

use crate::domain::labels;
use crate::domain::mesh::proof::Rest;
use crate::domain::name::Role;
use crate::engine::ContainerInfo;
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::inventory::{Inventory, fleet_of, rest_of, role};
use crate::ops::selection;

use super::report::LoadRequest;

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) cluster: String,
    pub(super) node: String,
    /// Why nothing can be loaded into it, when that is known already.
    pub(super) obstacle: Option<String>,
}

/// Finds them.
pub(super) fn choose(inventory: &Inventory, request: &LoadRequest) -> Result<Vec<Target>> {
    let clusters = selection::clusters(inventory, request.fleet.as_ref(), &request.clusters)?;
    let all: Vec<Target> =
        clusters.iter().flat_map(|cluster| inventory.nodes(cluster).iter().filter_map(|node| target(cluster, node))).collect();
    if let Some(unknown) = request.nodes.iter().find(|wanted| all.iter().all(|target| target.node != **wanted)) {
        let known: Vec<&str> = all.iter().map(|target| target.node.as_str()).collect();
        return Err(Error::new(ErrorKind::NotFound, format!("no node {unknown} in {}", clusters.join(", ")))
            .hint(format!("there are: {}", known.join(", "))));
    }
    Ok(all.into_iter().filter(|target| request.nodes.is_empty() || request.nodes.contains(&target.node)).collect())
}

/// A node that runs pods; a load balancer in front of control planes is none.
fn target(cluster: &str, node: &ContainerInfo) -> Option<Target> {
    // A container whose fleet or role is unknown to us is kind's own affair.
    matches!(role(node), Some(Role::ControlPlane | Role::Worker)).then(|| Target {
        cluster: cluster.to_owned(),
        node: node.name.clone(),
        obstacle: rest_of(node).map(|rest| obstacle(node, rest)),
    })
}

/// Why nothing can be loaded into a node that does not run, and what changes that.
fn obstacle(node: &ContainerInfo, rest: Rest) -> String {
    let state = format!("the node is {}", rest.word());
    match (fleet_of(node), node.labels.get(labels::WARM)) {
        (None, _) => state,
        (Some(fleet), Some(pool)) if rest == Rest::Paused => format!(
            "{state}, as members of the warm pool {pool} are: `kindmesh pool lease {pool}` hands one out; if it is leased, {}",
            rest.way_back(fleet)
        ),
        (Some(fleet), _) => format!("{state}; {}", rest.way_back(fleet)),
    }
}
