//! Slow networks, where the kernel can make them.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::super::fleet::TestFleet;
use super::guard::{Fault, Undo, in_node};
use crate::ops::{ErrorKind, Result};

/// Adds the queue that delays, and takes it away.
const SCRIPT: &str = include_str!("slow.sh");

/// The command that takes the delay away.
pub(super) fn remove() -> Vec<String> {
    ["bash", "-c", SCRIPT, "slow", "remove"].map(str::to_owned).to_vec()
}

impl TestFleet {
    /// Delays everything that the nodes of a cluster send, to each other and to everybody else: round trips take
    /// longer by `delay`, which is at least a millisecond.
    ///
    /// # Errors
    /// When the kernel of the engine's host has no `netem`, which the message says and tests can tell by
    /// [`is_missing_netem`](TestFleet::is_missing_netem); then nothing is changed.
    ///
    /// # Panics
    /// When there is no cluster of this name.
    pub async fn slow_link(&self, cluster: &str, delay: Duration) -> Result<Fault> {
        let cluster = self.cluster(cluster);
        let milliseconds = delay.as_millis().max(1).to_string();
        let what = format!("{} answers {milliseconds} ms later", cluster.name());
        let fault = self.fault(what, Undo::Slow(cluster.nodes().to_vec()))?;
        let command = ["bash", "-c", SCRIPT, "slow", "add", &milliseconds].map(str::to_owned).to_vec();
        let engine = self.kindmesh().engine().as_ref();
        let added = try_join_all(cluster.nodes().iter().map(|node| in_node(engine, node, &command))).await;
        added.map_err(|error| {
            let error = error.within(fault.what());
            if Self::is_missing_netem(&error) {
                error.hint("load it on the engine's host, where it can be: `modprobe sch_netem`")
            } else {
                error
            }
        })?;
        Ok(fault)
    }

    /// Whether this error of [`TestFleet::slow_link`] says that the kernel cannot delay packets.
    pub fn is_missing_netem(error: &crate::ops::Error) -> bool {
        error.kind() == ErrorKind::Cluster && error.to_string().contains(MISSING)
    }
}

/// What the script says when the kernel refuses.
const MISSING: &str = "the kernel has no netem";
