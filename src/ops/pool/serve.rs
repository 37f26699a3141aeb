//! Keeping pools full for as long as somebody wants it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::ops::context::Kindmesh;
use crate::ops::error::{Error, ErrorKind, Result, all_or_first};

use super::report::PoolReport;
use super::store::no_state;

const STEP: &str = "fill the pool";
/// How often pools are looked at when the engine tells of nothing: their sizes are in files.
const LOOK_PAUSE: Duration = Duration::from_secs(10);
/// How long a pool that could not be filled is left alone.
const FAILED_PAUSE: Duration = Duration::from_secs(60);

impl Kindmesh {
    /// Fills these pools, or all that are written down when none is named, one after another. One that cannot be
    /// filled keeps no other.
    ///
    /// # Errors
    /// The first pool's that cannot be filled, with the others' as hints.
    pub async fn refill_all(&self, pools: &[FleetName]) -> Result<Vec<PoolReport>> {
        let mut results = Vec::new();
        for pool in self.wanted_pools(pools).await? {
            let result = self.refill(&pool).await;
            let cancelled = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled);
            results.push(result);
            if cancelled {
                break;
            }
        }
        all_or_first(results)
    }

    /// Keeps these pools full, or all that are written down at that time when none is named, until it is
    /// cancelled: whenever a member goes away or is handed out, another is made. A pool that cannot be filled is
    /// told, and tried again a minute later; the others are kept full meanwhile.
    ///
    /// # Errors
    /// When a named pool is not written down here.
    pub async fn serve_pools(&self, pools: &[FleetName]) -> Result<()> {
        let km = self.begin();
        let scope = km.fleet_scope();
        for pool in pools {
            let store = km.pool_store(pool).await?.ok_or_else(no_state)?;
            store.record()?.ok_or_else(|| store.unknown())?;
        }
        // Pools that could not be filled, and when they are tried again.
        let mut failed: BTreeMap<FleetName, Instant> = BTreeMap::new();
        while !km.cancel.is_cancelled() {
            // Listened to before the look, so that nothing falls between.
            let events = km.engine.events(&[labels::WARM.to_owned()]).await;
            let again = |error: &Error| scope.warn(STEP, format!("{}; trying again in {} s", error.one_line(), FAILED_PAUSE.as_secs()));
            let (wanted, pause) = match km.wanted_pools(pools).await {
                Ok(wanted) => (wanted, LOOK_PAUSE),
                Err(error) => {
                    again(&error);
                    (Vec::new(), FAILED_PAUSE)
                }
            };
            for pool in wanted {
                if failed.get(&pool).is_some_and(|until| Instant::now() < *until) {
                    continue;
                }
                failed.remove(&pool);
                match km.refill(&pool).await {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Cancelled => return Ok(()),
                    Err(error) => {
                        again(&error);
                        failed.insert(pool, Instant::now() + FAILED_PAUSE);
                    }
                }
            }
            let news = async {
                // What came while the pools were filled counts, too: a look more costs nothing.
                match events {
                    Ok(mut events) if pause == LOOK_PAUSE => {
                        if events.next().await.is_none() {
                            std::future::pending().await
                        }
                    }
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = km.cancel.cancelled() => break,
                () = news => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    async fn wanted_pools(&self, named: &[FleetName]) -> Result<Vec<FleetName>> {
        if named.is_empty() { self.recorded_pools().await } else { Ok(named.to_vec()) }
    }
}
