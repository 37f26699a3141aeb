//! The network under a fleet: made as kind makes it, or just as the fleet file says.

use std::time::Duration;

use crate::domain::fleet::{Fleet, NetworkSettings};
use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::domain::net::NetworkInfo;
use crate::domain::net::network::{OPTION_MTU, ipv6_unusable, mismatches, network_spec, subnet_taken, without_ipv6};
use crate::engine::{Engine, EngineErrorKind};

use super::context::Outcome;
use super::error::{Error, ErrorKind, Result};

/// kind gives up after this many subnets for one network name.
const SUBNET_ATTEMPTS: u32 = 5;
/// Many creators at once come to rest within a second; each of them looks this often.
const SETTLE_ATTEMPTS: u32 = 10;
/// Pause before another look, times the number of looks before: 4.5 s in all.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);
/// The engine's default bridge; its MTU is copied, as kind does.
const DEFAULT_BRIDGE: &str = "bridge";

/// Reads the fleet's network if it is there. Several of one name are left as they are: reading
/// changes nothing.
pub(super) async fn find(engine: &dyn Engine, name: &str) -> Result<Option<NetworkInfo>> {
    let mut found = engine.networks_named(name).await?;
    found.sort_by(precedence);
    Ok(found.into_iter().next())
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
    let mut made = false;
    for attempt in 0..SETTLE_ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(SETTLE_PAUSE * attempt).await;
        }
        if let Some(network) = settle(engine, name).await? {
            check(&fleet.network, &network)?;
            return Ok(Outcome { value: network, changed: made });
        }
        create(engine, fleet).await?;
        made = true;
        // Old engines list a network that they are about to refuse (its subnet overlaps) and take it
        // back a moment later, so what stopped this creation may itself not stay: look again.
        if let Some(network) = settle(engine, name).await? {
            check(&fleet.network, &network)?;
            return Ok(Outcome::changed(network));
        }
    }
    Err(Error::new(ErrorKind::Engine, format!("network {name} was created {SETTLE_ATTEMPTS} times and is gone again each time"))
        .hint("another program removes networks on this engine; run the command again when it is done"))
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

async fn create(engine: &dyn Engine, fleet: &Fleet) -> Result<()> {
    let mtu = match fleet.network.mtu {
        Some(mtu) => Some(mtu),
        None => default_mtu(engine).await?,
    };
    let mut overlap = None;
    for attempt in 0..SUBNET_ATTEMPTS {
        let spec = network_spec(fleet, mtu, attempt);
        let error = match engine.create_network(&spec).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if error.is_conflict() && error.message.contains("already exists") {
            return Ok(());
        }
        if fleet.network.ipv6_subnet.is_none() && ipv6_unusable(&error.message) {
            engine.create_network(&without_ipv6(spec)).await?;
            return Ok(());
        }
        if !subnet_taken(&error.message) {
            return Err(error.into());
        }
        // The subnet is a function of the name, so the loser of a race lands here too.
        if !engine.networks_named(&fleet.network.name).await?.is_empty() {
            return Ok(());
        }
        overlap = Some(error);
        if fleet.network.ipv4_subnet.is_some() {
            break;
        }
    }
    let error =
        Error::new(ErrorKind::Conflict, format!("network {}: its subnet overlaps another network of the engine", fleet.network.name))
            .hint("choose another `network.subnet`, or remove networks that are no longer used");
    Err(match overlap {
        Some(cause) => error.because(cause),
        None => error,
    })
}

/// Leaves one network of this name: the one with most containers, then the lowest ID. Engines below
/// API 1.44 let two creators both succeed.
async fn settle(engine: &dyn Engine, name: &str) -> Result<Option<NetworkInfo>> {
    let mut found = engine.networks_named(name).await?;
    found.sort_by(precedence);
    let mut found = found.into_iter();
    let Some(winner) = found.next() else { return Ok(None) };
    for duplicate in found {
        match engine.remove_network(&duplicate.id).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(winner))
}

fn precedence(a: &NetworkInfo, b: &NetworkInfo) -> std::cmp::Ordering {
    b.attached.len().cmp(&a.attached.len()).then_with(|| a.id.cmp(&b.id))
}

async fn default_mtu(engine: &dyn Engine) -> Result<Option<u32>> {
    let bridges = engine.networks_named(DEFAULT_BRIDGE).await?;
    Ok(bridges.first().and_then(|bridge| bridge.options.get(OPTION_MTU)).and_then(|mtu| mtu.parse().ok()).filter(|mtu| *mtu > 0))
}
