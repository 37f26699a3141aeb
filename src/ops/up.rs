//! `up`: a fleet becomes what it is described as, from whatever is there.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::diff::{self as domain, Action, Consent, FleetDiff, Recreate};
use crate::domain::facts::HostFacts;
use crate::domain::fleet::Fleet;
use crate::domain::net::NetworkInfo;
use crate::domain::net::ranges::AddrRanges;
use crate::domain::node::Profile;
use crate::engine::{ContainerInfo, ContainerState, Engine};

use super::alive;
use super::api_server;
use super::cluster::{self, Built, ClusterPlan};
use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result, all_or_first};
use super::image::{self, NodeImage};
use super::inventory::Inventory;
use super::mesh::{self, MeshPlan};
use super::report::{ClusterReport, UpReport};
use super::reserve::{Reservation, reserve};
use super::{diff, expiry, install, kubeconfig_entry, limits, lock, network, preflight, privileges, probe_memory, remove, resize, rest};

const NETWORK_DEADLINE: Duration = Duration::from_secs(60);
/// An API server that runs answers within a second.
const LEAVE_DEADLINE: Duration = Duration::from_secs(15);
/// Each time another fleet must have gone down in the same moment.
const NETWORK_TRIES: u32 = 4;

/// What all clusters of a fleet have in common, decided before the first container is made.
pub(super) struct Ground<'a> {
    pub(super) fleet: &'a Fleet,
    facts: HostFacts,
    images: BTreeMap<String, NodeImage>,
    profile: Profile,
    pub(super) network: NetworkInfo,
    /// What the mesh is to be.
    mesh: Option<MeshPlan>,
}

/// How to bring a fleet up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpOptions {
    /// Remove clusters and nodes of the fleet that its description no longer has; without this they are refused.
    pub prune: bool,
    /// Clusters that may be removed and made anew; without this what cannot be changed in its place is refused.
    pub recreate: Recreate,
}

/// Image and version that a cluster asks for.
type ImageWish = (Option<String>, Option<String>);

impl Kindmesh {
    /// Makes the fleet what its description says: what is missing is created, what was interrupted
    /// is finished, what is there and right is left alone.
    ///
    /// Everything that can be known beforehand is checked before anything is created. When a cluster
    /// fails, the others are finished; what exists stays, and another `up` goes on from there.
    ///
    /// # Errors
    /// The first failure, naming object and cause; see [`ErrorKind`].
    pub async fn up(&self, fleet: &Fleet) -> Result<UpReport> {
        self.up_with(fleet, &UpOptions::default()).await
    }

    /// [`Kindmesh::up`] with options.
    ///
    /// # Errors
    /// As [`Kindmesh::up`].
    pub async fn up_with(&self, fleet: &Fleet, options: &UpOptions) -> Result<UpReport> {
        lock::holding(&self.begin(), &fleet.name, "up", async |km| up_alone(&km, fleet, options).await).await
    }
}

