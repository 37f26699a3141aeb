//! What a fleet's network is to be, and whether one that exists is that.

use std::collections::BTreeMap;

use ipnetwork::{IpNetwork, Ipv4Network};

use super::range::AddrRange;
use super::set::AddrSet;
use super::{IpamEntry, NetworkInfo, NetworkSpec, cidr, ula};
use crate::domain::fleet::{Fleet, NetworkSettings};
use crate::domain::labels;

/// Driver option that makes the bridge hide containers behind the host's address.
pub const OPTION_MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// Driver option with the bridge's MTU, in bytes.
pub const OPTION_MTU: &str = "com.docker.network.driver.mtu";

/// Parts of the messages with which an engine says that it cannot do IPv6: no kernel support,
/// or an ip6tables that does not work. The double blank is the engine's.
const IPV6_UNUSABLE: [&str; 3] = [
    "Cannot read IPv6 setup for bridge",
    "Failed to Setup IP tables: Unable to enable NAT rule:  (iptables failed: ip6tables",
    "setting default policy to DROP in FORWARD chain failed:  (iptables failed: ip6tables",
];

/// What must find a place on a network of the fleet's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room<'a> {
    /// Nodes with a fixed address each.
    pub nodes: u32,
    /// Sizes of the pools, in the order they are carved.
    pub pools: &'a [u32],
}

/// The network of a fleet, as it is created. `mtu` is the default bridge's; `attempt` counts from 0
/// to [`ULA_ATTEMPTS`](super::ula::ULA_ATTEMPTS) and matters only where the IPv6 subnet is derived.
///
/// Without a subnet of its own it is exactly what kind creates, and carries one label more.
pub fn network_spec(fleet: &Fleet, mtu: Option<u32>, attempt: u32) -> NetworkSpec {
    let settings = &fleet.network;
    let mut options = BTreeMap::from([(OPTION_MASQUERADE.to_owned(), "true".to_owned())]);
    if let Some(mtu) = settings.mtu.or(mtu).filter(|mtu| *mtu > 0) {
        options.insert(OPTION_MTU.to_owned(), mtu.to_string());
    }
    let mut spec = NetworkSpec {
        name: settings.name.clone(),
        enable_ipv6: true,
        ipv6_subnet: Some(settings.ipv6_subnet.unwrap_or_else(|| ula::ula(&settings.name, attempt))),
        options,
        labels: network_labels(fleet),
        ..NetworkSpec::default()
    };
    if let Some(subnet) = settings.ipv4_subnet {
        let pools: Vec<u32> = fleet.clusters.iter().map(|cluster| cluster.pool_size).collect();
        let room = Room { nodes: fleet.clusters.iter().map(|cluster| cluster.nodes()).sum(), pools: &pools };
        spec.ipv4_subnet = Some(cidr::normalise(subnet));
        // Said outright: left alone, an engine takes the first address of the range it hands out.
        spec.gateway = settings.gateway.or_else(|| cidr::default_gateway(subnet));
        spec.ip_range = settings.ip_range.map(cidr::normalise).or_else(|| choose_ip_range(settings, room));
    }
    spec
}

/// A network of the fleet's own has the fleet's lease. A shared one is of use to others, and is removed as
/// it always was: with its maker, when nothing else uses it.
fn network_labels(fleet: &Fleet) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([(labels::FLEET.to_owned(), fleet.name.to_string())]);
    if fleet.network.ipv4_subnet.is_some() {
        labels.extend(fleet.lease.labels());
    }
    labels
}

/// The network of a fleet's own as it will be described once it exists; nothing is attached.
pub fn planned(fleet: &Fleet) -> NetworkInfo {
    let spec = network_spec(fleet, None, 0);
    let v4 = spec.ipv4_subnet.map(|subnet| IpamEntry {
        subnet: subnet.into(),
        ip_range: spec.ip_range.map(Into::into),
        gateway: spec.gateway.map(Into::into),
        auxiliary: Vec::new(),
    });
    NetworkInfo {
        name: spec.name,
        driver: "bridge".to_owned(),
        ipv6: spec.enable_ipv6,
        ipam: v4.into_iter().collect(),
        ..NetworkInfo::default()
    }
}

/// The same network without IPv6, for engines that cannot do it.
pub fn without_ipv6(spec: NetworkSpec) -> NetworkSpec {
    NetworkSpec { enable_ipv6: false, ipv6_subnet: None, ..spec }
}

/// Whether an engine's message about a failed creation means that it cannot do IPv6 at all.
pub fn ipv6_unusable(message: &str) -> bool {
    IPV6_UNUSABLE.iter().any(|part| message.contains(part))
}

/// Whether an engine's message about a failed creation means that the subnet is in use.
pub fn subnet_taken(message: &str) -> bool {
    // Engine 20.10 begins with these words; since 25 "invalid pool request: " stands before them.
    message.contains("Pool overlaps with other one on this address space") || message.contains("networks have overlapping")
}

/// Whether an engine's message about a failed creation means that none of the subnets it chooses from is left.
pub fn no_subnet_left(message: &str) -> bool {
    // Engine 20.10, and since 25.
    message.contains("could not find an available, non-overlapping IPv4 address pool")
        || message.contains("all predefined address pools have been fully subnetted")
}

