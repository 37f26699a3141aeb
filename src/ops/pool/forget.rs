//! Giving a pool up: its record first, so that fillers stop, then its members. Leased ones stay.

use std::time::Duration;

use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::domain::warm::{self, MemberState};
use crate::ops::context::Kindmesh;
use crate::ops::down::down_fleet;
use crate::ops::error::{Error, ErrorKind, Result, first_of};
use crate::ops::network;
use crate::ops::report::DownReport;

use super::claim::{Purpose, claim, look};
use super::members::{self, Member, names};
use super::store::PoolStore;

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
    let remains = written_down || store.as_ref().is_some_and(PoolStore::has_remains);
    if !remains && members::read(km.engine.as_ref(), pool, None).await?.is_empty() {
        return Ok(None);
    }
    // Held until everything is gone; also when an earlier try got no further than the record.
    let lock = match &store {
        Some(store) => store.lock_within(FILLER_DEADLINE, &km.fleet_scope()).await?,
        None => None,
    };
    let mut forgotten = Forgotten::default();
    let mut failures = remove_all(km, pool, &mut forgotten).await?;
    if let Err(error) = networks(km, pool, &mut forgotten.down).await {
        failures.push(error);
    }
    // What is left of it otherwise tells the next try that there is something to do.
    if let Some(error) = first_of(failures) {
        return Err(error);
    }
    match (&store, &lock) {
        (Some(store), Some(lock)) => store.tidy_locked(lock)?,
        (Some(store), None) => store.tidy()?,
        (None, _) => {}
    }
    Ok(Some(forgotten))
}

/// Removes every member that is not leased. One that cannot be removed keeps no other.
async fn remove_all(km: &Kindmesh, pool: &FleetName, forgotten: &mut Forgotten) -> Result<Vec<Error>> {
    let mut failures = Vec::new();
    for member in members::read(km.engine.as_ref(), pool, None).await? {
        if km.cancel.is_cancelled() {
            failures.push(Error::cancelled("give the pool up"));
            return Ok(failures);
        }
        if member.state == MemberState::Leased {
            continue;
        }
        match remove(km, pool, &member.fleet).await {
            Ok(Some(down)) => {
                forgotten.members.push(member.fleet.to_string());
                forgotten.down.absorb(down);
            }
            // Leased or removed in this moment, or else it is still there.
            Ok(None) => {}
            Err(error) => failures.push(error.within(format_args!("member {}", member.fleet))),
        }
    }
    let members = members::read(km.engine.as_ref(), pool, None).await?;
    forgotten.leased = names(&members, &[MemberState::Leased]);
    let left: Vec<&Member> = members.iter().filter(|member| member.state != MemberState::Leased).collect();
    if failures.is_empty() && !left.is_empty() {
        let left: Vec<&str> = left.iter().map(|member| member.fleet.as_str()).collect();
        failures.push(
            Error::new(ErrorKind::Conflict, format!("pool {pool} is given up, and still has {}", left.join(", ")))
                .hint("another machine may fill a pool of this name on the same engine; run the command again"),
        );
    }
    Ok(failures)
}

/// Takes all pools of this engine out of the books, and waits until nobody fills them any more. What cannot be
/// done keeps no other pool.
pub(in crate::ops) async fn forget_all(km: &Kindmesh) -> Vec<Result<String>> {
    let stores = match km.pool_stores().await {
        Ok(stores) => stores,
        Err(error) => return vec![Err(error)],
    };
    let scope = km.fleet_scope();
    let mut forgotten = Vec::new();
    for store in stores {
        if km.cancel.is_cancelled() {
            forgotten.push(Err(Error::cancelled("give pools up")));
            break;
        }
        match store.forget() {
            Ok(true) => forgotten.push(store.lock_within(FILLER_DEADLINE, &scope).await.map(|_| store.pool.to_string())),
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
    let engine = km.engine.as_ref();
    // Of this and a lease at the same moment, one gets it.
    let mine = match found.state {
        MemberState::Leased => false,
        MemberState::Discarded => true,
        MemberState::Warm | MemberState::Unfinished | MemberState::Other => match claim(engine, pool, found, Purpose::Discard).await {
            Ok(mine) => mine,
            // An engine that makes nothing any more may only lack room; and by a name that cannot be had, nobody can
            // lease it either.
            Err(error) => {
                let leased = look(engine, member).await?.is_some_and(|state| state == MemberState::Leased);
                let message = format!("{}; fleet {member} is removed without a claim", error.one_line());
                if !leased {
                    km.fleet_scope().warn("remove containers", message);
                }
                !leased
            }
        },
    };
    if !mine {
        return Ok(None);
    }
    down_fleet(km, member).await.map(Some)
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
