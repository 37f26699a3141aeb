//! Warm pools: fleets made beforehand, suspended, and handed out in the time that waking them takes.

mod claim;
mod fill;
mod forget;
mod lease;
mod lease_file;
mod list;
mod members;
mod report;
mod serve;
mod store;

pub(super) use claim::{is_marker, mark_removal};
pub(super) use forget::{forget, forget_all, tidy};
pub(super) use lease_file::remove_of;
pub use report::{LeaseOptions, LeaseReport, LeasedCluster, PoolReport, PoolStatus};

#[cfg(test)]
mod tests;
