//! The nodes of a cluster: which there are, how each is described, and making them.

use std::net::{IpAddr, TcpListener};

use futures_util::future::join_all;

use crate::domain::container::ContainerSpec;
use crate::domain::fleet::ClusterSpec;
use crate::domain::labels;
use crate::domain::name::Role;
use crate::domain::node::{NodeRequest, fleet_labels, node};
use crate::domain::proxy::proxy_environment;
use crate::domain::{spec_record, warm};
use crate::engine::{ContainerInfo, ContainerState};

use super::boot;
use super::cluster::ClusterPlan;
use super::context::{Kindmesh, Scope};
use super::error::{Error, ErrorKind, Result, all_or_first};
use super::inventory::Inventory;
use super::{network, pools};

/// A port that was free can be taken by somebody else before the engine binds it; then another is
/// tried, this often.
const PORT_TRIES: usize = 5;

/// One node to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodePlan {
    /// Name of container, host and Kubernetes node.
    pub(super) name: String,
    pub(super) role: Role,
    /// Which of its role, counted from 1.
    pub(super) index: usize,
}

/// The nodes of a cluster: control planes first.
pub(super) fn plans(spec: &ClusterSpec) -> Vec<NodePlan> {
    let of = |role, count: u32| (1..=count as usize).map(move |index| NodePlan::new(spec, role, index));
    of(Role::ControlPlane, spec.control_planes).chain(of(Role::Worker, spec.workers)).collect()
}

/// Creates, starts and boots all nodes at once. Waits for all of them even when one fails, so that
/// nothing is being made any more when the error arrives.
pub(super) async fn ensure_all(
    km: &Kindmesh,
    plan: &ClusterPlan<'_>,
    nodes: &[NodePlan],
    scope: &Scope,
) -> Result<Vec<(ContainerInfo, bool)>> {
    all_or_first(join_all(nodes.iter().map(|node| ensure_one(km, plan, node, scope))).await)
}

/// Creates, starts and boots one node. Returns it as it runs, and whether anything had to be done.
pub(super) async fn ensure_one(km: &Kindmesh, plan: &ClusterPlan<'_>, node: &NodePlan, scope: &Scope) -> Result<(ContainerInfo, bool)> {
    let engine = km.engine.as_ref();
    let mut changed = false;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (container, created) = create(km, plan, node).await?;
        changed |= created;
        if created {
            still_reserved(km, plan, &container).await?;
        }
        let error = match boot::ensure_started(engine, &container).await {
            Ok(started) => {
                changed |= started;
                let running = engine.inspect_container(&node.name).await?;
                if container.state == ContainerState::Created {
                    on_its_network(km, plan, &running).await?;
                }
                match boot::wait_booted(engine, &running, plan.fleet.timeouts.node_boot, &scope.cancel).await.map(|()| running) {
                    Ok(container) => return Ok((container, changed)),
                    Err(error) => error,
                }
            }
            // A port nobody asked for by number: take another. Only for a node that never ran.
            Err(error)
                if error.kind() == ErrorKind::Conflict
                    && plan.spec.api_server_port.is_none()
                    && container.state == ContainerState::Created
                    && attempt < PORT_TRIES =>
            {
                scope.warn("start nodes", format!("{}; trying another port", error.one_line()));
                engine.remove_container(&container.name).await?;
                continue;
            }
            Err(error) => error,
        };
        // What a `down` began that was killed, the engine goes on with.
        if created || attempt >= PORT_TRIES || !(boot::tells_going(&error) || boot::is_going(engine, &container).await) {
            return Err(error);
        }
        scope.warn("start nodes", format!("{}; it is being removed, and made anew", error.one_line()));
        boot::ensure_gone(engine, &container).await?;
        changed = true;
    }
}

