//! What dead tests left, removed by the next one that starts: fleets whose owner is gone or whose time has
//! come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::background;
use super::source::Source;
use crate::domain::labels;
use crate::domain::lease::{Lease, Owner, holder};
use crate::domain::name::FleetName;
use crate::engine::{ContainerInfo, ContainerState, Engine};
use crate::ops::{Kindmesh, Result};

/// A holder whose connection broke while its owner lives is made anew well within this.
const SECOND_LOOK: Duration = Duration::from_secs(10);

/// Whether this process has looked already.
static LOOKED: AtomicBool = AtomicBool::new(false);

/// What nobody needs any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Dead {
    fleets: BTreeSet<FleetName>,
    /// Containers that belong to no fleet, by ID.
    helpers: BTreeSet<String>,
}

/// Looks once per process, beside whatever else it does.
pub(super) fn in_background(source: &Source) {
    if LOOKED.swap(true, Ordering::Relaxed) {
        return;
    }
    let source = source.clone();
    // Without a thread, somebody else will do it.
    let _ = background::spawn(move || async move {
        let reaped = async { reap(&source.kindmesh(None).await?, SECOND_LOOK).await };
        match reaped.await {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(?gone, "removed what tests that were killed had left"),
            Err(error) => tracing::warn!(error = error.one_line(), "could not remove what tests that were killed have left"),
        }
    });
}

/// Removes what is dead in two looks. Returns the names of fleets and helpers.
async fn reap(kindmesh: &Kindmesh, between: Duration) -> Result<Vec<String>> {
    let engine = kindmesh.engine().as_ref();
    let first = dead(engine, Timestamp::now()).await?;
    if first == Dead::default() {
        return Ok(Vec::new());
    }
    tokio::time::sleep(between).await;
    let second = dead(engine, Timestamp::now()).await?;
    let mut gone = Vec::new();
    for id in first.helpers.intersection(&second.helpers) {
        match engine.remove_container(id).await {
            Ok(()) => gone.push(id.clone()),
            // Others reap as well.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    for fleet in first.fleets.intersection(&second.fleets) {
        kindmesh.down(fleet).await?;
        gone.push(fleet.to_string());
    }
    Ok(gone)
}

async fn dead(engine: &dyn Engine, now: Timestamp) -> Result<Dead> {
    // Fleets as a whole: those of their objects that have no lease count as well.
    let containers = engine.list_containers(&[]).await?;
    let networks = engine.networks_labelled(&[]).await?;
    let living: BTreeSet<Owner> =
        containers.iter().filter(|one| one.state == ContainerState::Running).filter_map(|one| holder(&one.labels)).collect();
    let over = |lease: Lease| lease.standing(&living, now).is_over();
    let mut fleets: BTreeMap<&str, Vec<Lease>> = BTreeMap::new();
    for object in containers.iter().map(|one| &one.labels).chain(networks.iter().map(|one| &one.labels)) {
        if let Some(fleet) = object.get(labels::FLEET) {
            fleets.entry(fleet).or_default().push(Lease::read(object));
        }
    }
    let helper = |one: &&ContainerInfo| one.labels.contains_key(labels::HELPER) && !one.labels.contains_key(labels::FLEET);
    Ok(Dead {
        fleets: fleets
            .into_iter()
            .filter(|(_, leases)| over(Lease::of_fleet(leases.iter().cloned())))
            .filter_map(|(fleet, _)| fleet.parse().ok())
            .collect(),
        helpers: containers.iter().filter(helper).filter(|one| over(Lease::read(&one.labels))).map(|one| one.id.clone()).collect(),
    })
}

#[cfg(test)]
mod tests;
