//! What the nodes of a fleet recorded of their start, read afterwards: for pictures of where time went.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::domain::name::FleetName;
use crate::domain::trace::{Moment, node_moments};
use crate::engine::{ContainerInfo, Engine, ExecRequest};
use crate::k8s::moments as recorded;

use super::api_server;
use super::context::Kindmesh;
use super::error::{Error, ErrorKind, Result};
use super::inventory::{Inventory, is_running};

/// Longest that a node or an API server may take to tell; a record is no reason to wait.
const DEADLINE: Duration = Duration::from_secs(5);
const SECOND: u64 = 1_000_000;

/// Prints a node's record from `$1` (seconds since 1970) on; [`node_moments`] reads it. Only lines that
/// may matter are printed: journals are long.
const READ: &str = r#"
echo '== clock'
date +%s.%N
cat /proc/uptime /proc/1/stat
echo '== journal'
journalctl --quiet --no-pager --output short-unix --since "@$1" --unit kubelet --unit containerd --unit multi-user.target |
  grep -E ': (Reached target |Started )|"Started kubelet"|it just became ready|(Create|Start)Container .*returns'
echo '== pods'
grep -HE 'Serving securely on|successfully acquired lease|Resetting endpoints for master service|evaluator for: endpoint|"Started controller"' \
  /var/log/pods/kube-system_kube-*/*/*.log
exit 0
"#;

impl Kindmesh {
    /// What the running nodes and API servers of a fleet recorded since a time: containers and services
    /// started, leaders elected, node and CoreDNS ready. Best effort: what does not tell within some
    /// seconds is left out.
    ///
    /// Times are those of the nodes' clock, which is the engine host's.
    ///
    /// # Errors
    /// When the engine cannot list the fleet's nodes.
    pub async fn node_moments(&self, fleet: &FleetName, since: SystemTime) -> Result<Vec<Moment>> {
        let engine = self.engine.as_ref();
        let listed = tokio::time::timeout(DEADLINE, Inventory::read(engine)).await;
        let inventory = listed.map_err(|_| {
            Error::new(ErrorKind::Timeout, format!("list the nodes of fleet {fleet}: no answer within {} s", DEADLINE.as_secs()))
        })??;
        // A whole second before: that is how exact some records are.
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().saturating_sub(1);
        let inventory = &inventory;
        let clusters = inventory.of_fleet(fleet).map(|(cluster, nodes)| async move {
            let of_nodes = join_all(nodes.iter().filter(|node| is_running(node)).map(|node| of_node(engine, cluster, node, since)));
            let (of_nodes, of_cluster) = tokio::join!(of_nodes, of_cluster(engine, cluster, inventory));
            of_nodes.into_iter().flatten().chain(of_cluster).collect::<Vec<Moment>>()
        });
        Ok(join_all(clusters).await.into_iter().flatten().collect())
    }
}

/// What a node recorded; nothing when it does not tell.
async fn of_node(engine: &dyn Engine, cluster: &str, node: &ContainerInfo, since: u64) -> Vec<Moment> {
    let request = ExecRequest::new(["sh", "-c", READ, "sh", &since.to_string()]);
    // The operation may have been cancelled; this has a deadline of its own.
    let cancel = CancellationToken::new();
    match tokio::time::timeout(DEADLINE, engine.exec(&node.name, request, &cancel)).await {
        Ok(Ok(output)) => {
            let moment = |name, at| Moment { name, cluster: Some(cluster.to_owned()), node: Some(node.name.clone()), at, exact: 1 };
            node_moments(&output.stdout_text()).into_iter().map(|recorded| moment(recorded.name, recorded.at)).collect()
        }
        Ok(Err(error)) => {
            tracing::debug!(node = node.name, %error, "the node's record cannot be read");
            Vec::new()
        }
        Err(_) => {
            tracing::debug!(node = node.name, "the node's record takes too long");
            Vec::new()
        }
    }
}

/// What a cluster's API server recorded; nothing when it does not tell.
async fn of_cluster(engine: &dyn Engine, cluster: &str, inventory: &Inventory) -> Vec<Moment> {
    let read = async {
        let server = api_server::connect(engine, cluster, inventory.control_plane(cluster)?).await?;
        recorded::moments(&server).await.map_err(|error| Error::new(ErrorKind::Cluster, "read what was recorded").because(error))
    };
    match tokio::time::timeout(DEADLINE, read).await {
        Ok(Ok(told)) => {
            let moment = |told: recorded::ClusterMoment| Moment {
                name: told.name,
                cluster: Some(cluster.to_owned()),
                node: told.node,
                at: u64::try_from(told.at).unwrap_or_default() * SECOND,
                exact: SECOND,
            };
            told.into_iter().map(moment).collect()
        }
        Ok(Err(error)) => {
            tracing::debug!(cluster, error = error.one_line(), "the API server's record cannot be read");
            Vec::new()
        }
        Err(_) => {
            tracing::debug!(cluster, "the API server's record takes too long");
            Vec::new()
        }
    }
}
