//! Fleets for tests: three lines make one, and whatever happens then, it is gone afterwards.
mod background;
mod builder;
mod cluster;
mod ending;
mod evidence;
mod fault;
mod fleet;
mod holder;
mod names;
mod plan;
mod reap;
mod reuse;
mod scratch;
mod settings;
mod source;
mod start;
mod wait;

#[cfg(test)]
mod support;

pub use crate::k8s::pod_exec::{End, PodOutput};
pub use builder::{Reaper, TestFleetBuilder};
pub use cluster::{PortForward, TestCluster};
pub use fault::{Component, Fault};
pub use fleet::TestFleet;
pub use wait::wait_for;
