//! Filling a pool: one member after another, for processors are what fleets lack when they are made.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::fleet::Fleet;
use crate::domain::name::FleetName;
use crate::domain::warm::{self, MemberState, Step};
use crate::ops::context::Kindmesh;
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::inventory::Inventory;

use super::forget::{forget, remove_member};
use super::members::{self, names};
use super::report::PoolReport;
use super::store::{PoolStore, Record, no_state};

const STEP: &str = "fill the pool";
/// How often a filler looks whether its pool was given up while it makes a member, which takes half a minute.
const FORGOTTEN_PAUSE: Duration = Duration::from_secs(1);

/// What a filler did.
#[derive(Debug, Default)]
struct Filled {
    made: Vec<String>,
    removed: Vec<String>,
}

impl Kindmesh {
    /// Keeps a pool of the fleet's name: writes its description down and fills it to `size` members, each a
    /// fleet of this description, complete, proven if it has a mesh, and suspended. Members are made one
    /// after another and get no kubeconfig entries. With a `size` of 0 the pool is given up: its members
    /// are removed, but for those that are handed out.
    ///
    /// ```no_run
    /// use kindmesh::domain::fleet::Fleet;
    /// use kindmesh::ops::Kindmesh;
    /// # async fn example(kindmesh: Kindmesh) -> Result<(), Box<dyn std::error::Error>> {
    /// let report = kindmesh.warm(&Fleet::builder("demo").build()?, 2).await?;
    /// assert_eq!(report.warm, ["demo-w1", "demo-w2"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no state folder, the description cannot exist several times (`Config`), the pool has
    /// members of another description (`Conflict`), or a member does not come up: what exists stays, and
    /// is completed by the next call.
    pub async fn warm(&self, fleet: &Fleet, size: u32) -> Result<PoolReport> {
        let km = self.begin();
        let pool = &fleet.name;
        if size == 0 {
            let removed = forget(&km, pool).await?.ok_or_else(|| nothing_to_give_up(&km, pool))?;
            let filled = Filled { made: Vec::new(), removed: removed.members };
            return report(&km, pool, None, filled, false).await;
        }
        if size > warm::MAX_POOL_SIZE {
            return Err(Error::new(ErrorKind::Config, format!("a pool has at most {} members, not {size}", warm::MAX_POOL_SIZE)));
        }
        warm::check(fleet).map_err(|error| {
            Error::new(ErrorKind::Config, format!("no pool can be made of fleet {pool}: {error}"))
                .hint("leave out what only one fleet can have: `apiServerPort` and `network.subnet`; shorten names")
        })?;
        let store = km.pool_store(pool).await?.ok_or_else(no_state)?;
        let record = Record { size, fleet: Fleet { warm: None, ..fleet.clone() } };
        if let Some(old) = store.record()?
            && old.fleet != record.fleet
        {
            refuse_mixture(&km, &store).await?;
        }
        store.write(&record)?;
        self.refill(pool).await
    }

    /// Fills a pool that is written down: removes members that are too many, completes those that were left
    /// unfinished, and makes those that are missing. Where another process of this machine is at it, nothing
    /// is done, and the report says so.
    ///
    /// # Errors
    /// When there is no such pool here, or a member does not come up.
    pub async fn refill(&self, pool: &FleetName) -> Result<PoolReport> {
        let km = self.begin();
        let store = km.pool_store(pool).await?.ok_or_else(no_state)?;
        let record = store.record()?.ok_or_else(|| store.unknown())?;
        let Some(_lock) = store.lock()? else { return report(&km, pool, Some(record), Filled::default(), true).await };
        let mut filled = Filled::default();
        while let Some(record) = store.record()?
            && let Some(step) = next(&km, &record).await?
        {
            if km.cancel.is_cancelled() {
                return Err(Error::cancelled(STEP));
            }
            take_step(&km, &store, &record, step, &mut filled).await?;
        }
        report(&km, pool, store.record()?, filled, false).await
    }
}

/// What is to be done now.
async fn next(km: &Kindmesh, record: &Record) -> Result<Option<Step>> {
    let engine = km.engine.as_ref();
    let pool = &record.fleet.name;
    let members = members::read(engine, pool, Some(&record.fleet)).await?;
    let inventory = Inventory::read(engine).await?;
    let states: Vec<(u32, MemberState)> = members.iter().map(|member| (member.number, member.state)).collect();
    Ok(warm::next(record.size, &states, &taken(&record.fleet, &inventory)))
}

