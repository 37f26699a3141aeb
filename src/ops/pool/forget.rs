//! Giving a pool up: its record first, so that fillers stop, then its members. Leased ones stay.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::domain::warm::{self, MemberState};
use crate::ops::context::Kindmesh;
use crate::ops::down::down_fleet;
use crate::ops::error::{Result, all_or_first};
use crate::ops::network;
use crate::ops::report::DownReport;

use super::claim::{Purpose, claim};
use super::members::{self, names};

/// A filler that is to stop ends the running step and removes what it was making: well under half of this.
const FILLER_DEADLINE: Duration = Duration::from_secs(90);

/// What was removed with a pool.
#[derive(Debug, Default)]
pub(in crate::ops) struct Forgotten {
    /// Fleets that were members.
    pub(in crate::ops) members: Vec<String>,
    /// Members that stay, because they are handed out.
    pub(in crate::ops) leased: Vec<String>,
    /// Containers, networks and so on of the members.
    pub(in crate::ops) down: DownReport,
}

/// Gives a pool up; `None` when there is none of this name.
pub(in crate::ops) async fn forget(km: &Kindmesh, pool: &FleetName) -> Result<Option<Forgotten>> {
    let store = km.pool_store(pool).await?;
    let written_down = match &store {
        Some(store) => store.forget()?,
        None => false,
    };
    if !written_down && members::read(km.engine.as_ref(), pool, None).await?.is_empty() {
        return Ok(None);
    }
    // Held until everything is gone.
    let lock = match &store {
        Some(store) if written_down => store.lock_within(FILLER_DEADLINE).await?,
        _ => None,
    };
    let mut forgotten = Forgotten::default();
    let mut results = Vec::new();
    for member in members::read(km.engine.as_ref(), pool, None).await? {
        if member.state == MemberState::Leased {
            continue;
        }
        // One that cannot be removed keeps no other.
        results.push(match remove(km, pool, &member.fleet).await {
            Ok(Some(down)) => {
                forgotten.members.push(member.fleet.to_string());
                forgotten.down.absorb(down);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.within(format_args!("member {}", member.fleet))),
        });
    }
    all_or_first(results)?;
    forgotten.leased = names(&members::read(km.engine.as_ref(), pool, None).await?, &[MemberState::Leased]);
    networks(km, pool, &mut forgotten.down).await?;
    match (&store, &lock) {
        (Some(store), Some(lock)) => store.tidy_locked(lock)?,
        (Some(store), None) => store.tidy()?,
        (None, _) => {}
    }
    Ok(Some(forgotten))
}

/// Takes all pools of this engine out of the books, and waits until nobody fills them any more. What cannot be
/// done keeps no other pool.
pub(in crate::ops) async fn forget_all(km: &Kindmesh) -> Vec<Result<String>> {
    let stores = match km.pool_stores().await {
        Ok(stores) => stores,
        Err(error) => return vec![Err(error)],
    };
    let mut forgotten = Vec::new();
    for store in stores {
        match store.forget() {
            Ok(true) => forgotten.push(store.lock_within(FILLER_DEADLINE).await.map(|_| store.pool.to_string())),
            Ok(false) => {}
            Err(error) => forgotten.push(Err(error)),
        }
    }
    forgotten
}

/// Removes what is left of the folders of pools that are in the books no more.
pub(in crate::ops) async fn tidy(km: &Kindmesh) -> Result<()> {
    for store in km.pool_stores().await? {
        store.tidy()?;
    }
    Ok(())
}

/// Removes a member that nobody has leased. `false` when somebody has, or it is gone.
pub(super) async fn remove_member(km: &Kindmesh, pool: &FleetName, member: &FleetName) -> Result<bool> {
    Ok(remove(km, pool, member).await?.is_some())
}

async fn remove(km: &Kindmesh, pool: &FleetName, member: &FleetName) -> Result<Option<DownReport>> {
    let members = members::read(km.engine.as_ref(), pool, None).await?;
    let Some(found) = members.iter().find(|one| one.fleet == *member) else { return Ok(None) };
    // Of this and a lease at the same moment, one gets it.
    let mine = match found.state {
        MemberState::Leased => false,
        MemberState::Discarded => true,
        MemberState::Warm | MemberState::Unfinished => claim(km.engine.as_ref(), pool, found, Purpose::Discard).await?,
    };
    if !mine {
        return Ok(None);
    }
    // Somebody who gave up making it may be why it goes.
    let km = km.clone().cancellation(CancellationToken::new());
    down_fleet(&km, member).await.map(Some)
}

/// A network belongs to the member that made it and is left by it to those that still use it: with the
/// pool it goes.
async fn networks(km: &Kindmesh, pool: &FleetName, down: &mut DownReport) -> Result<()> {
    for network in km.engine.networks_labelled(&[labels::FLEET.to_owned()]).await? {
        let maker = network.labels.get(labels::FLEET).filter(|maker| warm::number(pool, maker).is_some());
        let Some(maker) = maker else { continue };
        let (removed, _) = network::remove(km.engine.as_ref(), &maker.parse()?).await?;
        down.networks_kept.retain(|kept| !removed.contains(kept));
        down.networks.extend(removed);
    }
    Ok(())
}
