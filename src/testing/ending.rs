//! What becomes of a fleet when its handle goes: removed, whatever happens between; or kept, and told of.

use std::fmt;
use std::sync::Arc;

use super::background;
use super::holder::Holder;
use super::source::Source;
use crate::domain::lease::Owner;
use crate::domain::name::FleetName;
use crate::ops::{DownReport, Result};

/// The way a fleet ends. Made before anything of the fleet is.
pub(super) struct Ending {
    source: Source,
    fleet: FleetName,
    /// Whether it is still to be removed.
    armed: bool,
    // Let go after the fleet is removed.
    holder: Option<Arc<Holder>>,
}

// === impl Ending ===

impl Ending {
    /// A fleet that is removed in the end.
    pub(super) fn remove(source: Source, fleet: FleetName, holder: Option<Arc<Holder>>) -> Self {
        Self { source, fleet, armed: true, holder }
    }

    /// A fleet that stays.
    pub(super) fn keep(source: Source, fleet: FleetName) -> Self {
        Self { source, fleet, armed: false, holder: None }
    }

    /// The engine it is on.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    fn owner(&self) -> Option<Owner> {
        self.holder.as_ref().map(|holder| holder.owner().clone())
    }

    /// Whether the fleet stays.
    pub(super) fn keeps(&self) -> bool {
        !self.armed
    }

    /// Removes the fleet now, and tells what went wrong; the next try is the drop's.
    pub(super) async fn now(mut self) -> Result<DownReport> {
        let report = remove(&self.source, self.owner(), &self.fleet).await?;
        self.armed = false;
        Ok(report)
    }
}

async fn remove(source: &Source, owner: Option<Owner>, fleet: &FleetName) -> Result<DownReport> {
    source.kindmesh_of(owner, None).await?.down(fleet).await
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").field("fleet", &self.fleet).field("keeps", &self.keeps()).finish_non_exhaustive()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.armed {
            let (source, owner, fleet) = (self.source.clone(), self.owner(), self.fleet.clone());
            let removed = background::run(move || async move { remove(&source, owner, &fleet).await });
            match removed {
                Some(Ok(_)) => {}
                Some(Err(error)) => self.left(&error.one_line()),
                None => self.left("the work was interrupted"),
            }
        }
        drop(self.holder.take());
    }
}

impl Ending {
    #[expect(clippy::print_stderr, reason = "a drop has no other way to tell a test's author")]
    fn left(&self, why: &str) {
        let fleet = &self.fleet;
        eprintln!("kindmesh: fleet {fleet} was not removed: {why}; `kindmesh down --fleet {fleet}` does it");
    }
}

#[cfg(test)]
mod tests;
