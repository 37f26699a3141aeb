//! Fleets for tests: three lines make one, and whatever happens then, it is gone afterwards.
//!
//! ```no_run
//! use kindmesh::testing::TestFleet;
//!
//! # async fn example() -> kindmesh::ops::Result<()> {
//! let fleet = TestFleet::builder().clusters(2).start().await?;
//! let client = fleet.cluster("cluster1").client(); // a kube::Client
//! let frozen = fleet.pause("cluster2").await?;
//! // … and what the test is about …
//! frozen.undo().await?;
//! # Ok(())
//! # } // Here the fleet goes, and would go in a panic.
//! ```
//!
//! **Alone.** A [`TestFleet`] has names that no other has and a network of its own in a subnet that nothing on the
//! engine uses, so tests run side by side, in one process (`cargo test`) or many (nextest).
//!
//! **Gone.** The fleet goes with its value, also in a panic and when starting it is given up; the test's thread waits for
//! that, on whatever runtime. When the process is killed, a [holder](crate::domain::lease) on the engine notices, and
//! removes what has the label of the process within some seconds; see [`Reaper`] for engines where nobody may.
//! A fleet whose holder is gone is also removed by the next process that starts one, and by `kindmesh prune`.
//!
//! **Broken and mended.** [`TestFleet::partition`], [`isolate`](TestFleet::isolate), [`pause`](TestFleet::pause),
//! [`kill_node`](TestFleet::kill_node), [`stop`](TestFleet::stop), [`expire_token`](TestFleet::expire_token) and
//! [`slow_link`](TestFleet::slow_link) return a [`Fault`], which is undone at the latest when it is dropped.
//!
//! **The environment.** `KINDMESH_KEEP=1` keeps fleets and prints how to reach them, `KINDMESH_NODE_IMAGE` names the usual node
//! image, `KINDMESH_EVIDENCE` a folder for everything that tells of a failed test. The engine is found as by the program:
//! `DOCKER_HOST`, `DOCKER_CONTEXT`, usual sockets.

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
mod pool;
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
pub use pool::TestPool;
pub use wait::wait_for;
