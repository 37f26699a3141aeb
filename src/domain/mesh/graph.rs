//! A fleet as a picture: what is drawn, as data. How it is drawn is in the modules below.

use std::net::IpAddr;

use serde::Serialize;

use super::proof::Matrix;
use crate::domain::istio::GatewayKind;

mod layout;
mod mermaid;
mod svg;

#[cfg(test)]
mod tests;

pub use mermaid::mermaid;
pub use svg::svg;

/// A fleet to be drawn.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetGraph {
    /// Name of the fleet.
    pub fleet: String,
    /// Its clusters, in the order in which they are drawn.
    pub clusters: Vec<GraphCluster>,
    /// Observed requests; none when nobody counted.
    pub traffic: Matrix,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphCluster {
    /// Name.
    pub name: String,
    /// Networks of the engine that its nodes are on.
    pub engine_networks: Vec<String>,
    /// Its network in the mesh; `None` without a mesh.
    pub network: Option<String>,
    /// LoadBalancer addresses.
    pub pool: Option<String>,
    /// Number of nodes.
    pub nodes: usize,
    /// Gateways of the mesh.
    pub gateways: Vec<GraphGateway>,
    /// Versions of the sample that run there.
    pub versions: Vec<String>,
    /// Why its API server told nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphGateway {
    /// What it is for.
    #[serde(serialize_with = "as_word")]
    pub kind: GatewayKind,
    /// Its address; `None` while it has none.
    pub address: Option<IpAddr>,
}

/// Requests from one cluster to a version in one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flow<'a> {
    from: usize,
    to: usize,
    version: &'a str,
    calls: usize,
}

// === impl FleetGraph ===

impl FleetGraph {
    /// Requests between clusters that are drawn, with their places; within a cluster `from` is `to`.
    fn flows(&self) -> Vec<Flow<'_>> {
        let place = |name: &str| self.clusters.iter().position(|cluster| cluster.name == name);
        let cells = self.traffic.cells.iter();
        cells
            .filter_map(|cell| Some(Flow { from: place(&cell.from)?, to: place(&cell.to)?, version: &cell.version, calls: cell.calls }))
            .collect()
    }

    /// Names of the engine's networks, sorted.
    fn engine_networks(&self) -> Vec<&str> {
        let mut networks: Vec<&str> = self.clusters.iter().flat_map(|cluster| &cluster.engine_networks).map(String::as_str).collect();
        networks.sort_unstable();
        networks.dedup();
        networks
    }

    /// Pairs of clusters whose control planes read each other's: those with a network in the mesh.
    fn peers(&self) -> Vec<(usize, usize)> {
        let in_mesh: Vec<usize> = (0..self.clusters.len()).filter(|index| self.clusters[*index].network.is_some()).collect();
        let pairs = in_mesh.iter().enumerate().flat_map(|(at, from)| in_mesh[at + 1..].iter().map(|to| (*from, *to)));
        pairs.collect()
    }
}

// === impl GraphCluster ===

impl GraphCluster {
    /// What is told of it, line by line, under its name.
    fn lines(&self) -> Vec<String> {
        let nodes = if self.nodes == 1 { "1 node".to_owned() } else { format!("{} nodes", self.nodes) };
        let mut lines = vec![match &self.network {
            Some(network) => format!("{nodes}, {network}"),
            None => nodes,
        }];
        lines.extend(self.pool.iter().map(|pool| format!("pool {pool}")));
        for gateway in &self.gateways {
            let address = gateway.address.map_or_else(|| "no address".to_owned(), |address| address.to_string());
            lines.push(format!("{} {address}", word(gateway.kind)));
        }
        if !self.versions.is_empty() {
            lines.push(format!("helloworld {}", self.versions.join(", ")));
        }
        lines.extend(self.error.iter().map(|error| format!("not reached: {error}")));
        lines
    }
}

/// What a gateway is for, in words.
fn word(kind: GatewayKind) -> &'static str {
    match kind {
        GatewayKind::EastWest => "east-west",
        GatewayKind::Ingress => "ingress",
        GatewayKind::Egress => "egress",
    }
}

fn as_word<S: serde::Serializer>(kind: &GatewayKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word(*kind))
}
