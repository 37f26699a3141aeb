//! Which pools there are: written down here, or with members on the engine.

use std::collections::BTreeSet;

use crate::domain::name::FleetName;
use crate::domain::warm::MemberState;
use crate::ops::context::Kindmesh;
use crate::ops::error::Result;

use super::members::{self, UNREADY, names};
use super::report::PoolStatus;

impl Kindmesh {
    /// All pools of the engine, in the order of their names; with those whose record cannot be read, and why.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn pools(&self) -> Result<Vec<PoolStatus>> {
        let engine = self.engine.as_ref();
        let mut pools: BTreeSet<FleetName> = members::pools(engine).await?;
        pools.extend(self.recorded_pools().await?);
        let mut all = Vec::new();
        for pool in pools {
            let record = match self.pool_store(&pool).await? {
                Some(store) => store.record(),
                None => Ok(None),
            };
            let (record, problem) = match record {
                Ok(record) => (record, None),
                Err(error) => (None, Some(error.one_line())),
            };
            let members = members::read(engine, &pool, record.as_ref().map(|record| &record.fleet)).await?;
            all.push(PoolStatus {
                pool: pool.to_string(),
                size: record.map(|record| record.size),
                warm: names(&members, &[MemberState::Warm]),
                leased: names(&members, &[MemberState::Leased]),
                unfinished: names(&members, &UNREADY),
                problem,
            });
        }
        Ok(all)
    }

    /// Names of the pools that are written down here, legibly or not.
    pub(super) async fn recorded_pools(&self) -> Result<Vec<FleetName>> {
        let mut recorded = Vec::new();
        for store in self.pool_stores().await? {
            if !matches!(store.record(), Ok(None)) {
                recorded.push(store.pool);
            }
        }
        Ok(recorded)
    }
}
