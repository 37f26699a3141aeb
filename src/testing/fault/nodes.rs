//! Nodes that freeze, die and start again.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::super::fleet::TestFleet;
use super::super::wait_for;
use super::guard::{Fault, Undo};
use crate::engine::ContainerState;
use crate::ops::{Error, ErrorKind, Result};

/// Killing a node takes a second; an engine under load is given time.
const END: Duration = Duration::from_secs(60);

impl TestFleet {
    /// Freezes all nodes of a cluster: they keep memory, addresses and open connections, and do and answer nothing.
    ///
    /// # Errors
    /// When one cannot be frozen; then all go on.
    ///
    /// # Panics
    /// When there is no cluster of this name.
    pub async fn pause(&self, cluster: &str) -> Result<Fault> {
        let cluster = self.cluster(cluster);
        let fault = self.fault(format!("{} is paused", cluster.name()), Undo::Nodes(cluster.nodes().to_vec()))?;
        let engine = self.kindmesh().engine();
        try_join_all(cluster.nodes().iter().map(|node| engine.pause_container(node))).await?;
        Ok(fault)
    }

    /// Kills a node at once, as a power cut would: everything in it ends, what was written stays. Undoing starts it again,
    /// at its old address, and waits until its cluster works.
    ///
    /// `node` is its name, or the name of its cluster for the control plane.
    ///
    /// # Errors
    /// When there is no such node, or it does not end.
    pub async fn kill_node(&self, node: &str) -> Result<Fault> {
        let node = self.node(node)?;
        let fault = self.fault(format!("node {node} is killed"), Undo::Nodes(vec![node.clone()]))?;
        self.end(&node).await?;
        Ok(fault)
    }

    /// Kills a node, starts it again, and waits until its cluster works.
    ///
    /// `node` is its name, or the name of its cluster for the control plane.
    ///
    /// # Errors
    /// When there is no such node, or it does not come back.
    pub async fn restart_node(&self, node: &str) -> Result<()> {
        self.kill_node(node).await?.undo().await
    }

    async fn end(&self, node: &str) -> Result<()> {
        let engine = self.kindmesh().engine();
        engine.kill_container(node, "SIGKILL").await?;
        wait_for(&format!("node {node} to end"), END, || async {
            match engine.inspect_container(node).await {
                Ok(info) if info.state == ContainerState::Exited => Ok(()),
                Ok(info) => Err(info.status),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    /// The node that is meant.
    fn node(&self, named: &str) -> Result<String> {
        let all = self.clusters().iter().flat_map(|cluster| cluster.nodes());
        let control_plane = || {
            let cluster = self.clusters().iter().find(|cluster| cluster.name() == named || cluster.full_name() == named)?;
            cluster.nodes().first()
        };
        let found = all.clone().find(|node| *node == named).or_else(control_plane).cloned();
        found.ok_or_else(|| {
            let there = all.cloned().collect::<Vec<_>>().join(", ");
            Error::new(ErrorKind::NotFound, format!("the fleet has no node {named}; there are: {there}"))
        })
    }
}
