//! Who a member of a pool belongs to: a container of a name that only one can have, created and never started.
//!
//! Of many that create it at once, the engine lets one; no lock is left behind by who is killed, and every
//! machine that works with the engine sees it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::container::ContainerSpec;
use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::domain::node::fleet_labels;
use crate::domain::warm::MemberState;
use crate::engine::{ContainerInfo, Engine};
use crate::ops::boot::{self, Created};
use crate::ops::error::{Error, ErrorKind, Result};

use super::members::Member;

/// Value of the helper label on the marker of a lease.
const LEASE: &str = "lease";
/// Value of the helper label on the marker of a member that is being removed.
const DISCARD: &str = "discard";
/// Node images keep `/var` on a volume, which an engine makes and fills with what the image has there, unless
/// something else is mounted. Only a bind mount counts as that for every engine; this one every node has.
const NO_VOLUME: &str = "/lib/modules:/var:ro";

/// What a member is claimed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// It is handed out, and its kubeconfig goes to this file.
    Lease(&'a Path),
    /// It is to be removed.
    Discard,
}

/// Claims a member. `false` when somebody else has it.
///
/// Undo: [`release`]. It also goes with the member, whose fleet's label it carries.
///
/// # Errors
/// The engine's; `Conflict` when the claim's name is taken by something that is none.
pub(super) async fn claim(engine: &dyn Engine, pool: &FleetName, member: &Member, purpose: Purpose<'_>) -> Result<bool> {
    // Without nodes there is nothing to claim.
    let Some(image) = &member.image else { return Ok(false) };
    let name = marker(&member.fleet);
    match boot::create_or_find(engine, &name, &describe(pool, &member.fleet, image, purpose)).await? {
        Created::New => Ok(true),
        Created::Found(container) if is_marker_of(&container, &member.fleet) => Ok(false),
        Created::Found(_) => {
            let message = format!("fleet {} cannot be claimed: a container {name} exists that is not of this pool", member.fleet);
            Err(Error::new(ErrorKind::Conflict, message).hint("remove that container if nothing needs it"))
        }
    }
}

/// What a member is claimed for at this moment, by whomever.
pub(super) async fn look(engine: &dyn Engine, member: &FleetName) -> Result<Option<MemberState>> {
    match engine.inspect_container(&marker(member)).await {
        Ok(found) if is_marker_of(&found, member) => Ok(state(&found)),
        Ok(_) => Ok(None),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives a claim up.
pub(super) async fn release(engine: &dyn Engine, member: &FleetName) -> Result<()> {
    match engine.remove_container(&marker(member)).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// What a marker makes of its member; `None` for a container that is none.
pub(super) fn state(container: &ContainerInfo) -> Option<MemberState> {
    match container.labels.get(labels::HELPER)?.as_str() {
        LEASE => Some(MemberState::Leased),
        DISCARD => Some(MemberState::Discarded),
        _ => None,
    }
}

/// Whether a container is a marker. It goes after the nodes of its member: without it they would seem to be
/// nobody's, and a filler would go on with them.
pub(in crate::ops) fn is_marker(container: &ContainerInfo) -> bool {
    state(container).is_some()
}

fn is_marker_of(container: &ContainerInfo, member: &FleetName) -> bool {
    is_marker(container) && container.labels.get(labels::FLEET).map(String::as_str) == Some(member.as_str())
}

/// Marks a member for removal, by whoever removes it, unless it has a marker: no filler and no leaser takes
/// what is half gone for something else. Returns the marker. Not for fleets that are no members.
pub(in crate::ops) async fn mark_removal(
    engine: &dyn Engine,
    fleet: &FleetName,
    containers: &[ContainerInfo],
) -> Result<Option<ContainerInfo>> {
    if containers.iter().any(is_marker) {
        return Ok(None);
    }
    let Some(node) = containers.iter().find(|container| container.labels.contains_key(labels::WARM)) else { return Ok(None) };
    let Some(pool) = node.labels.get(labels::WARM).and_then(|pool| pool.parse().ok()) else { return Ok(None) };
    let name = marker(fleet);
    match engine.create_container(&name, &describe(&pool, fleet, &node.image, Purpose::Discard)).await {
        Ok(_) => {}
        // Leased in this moment, and the leaser will find nothing to wake; or a name that nobody can claim it by.
        Err(error) if error.is_conflict() => {}
        Err(error) => return Err(error.into()),
    }
    match engine.inspect_container(&name).await {
        Ok(found) => Ok(is_marker_of(&found, fleet).then_some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Name of a member's marker.
pub(super) fn marker(member: &FleetName) -> String {
    format!("kindmesh-lease-{member}")
}

fn describe(pool: &FleetName, member: &FleetName, image: &str, purpose: Purpose<'_>) -> ContainerSpec {
    let mut labels: BTreeMap<String, String> = fleet_labels(member);
    labels.insert(labels::WARM.to_owned(), pool.to_string());
    match purpose {
        Purpose::Lease(kubeconfig) => {
            labels.insert(labels::HELPER.to_owned(), LEASE.to_owned());
            labels.insert(labels::KUBECONFIG.to_owned(), kubeconfig.display().to_string());
        }
        Purpose::Discard => {
            labels.insert(labels::HELPER.to_owned(), DISCARD.to_owned());
        }
    }
    ContainerSpec {
        image: image.to_owned(),
        labels,
        network: "none".to_owned(),
        binds: vec![NO_VOLUME.to_owned()],
        init: Some(false),
        ..ContainerSpec::default()
    }
}
