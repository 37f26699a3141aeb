//! The network under a fleet: made as kind makes it, or just as the fleet file says.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::fleet::{Fleet, NetworkSettings};
use crate::domain::labels;
use crate::domain::lease::Lease;
use crate::domain::name::FleetName;
use crate::domain::net::NetworkInfo;
use crate::domain::net::network::{OPTION_MTU, ipv6_unusable, mismatches, network_spec, no_subnet_left, subnet_taken, taker, without_ipv6};
use crate::engine::{ContainerInfo, Engine, EngineError, EngineErrorKind};

use super::context::Outcome;
use super::error::{Error, ErrorKind, Result};

/// kind gives up after this many subnets for one network name.
const SUBNET_ATTEMPTS: u32 = 5;
/// Many creators at once come to rest within a second or two; each of them looks this often.
const LOOKS: u32 = 12;
/// Pause before another look, times the number of looks before: 7.8 s in all at most.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// The engine's default bridge; its MTU is copied, as kind does.
const DEFAULT_BRIDGE: &str = "bridge";

/// Reads the fleet's network if it is there. Several of one name are left as they are: reading
/// changes nothing.
pub(super) async fn find(engine: &dyn Engine, name: &str) -> Result<Option<NetworkInfo>> {
    let found = ranked(engine, engine.networks_named(name).await?).await?;
    Ok(found.into_iter().next().map(|found| found.network))
}

/// Refuses an existing network that is not what the fleet's own network must be. A shared network
/// is accepted as it is: users may have made it with subnets of their own.
pub(super) fn check(settings: &NetworkSettings, existing: &NetworkInfo) -> Result<()> {
    let differences = mismatches(existing, settings);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("network {} exists and is not what the fleet asks for: {}", existing.name, differences.join("; ")),
    )
    .hint("give the fleet's network another name or subnet, or remove the existing one if nothing needs it"))
}

/// Makes sure the fleet's network exists, exactly once, whoever else is making it at this moment.
///
/// Undo: [`remove`].
pub(super) async fn ensure(engine: &dyn Engine, fleet: &Fleet) -> Result<Outcome<NetworkInfo>> {
    let name = &fleet.network.name;
    let (mut made, mut overlap, mut seen) = (false, None, Vec::new());
    for look in 1..=LOOKS {
        let found = ranked(engine, engine.networks_named(name).await?).await?;
        match found.as_slice() {
            [] => match create(engine, fleet).await? {
                // The first time, the look that shows it follows at once.
                Creation::Done if !std::mem::replace(&mut made, true) => continue,
                Creation::Done => {}
                Creation::Overlap(error) => overlap = Some(error),
            },
            [Found { network, .. }] => {
                check(&fleet.network, network)?;
                return Ok(Outcome { value: network.clone(), changed: made });
            }
            // Old engines list a network that they are about to refuse (its subnet overlaps) and take
            // it back a moment later: only what is still there at the next look has really been made.
            [_, duplicates @ ..] if seen == ids(&found) => remove_duplicates(engine, name, duplicates).await?,
            _ => seen = ids(&found),
        }
        tokio::time::sleep(LOOK_PAUSE * look).await;
    }
    Err(match overlap {
        Some(cause) => overlapping(name).because(cause),
        None => Error::new(ErrorKind::Engine, format!("network {name} does not stay: looked {LOOKS} times, each time it was gone again"))
            .hint("another program makes or removes networks on this engine; run the command again when it is done"),
    })
}

/// Returns when there is no more than one network of this name. An engine that lets two creators both succeed starts no
/// container on a network of which there are two; the second creator takes its own back, or was killed before.
///
/// # Errors
/// When duplicates stay, because containers use them.
pub(super) async fn settle(engine: &dyn Engine, name: &str) -> Result<()> {
    let mut seen = Vec::new();
    for look in 1..=LOOKS {
        let found = ranked(engine, engine.networks_named(name).await?).await?;
        match found.as_slice() {
            [] | [_] => return Ok(()),
            [_, duplicates @ ..] if seen == ids(&found) => remove_duplicates(engine, name, duplicates).await?,
            _ => seen = ids(&found),
        }
        tokio::time::sleep(LOOK_PAUSE * look).await;
    }
    Err(several(name))
}

