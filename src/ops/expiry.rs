//! When a fleet ends: read from what it has, kept by what is added to it, and put off by `up`.
//!
//! Labels of containers cannot be changed, so that another end than theirs is noted on a volume: of several such notes
//! of a fleet the one with the highest number counts. They go with the fleet.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::fleet::Fleet;
use crate::domain::labels;
use crate::domain::lease::Lease;
use crate::domain::name::FleetName;
use crate::domain::node::fleet_labels;
use crate::engine::{Engine, VolumeInfo};

use super::context::Scope;
use super::error::Result;
use super::inventory::Inventory;
use super::lock::remove;

const STEP: &str = "set the fleet's end";

/// What is noted, by fleet; the highest number last.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends(BTreeMap<String, Vec<Note>>);

#[derive(Debug, Clone)]
struct Note {
    volume: String,
    number: u64,
    says: Lease,
}

// === impl Ends ===

impl Ends {
    /// Reads them with one call.
    pub(super) async fn read(engine: &dyn Engine) -> Result<Self> {
        let mut notes: BTreeMap<String, Vec<Note>> = BTreeMap::new();
        for (fleet, note) in engine.list_volumes(&[labels::END.to_owned()]).await?.iter().filter_map(Note::read) {
            notes.entry(fleet).or_default().push(note);
        }
        notes.values_mut().for_each(|notes| notes.sort_by_key(|note| note.number));
        Ok(Self(notes))
    }

    /// The lease of a fleet whose objects have these.
    pub(super) fn lease(&self, fleet: &str, objects: impl IntoIterator<Item = Lease>) -> Lease {
        let lease = Lease::of_fleet(objects);
        match self.of(fleet).last() {
            Some(note) => Lease { expires: note.says.expires, ..lease },
            None => lease,
        }
    }

    fn of(&self, fleet: &str) -> &[Note] {
        self.0.get(fleet).map(Vec::as_slice).unwrap_or_default()
    }
}

// === impl Note ===

impl Note {
    fn read(volume: &VolumeInfo) -> Option<(String, Self)> {
        let number = volume.labels.get(labels::END)?.parse().ok()?;
        let says = Lease::read(&volume.labels);
        // What cannot be understood ends nothing.
        says.expires?;
        Some((volume.labels.get(labels::FLEET)?.clone(), Self { volume: volume.name.clone(), number, says }))
    }
}

/// The fleet with the lease that it has from now on, and whether that is another than before: of a fleet that is there
/// the one it has, so that what is added has it, too, with another end where the description asks for one.
pub(super) async fn settle(engine: &dyn Engine, fleet: &Fleet, inventory: &Inventory, scope: &Scope) -> Result<(Fleet, bool)> {
    let leases = leases(fleet, inventory);
    if leases.is_empty() {
        // Whatever is noted was so of another fleet of this name.
        tidy(engine, Some(&fleet.name)).await?;
        return Ok((fleet.clone(), false));
    }
    let ends = Ends::read(engine).await?;
    let has = ends.lease(fleet.name.as_str(), leases);
    if fleet.lease == Lease::default() {
        return Ok((Fleet { lease: has, ..fleet.clone() }, false));
    }
    let moved = moved(fleet, &has);
    if let Some(end) = moved {
        note(engine, fleet, &ends).await?;
        scope.note(STEP, format!("fleet {} ends at {end}", fleet.name));
    }
    Ok((fleet.clone(), moved.is_some()))
}

/// What [`settle`] would do to the end of a fleet that is there, in words; `None` when it stays, or is made with the fleet.
pub(super) async fn another(engine: &dyn Engine, fleet: &Fleet, inventory: &Inventory) -> Result<Option<String>> {
    let leases = leases(fleet, inventory);
    if fleet.lease.expires.is_none() || leases.is_empty() {
        return Ok(None);
    }
    let has = Ends::read(engine).await?.lease(fleet.name.as_str(), leases);
    let before = has.expires.map_or_else(|| "has no end".to_owned(), |end| format!("ends at {end}"));
    Ok(moved(fleet, &has).map(|end| format!("{before}, becomes {end}")))
}

/// The leases that the labels of a fleet's nodes have.
fn leases(fleet: &Fleet, inventory: &Inventory) -> Vec<Lease> {
    inventory.of_fleet(&fleet.name).flat_map(|(_, nodes)| nodes).map(|node| Lease::read(&node.labels)).collect()
}

/// The end that is described, to the second, when it is another one.
fn moved(fleet: &Fleet, has: &Lease) -> Option<Timestamp> {
    let asked = &fleet.lease;
    let end = asked.expires.and_then(|_| Lease::read(&asked.labels()).expires)?;
    (asked.owner.is_none() && has.expires != Some(end)).then_some(end)
}

/// Notes the end that is described, in place of what was noted. Undo: [`tidy`].
async fn note(engine: &dyn Engine, fleet: &Fleet, ends: &Ends) -> Result<()> {
    let older = ends.of(fleet.name.as_str());
    let number = older.last().map_or(0, |last| last.number + 1);
    let mut labels = fleet_labels(&fleet.name);
    labels.extend(Lease { owner: None, ..fleet.lease.clone() }.labels());
    labels.insert(labels::END.to_owned(), number.to_string());
    engine.create_volume(&format!("kindmesh-end-{}-{number}", fleet.name), &labels).await?;
    for note in older {
        remove(engine, &note.volume).await?;
    }
    Ok(())
}

/// Notes on fleets that have no nodes: of a removal that was killed, or done by hand.
pub(super) async fn orphans(engine: &dyn Engine, fleet: Option<&FleetName>) -> Result<Vec<String>> {
    let mut of = vec![labels::END.to_owned()];
    of.extend(fleet.map(|fleet| format!("{}={fleet}", labels::FLEET)));
    let volumes = engine.list_volumes(&of).await?;
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    let containers = engine.list_containers(&[labels::FLEET.to_owned(), labels::CLUSTER.to_owned()]).await?;
    let there: BTreeSet<&String> = containers.iter().filter_map(|container| container.labels.get(labels::FLEET)).collect();
    let orphan = |volume: &VolumeInfo| volume.labels.get(labels::FLEET).is_none_or(|fleet| !there.contains(fleet));
    Ok(volumes.into_iter().filter(orphan).map(|volume| volume.name).collect())
}

/// Removes the [`orphans`].
pub(super) async fn tidy(engine: &dyn Engine, fleet: Option<&FleetName>) -> Result<()> {
    for volume in orphans(engine, fleet).await? {
        remove(engine, &volume).await?;
    }
    Ok(())
}
