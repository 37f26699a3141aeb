//! Pools of another size in their place.
//!
//! Labels of containers cannot be changed, so that a pool which is another than its cluster's nodes say is noted on a
//! volume, for the container of its first control plane: of several notes the one with the highest number counts.
//! A note with an odd number is a claim: others keep away from it, and who made it then looks for claims that were made at
//! the same moment. Only when there is none the same pool is noted under an even number, and used; a claim without
//! that is of a killed process, and its fleet's next `up` takes it back ([`settle`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::fleet::Fleet;
use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::domain::net::ranges::AddrRanges;
use crate::domain::net::resize::shrunk;
use crate::domain::node::fleet_labels;
use crate::engine::{ContainerInfo, ContainerState, Engine, VolumeInfo};
use crate::k8s::{ApiServer, Deadline, metallb, services};

use super::cluster::Built;
use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result, first_of};
use super::install::failed;
use super::inventory::{Inventory, pool};
use super::lock::remove;
use super::pools;

const STEP: &str = "resize pools";
/// MetalLB takes a configuration within seconds.
const DEADLINE: Duration = Duration::from_secs(60);
/// What is noted of it takes a moment.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// What is noted, by container; the highest number last.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes(BTreeMap<String, Vec<Note>>);

#[derive(Debug, Clone)]
struct Note {
    volume: String,
    number: u64,
    pool: AddrRanges,
}

// === impl Notes ===

impl Notes {
    /// Reads them with one call.
    pub(super) async fn read(engine: &dyn Engine) -> Result<Self> {
        let mut notes: BTreeMap<String, Vec<Note>> = BTreeMap::new();
        for (container, note) in engine.list_volumes(&[labels::RESIZED.to_owned()]).await?.iter().filter_map(Note::read) {
            notes.entry(container).or_default().push(note);
        }
        notes.values_mut().for_each(|notes| notes.sort_by_key(|note| note.number));
        Ok(Self(notes))
    }

    /// The pool that is noted for a container.
    pub(super) fn pool(&self, container: &str) -> Option<&AddrRanges> {
        self.of(container).last().map(|note| &note.pool)
    }

    fn of(&self, container: &str) -> &[Note] {
        self.0.get(container).map(Vec::as_slice).unwrap_or_default()
    }
}

// === impl Note ===

impl Note {
    fn read(volume: &VolumeInfo) -> Option<(String, Self)> {
        let number = volume.name.rsplit_once('-')?.1.parse().ok()?;
        let pool = volume.labels.get(labels::POOL)?.parse().ok()?;
        Some((volume.labels.get(labels::RESIZED)?.clone(), Self { volume: volume.name.clone(), number, pool }))
    }
}

/// Notes a cluster's pool beside what is noted already, as a claim or for good. Undo: [`retract`], [`forget`].
async fn note(engine: &dyn Engine, fleet: &Fleet, node: &ContainerInfo, wanted: &AddrRanges, claimed: bool) -> Result<()> {
    let next = Notes::read(engine).await?.of(&node.id).last().map_or(0, |last| last.number + 1);
    let number = if is_claim(next) == claimed { next } else { next + 1 };
    let short: String = node.id.chars().take(12).collect();
    let mut labels = fleet_labels(&fleet.name);
    labels.extend(fleet.lease.labels());
    labels.insert(labels::RESIZED.to_owned(), node.id.clone());
    labels.insert(labels::POOL.to_owned(), wanted.to_string());
    let cluster = node.labels.get(labels::CLUSTER).map(String::as_str).unwrap_or_default();
    Ok(engine.create_volume(&format!("kindmesh-pool-{cluster}-{short}-{number}"), &labels).await?)
}

/// Takes back what was noted last.
async fn retract(engine: &dyn Engine, node: &ContainerInfo) -> Result<()> {
    match Notes::read(engine).await?.of(&node.id).last() {
        Some(last) => remove(engine, &last.volume).await,
        None => Ok(()),
    }
}

