//! What a fleet has for itself before its nodes start: pools, fixed addresses, and names by its containers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::domain::fleet::Fleet;
use crate::domain::labels;
use crate::domain::name::Role;
use crate::domain::net::addresses::node_addresses;
use crate::domain::net::pool::reserved_of;
use crate::domain::net::range::AddrRange;
use crate::domain::net::ranges::AddrRanges;
use crate::domain::net::{IpamEntry, NetworkInfo};
use crate::engine::ContainerInfo;

use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result};
use super::inventory::Inventory;
use super::nodes::{self, NodePlan};
use super::up::Ground;
use super::{pools, resize};

/// Creating containers copies a little data; ten of them on a slow disk stay far below this.
const RESERVE_DEADLINE: Duration = Duration::from_secs(120);
/// Fleets that come at the same moment give way to each other for so long, so that it is that which is told. Of many that
/// come at once one has its pools after each try, and on a busy machine a try may take seconds.
const RESERVE_PATIENCE: Duration = Duration::from_secs(90);
/// The least of which a pause is made. Creating a container takes some tenths of a second, and 16 of these times the number
/// of the try part two; where a try takes longer, pauses are longer, too.
const RESERVE_PAUSE: Duration = Duration::from_millis(40);
/// Of what a try took, the part that a pause is made of.
const PAUSES_IN_A_TRY: u32 = 8;
/// After this try pauses grow no more.
const LONGEST_PAUSE: u32 = 8;

/// What a fleet has for itself before its nodes start.
pub(super) struct Reservation {
    /// Pools, by cluster.
    pub(super) pools: BTreeMap<String, AddrRanges>,
    /// Fixed addresses, by node.
    pub(super) addresses: BTreeMap<String, Ipv4Addr>,
    /// Clusters whose pools have grown.
    pub(super) grown: BTreeSet<String>,
}

/// Reserves the clusters' pools by creating their control-plane containers, which carry them as
/// labels, and gives way where another fleet was first.
pub(super) async fn reserve(km: &Kindmesh, ground: &Ground<'_>, scope: &Scope) -> Result<Reservation> {
    let engine = km.engine.as_ref();
    scope
        .step("reserve addresses", RESERVE_DEADLINE, async {
            // Also what the tries before the last have made.
            let (mut grown, mut anything) = (BTreeSet::new(), false);
            let begun = Instant::now();
            let mut attempt = 0;
            while begun.elapsed() < RESERVE_PATIENCE {
                attempt += 1;
                let trying = Instant::now();
                let network = engine.inspect_network(&ground.network.id).await?;
                let inventory = Inventory::read(engine).await?;
                let pools = pools::assign(engine, ground.fleet, &network, &inventory).await?;
                let addresses = fixed_addresses(ground.fleet, &network, &inventory, &pools)?;
                let made = join_all(ground.fleet.clusters.iter().map(async |spec| {
                    let plan = ground.plan(spec.name.as_str(), &pools, &addresses)?;
                    nodes::create(km, &plan, &NodePlan::new(spec, Role::ControlPlane, 1)).await
                }));
                let made: Vec<(ContainerInfo, bool)> = made.await.into_iter().collect::<Result<_>>()?;
                let first = made.first().map(|(container, _)| container.id.clone());
                let created: Vec<ContainerInfo> = made.into_iter().filter(|(_, new)| *new).map(|(container, _)| container).collect();
                let inventory = Inventory::read(engine).await?;
                let lost: Vec<_> =
                    created.iter().filter(|container| pools::contested(container, &ground.network.name, &inventory)).collect();
                anything |= created.len() > lost.len();
                if lost.is_empty() && resize::claim(engine, ground.fleet, &ground.network.name, &pools, &mut grown).await? {
                    let changed = anything || !grown.is_empty();
                    return Ok(Outcome { value: Reservation { pools, addresses, grown }, changed });
                }
                scope.progress("reserve addresses", "another fleet took the same addresses at the same moment; choosing others");
                // Two that gave way to each other must not meet again: what their IDs end with is chance.
                let drawn = lost.first().map(|container| container.id.clone()).or(first);
                let part = RESERVE_PAUSE.max(trying.elapsed() / PAUSES_IN_A_TRY);
                let pause = part * attempt.min(LONGEST_PAUSE) * drawn.as_deref().map_or(1, |id| chance(id, attempt));
                for container in lost {
                    engine.remove_container(&container.name).await?;
                }
                tokio::time::sleep(pause.min(RESERVE_PATIENCE.saturating_sub(begun.elapsed()))).await;
            }
            Err(Error::new(
                ErrorKind::Conflict,
                format!("no pools on network {}: other fleets were faster {attempt} times", ground.network.name),
            )
            .hint("run the command again"))
        })
        .await
}

/// 1 to 16, by a digit of a container's ID: the n-th from its end, counted from 1. Of a container that is there all the time
/// the digits come again.
fn chance(id: &str, nth: u32) -> u32 {
    let nth = (nth.saturating_sub(1) % 32) + 1;
    id.chars().rev().nth(nth.saturating_sub(1) as usize).and_then(|digit| digit.to_digit(16)).unwrap_or_default() + 1
}

/// Fixed addresses of all nodes, on a network of the fleet's own.
fn fixed_addresses(
    fleet: &Fleet,
    network: &NetworkInfo,
    inventory: &Inventory,
    pools: &BTreeMap<String, AddrRanges>,
) -> Result<BTreeMap<String, Ipv4Addr>> {
    if fleet.network.ipv4_subnet.is_none() {
        return Ok(BTreeMap::new());
    }
    let subnet = pools::ipv4_subnet(network)?;
    let ip_range = network.ipv4().and_then(|entry| match entry.ip_range {
        Some(ipnetwork::IpNetwork::V4(range)) => Some(range),
        _ => None,
    });
    let existing: BTreeMap<String, Ipv4Addr> = inventory
        .of_fleet(&fleet.name)
        .flat_map(|(_, nodes)| nodes)
        .filter_map(|node| Some((node.name.clone(), node.labels.get(labels::ADDRESS)?.parse().ok()?)))
        .collect();
    let names: Vec<String> = fleet.clusters.iter().flat_map(nodes::plans).map(|plan| plan.name).collect();
    // The engine's own range is no obstacle here: it only keeps to it when it chooses by itself.
    let mut reserved: Vec<AddrRange> = reserved_of(&NetworkInfo {
        ipam: network.ipam.iter().cloned().map(|entry| IpamEntry { ip_range: None, ..entry }).collect(),
        attached: network.attached.iter().filter(|container| !names.contains(&container.name)).cloned().collect(),
        ..network.clone()
    })
    .into_iter()
    .map(|reserved| reserved.range)
    .collect();
    reserved.extend(pools.values().flat_map(|pool| pool.ranges().iter().copied()));
    node_addresses(subnet, ip_range, &reserved, &existing, &names)
        .map_err(|error| Error::new(ErrorKind::Conflict, format!("network {}: {error}", network.name)))
}
