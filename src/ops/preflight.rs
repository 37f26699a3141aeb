//! What would go wrong, found before anything is created.

use std::net::TcpListener;

use crate::domain::facts::HostFacts;
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::overlap_with_network;
use crate::domain::net::NetworkInfo;
use crate::domain::net::network::planned;

use super::context::Kindmesh;
use super::error::{Error, ErrorKind, Result};
use super::inventory::Inventory;
use super::{kubeconfig_entry, network, nodes, pools};

/// Checks everything that can be known without changing anything: kubeconfig files, taken names,
/// ports, the network, and room for the pools when the clusters in `going` are gone.
pub(super) async fn check(km: &Kindmesh, fleet: &Fleet, inventory: &Inventory, going: &[&str]) -> Result<()> {
    kubeconfig_entry::check(km)?;
    for cluster in &fleet.clusters {
        check_names(km, fleet, cluster.name.as_str(), inventory).await?;
    }
    check_containers(km, fleet, inventory).await?;
    check_ports(km, fleet, inventory)?;
    let network = match network::find(km.engine.as_ref(), &fleet.network.name).await? {
        Some(existing) => {
            network::check(&fleet.network, &existing)?;
            Some(existing)
        }
        None => planned_network(fleet),
    };
    // The engine chooses the subnet of a shared network that is not there yet: nothing to check.
    if let Some(network) = network {
        check_subnets(fleet, &network)?;
        pools::assign(km.engine.as_ref(), fleet, &network, &inventory.without(going)).await?;
    }
    Ok(())
}

/// Refuses pod and service subnets that would hide the network's own addresses from pods.
pub(super) fn check_subnets(fleet: &Fleet, network: &NetworkInfo) -> Result<()> {
    overlap_with_network(fleet, pools::ipv4_subnet(network)?).map_err(|error| {
        Error::new(ErrorKind::Config, error.to_string()).hint("set `podSubnet` and `serviceSubnet` of the cluster, or `network.subnet`")
    })
}

/// Checks what the engine's host must be.
pub(super) fn check_host(fleet: &Fleet, facts: &HostFacts) -> Result<()> {
    if facts.os != "linux" {
        return Err(Error::new(
            ErrorKind::Engine,
            format!("the engine runs {} containers; Kubernetes nodes are Linux containers", facts.os),
        )
        .hint("switch the engine to Linux containers"));
    }
    if facts.rootless && facts.cgroup_version < 2 {
        return Err(Error::new(ErrorKind::Engine, "a rootless engine needs cgroup version 2; its host has version 1")
            .hint("use a root engine, or boot the host with the unified cgroup hierarchy"));
    }
    // Kubernetes 1.35 refuses cgroup v1 hosts unless it is told otherwise.
    if let Some(cluster) = fleet
        .clusters
        .iter()
        .find(|cluster| facts.cgroup_version == 1 && cluster.kubernetes_version.as_ref().is_some_and(|version| version.at_least(1, 35)))
    {
        return Err(Error::new(
            ErrorKind::Config,
            format!("cluster {}: Kubernetes 1.35 and later refuse to run on cgroup version 1, which the engine's host has", cluster.name),
        )
        .hint("use Kubernetes 1.34, or a host with cgroup version 2"));
    }
    Ok(())
}

/// A cluster of this name that another fleet, kind or another tool made is in the way.
async fn check_names(km: &Kindmesh, fleet: &Fleet, cluster: &str, inventory: &Inventory) -> Result<()> {
    if inventory.nodes(cluster).is_empty() || inventory.fleet_of_cluster(cluster) == Some(fleet.name.as_str()) {
        return Ok(());
    }
    let owner = match inventory.fleet_of_cluster(cluster) {
        Some(other) => format!("fleet {other}"),
        None => "kind or another tool".to_owned(),
    };
    Err(Error::new(
        ErrorKind::Conflict,
        format!("the cluster name {cluster} is taken: a cluster of {owner} has it on {}", km.engine.endpoint()),
    )
    .hint("give the cluster another name in the fleet file, or another prefix with `clusterPrefix`")
    .hint(format!("or remove the other one: `kindmesh down --cluster {cluster}`")))
}

/// Container names that something without kind's labels has.
async fn check_containers(km: &Kindmesh, fleet: &Fleet, inventory: &Inventory) -> Result<()> {
    for cluster in &fleet.clusters {
        let there = inventory.nodes(cluster.name.as_str());
        for plan in nodes::plans(cluster) {
            if there.iter().any(|node| node.name == plan.name) {
                continue;
            }
            match km.engine.inspect_container(&plan.name).await {
                Ok(_) => return Err(nodes::taken(&plan.name)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Ports asked for by number that somebody listens on. Only an engine on this machine can be asked.
fn check_ports(km: &Kindmesh, fleet: &Fleet, inventory: &Inventory) -> Result<()> {
    if km.engine.remote_host().is_some() {
        return check_remote(km, fleet);
    }
    // A loopback address may be the end of a tunnel, and the port's, too: a refusal here could not be helped, while the
    // engine itself tells what is taken there.
    if ["tcp://", "https://"].iter().any(|scheme| km.engine.endpoint().starts_with(scheme)) {
        return Ok(());
    }
    for cluster in fleet.clusters.iter().filter(|cluster| inventory.nodes(cluster.name.as_str()).is_empty()) {
        let Some(port) = cluster.api_server_port else { continue };
        // Whatever else keeps this process from listening there, the engine may be able to.
        if let Err(error) = TcpListener::bind((cluster.api_server_address, port))
            && error.kind() == std::io::ErrorKind::AddrInUse
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("cluster {}: the API server cannot listen on {}:{port}", cluster.name, cluster.api_server_address),
            )
            .because(error)
            .hint("choose another `apiServerPort`, or leave it out to get a free one"));
        }
    }
    Ok(())
}

/// A port published on the loopback address of another machine cannot be reached from here.
fn check_remote(km: &Kindmesh, fleet: &Fleet) -> Result<()> {
    match fleet.clusters.iter().find(|cluster| cluster.api_server_address.is_loopback()) {
        None => Ok(()),
        Some(cluster) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "cluster {}: the engine at {} is on another machine, and the API server would listen on {} there",
                cluster.name,
                km.engine.endpoint(),
                cluster.api_server_address
            ),
        )
        .hint("set `apiServerAddress` to an address of the engine's machine, or to 0.0.0.0")),
    }
}

/// The fleet's own network as it will be, for checking what fits before it exists.
fn planned_network(fleet: &Fleet) -> Option<NetworkInfo> {
    fleet.network.ipv4_subnet?;
    Some(planned(fleet))
}