/// Numbers whose names somebody else's fleets or clusters have.
fn taken(description: &Fleet, inventory: &Inventory) -> BTreeSet<u32> {
    let fleets = inventory.fleets().into_iter().filter_map(|fleet| warm::number(&description.name, &fleet));
    let clusters = inventory.clusters().filter_map(|(name, _)| {
        let number = name.rsplit_once("-w")?.1.parse().ok()?;
        description.clusters.iter().any(|cluster| cluster.name.as_str() == warm::described(name, number)).then_some(number)
    });
    fleets.chain(clusters).collect()
}

async fn take_step(km: &Kindmesh, store: &PoolStore, record: &Record, step: Step, filled: &mut Filled) -> Result<()> {
    let (pool, scope) = (&record.fleet.name, km.fleet_scope());
    match step {
        Step::Discard(number) => {
            let name = warm::member_name(pool, number)?;
            if remove_member(km, pool, &name).await? {
                scope.note(STEP, format!("removed {name}, which was not needed any more"));
                filled.removed.push(name.to_string());
            }
        }
        Step::Complete(number) | Step::Make(number) => {
            let member = warm::member(&record.fleet, number)?;
            let verb = if step == Step::Make(number) { "making" } else { "completing" };
            scope.note(STEP, format!("{verb} {}, a member of pool {pool}", member.name));
            if make(km, store, &member).await.map_err(|error| error.within(format_args!("member {} of pool {pool}", member.name)))? {
                filled.made.push(member.name.to_string());
            }
        }
    }
    Ok(())
}

/// Makes a member, or goes on with it, and suspends it. `false` when the pool was given up meanwhile: then
/// nothing of the member is left.
async fn make(km: &Kindmesh, store: &PoolStore, member: &Fleet) -> Result<bool> {
    // Nobody uses it yet: no entries in anybody's kubeconfig.
    let mut maker = km.clone().cancellation(km.cancel.child_token());
    maker.kubeconfig = None;
    // In a box: making a fleet is a large future, and this one is inside of others.
    let mut work = Box::pin(async {
        maker.up(member).await?;
        maker.pause(&member.name).await
    });
    let done = tokio::select! {
        done = &mut work => done,
        () = forgotten(store) => {
            maker.cancel.cancel();
            work.await
        }
    };
    let Some(record) = store.record()? else {
        remove_member(km, &store.pool, &member.name).await?;
        return Ok(false);
    };
    done?;
    let members = members::read(km.engine.as_ref(), &store.pool, Some(&record.fleet)).await?;
    match members.iter().find(|one| one.fleet == member.name && one.state == MemberState::Unfinished) {
        None => Ok(true),
        Some(_) => Err(Error::new(ErrorKind::Conflict, "it was woken or taken apart as soon as it was suspended")
            .hint("`kindmesh pool lease` hands members out; others stay suspended")),
    }
}

async fn forgotten(store: &PoolStore) {
    // A record that cannot be read is told by who reads it next.
    while !matches!(store.record(), Ok(None)) {
        tokio::time::sleep(FORGOTTEN_PAUSE).await;
    }
}

/// Members of two descriptions in one pool would be handed out as if they were the same.
async fn refuse_mixture(km: &Kindmesh, store: &PoolStore) -> Result<()> {
    let members = members::read(km.engine.as_ref(), &store.pool, None).await?;
    let kept = names(&members, &[MemberState::Warm, MemberState::Unfinished]);
    let lock = store.lock()?;
    if kept.is_empty() && lock.is_some() {
        return Ok(());
    }
    let has = if kept.is_empty() { "a member in the making".to_owned() } else { format!("members {}", kept.join(", ")) };
    Err(Error::new(ErrorKind::Conflict, format!("pool {} has {has} of another description", store.pool))
        .hint(format!("give it up first, which leaves leased members alone: `kindmesh down --fleet {}`", store.pool)))
}

fn nothing_to_give_up(km: &Kindmesh, pool: &FleetName) -> Error {
    Error::new(ErrorKind::NotFound, format!("no pool {pool} on {}", km.engine.endpoint()))
        .hint("`kindmesh pool list` shows those there are")
}

async fn report(km: &Kindmesh, pool: &FleetName, record: Option<Record>, filled: Filled, busy: bool) -> Result<PoolReport> {
    let members = members::read(km.engine.as_ref(), pool, record.as_ref().map(|record| &record.fleet)).await?;
    Ok(PoolReport {
        pool: pool.to_string(),
        size: record.map_or(0, |record| record.size),
        warm: names(&members, &[MemberState::Warm]),
        leased: names(&members, &[MemberState::Leased]),
        unfinished: names(&members, &[MemberState::Unfinished, MemberState::Discarded]),
        changed: !(filled.made.is_empty() && filled.removed.is_empty()),
        made: filled.made,
        removed: filled.removed,
        busy,
        took: km.elapsed(),
    })
}
