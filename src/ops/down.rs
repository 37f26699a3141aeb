//! `down`: everything a fleet made is found by label and removed; nothing else is touched.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::labels;
use crate::domain::name::{FleetName, Role};
use crate::engine::{ContainerInfo, Engine};

use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result, first_of};
use super::inventory::{Inventory, role};
use super::report::DownReport;
use super::{expiry, kubeconfig_entry, lock, mesh, network, pool, resize};

/// Killing and removing a node takes about a second; an engine under load is given time.
const DEADLINE: Duration = Duration::from_secs(180);
/// Pause between two looks whether a container is really gone.
const GONE_PAUSE: Duration = Duration::from_millis(200);
/// A removal is asked for again after so many looks, and given up after so many: 5 s and 60 s.
const LOOKS_PER_REMOVAL: u32 = 25;
const LOOKS: u32 = 300;

impl Kindmesh {
    /// Removes a fleet: containers with their volumes, kubeconfig entries, and the network if this fleet made it, or
    /// another that is gone, and nothing else uses it. Removing what is not there is no error. The kubeconfig of a
    /// lease goes with its fleet. Where there is no fleet but a warm pool of this name, that is given up: its
    /// members are removed, but for those that are leased.
    ///
    /// # Errors
    /// When something could not be removed; everything else is, and the message names what is left.
    pub async fn down(&self, fleet: &FleetName) -> Result<DownReport> {
        let km = self.begin();
        let report = down_fleet(&km, fleet).await?;
        if !report.containers.is_empty() {
            return Ok(report);
        }
        let Some(pool) = Box::pin(pool::forget(&km, fleet)).await? else { return Ok(report) };
        let mut total = DownReport { pools: vec![fleet.to_string()], leases_kept: pool.leased, ..report };
        total.absorb(pool.down);
        Ok(total)
    }

    /// Removes every fleet that kindmesh made on this engine, warm pools with their members and leases, and
    /// helper containers that a killed process left.
    ///
    /// # Errors
    /// As [`Kindmesh::down`].
    pub async fn down_all(&self) -> Result<DownReport> {
        let km = self.begin();
        let scope = km.fleet_scope();
        let mut total = DownReport::default();
        let mut failures = Vec::new();
        if has_state(&km) {
            for pool in pool::forget_all(&km).await {
                match pool {
                    Ok(pool) => total.pools.push(pool),
                    Err(error) => failures.push(error),
                }
            }
        }
        let helpers = km.engine.list_containers(&[labels::HELPER.to_owned()]).await?;
        let (markers, helpers): (Vec<_>, Vec<_>) = helpers.into_iter().partition(pool::is_marker);
        match remove_containers(&km, &helpers, &scope).await {
            Ok(report) => total.absorb(report),
            Err(error) => failures.push(error),
        }
        let mut fleets = Inventory::read(km.engine.as_ref()).await?.fleets();
        fleets.extend(markers.iter().filter_map(|marker| marker.labels.get(labels::FLEET).cloned()));
        for network in km.engine.networks_labelled(&[labels::FLEET.to_owned()]).await? {
            fleets.extend(network.labels.get(labels::FLEET).cloned());
        }
        // Tickets of who was killed before there was anything else.
        fleets.extend(lock::fleets(km.engine.as_ref()).await?);
        fleets.sort();
        fleets.dedup();
        for fleet in fleets {
            match down_fleet(&km, &fleet.parse()?).await {
                Ok(report) => total.absorb(report),
                Err(error) => failures.push(error.within(format_args!("fleet {fleet}"))),
            }
            if km.cancel.is_cancelled() {
                break;
            }
        }
        failures.extend(resize::tidy(km.engine.as_ref(), None).await.err());
        failures.extend(expiry::tidy(km.engine.as_ref(), None).await.err());
        if has_state(&km)
            && let Err(error) = pool::tidy(&km).await
        {
            failures.push(error);
        }
        if km.cancel.is_cancelled() && failures.iter().all(|error| error.kind() != ErrorKind::Cancelled) {
            failures.push(Error::cancelled("remove fleets"));
        }
        first_of(failures).map_or(Ok(total), Err)
    }

