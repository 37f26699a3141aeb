//! Single nodes, for those who put one to rest themselves.

use futures_util::future::try_join_all;

use super::awake::{all_run, answers, connect, start_nodes};
use crate::domain::fleet::Timeouts;
use crate::domain::labels;
use crate::engine::ContainerInfo;
use crate::ops::context::Kindmesh;
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::inventory::{Inventory, is_running};

impl Kindmesh {
    /// Starts nodes of one cluster that have ended, lets those that are suspended go on, and waits until the
    /// cluster works as before: its API server answers, all its running nodes are ready, and so is what
    /// kindmesh installed on them. Nodes that run are left alone.
    ///
    /// # Errors
    /// When one is no node of a cluster, or does not come back in time.
    pub async fn start_nodes(&self, nodes: &[String]) -> Result<()> {
        let km = self.begin();
        let (scope, timeouts) = (km.fleet_scope(), Timeouts::default());
        let found = try_join_all(nodes.iter().map(|node| km.engine.inspect_container(node))).await?;
        let Some(first) = found.first() else { return Ok(()) };
        let cluster = first.labels.get(labels::CLUSTER).cloned().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("container {} is no node of a cluster", first.name))
                .hint("`kindmesh get nodes` lists those that are")
        })?;
        start_nodes(&km, &[(cluster.clone(), found)], &timeouts, &scope).await?;
        let server = connect(&km, &cluster).await?;
        answers(&server, &timeouts, &km.cluster_scope(&cluster)).await?;
        let inventory = Inventory::read(km.engine.as_ref()).await?;
        let running: Vec<ContainerInfo> = inventory.nodes(&cluster).iter().filter(|node| is_running(node)).cloned().collect();
        all_run(&km, &[(cluster, running)], &[server], &timeouts).await
    }
}
