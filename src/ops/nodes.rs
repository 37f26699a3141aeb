//! The nodes of a cluster: which there are, how each is described, and making them.

use std::net::{IpAddr, TcpListener};

use futures_util::future::join_all;

use crate::domain::fleet::ClusterSpec;
use crate::domain::labels;
use crate::domain::name::Role;
use crate::domain::node::{NodeRequest, node_container};
use crate::engine::{ContainerInfo, ContainerState};

use super::boot;
use super::cluster::ClusterPlan;
use super::context::{Kindmesh, Scope};
use super::error::{Error, ErrorKind, Result};

/// A port that was free can be taken by somebody else before the engine binds it; then another is
/// tried, this often.
const PORT_TRIES: usize = 5;

/// One node to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodePlan {
    pub(super) name: String,
    pub(super) role: Role,
}

/// The nodes of a cluster: control planes first.
pub(super) fn plans(spec: &ClusterSpec) -> Vec<NodePlan> {
    let of = |role, count: u32| (1..=count as usize).map(move |index| NodePlan { name: spec.name.node(role, index), role });
    of(Role::ControlPlane, spec.control_planes).chain(of(Role::Worker, spec.workers)).collect()
}

/// Creates, starts and boots all nodes at once. Waits for all of them even when one fails, so that
/// nothing is being made any more when the error arrives.
pub(super) async fn ensure_all(km: &Kindmesh, plan: &ClusterPlan<'_>, nodes: &[NodePlan], scope: &Scope) -> Result<Vec<(ContainerInfo, bool)>> {
    join_all(nodes.iter().map(|node| ensure_one(km, plan, node, scope))).await.into_iter().collect()
}

/// Creates, starts and boots one node. Returns it as it runs, and whether anything had to be done.
pub(super) async fn ensure_one(km: &Kindmesh, plan: &ClusterPlan<'_>, node: &NodePlan, scope: &Scope) -> Result<(ContainerInfo, bool)> {
    let engine = km.engine.as_ref();
    let mut changed = false;
    for attempt in 1.. {
        let (container, created) = create(km, plan, node).await?;
        changed |= created;
        match boot::ensure_started(engine, &container).await {
            Ok(started) => {
                changed |= started;
                break;
            }
            // A port nobody asked for by number: take another. Only for a node that never ran.
            Err(error)
                if error.kind() == ErrorKind::Conflict
                    && plan.spec.api_server_port.is_none()
                    && container.state == ContainerState::Created
                    && attempt < PORT_TRIES =>
            {
                scope.warn("start nodes", format!("{}; trying another port", error.one_line()));
                engine.remove_container(&container.id).await?;
            }
            Err(error) => return Err(error),
        }
    }
    let container = engine.inspect_container(&node.name).await?;
    boot::wait_booted(engine, &container, plan.fleet.timeouts.node_boot, &scope.cancel).await?;
    Ok((container, changed))
}

/// Makes sure the container exists, without starting it. Its labels hold everything that a later
/// run must know.
pub(super) async fn create(km: &Kindmesh, plan: &ClusterPlan<'_>, node: &NodePlan) -> Result<(ContainerInfo, bool)> {
    let engine = km.engine.as_ref();
    match engine.inspect_container(&node.name).await {
        Ok(container) if container.labels.get(labels::FLEET).map(String::as_str) == Some(plan.fleet.name.as_str()) => {
            return Ok((container, false));
        }
        Ok(_) => return Err(taken(&node.name)),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    let port = match node.role {
        Role::ControlPlane => Some(match plan.spec.api_server_port {
            Some(port) => port,
            // A remote engine's ports cannot be tried from here: it chooses, anew at each start.
            None if engine.remote_host().is_some() => 0,
            None => free_port(plan.spec.api_server_address)?,
        }),
        _ => None,
    };
    let spec = node_container(&NodeRequest {
        fleet: plan.fleet,
        cluster: plan.spec,
        name: &node.name,
        role: node.role,
        image: &plan.image.reference,
        facts: plan.facts,
        profile: plan.profile,
        network: plan.network,
        pool: plan.pool,
        address: plan.addresses.get(&node.name).copied(),
        api_server_port: port,
        proxy: &km.proxy,
    });
    boot::ensure_created(engine, &node.name, &spec).await
}

/// The error for a container name that somebody else uses.
pub(super) fn taken(name: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the name {name} is taken by a container that is not part of this fleet"))
        .hint("give the cluster another name, or remove that container if nothing needs it")
}

/// A port that nobody listens on right now. The engine would choose one by itself, but a new one at
/// each start, and kubeconfigs would go stale.
fn free_port(address: IpAddr) -> Result<u16> {
    TcpListener::bind((address, 0)).and_then(|listener| listener.local_addr()).map(|address| address.port()).map_err(|error| {
        Error::new(ErrorKind::Config, format!("no free port for the API server on {address}"))
            .because(error)
            .hint("`apiServerAddress` must be an address of this machine; or set `apiServerPort`")
    })
}