/// The network that has a subnet this one wants, and that subnet: what to name when the engine only
/// says that something overlaps.
pub fn taker<'a>(spec: &NetworkSpec, networks: &'a [NetworkInfo]) -> Option<(IpNetwork, &'a NetworkInfo)> {
    let wanted: Vec<IpNetwork> = spec.ipv4_subnet.map(IpNetwork::from).into_iter().chain(spec.ipv6_subnet.map(IpNetwork::from)).collect();
    networks.iter().find_map(|network| {
        let theirs = |subnet: &IpNetwork| network.ipam.iter().any(|entry| overlap(*subnet, entry.subnet));
        wanted.iter().copied().find(theirs).map(|subnet| (subnet, network))
    })
}

fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    match (a, b) {
        (IpNetwork::V4(a), IpNetwork::V4(b)) => a.overlaps(b),
        (IpNetwork::V6(a), IpNetwork::V6(b)) => a.overlaps(b),
        _ => false,
    }
}

/// The part of an own subnet that the engine may hand out by itself: a block in the lower half, so
/// that nodes have room below it and pools above. The largest one that leaves enough for `room`;
/// `None` when the subnet is too small for any.
pub fn choose_ip_range(settings: &NetworkSettings, room: Room<'_>) -> Option<Ipv4Network> {
    let subnet = cidr::normalise(settings.ipv4_subnet?);
    let gateway = settings.gateway.or_else(|| cidr::default_gateway(subnet));
    // The second block of a quarter first, then of an eighth, and so on; a few more places per size,
    // for subnets so small that the nodes fill the first block.
    (subnet.prefix() + 2..=32)
        .flat_map(|prefix| (1..8).filter_map(move |index| cidr::block(subnet, prefix, index)))
        // The gateway alone is nothing to hand out.
        .filter(|candidate| candidate.prefix() < 32 || Some(candidate.network()) != gateway)
        .filter(|candidate| candidate.broadcast() < subnet.broadcast())
        .find(|candidate| fits(settings, Some(*candidate), room))
}

/// Number of addresses in a subnet that hosts may have.
pub fn hosts(subnet: Ipv4Network) -> u64 {
    AddrSet::hosts_of(subnet).len()
}

/// Whether nodes and pools find a place beside the gateway and the engine's own range.
pub fn fits(settings: &NetworkSettings, ip_range: Option<Ipv4Network>, room: Room<'_>) -> bool {
    let Some(subnet) = settings.ipv4_subnet.map(cidr::normalise) else { return true };
    let mut outside = AddrSet::hosts_of(subnet);
    if let Some(gateway) = settings.gateway.or_else(|| cidr::default_gateway(subnet)) {
        outside.remove(&AddrRange::single(gateway));
    }
    let mut inside = AddrSet::default();
    if let Some(range) = ip_range.map(AddrRange::from) {
        inside = outside.clone();
        inside.keep(&range);
        outside.remove(&range);
    }
    // Only a range that the user chose may hold nodes: ours is made to stay free for others.
    let spare = if settings.ip_range.is_some() { inside.len() } else { 0 };
    if u64::from(room.nodes) > outside.len() + spare {
        return false;
    }
    for _ in 0..room.nodes {
        if outside.take_lowest().is_none() {
            break;
        }
    }
    room.pools.iter().all(|size| outside.take_highest(*size).is_some())
}

/// Where a network that exists differs from what the settings ask for, a line each; empty when it
/// will do. Without a subnet of its own the fleet takes the network as it is, like kind.
pub fn mismatches(network: &NetworkInfo, settings: &NetworkSettings) -> Vec<String> {
    let Some(subnet) = settings.ipv4_subnet.map(cidr::normalise) else { return Vec::new() };
    let mut lines = Vec::new();
    let mut compare = |what: &str, is: Option<String>, wanted: Option<String>| {
        if let Some(wanted) = wanted.filter(|wanted| is.as_ref() != Some(wanted)) {
            lines.push(format!("its {what} is {}, wanted is {wanted}", is.as_deref().unwrap_or("not set")));
        }
    };
    compare("driver", Some(network.driver.clone()), Some("bridge".to_owned()));
    let v4 = network.ipv4();
    compare("IPv4 subnet", v4.map(|entry| cidr::normalise_any(entry.subnet).to_string()), Some(subnet.to_string()));
    compare(
        "range for the engine",
        v4.and_then(|entry| entry.ip_range).map(|range| cidr::normalise_any(range).to_string()),
        settings.ip_range.map(|range| cidr::normalise(range).to_string()),
    );
    compare("gateway", v4.and_then(|entry| entry.gateway).map(|gateway| gateway.to_string()), settings.gateway.map(|g| g.to_string()));
    let v6 = network.ipv6_entry().map(|entry| cidr::normalise_any(entry.subnet).to_string());
    compare("IPv6 subnet", v6, settings.ipv6_subnet.map(|subnet| cidr::normalise_v6(subnet).to_string()));
    compare("MTU", network.options.get(OPTION_MTU).cloned(), settings.mtu.map(|mtu| mtu.to_string()));
    lines
}

#[cfg(test)]
mod tests;