async fn up_alone(km: &Kindmesh, fleet: &Fleet, options: &UpOptions) -> Result<UpReport> {
    let scope = km.fleet_scope();
    let engine = km.engine.as_ref();

    privileges::clear(engine, &fleet.name).await?;
    let mut inventory = Inventory::read(engine).await?;
    if resize::settle(engine, fleet, &inventory).await? {
        inventory = Inventory::read(engine).await?;
    }
    let found = diff::outside(km, fleet, &inventory).await?;
    let diff = domain::diff(fleet, &found, &options.consent());
    diff::refuse(&diff)?;
    let going: Vec<&str> = diff.going().collect();
    preflight::check(km, fleet, &inventory, &going).await?;
    kubeconfig_entry::unlocked(km, &scope).await?;
    let facts = engine.facts().await?;
    preflight::check_host(fleet, &facts)?;
    let images = find_images(km, fleet, &scope).await?;
    let (fleet, renewed) = expiry::settle(engine, fleet, &inventory, &scope).await?;
    let fleet = &fleet;
    let any_image = images.values().next().map(|image| image.reference.clone()).unwrap_or_default();
    // Both use helper containers, and both go to their end: none of those is left behind.
    let (probed, mesh) = tokio::join!(
        privileges::choose(km, fleet, &facts, &inventory, &any_image, privileges::PROBE, &scope),
        mesh::Request::read(km, fleet, &images, &scope),
    );
    let (probed, mesh) = (probed?, mesh?);
    limits::check(km, fleet, &inventory, probed.inotify_instances, &scope).await;
    // What is made anew is not woken before.
    let anew: Vec<&str> = diff.clusters(Action::Recreate).collect();
    let revived = rest::revive(km, fleet, &inventory.without(&anew), &scope).await?;
    let mesh = match mesh {
        Some(request) => Some(request.trust(km, fleet, &revived.finished).await?),
        None => None,
    };
    let removed = remove(km, &diff, &inventory, &scope).await?;
    let mesh = match mesh {
        Some(request) => Some(request.settle(km, fleet).await?),
        None => None,
    };
    let mut ground = Ground { fleet, facts, images, profile: probed.profile, network: NetworkInfo::default(), mesh };
    let (mut tries, mut remembered) = (0, probed.remembered);
    let (network_made, mut built) = loop {
        tries += 1;
        let network_made;
        (ground.network, network_made) = make_network(engine, fleet, &scope).await?;
        match build(km, &ground, &scope).await {
            Ok(built) => break (network_made, built),
            // Another fleet made the network and went down before a node of this one held it, or it was one of two of its name.
            Err(_) if tries < NETWORK_TRIES && network::gone(engine, &ground.network).await => {
                scope.warn(
                    "ensure network",
                    format!("network {} is gone since nodes were planned for it; planning again", ground.network.name),
                );
                give_up_unstarted(engine, fleet).await?;
            }
            // What is remembered of the engine is no longer so: found out again, once.
            Err(error) if remembered && error.kind() == ErrorKind::Engine && none_started(engine, fleet, &inventory).await => {
                remembered = false;
                scope.warn("start nodes", format!("{}; finding out again what the engine can do", error.one_line()));
                probe_memory::forget(km, &ground.facts);
                give_up_unstarted(engine, fleet).await?;
                ground.profile =
                    privileges::choose(km, fleet, &ground.facts, &inventory, &any_image, privileges::PROBE, &scope).await?.profile;
            }
            Err(error) => return Err(error),
        }
    };

    // What cannot become smaller keeps no mesh from coming about.
    let shrunk = resize::shrink(km, fleet, &mut built, &scope).await;
    let nodes: Vec<&str> = built.iter().flat_map(|built| built.report.nodes.iter().map(String::as_str)).collect();
    let joined = alive::while_they_run(engine, &nodes, &scope, mesh::join(km, fleet, &built, &scope)).await?;
    shrunk?;
    let mut clusters: Vec<ClusterReport> = built.into_iter().map(|built| built.report).collect();
    for cluster in &mut clusters {
        cluster.changed |= revived.woken.contains(&cluster.name);
    }
    Ok(UpReport {
        fleet: fleet.name.to_string(),
        network: ground.network.name.clone(),
        privileges: ground.profile.name().to_owned(),
        changed: network_made
            || removed
            || renewed
            || clusters.iter().any(|cluster| cluster.changed)
            || joined.as_ref().is_some_and(|joined| joined.changed),
        clusters,
        mesh: joined,
        took: km.elapsed(),
    })
}

/// Removes what is not described and what is made anew, and what the other clusters know of it.
async fn remove(km: &Kindmesh, diff: &FleetDiff, inventory: &Inventory, scope: &Scope) -> Result<bool> {
    let mut gone: Vec<ContainerInfo> = Vec::new();
    for cluster in diff.going() {
        mesh::forget(km, cluster, inventory, scope).await;
        gone.extend(inventory.nodes(cluster).iter().cloned());
    }
    for name in diff.nodes(Action::Remove) {
        let Some((cluster, node)) = inventory.node(name) else { continue };
        leave(km, cluster, node, inventory, scope).await;
        gone.push(node.clone());
    }
    remove::remove_containers(km, &gone, scope).await?;
    Ok(!gone.is_empty())
}

/// Takes a node out of its cluster's own list. A cluster that does not answer calls it lost by itself.
async fn leave(km: &Kindmesh, cluster: &str, node: &ContainerInfo, inventory: &Inventory, scope: &Scope) {
    const STEP: &str = "remove nodes";
    let late = || Error::new(ErrorKind::Timeout, format!("its API server did not answer within {} s", LEAVE_DEADLINE.as_secs()));
    let left = async {
        let server = api_server::connect(km.engine.as_ref(), cluster, inventory.control_plane(cluster)?).await?;
        install::forget_node(&server, &node.name, LEAVE_DEADLINE).await
    };
    if let Err(error) = tokio::time::timeout(LEAVE_DEADLINE, left).await.unwrap_or_else(|_| Err(late())) {
        scope.warn(STEP, format!("cluster {cluster} was not told that {} goes: {}", node.name, error.one_line()));
    }
}

async fn make_network(engine: &dyn Engine, fleet: &Fleet, scope: &Scope) -> Result<(NetworkInfo, bool)> {
    let made = scope
        .step("ensure network", NETWORK_DEADLINE, async {
            let outcome = network::ensure(engine, fleet).await?;
            let changed = outcome.changed;
            Ok(Outcome { value: (outcome.value, changed), changed })
        })
        .await?;
    // The engine may just have chosen the subnet.
    preflight::check_subnets(fleet, &made.0)?;
    Ok(made)
}

