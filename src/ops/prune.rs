//! What nobody needs any more: fleets whose time is over or whose owner is gone, and what killed processes left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::labels;
use crate::domain::lease::{self, Lease, Owner, Standing};
use crate::domain::name::FleetName;
use crate::domain::ticket::Ticket;
use crate::engine::{ContainerInfo, ContainerState, Engine};

use super::context::Kindmesh;
use super::down::down_alone;
use super::error::{Error, ErrorKind, Result};
use super::expiry::Ends;
use super::remove::remove_containers;
use super::report::DownReport;
use super::{expiry, holder, lock, network, pool, resize};

/// Helper containers work for minutes at most, the longest while an image is built; what is older than this was
/// left by a killed process.
const HELPER_AGE: Duration = Duration::from_secs(3600);

/// What [`Kindmesh::prune`] found and, unless it only looked, removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PruneReport {
    /// Fleets that were over.
    pub fleets: Vec<PrunedFleet>,
    /// Locks that killed processes held.
    pub locks: Vec<String>,
    /// Helper containers that killed processes left.
    pub helpers: Vec<String>,
    /// Notes on pools of clusters that are gone, which are volumes.
    pub pools: Vec<String>,
    /// Notes on the ends of fleets that are gone, which are volumes.
    pub ends: Vec<String>,
    /// Networks that fleets made, left because somebody used them then: nobody does any more.
    pub networks: Vec<String>,
    /// What went with the fleets.
    pub down: DownReport,
}

/// A fleet that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrunedFleet {
    /// Name.
    pub name: String,
    /// Why, for people.
    pub why: String,
}

impl Kindmesh {
    /// Removes fleets whose time is over ([`Fleet::lease`](crate::domain::fleet::Fleet)) or whose owner is gone, locks
    /// of processes that were killed on this machine, helper containers of killed processes, and networks that outlived the
    /// fleet that made them and that nobody uses. Nothing else is touched. With `dry_run` it is only told.
    ///
    /// # Errors
    /// When something could not be removed; everything else is.
    pub async fn prune(&self, dry_run: bool) -> Result<PruneReport> {
        let km = self.begin();
        let engine = km.engine.as_ref();
        let mut report = PruneReport { fleets: over(engine, Timestamp::now()).await?, ..PruneReport::default() };
        report.locks = dead_locks(engine).await?;
        let helpers = old_helpers(engine, Timestamp::now()).await?;
        report.helpers = helpers.iter().map(|helper| helper.name.clone()).collect();
        report.pools = resize::orphans(engine, None).await?;
        report.ends = expiry::orphans(engine, None).await?;
        let abandoned = network::abandoned(engine).await?;
        report.networks = abandoned.iter().map(|(_, network)| network.name.clone()).collect();
        if dry_run {
            return Ok(report);
        }
        let mut failures = Vec::new();
        for fleet in std::mem::take(&mut report.fleets) {
            if km.cancel.is_cancelled() {
                return Err(Error::cancelled("prune"));
            }
            let Ok(name) = fleet.name.parse::<FleetName>() else { continue };
            match Box::pin(end(&km, &name)).await {
                Ok(Some(down)) => {
                    report.down.absorb(down);
                    report.fleets.push(fleet);
                }
                // An `up` put its end off meanwhile.
                Ok(None) => {}
                Err(error) => failures.push(error.within(format_args!("fleet {name}"))),
            }
        }
        report.networks.clear();
        for (fleet, _) in abandoned {
            let removed = lock::holding_if_possible(&km, &fleet, "prune", async |km| {
                // An `up` may have come to use it meanwhile.
                let there = km.engine.list_containers(&[format!("{}={fleet}", labels::FLEET)]).await?;
                if there.is_empty() { network::remove(km.engine.as_ref(), &fleet).await } else { Ok(Default::default()) }
            });
            match removed.await {
                Ok((networks, _)) => report.networks.extend(networks),
                Err(error) => failures.push(error.within(format_args!("network of fleet {fleet}"))),
            }
        }
        for volume in report.locks.iter().chain(&report.pools).chain(&report.ends) {
            failures.extend(lock::remove(engine, volume).await.err());
        }
        if let Err(error) = remove_containers(&km, &helpers, &km.fleet_scope()).await {
            failures.push(error);
        }
        let mut failures = failures.into_iter();
        let Some(first) = failures.next() else { return Ok(report) };
        Err(failures.fold(first, |error, other| error.hint(format!("also failed: {}", other.one_line()))))
    }
}

impl Kindmesh {
    /// Removes the fleet if it is over, and tells whether it was; what [`Kindmesh::prune`] does to each.
    ///
    /// # Errors
    /// As [`Kindmesh::down`].
    pub(crate) async fn end_if_over(&self, fleet: &FleetName) -> Result<bool> {
        Ok(end(&self.begin(), fleet).await?.is_some())
    }
}

/// Removes a fleet, but not one that lives longer since it was looked at: by an `up` that this waited for.
async fn end(km: &Kindmesh, fleet: &FleetName) -> Result<Option<DownReport>> {
    let work = async |km: Kindmesh| {
        let over = over(km.engine.as_ref(), Timestamp::now()).await?;
        if over.iter().any(|one| one.name == fleet.as_str()) { Ok(Some(down_alone(&km, fleet).await?)) } else { Ok(None) }
    };
    lock::holding_if_possible(km, fleet, "prune", work).await
}

