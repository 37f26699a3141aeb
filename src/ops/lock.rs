//! One at a time: whoever changes a fleet has it alone, on whatever machine it runs.
//!
//! The lock is the engine's: [tickets](crate::domain::ticket), of which only the holder's is left. A holder that
//! was killed is known as dead at once by those who see its process, and by others when its signs of life stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::labels;
use crate::domain::lease::Lease;
use crate::domain::name::FleetName;
use crate::domain::node::fleet_labels;
use crate::domain::ticket::{self, Holder, Ticket, Turn};
use crate::engine::Engine;

use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result};
use super::holder;

const STEP: &str = "wait for the fleet";
/// Between two signs of life: each is two small requests.
const BEAT: Duration = Duration::from_secs(5);
/// Without a sign for so long a holder is dead. An engine that is too busy to take signs for a minute is also too
/// busy to tell anybody that they are missing.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a step takes to end.
const GRACE: Duration = Duration::from_secs(6);
/// Between two looks whether it is one's turn.
const LOOK: Duration = Duration::from_millis(500);

/// A ticket that is to be given back.
struct Held {
    engine: Arc<dyn Engine>,
    fleet: FleetName,
    /// On every ticket, beside the holder.
    labels: BTreeMap<String, String>,
    holder: Holder,
    beat: u64,
    /// When that was.
    shown: Instant,
    given_back: bool,
}

/// What was seen of others, for telling whose signs of life have stopped.
#[derive(Default)]
struct Watch(BTreeMap<String, (u64, Instant)>);

/// Does the work while nobody else changes the fleet: waits for its turn, gives signs of life while it works, and
/// gives the fleet back. The handle that the work gets is cancelled when the turn is lost, as happens to a process
/// that was stopped for minutes.
///
/// # Errors
/// Those of the work; `Conflict` when it was not its turn in time (see [`Kindmesh::patience`]) or the turn was lost.
pub(super) async fn holding<T>(km: &Kindmesh, fleet: &FleetName, work: &str, job: impl AsyncFnOnce(Kindmesh) -> Result<T>) -> Result<T> {
    let held = take(km, fleet, work).await?;
    hold(km, held, work, job).await
}

/// As [`holding`], also where the engine can make no lock, for one whose disk is full: what frees it must go on.
///
/// # Errors
/// As [`holding`].
pub(super) async fn holding_if_possible<T>(
    km: &Kindmesh,
    fleet: &FleetName,
    work: &str,
    job: impl AsyncFnOnce(Kindmesh) -> Result<T>,
) -> Result<T> {
    match take(km, fleet, work).await {
        Ok(held) => hold(km, held, work, job).await,
        Err(error) if error.kind() == ErrorKind::Engine => {
            km.fleet_scope().warn(STEP, format!("fleet {fleet} is not locked against other commands: {}", error.one_line()));
            job(km.clone()).await
        }
        Err(error) => Err(error),
    }
}

async fn hold<T>(km: &Kindmesh, mut held: Held, work: &str, job: impl AsyncFnOnce(Kindmesh) -> Result<T>) -> Result<T> {
    let mut worker = km.clone();
    worker.cancel = km.cancel.child_token();
    let cancel = worker.cancel.clone();
    let result = {
        // In a box: making a fleet is a large future.
        let mut job = Box::pin(job(worker));
        tokio::select! {
            result = &mut job => result,
            () = given_up(km) => Err(Error::cancelled(work)),
            lost = held.beat() => {
                cancel.cancel();
                // It tidies up after itself; what it says is that it was cancelled.
                let _ = tokio::time::timeout(GRACE, job).await;
                Err(lost)
            }
        }
    };
    held.give_back(&km.fleet_scope()).await;
    result
}

