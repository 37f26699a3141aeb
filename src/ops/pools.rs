//! One pool of LoadBalancer addresses per cluster, on a network shared with others.
//!
//! A pool is recorded in a label of the cluster's containers. The label is what reserves it: a
//! cluster is created first and then looks whether another one claimed the same addresses at the
//! same moment; whoever sees that gives way and chooses again ([`contested`]).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use ipnetwork::{IpNetwork, Ipv4Network};

use crate::domain::fleet::Fleet;
use crate::domain::name::Role;
use crate::domain::net::NetworkInfo;
use crate::domain::net::addresses::node_addresses;
use crate::domain::net::pool::{PoolError, PoolRequest, Reserved, carve, reserved_of};
use crate::domain::net::range::AddrRange;
use crate::domain::net::ranges::AddrRanges;
use crate::domain::net::resize::grown;
use crate::domain::net::set::AddrSet;
use crate::engine::{ContainerInfo, Engine};
use crate::k8s;

use super::api_server;
use super::error::{Error, ErrorKind, Result};
use super::inventory::{Inventory, fleet_of, is_running, pool, role};

/// A foreign cluster that does not answer in this time tells us nothing of its pools.
const FOREIGN_DEADLINE: Duration = Duration::from_secs(5);
/// What to do where pools have no room.
const LESS: &str = "ask for a smaller `poolSize`, or for fewer clusters on this network";
/// What to do where not even nodes have room.
const LARGER: &str = "give the fleet a network of its own with a larger `network.subnet`, or remove what has this one's addresses";

/// The network's IPv4 subnet.
pub(super) fn ipv4_subnet(network: &NetworkInfo) -> Result<Ipv4Network> {
    match network.ipv4().map(|entry| entry.subnet) {
        Some(IpNetwork::V4(subnet)) => Ok(subnet),
        _ => Err(Error::new(ErrorKind::Config, format!("network {} has no IPv4 subnet to carve pools from", network.name))
            .hint("give the fleet a network of its own with `network.subnet`")),
    }
}

/// Assigns every cluster of the fleet its pool: the recorded one, made larger where the description says so, or a new
/// one. One that is to become smaller stays here what it is.
pub(super) async fn assign(
    engine: &dyn Engine,
    fleet: &Fleet,
    network: &NetworkInfo,
    inventory: &Inventory,
) -> Result<BTreeMap<String, AddrRanges>> {
    let subnet = ipv4_subnet(network)?;
    let mut reserved = reserved_of(network);
    reserved.extend(pools_of_others(fleet, network, inventory));
    reserved.extend(fixed_addresses(network, inventory));
    reserved.extend(foreign_pools(engine, network, inventory).await);
    reserved.extend(room_for_nodes(fleet, network, subnet, inventory, &reserved)?);
    let requests = fleet.clusters.iter().flat_map(|cluster| {
        let name = cluster.name.to_string();
        let request = |size, existing| PoolRequest { cluster: name.clone(), size, existing };
        match inventory.pool(&name) {
            Some(pool) => pool.ranges().iter().map(|range| request(cluster.pool_size, Some(*range))).collect(),
            None => vec![request(cluster.pool_size, None)],
        }
    });
    let refused = |error: &dyn fmt::Display| Error::new(ErrorKind::Conflict, format!("no pools on network {}: {error}", network.name));
    let carved = carve(subnet, &reserved, &requests.collect::<Vec<_>>()).map_err(|error| match error {
        PoolError::Full { .. } => refused(&error).hint(LESS),
        _ => refused(&error),
    })?;
    let mut free = AddrSet::hosts_of(subnet);
    reserved.iter().map(|taken| &taken.range).chain(carved.iter().map(|pool| &pool.range)).for_each(|range| free.remove(range));
    let mut pools = BTreeMap::new();
    for cluster in &fleet.clusters {
        let name = cluster.name.as_str();
        let ranges = carved.iter().filter(|pool| pool.cluster == name).map(|pool| pool.range);
        let Some(pool) = AddrRanges::collect(ranges) else { continue };
        let pool = grown(&mut free, name, &pool, cluster.pool_size).map_err(|error| {
            let error = refused(&error);
            match fleet
                .clusters
                .iter()
                .any(|other| inventory.pool(other.name.as_str()).is_some_and(|has| has.len() > other.pool_size.into()))
            {
                true => error.hint("let other pools become smaller first, in an `up` of its own"),
                false => error.hint(LESS),
            }
        })?;
        pools.insert(name.to_owned(), pool);
    }
    Ok(pools)
}

/// Whether another cluster claims some of the same addresses as this one, which was just created.
///
/// Each looks only after its own claim is there for all to see, so of two at least one sees the other
/// and gives way; both may. Ages decide nothing: what was begun first may appear last.
pub(super) fn contested(mine: &ContainerInfo, network: &str, inventory: &Inventory) -> bool {
    let cluster = mine.labels.get(crate::domain::labels::CLUSTER);
    pool(mine).zip(cluster).is_some_and(|(pool, cluster)| overlapped(cluster, &pool, network, inventory))
}

