//! From a description to a fleet that no other test has: names of its own, a network of its own.

use ipnetwork::Ipv4Network;

use super::names;
use crate::domain::fleet::{Fleet, NetworkSettings};
use crate::domain::fleet_builder::{overlap_with_network, recheck};
use crate::domain::name::NameError;
use crate::domain::net::free::{TEST_SPACE, free_subnet, prefix_for};
use crate::engine::Engine;
use crate::ops::{Error, ErrorKind, Kindmesh, Result};

/// Several processes may choose the same subnet at the same moment; each time one of them gets it.
const TRIES: u32 = 24;

/// The fleet of a description, under names with this suffix. Its clusters are in the same order.
pub(super) fn renamed(description: &Fleet, suffix: &str) -> Result<Fleet> {
    let mut fleet = description.clone();
    let with = |name: &str| format!("{name}-{suffix}");
    let refused = |error: NameError| Error::from(error).hint(format!("names get a suffix of {} characters", suffix.len() + 1));
    fleet.name = with(fleet.name.as_str()).parse().map_err(refused)?;
    for cluster in &mut fleet.clusters {
        cluster.name = with(cluster.name.as_str()).parse().map_err(refused)?;
    }
    if wants_own_network(description) {
        fleet.network.name.clone_from(&fleet.name.to_string());
    }
    Ok(fleet)
}

/// Whether nothing is said of the network: then each fleet has one of its own.
pub(super) fn wants_own_network(description: &Fleet) -> bool {
    description.network == NetworkSettings::default()
}

/// Makes the fleet's own network in a subnet that nothing on the engine uses. When another process takes it at
/// the same moment, another one is chosen.
pub(super) async fn settle_network(kindmesh: &Kindmesh, fleet: &mut Fleet) -> Result<()> {
    let engine = kindmesh.engine();
    // One that is there, of a fleet that is used again, stays as it is.
    if let Some(network) = engine.networks_named(&fleet.network.name).await?.into_iter().next() {
        fleet.network.ipv4_subnet = network.ipam.iter().find_map(|entry| match entry.subnet {
            ipnetwork::IpNetwork::V4(subnet) => Some(subnet),
            ipnetwork::IpNetwork::V6(_) => None,
        });
        return recheck(fleet).map_err(|error| Error::new(ErrorKind::Config, error.to_string()));
    }
    let mut last = None;
    for _ in 0..TRIES {
        fleet.network.ipv4_subnet = Some(choose(engine.as_ref(), fleet).await?);
        recheck(fleet).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
        match kindmesh.ensure_network(fleet).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    let error = Error::new(ErrorKind::Conflict, format!("no subnet for network {}: tried {TRIES}", fleet.network.name));
    Err(last.into_iter().fold(error, Error::because))
}

async fn choose(engine: &dyn Engine, fleet: &Fleet) -> Result<Ipv4Network> {
    let space = Ipv4Network::new(TEST_SPACE.0, TEST_SPACE.1)
        .map_err(|error| Error::new(ErrorKind::Config, "the space of test networks").because(error))?;
    let networks = engine.networks_labelled(&[]).await?;
    let taken: Vec<Ipv4Network> = networks
        .iter()
        .flat_map(|network| &network.ipam)
        .filter_map(|entry| match entry.subnet {
            ipnetwork::IpNetwork::V4(subnet) => Some(subnet),
            ipnetwork::IpNetwork::V6(_) => None,
        })
        .chain(fleet.clusters.iter().flat_map(|cluster| [cluster.pod_subnet, cluster.service_subnet]))
        .collect();
    #[expect(clippy::cast_possible_truncation, reason = "chance is chance")]
    let start = names::random() as u32;
    let subnet = free_subnet(space, prefix_for(&fleet.clusters), start, &taken).ok_or_else(|| {
        Error::new(ErrorKind::Conflict, format!("no free subnet in {space} for network {}", fleet.network.name))
            .hint("fleets that tests left behind have networks there: `kindmesh down --all` removes them")
    })?;
    overlap_with_network(fleet, subnet).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
    Ok(subnet)
}

#[cfg(test)]
mod tests;
