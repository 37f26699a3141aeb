//! Handing a member out: claimed, woken, its kubeconfig written. What fails is undone.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::name::FleetName;
use crate::domain::warm::{self, MemberState};
use crate::ops::api_server;
use crate::ops::context::Kindmesh;
use crate::ops::error::{Error, ErrorKind, Result, first_of};
use crate::ops::inventory::Inventory;

use super::claim::{Purpose, claim, release};
use super::lease_file::LeaseFile;
use super::members::{self, Member, names};
use super::report::{LeaseOptions, LeaseReport, LeasedCluster};
use super::store::{PoolStore, Record, no_state};

const STEP: &str = "lease";
/// Members that are tried before the pool itself must be what is wrong; each may take the minutes that a mesh is given.
const TRIES: u32 = 3;
/// Suspending a fleet takes some tenths of a second.
const PUT_BACK_PATIENCE: Duration = Duration::from_secs(30);

/// A pool, as far as it is known where the lease is asked for.
pub(super) struct Pool<'a> {
    name: &'a FleetName,
    store: Option<PoolStore>,
    record: Option<Record>,
}

impl Kindmesh {
    /// Hands out a warm member of a pool: claims it, lets it go on, waits until its API servers answer and
    /// its mesh is proven, and writes a kubeconfig with the names that the description has. Of many that
    /// lease at once, each gets a member of its own or an error. [`Kindmesh::down`] with the fleet's name
    /// ends the lease, [`Kindmesh::refill`] makes a member in its place.
    ///
    /// ```no_run
    /// use kindmesh::ops::{Kindmesh, LeaseOptions};
    /// # async fn example(kindmesh: Kindmesh) -> kindmesh::ops::Result<()> {
    /// let lease = kindmesh.lease(&"demo".parse()?, &LeaseOptions::default()).await?;
    /// let client = kindmesh.client(&lease.clusters[0].cluster).await?;
    /// kindmesh.down(&lease.fleet.parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no such pool (`NotFound`), no warm member of it (`Conflict`), the kubeconfig's file
    /// exists or cannot be made, or no member becomes what it was: such a one is given up, so that whoever fills
    /// the pool makes another in its place, and the next warm one is tried, three at most. When the lease is
    /// cancelled, the member is suspended again and stays in the pool, or the message says that it does not.
    pub async fn lease(&self, pool: &FleetName, options: &LeaseOptions) -> Result<LeaseReport> {
        let km = self.begin();
        let scope = km.fleet_scope();
        let new_file = || options.kubeconfig.as_deref().map(|path| LeaseFile::new(path, pool)).transpose();
        let mut named = new_file()?;
        let pool = Pool::read(&km, pool).await?;
        let mut given_up: Vec<Error> = Vec::new();
        for _ in 0..TRIES {
            let (member, file) = match take(&km, &pool, named).await {
                Ok(taken) => taken,
                Err(error) => {
                    given_up.push(error);
                    break;
                }
            };
            // Named before anything is waited for: it is what a process that is killed here leaves.
            scope.note(STEP, format!("waking fleet {} of pool {}", member.fleet, pool.name));
            match km.cancel.run_until_cancelled(hand_out(&km, &pool, &member, file)).await {
                Some(Ok(report)) => return Ok(report),
                Some(Err(error)) if is_ours(&error) => return Err(put_back(&km, &member.fleet, error).await),
                Some(Err(error)) => {
                    let error = give_up(&km, &pool, &member, error).await?;
                    scope.warn(STEP, format!("{}; fleet {} is given up", error.one_line(), member.fleet));
                    given_up.push(error);
                }
                None => {
                    let cancelled = Error::new(ErrorKind::Cancelled, format!("cancelled: waking fleet {}", member.fleet));
                    return Err(put_back(&km, &member.fleet, cancelled).await);
                }
            }
            named = new_file()?;
        }
        Err(first_of(given_up).unwrap_or_else(|| pool.nothing_warm(&km, &[])))
    }
}

