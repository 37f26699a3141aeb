//! Address pools: one per cluster, carved from the top of a network's IPv4 subnet downward.
//!
//! The rule is a greedy one, so that a person can follow it: requests are served in order, and each
//! gets the highest block of exactly its size that is still free. A pool that a cluster already has
//! stays where it is, whatever comes or goes beside it. Free means: a host address of the subnet that
//! nothing on the network has or may be given.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::Ipv4Network;
use serde::Serialize;

use super::range::AddrRange;
use super::set::AddrSet;
use super::{NetworkInfo, cidr};
use crate::domain::fleet::MIN_POOL_SIZE;

/// A cluster that wants a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRequest {
    /// Name of the cluster.
    pub cluster: String,
    /// Addresses wanted, at least [`MIN_POOL_SIZE`].
    pub size: u32,
    /// The pool the cluster has already; kept as it is, even when its size is another.
    pub existing: Option<AddrRange>,
}

/// A cluster's pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// Name of the cluster.
    pub cluster: String,
    /// Its addresses.
    pub range: AddrRange,
}

/// Addresses that no pool may touch, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reserved {
    /// The addresses.
    pub range: AddrRange,
    /// Whose they are, in words (`gateway`, `container web`, `pool of cluster c`).
    pub owner: String,
}

/// What `network pools` prints: the calculator's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolPlan {
    /// The pools, in order.
    pub pools: Vec<PlannedPool>,
}

/// One pool of a [`PoolPlan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedPool {
    /// Name of the cluster (`cluster1`).
    pub cluster: String,
    /// Its addresses, `first-last`.
    pub range: AddrRange,
    /// Number of addresses.
    pub size: u64,
}

/// Why pools were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Fewer addresses than a cluster needs.
    #[error("the pool of {cluster} would have {size} addresses; at least {MIN_POOL_SIZE} are needed")]
    TooSmall {
        /// Name of the cluster.
        cluster: String,
        /// Addresses asked for.
        size: u32,
    },
    /// No block is long enough.
    #[error(
        "the subnet {subnet} is too full: {pools} new pools need {needed} addresses in all, {free} of its {hosts} host addresses were free, \
         and for {cluster} the longest free block has {longest} of the {size} it needs; use a larger subnet, smaller pools or fewer clusters"
    )]
    Full {
        /// The subnet.
        subnet: Ipv4Network,
        /// Name of the first cluster that got none.
        cluster: String,
        /// Addresses that cluster needs.
        size: u32,
        /// Number of pools to be placed.
        pools: usize,
        /// Addresses needed by all of them.
        needed: u64,
        /// Addresses that were free before the first was placed.
        free: u64,
        /// Host addresses of the subnet.
        hosts: u64,
        /// Length of the longest block that was left when this one was to be placed.
        longest: u64,
    },
    /// A pool that a cluster has lies outside the subnet.
    #[error("the pool {range} of {cluster} is no part of the subnet {subnet}; remove the cluster and create it again")]
    Outside {
        /// Name of the cluster.
        cluster: String,
        /// Its pool.
        range: AddrRange,
        /// The subnet.
        subnet: Ipv4Network,
    },
    /// A pool that a cluster has, or the range wanted for it, is used by something else.
    #[error("the pool {range} of {cluster} holds {taken}, which belongs to the {owner}; free that address or remove the cluster")]
    Taken {
        /// Name of the cluster.
        cluster: String,
        /// Its pool.
        range: AddrRange,
        /// What the pool and the other have in common.
        taken: Span,
        /// Whose it is.
        owner: String,
    },
    /// The gateway is no host address of the subnet.
    #[error("the gateway {gateway} is no host address of the subnet {subnet}")]
    Gateway {
        /// The gateway.
        gateway: Ipv4Addr,
        /// The subnet.
        subnet: Ipv4Network,
    },
}

/// A range for a person: a single address is not written twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub AddrRange);

/// Gives every request its pool, in the order asked.
///
/// # Errors
/// A [`PoolError`] with the numbers, when a request is too small, a pool cannot be placed, or one that
/// exists is outside the subnet or touches something reserved. Nothing is assigned then.
pub fn carve(subnet: Ipv4Network, reserved: &[Reserved], requests: &[PoolRequest]) -> Result<Vec<Pool>, PoolError> {
    let hosts = AddrSet::hosts_of(subnet);
    let mut free = hosts.clone();
    for taken in reserved {
        free.remove(&taken.range);
    }
    for request in requests {
        let Some(range) = request.existing else {
            if request.size < MIN_POOL_SIZE {
                return Err(PoolError::TooSmall { cluster: request.cluster.clone(), size: request.size });
            }
            continue;
        };
        if !hosts.covers(&range) {
            return Err(PoolError::Outside { cluster: request.cluster.clone(), range, subnet });
        }
        if !free.covers(&range) {
            return Err(taken_by(request, range, reserved, requests));
        }
        free.remove(&range);
    }
    let wanted = || requests.iter().filter(|request| request.existing.is_none());
    let before = free.len();
    let mut pools = Vec::with_capacity(requests.len());
    for request in requests {
        let range = match request.existing {
            Some(range) => range,
            None => free.take_highest(request.size).ok_or_else(|| PoolError::Full {
                subnet,
                cluster: request.cluster.clone(),
                size: request.size,
                pools: wanted().count(),
                needed: wanted().map(|request| u64::from(request.size)).sum(),
                free: before,
                hosts: hosts.len(),
                longest: free.longest(),
            })?,
        };
        pools.push(Pool { cluster: request.cluster.clone(), range });
    }
    Ok(pools)
}