impl Kindmesh {
    /// What was begun since that moment (seconds since 1970, by the engine's clock) and not ended: names of containers of
    /// fleets and of helpers, with their states, of networks and volumes of fleets, and of the locks of this process. Of
    /// this fleet only where one is named, but for helpers, which belong to none. For who was stopped in the middle.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn begun_since(&self, since: i64, fleet: Option<&FleetName>) -> Result<Vec<String>> {
        let engine = self.engine.as_ref();
        let fleet = [fleet.map_or_else(|| labels::FLEET.to_owned(), |fleet| format!("{}={fleet}", labels::FLEET))];
        let (helper, lock) = ([labels::HELPER.to_owned()], [labels::LOCK.to_owned()]);
        // At once: who asks has little patience left.
        let (containers, helpers, networks, volumes, locks) = tokio::try_join!(
            engine.list_containers(&fleet),
            engine.list_containers(&helper),
            engine.networks_labelled(&fleet),
            engine.list_volumes(&fleet),
            engine.list_volumes(&lock),
        )?;
        let containers = containers.into_iter().chain(helpers).filter(|one| one.created >= since);
        let mut left: Vec<String> =
            containers.map(|one| format!("container {} ({})", one.name, format!("{:?}", one.state).to_lowercase())).collect();
        left.extend(networks.into_iter().filter(|one| one.created >= since).map(|one| format!("network {}", one.name)));
        let notes = volumes.into_iter().filter(|one| one.created >= since && !one.labels.contains_key(labels::LOCK));
        left.extend(notes.map(|one| format!("volume {}", one.name)));
        let me = holder::this("");
        let mine = |ticket: &Ticket| ticket.holder.pid == me.pid && ticket.holder.born == me.born && ticket.holder.machine == me.machine;
        let tickets = locks.iter().filter_map(|volume| Ticket::read(&volume.name, volume.labels.get(labels::LOCK)?));
        left.extend(tickets.filter(mine).map(|ticket| format!("lock {}, which counts no more when this process has ended", ticket.name)));
        left.sort();
        left.dedup();
        Ok(left)
    }
}

/// Fleets that anybody may remove now.
async fn over(engine: &dyn Engine, now: Timestamp) -> Result<Vec<PrunedFleet>> {
    let containers = engine.list_containers(&[labels::FLEET.to_owned()]).await?;
    let holders = engine.list_containers(&[format!("{}={}", labels::HELPER, lease::HOLDER)]).await?;
    let lives = |one: &&ContainerInfo| matches!(one.state, ContainerState::Running | ContainerState::Created);
    let living: BTreeSet<Owner> = holders.iter().filter(lives).filter_map(|one| lease::holder(&one.labels)).collect();
    let mut fleets: BTreeMap<String, Vec<Lease>> = BTreeMap::new();
    let mut add = |labels: &BTreeMap<String, String>| {
        if let Some(fleet) = labels.get(labels::FLEET) {
            fleets.entry(fleet.clone()).or_default().push(Lease::read(labels));
        }
    };
    containers.iter().for_each(|one| add(&one.labels));
    for network in engine.networks_labelled(&[labels::FLEET.to_owned()]).await? {
        add(&network.labels);
    }
    let ends = Ends::read(engine).await?;
    let over = fleets.into_iter().filter_map(|(name, leases)| {
        let lease = ends.lease(&name, leases);
        let why = match (lease.standing(&living, now), &lease.expires, &lease.owner) {
            (Standing::Expired, Some(at), _) => format!("expired at {at}"),
            (Standing::Abandoned, _, Some(owner)) => format!("its owner {owner} is gone"),
            _ => return None,
        };
        Some(PrunedFleet { name, why })
    });
    Ok(over.collect())
}

/// Locks whose holders were killed. On other machines only silence tells that, which takes its time; the next
/// command for the fleet waits for it.
async fn dead_locks(engine: &dyn Engine) -> Result<Vec<String>> {
    let volumes = engine.list_volumes(&[labels::LOCK.to_owned()]).await?;
    let dead = |ticket: &Ticket| holder::is_gone(&ticket.holder);
    let tickets = volumes.iter().filter_map(|volume| Ticket::read(&volume.name, volume.labels.get(labels::LOCK)?));
    Ok(tickets.filter(dead).map(|ticket| ticket.name).collect())
}

/// Helpers that work for nobody: of the holders of leases those that ended, of the others the old ones. What marks
/// a lease from a warm pool stays with its fleet.
async fn old_helpers(engine: &dyn Engine, now: Timestamp) -> Result<Vec<ContainerInfo>> {
    let helpers = engine.list_containers(&[labels::HELPER.to_owned()]).await?;
    let age = i64::try_from(HELPER_AGE.as_secs()).unwrap_or(i64::MAX);
    let is_left = |one: &ContainerInfo| match one.labels.get(labels::HELPER).map(String::as_str) {
        Some(lease::HOLDER) => !matches!(one.state, ContainerState::Running | ContainerState::Created),
        _ => !pool::is_marker(one) && one.created + age < now.as_second(),
    };
    Ok(helpers.into_iter().filter(is_left).collect())
}

/// The moment at which a fleet that may live so long ends, for [`Lease::expires`].
///
/// # Errors
/// For a time that lies beyond the calendar.
pub fn end_of(life: Duration) -> Result<Timestamp> {
    let life = jiff::SignedDuration::try_from(life).map_err(|_| too_long())?;
    Timestamp::now().checked_add(life).map_err(|_| too_long())
}

fn too_long() -> Error {
    Error::new(ErrorKind::Config, "the time to live lies beyond the calendar").hint("leave it out for a fleet that stays")
}