    /// Removes one cluster by name, whoever made it: kindmesh, kind, or another tool that uses
    /// kind's labels. The network stays.
    ///
    /// # Errors
    /// When there is no such cluster, or something could not be removed.
    pub async fn delete_cluster(&self, cluster: &str) -> Result<DownReport> {
        let km = self.begin();
        let inventory = Inventory::read(km.engine.as_ref()).await?;
        // Says which clusters there are.
        inventory
            .control_plane(cluster)
            .map(drop)
            .or_else(|error| if inventory.nodes(cluster).is_empty() { Err(error) } else { Ok(()) })?;
        let fleet: Option<FleetName> = inventory.fleet_of_cluster(cluster).and_then(|fleet| fleet.parse().ok());
        match fleet {
            Some(fleet) => lock::holding_if_possible(&km, &fleet, "down", async |km| delete_of_fleet(&km, &fleet, cluster).await).await,
            None => remove_containers(&km, inventory.nodes(cluster), &km.cluster_scope(cluster)).await,
        }
    }
}

async fn delete_of_fleet(km: &Kindmesh, fleet: &FleetName, cluster: &str) -> Result<DownReport> {
    let inventory = Inventory::read(km.engine.as_ref()).await?;
    let scope = km.cluster_scope(cluster);
    mesh::forget(km, cluster, &inventory, &scope).await;
    let report = remove_containers(km, inventory.nodes(cluster), &scope).await?;
    if inventory.of_fleet(fleet).all(|(name, _)| name == cluster) {
        // The marker of a lease goes with the last cluster.
        let rest = km.engine.list_containers(&[format!("{}={fleet}", labels::FLEET), labels::HELPER.to_owned()]).await?;
        remove_containers(km, &rest, &scope).await?;
        expiry::tidy(km.engine.as_ref(), Some(fleet)).await?;
        forget_root(km, fleet).await?;
    }
    Ok(report)
}

/// Removes a fleet, and nothing for which there is no fleet of this name.
pub(super) async fn down_fleet(km: &Kindmesh, fleet: &FleetName) -> Result<DownReport> {
    go_on(km)?;
    lock::holding_if_possible(km, fleet, "down", async |km| down_alone(&km, fleet).await).await
}

/// Whoever gave up finds everything that was not reached as it was: a warm member without a mark for removal.
fn go_on(km: &Kindmesh) -> Result<()> {
    if km.cancel.is_cancelled() { Err(Error::cancelled("remove containers")) } else { Ok(()) }
}

pub(super) async fn down_alone(km: &Kindmesh, fleet: &FleetName) -> Result<DownReport> {
    let mut containers = km.engine.list_containers(&[format!("{}={fleet}", labels::FLEET)]).await?;
    go_on(km)?;
    match pool::mark_removal(km.engine.as_ref(), fleet, &containers).await {
        Ok(marker) => containers.extend(marker),
        // An engine without room for a mark needs the room that this makes.
        Err(error) => km.fleet_scope().warn("remove containers", format!("fleet {fleet} is removed without a mark: {}", error.one_line())),
    }
    let leased = containers.iter().any(pool::is_marker);
    let used = containers.iter().flat_map(|container| container.networks.keys().cloned()).collect();
    let containers = remove_containers(km, &containers, &km.fleet_scope()).await;
    // What failed above keeps its network; everything else goes all the same.
    let (mut networks, networks_kept) = network::remove(km.engine.as_ref(), fleet).await?;
    networks.extend(network::remove_abandoned(km.engine.as_ref(), &used).await?);
    let containers = containers?;
    // Of a removal that was killed before it came to them.
    resize::tidy(km.engine.as_ref(), Some(fleet)).await?;
    expiry::tidy(km.engine.as_ref(), Some(fleet)).await?;
    forget_root(km, fleet).await?;
    if leased && has_state(km) {
        pool::tidy(km).await?;
    }
    Ok(DownReport { networks, networks_kept, ..containers })
}

/// Whether anything was ever kept: most users have neither meshes nor pools, and then the engine need not
/// even be asked who it is.
fn has_state(km: &Kindmesh) -> bool {
    km.state_dir.as_deref().is_some_and(Path::is_dir)
}

/// With the last cluster of a fleet goes what they all trusted.
async fn forget_root(km: &Kindmesh, fleet: &FleetName) -> Result<()> {
    if has_state(km)
        && let Some(store) = km.ca_store(fleet).await?
    {
        store.remove()?;
    }
    Ok(())
}

