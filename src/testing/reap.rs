//! What dead tests left, removed by the next one that starts: fleets whose owner is gone or whose time has
//! come.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::background;
use super::source::Source;
use crate::ops::{Kindmesh, Result};

/// A holder whose connection broke while its owner lives is made anew well within this.
const SECOND_LOOK: Duration = Duration::from_secs(10);

/// Whether this process has looked already.
static LOOKED: AtomicBool = AtomicBool::new(false);

/// Looks once per process, beside whatever else it does.
pub(super) fn in_background(source: &Source) {
    if LOOKED.swap(true, Ordering::Relaxed) {
        return;
    }
    let source = source.clone();
    // Without a thread, somebody else will do it.
    let _ = background::spawn(move || async move {
        let reaped = async { reap(&source.kindmesh().await?, SECOND_LOOK).await };
        match reaped.await {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(?gone, "removed what tests that were killed had left"),
            Err(error) => tracing::warn!(error = error.one_line(), "could not remove what tests that were killed have left"),
        }
    });
}

/// Removes fleets that are over in two looks, and returns their names. Everything else that may have been left is
/// for `kindmesh prune`.
async fn reap(kindmesh: &Kindmesh, between: Duration) -> Result<BTreeSet<String>> {
    let first = over(kindmesh).await?;
    if first.is_empty() {
        return Ok(first);
    }
    tokio::time::sleep(between).await;
    let second = over(kindmesh).await?;
    let both: BTreeSet<String> = first.intersection(&second).cloned().collect();
    for fleet in &both {
        kindmesh.end_if_over(&fleet.parse()?).await?;
    }
    Ok(both)
}

async fn over(kindmesh: &Kindmesh) -> Result<BTreeSet<String>> {
    Ok(kindmesh.prune(true).await?.fleets.into_iter().map(|fleet| fleet.name).collect())
}

#[cfg(test)]
mod tests;