/// Everything on a network's IPv4 side that a pool must not touch: gateway, auxiliary addresses,
/// attached containers, and the engine's own range when it is limited. Other clusters' pools are
/// not known here; add them.
pub fn reserved_of(network: &NetworkInfo) -> Vec<Reserved> {
    let mut reserved = Vec::new();
    for entry in network.ipam.iter().filter(|entry| entry.subnet.is_ipv4()) {
        // An engine that does not tell the gateway still has one at its usual place.
        let gateway = match (entry.gateway, entry.subnet) {
            (Some(IpAddr::V4(gateway)), _) => Some(gateway),
            (_, ipnetwork::IpNetwork::V4(subnet)) => cidr::default_gateway(subnet),
            _ => None,
        };
        reserved.extend(gateway.map(|address| Reserved { range: AddrRange::single(address), owner: "gateway".to_owned() }));
        reserved.extend(entry.auxiliary.iter().filter_map(|address| match address {
            IpAddr::V4(address) => Some(Reserved { range: AddrRange::single(*address), owner: "auxiliary addresses".to_owned() }),
            IpAddr::V6(_) => None,
        }));
        if let Some(ipnetwork::IpNetwork::V4(range)) = entry.ip_range {
            // A range as wide as the subnet limits nothing; some engines echo it so.
            if ipnetwork::IpNetwork::V4(cidr::normalise(range)) != cidr::normalise_any(entry.subnet) {
                reserved.push(Reserved { range: range.into(), owner: "range the engine hands out".to_owned() });
            }
        }
    }
    reserved.extend(network.attached.iter().filter_map(|container| {
        container.ipv4.map(|address| Reserved { range: AddrRange::single(address), owner: format!("container {}", container.name) })
    }));
    reserved
}

/// The arithmetic of [`carve`] for clusters that do not exist: `count` pools of `size` addresses for
/// `cluster1`, `cluster2` and so on. The gateway is the first address unless given.
///
/// # Errors
/// As [`carve`]; also when the gateway is no host address of the subnet.
pub fn plan_pools(
    subnet: Ipv4Network,
    count: u32,
    size: u32,
    gateway: Option<Ipv4Addr>,
    reserved: &[AddrRange],
) -> Result<PoolPlan, PoolError> {
    let subnet = cidr::normalise(subnet);
    if let Some(gateway) = gateway.filter(|gateway| !AddrSet::hosts_of(subnet).covers(&AddrRange::single(*gateway))) {
        return Err(PoolError::Gateway { gateway, subnet });
    }
    let gateway = gateway.or_else(|| cidr::default_gateway(subnet));
    let reserved: Vec<Reserved> = gateway
        .map(|address| Reserved { range: AddrRange::single(address), owner: "gateway".to_owned() })
        .into_iter()
        .chain(reserved.iter().map(|range| Reserved { range: *range, owner: "reserved addresses".to_owned() }))
        .collect();
    // One more than could ever fit is enough to be refused with the numbers.
    let most = u32::try_from(cidr::size(subnet)).unwrap_or(u32::MAX) / MIN_POOL_SIZE + 1;
    let requests: Vec<PoolRequest> =
        (1..=count.min(most)).map(|index| PoolRequest { cluster: format!("cluster{index}"), size, existing: None }).collect();
    let pools = carve(subnet, &reserved, &requests)?
        .into_iter()
        .map(|pool| PlannedPool { cluster: pool.cluster, range: pool.range, size: pool.range.len() })
        .collect();
    Ok(PoolPlan { pools })
}

/// Finds out who has a part of a cluster's existing pool.
fn taken_by(request: &PoolRequest, range: AddrRange, reserved: &[Reserved], requests: &[PoolRequest]) -> PoolError {
    let others = requests
        .iter()
        .filter(|other| other.cluster != request.cluster)
        .filter_map(|other| other.existing.map(|range| Reserved { range, owner: format!("pool of {}", other.cluster) }));
    let taker = reserved.iter().cloned().chain(others).find(|taker| taker.range.overlaps(&range));
    let (taken, owner) = match taker {
        Some(taker) => (AddrRange { first: taker.range.first.max(range.first), last: taker.range.last.min(range.last) }, taker.owner),
        // The only way left: the same cluster asked twice.
        None => (range, format!("pool of {}", request.cluster)),
    };
    PoolError::Taken { cluster: request.cluster.clone(), range, taken: Span(taken), owner }
}

// === impl Span ===

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.first == self.0.last { write!(f, "{}", self.0.first) } else { write!(f, "{}", self.0) }
    }
}

#[cfg(test)]
mod tests;
