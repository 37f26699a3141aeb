//! Filling a pool: one member after another, for processors are what fleets lack when they are made.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::fleet::Fleet;
use crate::domain::name::FleetName;
use crate::domain::warm::{self, MemberState, Step};
use crate::ops::context::Kindmesh;
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::inventory::Inventory;

use super::forget::{forget, remove_member};
use super::members::{self, UNREADY, names};
use super::report::PoolReport;
use super::store::{PoolStore, Record, no_state};

const STEP: &str = "fill the pool";
/// How often a filler looks whether its pool was given up while it makes a member, which takes half a minute.
const FORGOTTEN_PAUSE: Duration = Duration::from_secs(1);
/// How long a filler that goes by another description may take to end, when it is at its end.
const FILLER_PATIENCE: Duration = Duration::from_secs(5);
const FILLER_PAUSE: Duration = Duration::from_millis(200);

/// What a filler did.
#[derive(Debug, Clone, Default)]
struct Filled {
    made: Vec<String>,
    removed: Vec<String>,
}

// === impl Filled ===

impl Filled {
    fn anything(&self) -> bool {
        !(self.made.is_empty() && self.removed.is_empty())
    }
}

// === impl Kindmesh ===

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
        write_down(&km, &store, &Record { size, fleet: Fleet { warm: None, ..fleet.clone() } }).await?;
        self.refill(pool).await
    }

    /// Fills a pool that is written down: removes members that are too many, completes those that were left
    /// unfinished, and makes those that are missing. Where another process of this machine is at it, nothing
    /// is done, and the report says so.
    ///
    /// # Errors
    /// When there is no such pool here, it has members of another description (`Conflict`), or a member does not
    /// come up.
    pub async fn refill(&self, pool: &FleetName) -> Result<PoolReport> {
        let km = self.begin();
        let store = km.pool_store(pool).await?.ok_or_else(no_state)?;
        store.record()?.ok_or_else(|| store.unknown())?;
        let mut filled = Filled::default();
        loop {
            let Some(lock) = store.lock()? else {
                let busy = !filled.anything();
                return report(&km, pool, store.record()?, filled, busy).await;
            };
            fill(&km, &store, &mut filled).await?;
            let done = report(&km, pool, store.record()?, filled.clone(), false).await?;
            drop(lock);
            // Whoever came while it was held has gone again, and relies on who held it.
            match store.record()? {
                Some(record) if !km.cancel.is_cancelled() && next(&km, &record).await?.is_some() => {}
                _ => return Ok(done),
            }
        }
    }
}

/// Writes the description down. Not beside members of another, which would be handed out as if they were the same,
/// and not while one is made by another.
async fn write_down(km: &Kindmesh, store: &PoolStore, record: &Record) -> Result<()> {
    let until = Instant::now() + FILLER_PATIENCE;
    let wanted = warm::digest(&record.fleet);
    let lock = loop {
        store.make_folder()?;
        if store.record()?.is_some_and(|old| warm::digest(&old.fleet) == wanted) {
            return store.write(record);
        }
        match store.lock() {
            Ok(Some(lock)) => break lock,
            Ok(None) if Instant::now() >= until => return Err(mixture(&store.pool, "a member in the making")),
            Ok(None) => tokio::time::sleep(FILLER_PAUSE).await,
            // The folder went with a pool that was given up in this moment.
            Err(error) if error.kind() == ErrorKind::NotFound && Instant::now() < until => {}
            Err(error) => return Err(error),
        }
    };
    // Held until it is written: a filler that starts in between would go by the old one.
    let members = members::read(km.engine.as_ref(), &store.pool, Some(&record.fleet)).await?;
    match names(&members, &[MemberState::Other]).as_slice() {
        [] => store.write(record),
        others => {
            store.tidy_locked(&lock)?;
            Err(mixture(&store.pool, &format!("members {}", others.join(", "))))
        }
    }
}

/// Members of two descriptions in one pool would be handed out as if they were the same.
fn mixture(pool: &FleetName, has: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("pool {pool} has {has} of another description"))
        .hint(format!("give the pool up first: `kindmesh down --fleet {pool}`; what is leased stays"))
        .hint("or give this fleet another name")
}

/// Does what is to be done, until nothing is.
async fn fill(km: &Kindmesh, store: &PoolStore, filled: &mut Filled) -> Result<()> {
    let mut idle = None;
    while let Some(record) = store.record()?
        && let Some(step) = next(km, &record).await?
    {
        if km.cancel.is_cancelled() {
            return Err(Error::cancelled(STEP));
        }
        if take_step(km, store, &record, step, filled).await? {
            idle = None;
        } else if idle == Some(step) {
            return Err(stuck(&store.pool, step));
        } else {
            // Somebody else may have been faster: then the next step is another.
            idle = Some(step);
        }
    }
    Ok(())
}

/// What is to be done can be done, and changes nothing, for ever.
fn stuck(pool: &FleetName, step: Step) -> Error {
    let (Step::Discard(number) | Step::Complete(number) | Step::Make(number)) = step;
    let message = format!("member {pool}-w{number} of pool {pool} stays as it is, whatever is done about it");
    Error::new(ErrorKind::Conflict, message).hint(format!("remove it: `kindmesh down --fleet {pool}-w{number}`"))
}

/// What is to be done now.
async fn next(km: &Kindmesh, record: &Record) -> Result<Option<Step>> {
    let engine = km.engine.as_ref();
    let pool = &record.fleet.name;
    let members = members::read(engine, pool, Some(&record.fleet)).await?;
    let others = names(&members, &[MemberState::Other]);
    if !others.is_empty() {
        return Err(mixture(pool, &format!("members {}", others.join(", "))));
    }
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

/// Returns whether it did anything.
async fn take_step(km: &Kindmesh, store: &PoolStore, record: &Record, step: Step, filled: &mut Filled) -> Result<bool> {
    let (pool, scope) = (&record.fleet.name, km.fleet_scope());
    match step {
        Step::Discard(number) => {
            let name = warm::member_name(pool, number)?;
            let removed = remove_member(km, pool, &name).await?;
            if removed {
                scope.note(STEP, format!("removed {name}, which was not needed any more"));
                filled.removed.push(name.to_string());
            }
            Ok(removed)
        }
        Step::Complete(number) | Step::Make(number) => {
            let member = warm::member(&record.fleet, number)?;
            let verb = if step == Step::Make(number) { "making" } else { "completing" };
            scope.note(STEP, format!("{verb} {}, a member of pool {pool}", member.name));
            let made =
                make(km, store, &member).await.map_err(|error| error.within(format_args!("member {} of pool {pool}", member.name)))?;
            if made {
                filled.made.push(member.name.to_string());
            }
            Ok(made)
        }
    }
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
        // Also when the caller gave up: why it was given up is no reason to leave half a member.
        let km = km.clone().cancellation(CancellationToken::new());
        remove_member(&km, &store.pool, &member.name).await?;
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
        unfinished: names(&members, &UNREADY),
        changed: filled.anything(),
        made: filled.made,
        removed: filled.removed,
        busy,
        took: km.elapsed(),
    })
}
