//! What kindmesh installed in a cluster runs again after its nodes were started.

use std::time::Duration;

use super::mesh;
use crate::domain::mesh::objects::SAMPLE_NAMESPACE;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::engine::{ContainerInfo, Engine};
use crate::k8s::wait::Starts;
use crate::k8s::{ApiServer, Deadline, announce, metallb, pods, sample, wait};
use crate::ops::context::{Outcome, Scope};
use crate::ops::error::Result;
use crate::ops::install::{SYSTEM_NAMESPACES, failed};
use crate::ops::service_network;

const STEP: &str = "wait for nodes and system pods";

/// Namespaces that there may be, beside those of every cluster.
const OPTIONAL_NAMESPACES: [&str; 4] = [metallb::NAMESPACE, sample::NAMESPACE, SYSTEM_NAMESPACE, SAMPLE_NAMESPACE];

/// Waits until all nodes are Ready and every pod of the namespaces that kindmesh makes runs, as the
/// kubelets tell since their start.
pub(super) async fn ready(
    engine: &dyn Engine,
    server: &ApiServer,
    nodes: &[ContainerInfo],
    deadline: Duration,
    scope: &Scope,
) -> Result<()> {
    scope
        .step(STEP, deadline, async {
            let seen = |state: &str| scope.progress(STEP, state);
            let deadline = Deadline::after(deadline);
            let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
            let starts: Starts = nodes.iter().filter_map(|node| Some((node.name.clone(), node.started?))).collect();
            let there = pods::namespaces(server).await.map_err(|error| failed("list pods", error))?;
            let namespaces: Vec<&str> =
                SYSTEM_NAMESPACES.into_iter().chain(OPTIONAL_NAMESPACES).filter(|namespace| there.contains(*namespace)).collect();
            wait::nodes_ready(server, &names, deadline, &seen).await.map_err(|error| failed("wait for nodes", error))?;
            let running = async {
                if mesh::is_there(server).await.map_err(|error| failed("look for a mesh", error))? {
                    mesh::guided(server, &starts, deadline, &seen).await.map_err(|error| failed("wait for CoreDNS", error))?;
                    service_network::leads(engine, server, nodes, deadline.remaining(), &scope.cancel).await?;
                    mesh::renew(server, &starts, deadline, &seen).await.map_err(|error| failed("wait for the mesh", error))?;
                }
                let running = wait::system_pods_running(server, &namespaces, &starts, deadline, &seen).await;
                running.map_err(|error| failed("wait for system pods", error))
            };
            // Pods that started before the service network was back wait for their kubelet's next try, for longer
            // each time.
            tokio::select! {
                running = running => running?,
                Err(error) = pods::replace_backed_off(server, &namespaces, &starts) => return Err(failed("replace pods that wait to be tried again", error)),
            }
            if namespaces.contains(&metallb::NAMESPACE) {
                announce::again(server, deadline, &seen).await.map_err(|error| failed("have addresses announced", error))?;
            }
            Ok(Outcome::unchanged(()))
        })
        .await
}