/// Of several networks of one name, which old engines let creators make at the same moment, one stays: perhaps not the one
/// that the pools were carved from. A node that has just begun there is given up.
async fn on_its_network(km: &Kindmesh, plan: &ClusterPlan<'_>, node: &ContainerInfo) -> Result<()> {
    let name = &plan.network.name;
    // Some engines tell a network's name for its ID.
    let elsewhere = |id: &str| !id.is_empty() && id != name && id != plan.network.id;
    if !node.networks.get(name).is_some_and(|place| elsewhere(&place.network_id)) || !network::gone(km.engine.as_ref(), plan.network).await
    {
        return Ok(());
    }
    km.engine.remove_container(&node.id).await?;
    Err(Error::new(ErrorKind::Conflict, format!("node {}: network {name} is no longer the one that its addresses are of", node.name))
        .hint("run the command again: it takes the network that is there"))
}

/// Makes sure the container exists, without starting it. Its labels hold everything that a later
/// run must know.
pub(super) async fn create(km: &Kindmesh, plan: &ClusterPlan<'_>, planned: &NodePlan) -> Result<(ContainerInfo, bool)> {
    let engine = km.engine.as_ref();
    match engine.inspect_container(&planned.name).await {
        Ok(container) if container.labels.get(labels::FLEET).map(String::as_str) == Some(plan.fleet.name.as_str()) => {
            if !boot::is_going(engine, &container).await {
                return Ok((container, false));
            }
            boot::ensure_gone(engine, &container).await?;
        }
        Ok(_) => return Err(taken(&planned.name)),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    let spec = describe(km, plan, planned)?;
    boot::ensure_created(engine, &planned.name, &spec).await
}

/// A node that is made anew (for another port, or after an interrupted bootstrap) was gone for a
/// moment, and the pool with it, if it was the cluster's only node: another fleet may have it now.
async fn still_reserved(km: &Kindmesh, plan: &ClusterPlan<'_>, node: &ContainerInfo) -> Result<()> {
    let engine = km.engine.as_ref();
    if !pools::contested(node, &plan.network.name, &Inventory::read(engine).await?) {
        return Ok(());
    }
    engine.remove_container(&node.id).await?;
    Err(Error::new(ErrorKind::Conflict, format!("the pool {} of cluster {} was taken by another fleet", plan.pool, plan.spec.name))
        .hint("run the command again: another pool is chosen"))
}

fn describe(km: &Kindmesh, plan: &ClusterPlan<'_>, planned: &NodePlan) -> Result<ContainerSpec> {
    let api_port = match (planned.role, plan.spec.api_server_port) {
        (Role::ControlPlane, Some(port)) => port,
        // A remote engine's ports cannot be tried from here: it chooses, anew at each start.
        (Role::ControlPlane, None) if km.engine.remote_host().is_none() => free_port(plan.spec.api_server_address)?,
        _ => 0,
    };
    let mut labels = fleet_labels(&plan.fleet.name);
    labels.extend(plan.fleet.lease.labels());
    labels.extend(plan.fleet.warm.iter().map(|pool| (labels::WARM.to_owned(), pool.to_string())));
    labels.extend(warm::digest_of(plan.fleet).map(|digest| (labels::DESCRIPTION.to_owned(), digest)));
    labels.insert(labels::POOL.to_owned(), plan.pool.to_string());
    labels.insert(labels::PRIVILEGES.to_owned(), plan.profile.to_label());
    labels.insert(labels::SPEC.to_owned(), spec_record::record(plan.spec, &plan.image.reference, plan.fleet.profile));
    let subnets: Vec<String> = plan.network.ipam.iter().map(|entry| entry.subnet.to_string()).collect();
    let names: Vec<String> = plans(plan.spec).into_iter().map(|plan| plan.name).collect();
    let inside = [plan.spec.service_subnet.to_string(), plan.spec.pod_subnet.to_string()];
    Ok(node(&NodeRequest {
        cluster: plan.spec,
        role: planned.role,
        index: planned.index,
        image: &plan.image.reference,
        network: &plan.network.name,
        address: plan.addresses.get(&planned.name).copied(),
        api_port,
        labels,
        env: proxy_environment(&km.proxy, &subnets, [&inside[0], &inside[1]], &names),
        profile: plan.profile,
        facts: plan.facts,
    }))
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

// === impl NodePlan ===

impl NodePlan {
    /// The `index`-th node of a role, counted from 1.
    pub(super) fn new(spec: &ClusterSpec, role: Role, index: usize) -> Self {
        Self { name: spec.name.node(role, index), role, index }
    }
}