/// Removes containers at once, with their volumes and their clusters' kubeconfig entries, and makes
/// sure that they are gone.
pub(super) async fn remove_containers(km: &Kindmesh, containers: &[ContainerInfo], scope: &Scope) -> Result<DownReport> {
    if containers.is_empty() {
        return Ok(DownReport::default());
    }
    let engine = km.engine.as_ref();
    scope
        .step("remove containers", DEADLINE, async {
            // The entries first: once the containers are gone, nothing tells whose entries are left. A file
            // that cannot be edited keeps no container alive.
            let entries = kubeconfig_entry::remove(km, &ending(engine, containers).await?).await;
            let leases = pool::remove_of(containers);
            let (markers, nodes): (Vec<_>, Vec<_>) = containers.iter().partition(|container| pool::is_marker(container));
            let mut results = join_all(nodes.iter().map(|container| remove_one(engine, container))).await;
            if results.iter().all(Result::is_ok) {
                results.extend(join_all(markers.iter().map(|container| remove_one(engine, container))).await);
            }
            let gone: Vec<&ContainerInfo> =
                nodes.iter().copied().zip(&results).filter(|(_, result)| result.is_ok()).map(|(node, _)| node).collect();
            let pools = resize::forget(engine, &gone).await;
            let containers = nodes.into_iter().chain(markers);
            let mut report = DownReport::default();
            let mut failures: Vec<String> = pools.err().map(|error| error.one_line()).into_iter().collect();
            for (container, result) in containers.zip(results) {
                match result {
                    Ok(volumes) => {
                        report.containers.push(container.name.clone());
                        report.volumes += volumes;
                        report.clusters.extend(container.labels.get(labels::CLUSTER).cloned());
                    }
                    Err(error) => failures.push(format!("{}: {}", container.name, error.one_line())),
                }
            }
            report.clusters.sort();
            report.clusters.dedup();
            for files in [entries, leases] {
                match files {
                    Ok(files) => report.kubeconfigs.extend(files),
                    Err(error) => failures.push(error.one_line()),
                }
            }
            if failures.is_empty() {
                return Ok(Outcome::changed(report));
            }
            Err(Error::new(ErrorKind::Engine, format!("could not remove {}", failures.join("; ")))
                .hint("run the command again when the engine has recovered; what is gone stays gone"))
        })
        .await
}

/// Clusters that end with these containers: a cluster that only loses workers goes on.
async fn ending(engine: &dyn Engine, going: &[ContainerInfo]) -> Result<Vec<String>> {
    let mut clusters: Vec<String> = going.iter().filter_map(|one| one.labels.get(labels::CLUSTER).cloned()).collect();
    clusters.sort();
    clusters.dedup();
    if going.iter().any(|one| role(one) == Some(Role::Worker)) {
        let inventory = Inventory::read(engine).await?;
        let stays = |node: &ContainerInfo| role(node) == Some(Role::ControlPlane) && going.iter().all(|one| one.id != node.id);
        clusters.retain(|cluster| !inventory.nodes(cluster).iter().any(stays));
    }
    Ok(clusters)
}

/// Removes one container and the anonymous volumes it had. Returns how many volumes went.
async fn remove_one(engine: &dyn Engine, container: &ContainerInfo) -> Result<usize> {
    let volumes = match engine.inspect_container(&container.id).await {
        // A named volume is somebody's own; only anonymous ones belong to the container.
        Ok(info) => info.volumes.into_iter().filter(|name| is_anonymous(name)).collect::<Vec<_>>(),
        Err(error) if error.is_not_found() => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut looks = 0;
    loop {
        // Asked again now and then: an engine may answer before it is done, and has answered without doing it.
        if looks % LOOKS_PER_REMOVAL == 0 {
            match engine.remove_container(&container.id).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        match engine.inspect_container(&container.id).await {
            Err(error) if error.is_not_found() => break,
            Err(error) => return Err(error.into()),
            Ok(_) if looks == LOOKS => {
                let message = format!("the engine says that container {} is removed, and still has it", container.name);
                return Err(Error::new(ErrorKind::Engine, message));
            }
            Ok(_) => tokio::time::sleep(GONE_PAUSE).await,
        }
        looks += 1;
    }
    for volume in &volumes {
        if engine.volume_exists(volume).await? {
            engine.remove_volume(volume).await?;
        }
    }
    Ok(volumes.len())
}

/// The engine names anonymous volumes by 64 hexadecimal digits.
fn is_anonymous(volume: &str) -> bool {
    volume.len() == 64 && volume.bytes().all(|byte| byte.is_ascii_hexdigit())
}

// === impl DownReport ===

impl DownReport {
    /// Adds what another removal came to.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.clusters.extend(other.clusters);
        self.containers.extend(other.containers);
        self.volumes += other.volumes;
        self.networks.extend(other.networks);
        self.networks_kept.extend(other.networks_kept);
        self.kubeconfigs.extend(other.kubeconfigs);
        self.kubeconfigs.sort();
        self.kubeconfigs.dedup();
        self.pools.extend(other.pools);
        self.leases_kept.extend(other.leases_kept);
    }
}