/// Whether the engine answers, and of the fleet's nodes none has run but those that were there before.
pub(super) async fn none_started(engine: &dyn Engine, fleet: &Fleet, before: &Inventory) -> bool {
    let Ok(now) = Inventory::read(engine).await else { return false };
    let mut made = now.of_fleet(&fleet.name).flat_map(|(_, nodes)| nodes).filter(|node| before.node(&node.name).is_none());
    made.all(|node| node.state == ContainerState::Created)
}

/// Removes the fleet's containers that never ran: they belong to a network that is gone.
async fn give_up_unstarted(engine: &dyn Engine, fleet: &Fleet) -> Result<()> {
    let inventory = Inventory::read(engine).await?;
    for (_, nodes) in inventory.of_fleet(&fleet.name) {
        for node in nodes.iter().filter(|node| node.state == ContainerState::Created) {
            engine.remove_container(&node.id).await?;
        }
    }
    Ok(())
}

impl Kindmesh {
    /// Makes sure the fleet's network exists, once, however many processes do the same at this
    /// moment. [`Kindmesh::up`] does it by itself; this is for those who put containers of their own
    /// there first. [`Kindmesh::down`] removes it if this fleet created it and nothing else uses it.
    ///
    /// # Errors
    /// When the engine fails, or a network of this name is not what the fleet asks for.
    pub async fn ensure_network(&self, fleet: &Fleet) -> Result<NetworkInfo> {
        Ok(network::ensure(self.engine.as_ref(), fleet).await?.value)
    }
}

/// Finds the image of every cluster; equal wishes are looked up once.
async fn find_images(km: &Kindmesh, fleet: &Fleet, scope: &Scope) -> Result<BTreeMap<String, NodeImage>> {
    let mut found: BTreeMap<ImageWish, NodeImage> = BTreeMap::new();
    let mut images = BTreeMap::new();
    for cluster in &fleet.clusters {
        let wish = (cluster.image.clone(), cluster.kubernetes_version.as_ref().map(ToString::to_string));
        let image = match found.get(&wish) {
            Some(image) => image.clone(),
            None => {
                let image = image::ensure(km.engine.as_ref(), cluster, km.registry_config.as_deref(), scope).await?;
                found.insert(wish, image.clone());
                image
            }
        };
        images.insert(cluster.name.to_string(), image);
    }
    Ok(images)
}

/// Builds all clusters at once. One that fails does not stop the others.
async fn build(km: &Kindmesh, ground: &Ground<'_>, scope: &Scope) -> Result<Vec<Built>> {
    let Reservation { pools, addresses, grown } = reserve(km, ground, scope).await?;
    let mesh = ground.mesh.as_ref();
    let plans = ground.fleet.clusters.iter().map(|spec| ground.plan(spec.name.as_str(), &pools, &addresses)).collect::<Result<Vec<_>>>()?;
    let results = join_all(plans.iter().map(|plan| async move {
        km.cluster_scope(plan.spec.name.as_str())
            .within(cluster::ensure(km, plan, mesh))
            .await
            .map_err(|error| error.within(format_args!("cluster {}", plan.spec.name)))
    }))
    .await;
    let mut built = all_or_first(results)?;
    for one in built.iter_mut().filter(|one| grown.contains(&one.report.name)) {
        one.report.changed = true;
    }
    Ok(built)
}

// === impl UpOptions ===

impl UpOptions {
    /// What they allow.
    pub fn consent(&self) -> Consent {
        Consent { prune: self.prune, recreate: self.recreate.clone() }
    }
}

// === impl Ground ===

impl Ground<'_> {
    pub(super) fn plan<'a>(
        &'a self,
        cluster: &str,
        pools: &BTreeMap<String, AddrRanges>,
        addresses: &'a BTreeMap<String, Ipv4Addr>,
    ) -> Result<ClusterPlan<'a>> {
        let undecided = || Error::new(ErrorKind::Config, format!("cluster {cluster} is not part of fleet {}", self.fleet.name));
        Ok(ClusterPlan {
            fleet: self.fleet,
            spec: self.fleet.clusters.iter().find(|spec| spec.name.as_str() == cluster).ok_or_else(undecided)?,
            image: self.images.get(cluster).ok_or_else(undecided)?,
            profile: &self.profile,
            facts: &self.facts,
            network: &self.network,
            pool: pools.get(cluster).cloned().ok_or_else(undecided)?,
            addresses,
        })
    }
}