/// Whether a lease failed by what is no fault of the member.
fn is_ours(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::File)
}

/// Claims the first member that nobody else has, and its file.
pub(super) async fn take(km: &Kindmesh, pool: &Pool<'_>, mut named: Option<LeaseFile>) -> Result<(Member, LeaseFile)> {
    let members = pool.members(km).await?;
    let mut in_the_way = Vec::new();
    for member in members.iter().filter(|member| member.state == MemberState::Warm) {
        match claim_one(km, pool, member, &mut named).await {
            Ok(Some(file)) => return Ok((member.clone(), file)),
            Ok(None) => {}
            // Of one member, and no reason to leave the others.
            Err(error) if error.kind() == ErrorKind::Conflict => in_the_way.push(error),
            Err(error) => return Err(error),
        }
    }
    // How it is now: others may have been faster.
    let nothing = pool.nothing_warm(km, &pool.members(km).await?);
    Err(first_of(in_the_way).unwrap_or(nothing))
}

async fn claim_one(km: &Kindmesh, pool: &Pool<'_>, member: &Member, named: &mut Option<LeaseFile>) -> Result<Option<LeaseFile>> {
    let engine = km.engine.as_ref();
    let place = match (&*named, &pool.store) {
        (Some(file), _) => file.path().to_path_buf(),
        (None, Some(store)) => store.kubeconfig(&member.fleet),
        (None, None) => return Err(no_state().hint("or name a file with --kubeconfig")),
    };
    if !claim(engine, pool.name, member, Purpose::Lease(&place)).await? {
        return Ok(None);
    }
    let claimed = async {
        // Its claim may be one that was given up with the member, after the look.
        let nodes_are_there = pool.still_suspended(km, member).await?;
        let file = match (named.take(), &pool.store, nodes_are_there) {
            (file, _, false) => {
                *named = file;
                return Ok(None);
            }
            (Some(file), _, true) => file,
            (None, Some(store), true) => {
                store.make_folder()?;
                LeaseFile::again(&place, pool.name, &member.fleet)?
            }
            (None, None, true) => return Err(no_state()),
        };
        Ok(Some(file))
    };
    match claimed.await {
        Ok(Some(file)) => Ok(Some(file)),
        Ok(None) => release(engine, &member.fleet).await.map(|()| None),
        Err(error) => Err(match release(engine, &member.fleet).await {
            Ok(()) => error,
            Err(left) => left_behind(error, &member.fleet, &left),
        }),
    }
}

/// Wakes a claimed member and writes its kubeconfig.
async fn hand_out(km: &Kindmesh, pool: &Pool<'_>, member: &Member, file: LeaseFile) -> Result<LeaseReport> {
    let woken = km.resume(&member.fleet).await?;
    let inventory = Inventory::read(km.engine.as_ref()).await?;
    let mut clusters: Vec<LeasedCluster> = woken
        .clusters
        .iter()
        .map(|cluster| {
            let name = warm::described(&cluster.name, member.number).to_owned();
            let context = crate::domain::name::context_name(&name);
            LeasedCluster { name, cluster: cluster.name.clone(), context }
        })
        .collect();
    if let Some(record) = &pool.record {
        let place = |leased: &LeasedCluster| record.fleet.clusters.iter().position(|cluster| cluster.name.as_str() == leased.name);
        clusters.sort_by_key(place);
    }
    let mut entries = Vec::new();
    for leased in &clusters {
        let control_plane = inventory.control_plane(&leased.cluster)?;
        entries.push(api_server::external_entry(km.engine.as_ref(), &leased.name, control_plane).await?);
    }
    let kubeconfig = file.path().to_path_buf();
    file.fill(&member.fleet, &entries)?;
    Ok(LeaseReport {
        pool: pool.name.to_string(),
        fleet: member.fleet.to_string(),
        kubeconfig,
        clusters,
        proven: woken.proof.is_some(),
        took: km.elapsed(),
    })
}