/// Whether another cluster on the network claims some of these addresses.
pub(super) fn overlapped(cluster: &str, pool: &AddrRanges, network: &str, inventory: &Inventory) -> bool {
    inventory
        .clusters()
        .filter(|(other, nodes)| *other != cluster && nodes.iter().any(|node| node.networks.contains_key(network)))
        .any(|(other, _)| inventory.pool(other).is_some_and(|theirs| theirs.overlaps(pool)))
}

/// Pools recorded by clusters that are not part of this fleet's file: of other fleets, and of
/// clusters that were taken out of the file and still exist.
fn pools_of_others(fleet: &Fleet, network: &NetworkInfo, inventory: &Inventory) -> Vec<Reserved> {
    inventory
        .clusters()
        .filter(|(name, _)| fleet.clusters.iter().all(|cluster| cluster.name.as_str() != *name))
        .filter(|(_, nodes)| nodes.iter().any(|node| node.networks.contains_key(&network.name)))
        .flat_map(|(name, _)| {
            let ranges = inventory.pool(name).map(|pool| pool.ranges().to_vec()).unwrap_or_default();
            ranges.into_iter().map(move |range| Reserved { range, owner: format!("pool of cluster {name}") })
        })
        .collect()
}

/// Fixed addresses of nodes on the network; of a stopped node the engine knows none.
fn fixed_addresses(network: &NetworkInfo, inventory: &Inventory) -> Vec<Reserved> {
    inventory
        .clusters()
        .flat_map(|(_, nodes)| nodes)
        .filter(|node| node.networks.contains_key(&network.name))
        .filter_map(|node| {
            let address = node.labels.get(crate::domain::labels::ADDRESS)?.parse().ok()?;
            Some(Reserved { range: AddrRange { first: address, last: address }, owner: format!("node {}", node.name) })
        })
        .collect()
}

/// Pools of kind's own clusters on the network, read from their MetalLB objects. Best effort: a
/// cluster that does not answer has no say.
async fn foreign_pools(engine: &dyn Engine, network: &NetworkInfo, inventory: &Inventory) -> Vec<Reserved> {
    let foreign = inventory.clusters().filter_map(|(name, nodes)| {
        nodes
            .iter()
            .find(|node| {
                fleet_of(node).is_none()
                    && is_running(node)
                    && role(node) == Some(Role::ControlPlane)
                    && node.networks.contains_key(&network.name)
            })
            .map(|node| (name, node))
    });
    let reads = foreign.map(|(name, node)| async move {
        let read = async {
            let server = api_server::connect(engine, name, node).await.ok()?;
            k8s::metallb::read_pools(&server, FOREIGN_DEADLINE).await.ok()
        };
        let ranges = tokio::time::timeout(FOREIGN_DEADLINE, read).await.ok().flatten().unwrap_or_default();
        ranges.into_iter().map(|range| Reserved { range, owner: format!("pool of cluster {name}") }).collect::<Vec<_>>()
    });
    join_all(reads).await.into_iter().flatten().collect()
}

/// The addresses the engine will give to nodes that do not exist yet. It takes the lowest free
/// ones; on a small subnet a pool must not be standing there.
fn room_for_nodes(
    fleet: &Fleet,
    network: &NetworkInfo,
    subnet: Ipv4Network,
    inventory: &Inventory,
    reserved: &[Reserved],
) -> Result<Vec<Reserved>> {
    let mut missing = Vec::new();
    for cluster in &fleet.clusters {
        let there = inventory.nodes(cluster.name.as_str());
        for (role, count) in [(Role::ControlPlane, cluster.control_planes), (Role::Worker, cluster.workers)] {
            let names = (1..=count as usize).map(|index| cluster.name.node(role, index));
            // A stopped node gave its address back and needs one again.
            missing.extend(names.filter(|name| !there.iter().any(|node| &node.name == name && is_running(node))));
        }
    }
    let mut taken: Vec<AddrRange> = reserved.iter().map(|reserved| reserved.range).collect();
    taken.extend(fleet.clusters.iter().filter_map(|cluster| inventory.pool(cluster.name.as_str())).flat_map(|pool| pool.ranges().to_vec()));
    // Within the engine's own range, when it has one, pools never stand anyway.
    if network.ipv4().is_some_and(|entry| entry.ip_range.is_some_and(|range| range != entry.subnet)) && fleet.network.ipv4_subnet.is_none()
    {
        return Ok(Vec::new());
    }
    let addresses = node_addresses(subnet, None, &taken, &BTreeMap::new(), &missing)
        .map_err(|error| Error::new(ErrorKind::Conflict, format!("network {}: {error}", network.name)).hint(LARGER))?;
    Ok(addresses
        .into_iter()
        .map(|(node, address)| Reserved { range: AddrRange { first: address, last: address }, owner: format!("node {node}") })
        .collect())
}