/// Notes a cluster's pool for good, in place of what was noted.
async fn establish(engine: &dyn Engine, fleet: &Fleet, node: &ContainerInfo, wanted: &AddrRanges) -> Result<()> {
    note(engine, fleet, node, wanted, false).await?;
    clean(engine, node).await
}

/// Removes the notes before the last, the oldest first, and the last one where the node's label says the same.
async fn clean(engine: &dyn Engine, node: &ContainerInfo) -> Result<()> {
    let notes = Notes::read(engine).await?;
    let Some((last, older)) = notes.of(&node.id).split_last() else { return Ok(()) };
    for one in older {
        remove(engine, &one.volume).await?;
    }
    if pool(node).as_ref() == Some(&last.pool) { remove(engine, &last.volume).await } else { Ok(()) }
}

/// Whether a note of this number is only a claim.
fn is_claim(number: u64) -> bool {
    number % 2 == 1
}

/// Removes what is noted for containers.
pub(super) async fn forget(engine: &dyn Engine, gone: &[&ContainerInfo]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let notes = Notes::read(engine).await?;
    for one in gone.iter().flat_map(|container| notes.of(&container.id)) {
        remove(engine, &one.volume).await?;
    }
    Ok(())
}

/// Notes for containers that are no more: of a removal that was killed.
pub(super) async fn orphans(engine: &dyn Engine, fleet: Option<&FleetName>) -> Result<Vec<String>> {
    let mut of = vec![labels::RESIZED.to_owned()];
    of.extend(fleet.map(|fleet| format!("{}={fleet}", labels::FLEET)));
    let volumes = engine.list_volumes(&of).await?;
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    let there: BTreeSet<String> =
        engine.list_containers(&[labels::CLUSTER.to_owned()]).await?.into_iter().map(|container| container.id).collect();
    let orphan = |volume: &VolumeInfo| volume.labels.get(labels::RESIZED).is_some_and(|id| !there.contains(id));
    Ok(volumes.into_iter().filter(orphan).map(|volume| volume.name).collect())
}

/// Removes the [`orphans`].
pub(super) async fn tidy(engine: &dyn Engine, fleet: Option<&FleetName>) -> Result<()> {
    for volume in orphans(engine, fleet).await? {
        remove(engine, &volume).await?;
    }
    Ok(())
}

/// Ends what a killed `up` began: its claims are taken back, what it noted for good stands. A container that never ran is a
/// claim, too, and nobody may have looked after it: it goes where another cluster has the same addresses. Returns whether
/// there was any.
pub(super) async fn settle(engine: &dyn Engine, fleet: &Fleet, inventory: &Inventory) -> Result<bool> {
    let notes = Notes::read(engine).await?;
    let mut changed = false;
    let unstarted = inventory.of_fleet(&fleet.name).flat_map(|(_, nodes)| nodes).filter(|node| node.state == ContainerState::Created);
    for node in unstarted.filter(|node| node.networks.keys().any(|network| pools::contested(node, network, inventory))) {
        engine.remove_container(&node.id).await?;
        changed = true;
    }
    for node in inventory.of_fleet(&fleet.name).filter_map(|(_, nodes)| nodes.first()) {
        match notes.of(&node.id) {
            [] => continue,
            [.., last] if is_claim(last.number) => retract(engine, node).await?,
            [_] => continue,
            _ => clean(engine, node).await?,
        }
        changed = true;
    }
    Ok(changed)
}