/// Work that is cancelled ends its running steps by itself, which have five seconds for it.
async fn given_up(km: &Kindmesh) {
    km.cancel.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// Names of fleets that somebody works on, or was killed at.
pub(super) async fn fleets(engine: &dyn Engine) -> Result<Vec<String>> {
    let volumes = engine.list_volumes(&[labels::LOCK.to_owned()]).await?;
    Ok(volumes.into_iter().filter_map(|volume| volume.labels.get(labels::FLEET).cloned()).collect())
}

async fn take(km: &Kindmesh, fleet: &FleetName, work: &str) -> Result<Held> {
    let mut held = Held {
        engine: km.engine.clone(),
        fleet: fleet.clone(),
        labels: fleet_labels(fleet).into_iter().chain(Lease { expires: None, owner: km.owner.clone() }.labels()).collect(),
        holder: holder::this(work),
        beat: 0,
        shown: Instant::now(),
        given_back: true,
    };
    let mut watch = Watch::default();
    let scope = km.fleet_scope();
    let Err(other) = held.ask(&mut watch).await? else { return Ok(held) };
    scope.note(STEP, format!("{} works on fleet {fleet}; waiting for it", other.describe()));
    let until = Instant::now() + km.patience;
    let waited = scope.step(STEP, km.patience + PATIENCE, async {
        let mut other = other;
        scope.progress(STEP, other.describe());
        loop {
            if scope.cancel.is_cancelled() {
                return Err(Error::cancelled(STEP));
            }
            if Instant::now() >= until {
                return Err(busy(fleet, &other, km.patience));
            }
            tokio::time::sleep(LOOK).await;
            match held.ask(&mut watch).await? {
                Ok(()) => return Ok(Outcome::unchanged(())),
                Err(now) if now.id == other.id => {}
                Err(now) => {
                    scope.progress(STEP, now.describe());
                    other = now;
                }
            }
        }
    });
    let waited = waited.await;
    match waited {
        Ok(()) => Ok(held),
        Err(error) => {
            held.give_back(&scope).await;
            Err(error)
        }
    }
}

fn busy(fleet: &FleetName, other: &Holder, patience: Duration) -> Error {
    let message = match patience.as_secs() {
        0 => format!("fleet {fleet}: {} works on it", other.describe()),
        seconds => format!("fleet {fleet}: {} has worked on it for {seconds} s", other.describe()),
    };
    Error::new(ErrorKind::Conflict, message)
        .hint("run the command again when that has ended; what was killed is noticed by itself, within a minute")
}

// === impl Held ===

impl Held {
    /// Looks whose turn it is: with a ticket to be seen by the others, unless somebody asked before.
    async fn ask(&mut self, watch: &mut Watch) -> Result<std::result::Result<(), Holder>> {
        let shown = !self.given_back;
        // Who waits lives, too.
        if shown && self.shown.elapsed() >= BEAT {
            let old = self.beat;
            self.show(old + 1).await?;
            remove(self.engine.as_ref(), &self.name(old)).await?;
        }
        let living = self.living(watch).await?;
        match ticket::turn(&self.holder, &living) {
            Turn::Mine if shown => Ok(Ok(())),
            // What was seen without a ticket may have changed before there is one.
            Turn::Mine => {
                self.show(self.beat + 1).await?;
                let living = self.living(watch).await?;
                Ok(match ticket::turn(&self.holder, &living) {
                    Turn::Mine => Ok(()),
                    Turn::Wait(other) | Turn::GiveWay(other) => Err(other.clone()),
                })
            }
            Turn::Wait(other) => {
                let other = other.clone();
                if !shown {
                    self.show(self.beat + 1).await?;
                }
                Ok(Err(other))
            }
            Turn::GiveWay(other) => {
                let other = other.clone();
                if shown {
                    remove(self.engine.as_ref(), &self.name(self.beat)).await?;
                    self.given_back = true;
                }
                Ok(Err(other))
            }
        }
    }

    /// All tickets of the fleet.
    async fn tickets(&self) -> Result<Vec<Ticket>> {
        let wanted = [labels::LOCK.to_owned(), format!("{}={}", labels::FLEET, self.fleet)];
        let volumes = self.engine.list_volumes(&wanted).await?;
        Ok(volumes.iter().filter_map(|volume| Ticket::read(&volume.name, volume.labels.get(labels::LOCK)?)).collect())
    }

    /// Tickets of the fleet whose holders live. Those of the dead are removed; their names are never used again.
    async fn living(&self, watch: &mut Watch) -> Result<Vec<Ticket>> {
        let mut living = Vec::new();
        for ticket in self.tickets().await? {
            if ticket.holder.id != self.holder.id && (holder::is_gone(&ticket.holder) || watch.is_silent(&ticket)) {
                remove(self.engine.as_ref(), &ticket.name).await?;
            } else {
                living.push(ticket);
            }
        }
        Ok(living)
    }

    /// Gives signs of life; ends only when the ticket was taken away.
    async fn beat(&mut self) -> Error {
        loop {
            tokio::time::sleep(BEAT).await;
            // An engine that does not answer now has its own way to tell the work.
            let (old, silent) = (self.beat, self.shown.elapsed());
            if self.show(old + 1).await.is_err() {
                continue;
            }
            match self.engine.remove_volume(&self.name(old)).await {
                // Nobody takes away what gave signs in time, but a removal of all unused volumes does. The ticket is there
                // again: who comes now sees it.
                Err(error) if error.is_not_found() && silent < PATIENCE => {
                    if let Some(other) = self.other().await {
                        return self.taken(&format!("{} works on it since the lock was removed", other.describe()));
                    }
                }
                Err(error) if error.is_not_found() => return self.taken("another process took over, since this one gave no sign of life"),
                _ => {}
            }
        }
    }

    /// Somebody else with a ticket of the fleet, as far as the engine tells.
    async fn other(&self) -> Option<Holder> {
        let mut tickets = self.tickets().await.ok()?.into_iter();
        tickets.find(|ticket| ticket.holder.id != self.holder.id).map(|ticket| ticket.holder)
    }

    fn taken(&self, how: &str) -> Error {
        Error::new(ErrorKind::Conflict, format!("fleet {}: {how}", self.fleet))
            .hint("this process or its engine stood still for more than a minute, or somebody removed the volume that is its lock; run the command again")
    }

    async fn show(&mut self, beat: u64) -> crate::engine::Result<()> {
        let mut labels = self.labels.clone();
        labels.insert(labels::LOCK.to_owned(), self.holder.to_label());
        // Before the call: one whose answer is lost is taken back as well.
        self.given_back = false;
        self.engine.create_volume(&self.name(beat), &labels).await?;
        (self.beat, self.shown) = (beat, Instant::now());
        Ok(())
    }

    fn name(&self, beat: u64) -> String {
        ticket::name(&self.fleet, &self.holder.id, beat)
    }

    /// Removes every ticket of this holder: a sign of life may have been interrupted between two.
    async fn give_back(mut self, scope: &Scope) {
        self.given_back = true;
        if let Err(error) = clear(self.engine.as_ref(), &self.fleet, &self.holder.id).await {
            scope.warn(STEP, format!("the lock of fleet {} stays for a minute: {}", self.fleet, error.one_line()));
        }
    }
}

/// Work that was dropped in its middle gives its ticket back as well, as far as there is somebody to do it.
impl Drop for Held {
    fn drop(&mut self) {
        if !self.given_back
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (engine, fleet, id) = (self.engine.clone(), self.fleet.clone(), self.holder.id.clone());
            runtime.spawn(async move { clear(engine.as_ref(), &fleet, &id).await });
        }
    }
}

async fn clear(engine: &dyn Engine, fleet: &FleetName, id: &str) -> Result<()> {
    let own = ticket::name(fleet, id, 0);
    let prefix = own.trim_end_matches('0');
    for volume in engine.list_volumes(&[labels::LOCK.to_owned(), format!("{}={fleet}", labels::FLEET)]).await? {
        if volume.name.starts_with(prefix) {
            remove(engine, &volume.name).await?;
        }
    }
    Ok(())
}

/// Removes a volume; one that is gone is no error.
pub(super) async fn remove(engine: &dyn Engine, name: &str) -> Result<()> {
    match engine.remove_volume(name).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

// === impl Watch ===

impl Watch {
    /// Whether a holder's tickets have been the same for too long, since this watch first saw them.
    fn is_silent(&mut self, ticket: &Ticket) -> bool {
        let now = Instant::now();
        let seen = self.0.entry(ticket.holder.id.clone()).or_insert((ticket.beat, now));
        if ticket.beat > seen.0 {
            *seen = (ticket.beat, now);
        }
        now.duration_since(seen.1) >= PATIENCE
    }
}

#[cfg(test)]
#[path = "lock/tests.rs"]
mod tests;
