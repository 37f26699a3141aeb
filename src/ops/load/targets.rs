//! The nodes that get images.

use crate::domain::name::Role;
use crate::engine::ContainerInfo;
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::inventory::{Inventory, fleet_of, role};

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
    let clusters = clusters(inventory, request)?;
    let all: Vec<Target> =
        clusters.iter().flat_map(|cluster| inventory.nodes(cluster).iter().filter_map(|node| target(cluster, node))).collect();
    if let Some(unknown) = request.nodes.iter().find(|wanted| all.iter().all(|target| target.node != **wanted)) {
        let known: Vec<&str> = all.iter().map(|target| target.node.as_str()).collect();
        return Err(Error::new(ErrorKind::NotFound, format!("no node {unknown} in {}", clusters.join(", ")))
            .hint(format!("there are: {}", known.join(", "))));
    }
    Ok(all.into_iter().filter(|target| request.nodes.is_empty() || request.nodes.contains(&target.node)).collect())
}

fn clusters(inventory: &Inventory, request: &LoadRequest) -> Result<Vec<String>> {
    if !request.clusters.is_empty() {
        let mut clusters = request.clusters.clone();
        clusters.sort();
        clusters.dedup();
        for cluster in &clusters {
            // Says which clusters there are.
            inventory.control_plane(cluster)?;
            if let Some(fleet) = &request.fleet
                && inventory.fleet_of_cluster(cluster) != Some(fleet.as_str())
            {
                return Err(Error::new(ErrorKind::NotFound, format!("cluster {cluster} is not of fleet {fleet}")));
            }
        }
        return Ok(clusters);
    }
    let fleets = inventory.fleets();
    let fleet = match (&request.fleet, &fleets[..]) {
        (Some(fleet), _) => fleet.clone(),
        (None, [only]) => only.parse()?,
        (None, []) => {
            let error = Error::new(ErrorKind::NotFound, "no fleet on this engine");
            let others: Vec<&str> = inventory.clusters().map(|(name, _)| name).collect();
            return Err(match others.first() {
                None => error.hint("make one with `kindmesh up`"),
                Some(first) => error.hint(format!("name a cluster: `--cluster {first}`; there are: {}", others.join(", "))),
            });
        }
        (None, [first, ..]) => {
            let error = Error::new(ErrorKind::Config, format!("there are several fleets: {}", fleets.join(", ")));
            return Err(error.hint(format!("name one: `--fleet {first}`, or clusters with `--cluster`")));
        }
    };
    let clusters: Vec<String> = inventory.of_fleet(&fleet).map(|(name, _)| name.to_owned()).collect();
    if clusters.is_empty() {
        let error = Error::new(ErrorKind::NotFound, format!("no fleet {fleet} on this engine"));
        return Err(if fleets.is_empty() {
            error.hint("make it with `kindmesh up`")
        } else {
            error.hint(format!("there are: {}", fleets.join(", ")))
        });
    }
    Ok(clusters)
}

/// A node that runs pods; a load balancer in front of control planes is none.
fn target(cluster: &str, node: &ContainerInfo) -> Option<Target> {
    // A container whose fleet or role is unknown to us is kind's own affair.
    matches!(role(node), Some(Role::ControlPlane | Role::Worker)).then(|| Target {
        cluster: cluster.to_owned(),
        node: node.name.clone(),
        obstacle: (node.state != crate::engine::ContainerState::Running).then(|| {
            let state = format!("{:?}", node.state).to_lowercase();
            let way_out = if fleet_of(node).is_some() { "; `kindmesh up` starts it" } else { "" };
            format!("the node is {state}{way_out}")
        }),
    })
}