fn several(name: &str) -> Error {
    Error::new(ErrorKind::Engine, format!("the engine has several networks {name}, and containers belong to more than one of them"))
        .hint("remove all but one of them, and the containers that belong to those (`docker network ls`)")
}

fn ids(found: &[Found]) -> Vec<String> {
    found.iter().map(|one| one.network.id.clone()).collect()
}

fn overlapping(name: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("network {name}: its subnet overlaps another network of the engine"))
        .hint("choose another `network.subnet`, or remove networks that are no longer used")
}

/// Whether the network is no longer there: the fleet that made it may go down at any moment.
pub(super) async fn gone(engine: &dyn Engine, network: &NetworkInfo) -> bool {
    matches!(engine.inspect_network(&network.id).await, Err(error) if error.is_not_found())
}

/// Removes the networks this fleet created, unless something is still attached.
/// Returns the names removed and the names kept.
pub(super) async fn remove(engine: &dyn Engine, fleet: &FleetName) -> Result<(Vec<String>, Vec<String>)> {
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    for network in engine.networks_labelled(&[format!("{}={fleet}", labels::FLEET)]).await? {
        // Stopped containers are not among the attached but need their network to start again.
        let users = engine.list_containers(&[]).await?;
        let used = !network.attached.is_empty() || users.iter().any(|container| container.networks.contains_key(&network.name));
        if used {
            kept.push(network.name);
            continue;
        }
        match engine.remove_network(&network.id).await {
            Ok(()) => removed.push(network.name),
            Err(error) if error.is_not_found() => {}
            // Somebody attached a container between the look and the removal: it is theirs now.
            Err(error) if matches!(error.kind, EngineErrorKind::Conflict | EngineErrorKind::Refused) => kept.push(network.name),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((removed, kept))
}

/// Networks that outlived the fleets that made them, because others used them, with those fleets; nobody uses them now. One
/// with a lease goes by that.
pub(super) async fn abandoned(engine: &dyn Engine) -> Result<Vec<(FleetName, NetworkInfo)>> {
    let networks = engine.networks_labelled(&[labels::FLEET.to_owned()]).await?;
    if networks.is_empty() {
        return Ok(Vec::new());
    }
    let containers = engine.list_containers(&[]).await?;
    let abandoned = networks.into_iter().filter_map(|network| {
        let fleet = network.labels.get(labels::FLEET)?;
        let used = |one: &ContainerInfo| one.networks.contains_key(&network.name) || one.labels.get(labels::FLEET) == Some(fleet);
        let free = network.attached.is_empty() && !containers.iter().any(used) && Lease::read(&network.labels) == Lease::default();
        Some((free.then(|| fleet.parse().ok())??, network))
    });
    Ok(abandoned.collect())
}

/// Removes those of these networks that nobody uses any more, and whose makers are gone: they left them to who used them, and
/// the last of those removes them. Returns the names of those removed.
pub(super) async fn remove_abandoned(engine: &dyn Engine, used: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for network in abandoned(engine).await?.into_iter().map(|(_, network)| network).filter(|network| used.contains(&network.name)) {
        match engine.remove_network(&network.id).await {
            Ok(()) => removed.push(network.name),
            // Somebody else was faster, or has come to use it.
            Err(error) if error.is_not_found() || matches!(error.kind, EngineErrorKind::Conflict | EngineErrorKind::Refused) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(removed)
}

/// How an attempt to create the network ended, as far as the next look can tell more.
enum Creation {
    /// It was made, by us or by somebody else at the same moment.
    Done,
    /// Every subnet tried is in use, by no network that the engine lists.
    Overlap(EngineError),
}

async fn create(engine: &dyn Engine, fleet: &Fleet) -> Result<Creation> {
    let mtu = match fleet.network.mtu {
        Some(mtu) => Some(mtu),
        None => default_mtu(engine).await?,
    };
    let (mut attempt, mut ipv6) = (0, true);
    loop {
        let spec = network_spec(fleet, mtu, attempt);
        let spec = if ipv6 { spec } else { without_ipv6(spec) };
        let error = match engine.create_network(&spec).await {
            Ok(_) => return Ok(Creation::Done),
            Err(error) => error,
        };
        if error.is_conflict() && error.message.contains("already exists") {
            return Ok(Creation::Done);
        }
        // Without it the same again, which may now meet any of the others.
        if ipv6 && fleet.network.ipv6_subnet.is_none() && ipv6_unusable(&error.message) {
            ipv6 = false;
            continue;
        }
        if no_subnet_left(&error.message) {
            let message = format!("network {}: the engine has no free subnet to choose from", spec.name);
            return Err(Error::new(ErrorKind::Conflict, message)
                .because(error)
                .hint("remove networks that nothing needs (`docker network prune`), name a free `network.subnet` in the fleet file, or give the engine more `default-address-pools`"));
        }
        if !subnet_taken(&error.message) {
            return Err(error.into());
        }
        // The subnet is a function of the name, so the loser of a race lands here too.
        let networks = engine.networks_labelled(&[]).await?;
        if networks.iter().any(|network| network.name == spec.name) {
            return Ok(Creation::Done);
        }
        attempt += 1;
        if attempt < SUBNET_ATTEMPTS && fleet.network.ipv4_subnet.is_none() {
            continue;
        }
        return match taker(&spec, &networks) {
            Some((subnet, taker)) => {
                let message = format!("network {}: its subnet {subnet} overlaps the network {}", spec.name, taker.name);
                Err(Error::new(ErrorKind::Conflict, message)
                    .hint("choose another `network.subnet`, or remove that network if nothing needs it")
                    .because(error))
            }
            // Somebody's creation may hold the subnet without being listed yet.
            None => Ok(Creation::Overlap(error)),
        };
    }
}

/// Takes back what is not the one to stay. Engines below API 1.44 let two creators both succeed.
///
/// # Errors
/// When containers belong to all of them, also to those that would go.
async fn remove_duplicates(engine: &dyn Engine, name: &str, duplicates: &[Found]) -> Result<()> {
    if duplicates.iter().all(|duplicate| duplicate.users > 0) {
        return Err(several(name));
    }
    for duplicate in duplicates.iter().filter(|duplicate| duplicate.users == 0) {
        match engine.remove_network(&duplicate.network.id).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            // A container came to it since it was looked at: the next look puts it first.
            Err(error) if matches!(error.kind, EngineErrorKind::Conflict | EngineErrorKind::Refused) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A network, and how many containers belong to it, running or not: those that rest are not attached, but can start on no other.
struct Found {
    network: NetworkInfo,
    users: usize,
}

/// Networks of one name, the one to stay first: that of most containers that run, then of most at all, then the lowest ID.
async fn ranked(engine: &dyn Engine, networks: Vec<NetworkInfo>) -> Result<Vec<Found>> {
    let containers = if networks.len() > 1 { engine.list_containers(&[]).await? } else { Vec::new() };
    let found = networks.into_iter().map(|network| {
        let uses = |container: &&ContainerInfo| container.networks.get(&network.name).is_some_and(|one| one.network_id == network.id);
        let users = containers.iter().filter(uses).count().max(network.attached.len());
        Found { network, users }
    });
    let mut found: Vec<Found> = found.collect();
    found.sort_by_cached_key(|one| (Reverse(one.network.attached.len()), Reverse(one.users), one.network.id.clone()));
    Ok(found)
}

async fn default_mtu(engine: &dyn Engine) -> Result<Option<u32>> {
    let bridges = engine.networks_named(DEFAULT_BRIDGE).await?;
    Ok(bridges.first().and_then(|bridge| bridge.options.get(OPTION_MTU)).and_then(|mtu| mtu.parse().ok()).filter(|mtu| *mtu > 0))
}
