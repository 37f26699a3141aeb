//! What the labels on the engine say: clusters, their nodes, their fleets, their pools.

use std::collections::BTreeMap;

use crate::domain::labels;
use crate::domain::mesh::proof::Rest;
use crate::domain::name::{FleetName, Role};
use crate::domain::net::ranges::AddrRanges;
use crate::engine::{ContainerInfo, ContainerState, Engine};

use super::error::{Error, ErrorKind, Result};
use super::resize::Notes;

/// Every node container of an engine, kind's clusters and ours, at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory {
    clusters: BTreeMap<String, Vec<ContainerInfo>>,
    noted: Notes,
}

// === impl Inventory ===

impl Inventory {
    /// Reads it with two calls.
    pub(super) async fn read(engine: &dyn Engine) -> Result<Self> {
        let mut clusters: BTreeMap<String, Vec<ContainerInfo>> = BTreeMap::new();
        for container in engine.list_containers(&[labels::CLUSTER.to_owned()]).await? {
            if let Some(cluster) = container.labels.get(labels::CLUSTER) {
                clusters.entry(cluster.clone()).or_default().push(container);
            }
        }
        for nodes in clusters.values_mut() {
            nodes.sort_by(|a, b| (role(a), a.name.len(), &a.name).cmp(&(role(b), b.name.len(), &b.name)));
        }
        Ok(Self { clusters, noted: Notes::read(engine).await? })
    }

    /// Names of all clusters, sorted.
    pub(super) fn clusters(&self) -> impl Iterator<Item = (&str, &[ContainerInfo])> {
        self.clusters.iter().map(|(name, nodes)| (name.as_str(), nodes.as_slice()))
    }

    /// Nodes of a cluster: control planes first, then in the order of their numbers.
    pub(super) fn nodes(&self, cluster: &str) -> &[ContainerInfo] {
        self.clusters.get(cluster).map(Vec::as_slice).unwrap_or_default()
    }

    /// Everything but these clusters.
    pub(super) fn without(&self, clusters: &[&str]) -> Self {
        let kept = self.clusters.iter().filter(|(name, _)| !clusters.contains(&name.as_str()));
        Self { clusters: kept.map(|(name, nodes)| (name.clone(), nodes.clone())).collect(), noted: self.noted.clone() }
    }

    /// A node by its name, with its cluster.
    pub(super) fn node(&self, name: &str) -> Option<(&str, &ContainerInfo)> {
        self.clusters().find_map(|(cluster, nodes)| Some((cluster, nodes.iter().find(|node| node.name == name)?)))
    }

    /// Clusters of one fleet.
    pub(super) fn of_fleet<'a>(&'a self, fleet: &'a FleetName) -> impl Iterator<Item = (&'a str, &'a [ContainerInfo])> {
        self.clusters().filter(|(_, nodes)| nodes.iter().any(|node| fleet_of(node) == Some(fleet.as_str())))
    }

    /// Names of all fleets, sorted.
    pub(super) fn fleets(&self) -> Vec<String> {
        let mut fleets: Vec<String> = self.clusters.values().flatten().filter_map(|node| fleet_of(node).map(str::to_owned)).collect();
        fleets.sort();
        fleets.dedup();
        fleets
    }

    /// The fleet a cluster belongs to, if we made it.
    pub(super) fn fleet_of_cluster(&self, cluster: &str) -> Option<&str> {
        self.nodes(cluster).iter().find_map(fleet_of)
    }

    /// The pool recorded for a cluster.
    pub(super) fn pool(&self, cluster: &str) -> Option<AddrRanges> {
        let nodes = self.nodes(cluster);
        nodes.iter().find_map(|node| self.noted.pool(&node.id)).cloned().or_else(|| nodes.iter().find_map(pool))
    }

    /// The node that a cluster's kubeconfig and bootstrap come from: the first control plane.
    pub(super) fn control_plane(&self, cluster: &str) -> Result<&ContainerInfo> {
        let nodes = self.nodes(cluster);
        if nodes.is_empty() {
            let known: Vec<&str> = self.clusters.keys().map(String::as_str).collect();
            let error = Error::new(ErrorKind::NotFound, format!("no cluster {cluster} on this engine"));
            return Err(if known.is_empty() {
                error.hint("there is none at all; make some with `kindmesh up`")
            } else {
                error.hint(format!("there are: {}", known.join(", ")))
            });
        }
        nodes.iter().find(|node| role(node) == Some(Role::ControlPlane)).ok_or_else(|| {
            Error::new(ErrorKind::Cluster, format!("cluster {cluster} has no control-plane node left"))
                .hint(format!("remove what is left of it: `kindmesh down --cluster {cluster}`"))
        })
    }
}

/// Role of a node container.
pub(super) fn role(node: &ContainerInfo) -> Option<Role> {
    node.labels.get(labels::ROLE).and_then(|value| Role::from_label(value))
}

/// Fleet of a node container.
pub(super) fn fleet_of(node: &ContainerInfo) -> Option<&str> {
    node.labels.get(labels::FLEET).map(String::as_str)
}

/// Pool recorded on a node container; [`Inventory::pool`] knows whether it has been resized since.
pub(super) fn pool(node: &ContainerInfo) -> Option<AddrRanges> {
    node.labels.get(labels::POOL).and_then(|text| text.parse().ok())
}

/// What a node does that does not run.
pub(super) fn rest_of(node: &ContainerInfo) -> Option<Rest> {
    match node.state {
        ContainerState::Running => None,
        ContainerState::Paused => Some(Rest::Paused),
        ContainerState::Created => Some(Rest::Unstarted),
        ContainerState::Restarting | ContainerState::Removing | ContainerState::Exited | ContainerState::Dead => Some(Rest::Stopped),
    }
}

/// Whether a container runs.
pub(super) fn is_running(node: &ContainerInfo) -> bool {
    node.state == ContainerState::Running
}
