//! Keeping pools full for as long as somebody wants it.

use std::time::Duration;

use futures_util::StreamExt as _;

use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::ops::context::Kindmesh;
use crate::ops::error::{ErrorKind, Result};

use super::report::PoolReport;
use super::store::no_state;

const STEP: &str = "fill the pool";
/// How often pools are looked at when the engine tells of nothing: their sizes are in files.
const LOOK_PAUSE: Duration = Duration::from_secs(10);
/// How long a pool that could not be filled is left alone.
const FAILED_PAUSE: Duration = Duration::from_secs(60);

impl Kindmesh {
    /// Fills these pools, or all that are written down when none is named, one after another.
    ///
    /// # Errors
    /// The first pool's that cannot be filled.
    pub async fn refill_all(&self, pools: &[FleetName]) -> Result<Vec<PoolReport>> {
        let mut reports = Vec::new();
        for pool in self.wanted_pools(pools).await? {
            reports.push(self.refill(&pool).await?);
        }
        Ok(reports)
    }

    /// Keeps these pools full, or all that are written down at that time when none is named, until it is
    /// cancelled: whenever a member goes away or is handed out, another is made. What fails is told and
    /// tried again a minute later.
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
        while !km.cancel.is_cancelled() {
            // Listened to before the look, so that nothing falls between.
            let events = km.engine.events(&[labels::WARM.to_owned()]).await;
            let failed = match km.refill_all(pools).await {
                Ok(_) => false,
                Err(error) if error.kind() == ErrorKind::Cancelled => break,
                Err(error) => {
                    scope.warn(STEP, format!("{}; trying again in {} s", error.one_line(), FAILED_PAUSE.as_secs()));
                    true
                }
            };
            let news = async {
                // What came while the pools were filled counts, too: a look more costs nothing.
                match events {
                    Ok(mut events) if !failed => {
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
                () = tokio::time::sleep(if failed { FAILED_PAUSE } else { LOOK_PAUSE }) => {}
            }
        }
        Ok(())
    }

    async fn wanted_pools(&self, named: &[FleetName]) -> Result<Vec<FleetName>> {
        if named.is_empty() { self.recorded_pools().await } else { Ok(named.to_vec()) }
    }
}