/// Suspends a member that could not be handed out, and gives the claim up; the claim stays where the member
/// is not what it was, so that nobody else gets it.
async fn put_back(km: &Kindmesh, member: &FleetName, error: Error) -> Error {
    // Also when the caller gave up; but not for ever, where another process works on the fleet.
    let km = km.clone().cancellation(CancellationToken::new()).patience(PUT_BACK_PATIENCE);
    if let Err(left) = km.pause(member).await {
        return left_behind(error, member, &left);
    }
    match release(km.engine.as_ref(), member).await {
        Ok(()) => error.hint(format!("fleet {member} was suspended again, and is in its pool as before")),
        Err(left) => left_behind(error, member, &left),
    }
}

/// Marks a member that did not become what it was for removal, so that nobody waits for it once more. Returns what
/// is to be told.
///
/// # Errors
/// The same, when it could not be marked: nothing else should be tried then.
async fn give_up(km: &Kindmesh, pool: &Pool<'_>, member: &Member, error: Error) -> Result<Error> {
    let engine = km.engine.as_ref();
    let marked = async {
        release(engine, &member.fleet).await?;
        claim(engine, pool.name, member, Purpose::Discard).await
    };
    if let Err(left) = marked.await {
        return Err(left_behind(error, &member.fleet, &left));
    }
    // So that it gets no processor until it is removed; whoever removes it already is not disturbed.
    let quiet = Kindmesh::new(km.engine.clone()).patience(Duration::ZERO);
    if let Err(error) = quiet.pause(&member.fleet).await {
        tracing::debug!(fleet = %member.fleet, %error, "what is given up runs on");
    }
    Ok(error
        .within(format_args!("fleet {}", member.fleet))
        .hint(format!("fleet {} is given up: `kindmesh pool serve --once {}` makes another in its place", member.fleet, pool.name)))
}

fn left_behind(error: Error, member: &FleetName, left: &Error) -> Error {
    error.hint(format!("fleet {member} was not put back into its pool ({}); remove it: `kindmesh down --fleet {member}`", left.one_line()))
}

// === impl Pool ===

impl<'a> Pool<'a> {
    pub(super) async fn read(km: &Kindmesh, name: &'a FleetName) -> Result<Self> {
        let store = km.pool_store(name).await?;
        let record = match &store {
            Some(store) => store.record()?,
            None => None,
        };
        Ok(Self { name, store, record })
    }

    async fn members(&self, km: &Kindmesh) -> Result<Vec<Member>> {
        members::read(km.engine.as_ref(), self.name, self.record.as_ref().map(|record| &record.fleet)).await
    }

    /// Whether all nodes of a member that is claimed by now are there, and wait.
    async fn still_suspended(&self, km: &Kindmesh, member: &Member) -> Result<bool> {
        let description = self.record.as_ref().map(|record| &record.fleet);
        members::is_suspended(km.engine.as_ref(), &member.fleet, description).await
    }

    fn nothing_warm(&self, km: &Kindmesh, members: &[Member]) -> Error {
        let size = self.record.as_ref().map(|record| record.size);
        if members.is_empty() && size.is_none() {
            return Error::new(ErrorKind::NotFound, format!("no pool {} on {}", self.name, km.engine.endpoint())).hint(format!(
                "make it: `kindmesh up --warm 2 --fleet {}`, or with `-f FILE`; `kindmesh pool list` shows those there are",
                self.name
            ));
        }
        let counted = |states: &[MemberState], what: &str| match names(members, states).len() {
            0 => None,
            count => Some(format!("{count} {what}")),
        };
        let parts = [
            counted(&[MemberState::Leased], "leased"),
            counted(&[MemberState::Unfinished, MemberState::Discarded], "unfinished"),
            counted(&[MemberState::Other], "of another description"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let how = if parts.is_empty() { "it is empty".to_owned() } else { parts.join(", ") };
        Error::new(ErrorKind::Conflict, format!("pool {} has no warm member: {how}", self.name))
            .hint(format!("`kindmesh pool serve --once {}` fills it; `kindmesh up --warm N` keeps more", self.name))
    }
}