/// Claims the pools that are larger than what their clusters have: noted before anybody uses them, and given up where
/// another fleet claimed the same addresses at the same moment.
///
/// `grown` gets the clusters whose pools have grown. Returns whether all have; not when another fleet was faster.
pub(super) async fn claim(
    engine: &dyn Engine,
    fleet: &Fleet,
    network: &str,
    pools: &BTreeMap<String, AddrRanges>,
    grown: &mut BTreeSet<String>,
) -> Result<bool> {
    for (name, wanted) in pools {
        let inventory = Inventory::read(engine).await?;
        let (Some(node), Some(has)) = (inventory.nodes(name).first(), inventory.pool(name)) else { continue };
        if has.len() >= wanted.len() {
            continue;
        }
        note(engine, fleet, node, wanted, true).await?;
        if pools::overlapped(name, wanted, network, &Inventory::read(engine).await?) {
            retract(engine, node).await?;
            return Ok(false);
        }
        establish(engine, fleet, node, wanted).await?;
        grown.insert(name.clone());
    }
    Ok(true)
}

/// Makes the pools of clusters that are up smaller, where the description says so: around the addresses that their
/// services have. One that cannot be does not stop the others.
pub(super) async fn shrink(km: &Kindmesh, fleet: &Fleet, built: &mut [Built], scope: &Scope) -> Result<()> {
    let size = |name: &str| fleet.clusters.iter().find(|spec| spec.name.as_str() == name).map(|spec| spec.pool_size);
    let too_large = |built: &&mut Built| size(&built.report.name).is_some_and(|size| built.report.pool.len() > u64::from(size));
    let smaller: Vec<&mut Built> = built.iter_mut().filter(too_large).collect();
    if smaller.is_empty() {
        return Ok(());
    }
    scope
        .step(STEP, DEADLINE + AFTERWARDS, async {
            let results = join_all(smaller.into_iter().map(async |one| {
                let wanted = size(&one.report.name).unwrap_or_default();
                let shrunk = shrink_one(km, fleet, one, wanted, scope).await;
                one.report.pool = shrunk.map_err(|error| error.within(format_args!("cluster {}", one.report.name)))?;
                one.report.changed = true;
                Ok(())
            }));
            let failures: Vec<Error> = results.await.into_iter().filter_map(Result::err).collect();
            first_of(failures).map_or(Ok(Outcome::changed(())), Err)
        })
        .await
}

async fn shrink_one(km: &Kindmesh, fleet: &Fleet, built: &Built, size: u32, scope: &Scope) -> Result<AddrRanges> {
    let (engine, name, has) = (km.engine.as_ref(), built.report.name.as_str(), &built.report.pool);
    let deadline = Deadline::after(DEADLINE);
    let used = used(&built.server, deadline).await?;
    let wanted = shrunk(name, has, size, &used).map_err(|error| {
        Error::new(ErrorKind::Conflict, error.to_string())
            .hint(format!("remove services of type LoadBalancer from cluster {name}, or ask for a larger `poolSize`"))
    })?;
    // What it gives up is not free before it is out of MetalLB's hands.
    if fleet.addons.metallb.is_some() {
        let seen = |state: &str| scope.progress(STEP, state);
        let apply = async |pool: &AddrRanges| {
            let install = metallb::Install::new(pool.clone());
            install.apply_pool(&built.server, deadline, &seen).await.map_err(|error| failed(STEP, error))
        };
        apply(&wanted).await?;
        let late =
            self::used(&built.server, deadline).await?.into_iter().find(|address| has.contains(*address) && !wanted.contains(*address));
        if let Some(late) = late {
            apply(has).await?;
            let message = format!("a service of cluster {name} got {late} while its pool became smaller");
            return Err(Error::new(ErrorKind::Conflict, message).hint("run the command again"));
        }
    }
    let inventory = Inventory::read(engine).await?;
    if let Some(node) = inventory.nodes(name).first() {
        establish(engine, fleet, node, &wanted).await?;
    }
    Ok(wanted)
}

/// Addresses that services of a cluster have.
async fn used(server: &ApiServer, deadline: Deadline) -> Result<Vec<Ipv4Addr>> {
    let balancers = services::load_balancers_within(server, deadline).await.map_err(|error| failed(STEP, error))?;
    let addresses = balancers.iter().filter_map(|service| match service.address {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    });
    Ok(addresses.collect())
}
