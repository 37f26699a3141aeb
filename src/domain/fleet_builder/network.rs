//! The network part of the description: settings, and whether everything fits.

use std::net::Ipv4Addr;

use ipnetwork::{Ipv4Network, Ipv6Network};

use super::check::{subnet, syntax};
use super::{FleetError, NetworkBuilder, Place, Problem};
use crate::domain::fleet::{ClusterSpec, NetworkSettings, SHARED_NETWORK};
use crate::domain::net::cidr;
use crate::domain::net::network::{Room, choose_ip_range, fits, hosts};
use crate::domain::net::range::AddrRange;
use crate::domain::net::set::AddrSet;

/// Smallest MTU IPv6 works with.
const MIN_MTU: u32 = 1280;
const MAX_MTU: u32 = 65_535;
/// Names that an engine keeps for itself.
const ENGINE_NETWORKS: [&str; 4] = ["bridge", "host", "none", "default"];

/// The settings of the network, defaults filled in; `fleet` names a network of its own.
pub(super) fn settings(builder: &NetworkBuilder, fleet: &str) -> Result<NetworkSettings, FleetError> {
    let fail = |field, problem| Err(FleetError { place: Place::Network(field), problem });
    let ipv4_subnet = subnet(Place::Network("subnet"), builder.subnet.as_deref())?;
    let ip_range = subnet(Place::Network("ipRange"), builder.ip_range.as_deref())?;
    let gateway = match &builder.gateway {
        Some(text) => Some(syntax(Place::Network("gateway"), text, "IPv4 address, such as 10.9.0.1")?),
        None => None,
    };
    let ipv6_subnet = match &builder.ipv6_subnet {
        Some(text) => {
            let subnet: Ipv6Network = syntax(Place::Network("ipv6Subnet"), text, "IPv6 subnet, such as fc00:9::/64")?;
            Some(cidr::normalise_v6(subnet))
        }
        None => None,
    };
    match ipv4_subnet {
        Some(subnet) => inside(subnet, ip_range, gateway)?,
        None if ip_range.is_some() => return fail("ipRange", Problem::NeedsSubnet),
        None if gateway.is_some() => return fail("gateway", Problem::NeedsSubnet),
        None => {}
    }
    if let Some(value) = builder.mtu.filter(|mtu| !(MIN_MTU..=MAX_MTU).contains(mtu)) {
        return fail("mtu", Problem::Bounds { value, min: MIN_MTU, max: MAX_MTU });
    }
    let default = if ipv4_subnet.is_some() { fleet } else { SHARED_NETWORK };
    let name = builder.name.clone().unwrap_or_else(|| default.to_owned());
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || ENGINE_NETWORKS.contains(&name.as_str()) || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        let what = "name for a network: letters, digits, '_', '.' and '-', and none of the engine's own networks";
        return fail("name", Problem::Syntax { text: name, what });
    }
    Ok(NetworkSettings { name, ipv4_subnet, ip_range, gateway, ipv6_subnet, mtu: builder.mtu })
}

fn inside(subnet: Ipv4Network, ip_range: Option<Ipv4Network>, gateway: Option<Ipv4Addr>) -> Result<(), FleetError> {
    let fail = |field, problem| Err(FleetError { place: Place::Network(field), problem });
    if !(8..=28).contains(&subnet.prefix()) {
        return fail("subnet", Problem::NetworkSubnet { subnet });
    }
    if let Some(range) = ip_range.filter(|range| !range.is_subnet_of(subnet)) {
        return fail("ipRange", Problem::OutsideNetwork { what: "the engine's range", value: range.to_string(), subnet });
    }
    let Some(gateway) = gateway else { return Ok(()) };
    if !subnet.contains(gateway) {
        return fail("gateway", Problem::OutsideNetwork { what: "the gateway", value: gateway.to_string(), subnet });
    }
    if !AddrSet::hosts_of(subnet).covers(&AddrRange::single(gateway)) {
        return fail("gateway", Problem::Gateway { gateway, subnet });
    }
    Ok(())
}

/// Whether nodes and pools fit on a network of the fleet's own, before anybody makes it.
pub(super) fn room(settings: &NetworkSettings, clusters: &[ClusterSpec]) -> Result<(), FleetError> {
    let Some(subnet) = settings.ipv4_subnet else { return Ok(()) };
    let pools: Vec<u32> = clusters.iter().map(|cluster| cluster.pool_size).collect();
    let room = Room { nodes: clusters.iter().map(ClusterSpec::nodes).sum(), pools: &pools };
    let fine = match settings.ip_range {
        Some(range) => fits(settings, Some(range), room),
        None => choose_ip_range(settings, room).is_some(),
    };
    if fine {
        return Ok(());
    }
    let beside = settings.ip_range.map(|range| format!(", and pools must stay outside {range}")).unwrap_or_default();
    let problem =
        Problem::NoRoom { subnet, hosts: hosts(subnet), nodes: room.nodes, pools: pools.iter().copied().map(u64::from).sum(), beside };
    Err(FleetError { place: Place::Network("subnet"), problem })
}
