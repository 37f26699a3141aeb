//! `down`: everything a fleet made is found by label and removed; nothing else is touched.

use std::collections::BTreeSet;
use std::path::Path;

use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::engine::ContainerInfo;

use super::context::Kindmesh;
use super::error::{Error, ErrorKind, Result, first_of};
use super::inventory::Inventory;
use super::remove::remove_containers;
use super::report::DownReport;
use super::{expiry, lock, mesh, network, pool, resize};

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
    /// kind's labels. What goes with the last cluster of a fleet goes with it, its network too; that of a cluster that is in
    /// no fleet goes if a fleet made it that is gone, and nothing else uses it.
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
            None => {
                let report = remove_containers(&km, inventory.nodes(cluster), &km.cluster_scope(cluster)).await?;
                let networks = network::remove_abandoned(km.engine.as_ref(), &networks_of(inventory.nodes(cluster))).await?;
                Ok(DownReport { networks, ..report })
            }
        }
    }
}

async fn delete_of_fleet(km: &Kindmesh, fleet: &FleetName, cluster: &str) -> Result<DownReport> {
    let inventory = Inventory::read(km.engine.as_ref()).await?;
    let scope = km.cluster_scope(cluster);
    mesh::forget(km, cluster, &inventory, &scope).await;
    let mut report = remove_containers(km, inventory.nodes(cluster), &scope).await?;
    if inventory.of_fleet(fleet).all(|(name, _)| name == cluster) {
        // The marker of a lease goes with the last cluster.
        let rest = km.engine.list_containers(&[format!("{}={fleet}", labels::FLEET), labels::HELPER.to_owned()]).await?;
        remove_containers(km, &rest, &scope).await?;
        expiry::tidy(km.engine.as_ref(), Some(fleet)).await?;
        (report.networks, report.networks_kept) = remove_networks(km, fleet, &networks_of(inventory.nodes(cluster))).await?;
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
    let used = networks_of(&containers);
    let containers = remove_containers(km, &containers, &km.fleet_scope()).await;
    // What failed above keeps its network; everything else goes all the same.
    let networks = remove_networks(km, fleet, &used).await;
    let (containers, (networks, networks_kept)) = match (containers, networks) {
        (Ok(containers), Ok(networks)) => (containers, networks),
        (containers, networks) => {
            let failures = [containers.err(), networks.err()].into_iter().flatten();
            return Err(first_of(failures).unwrap_or_else(|| Error::cancelled("remove containers")));
        }
    };
    // Of a removal that was killed before it came to them.
    resize::tidy(km.engine.as_ref(), Some(fleet)).await?;
    expiry::tidy(km.engine.as_ref(), Some(fleet)).await?;
    forget_root(km, fleet).await?;
    if leased && has_state(km) {
        pool::tidy(km).await?;
    }
    Ok(DownReport { networks, networks_kept, ..containers })
}

/// The networks that these containers are on.
fn networks_of(containers: &[ContainerInfo]) -> BTreeSet<String> {
    containers.iter().flat_map(|container| container.networks.keys().cloned()).collect()
}

/// Removes the networks of a fleet that is gone, and those that it was the last to use: removed, and kept.
async fn remove_networks(km: &Kindmesh, fleet: &FleetName, used: &BTreeSet<String>) -> Result<(Vec<String>, Vec<String>)> {
    let (mut removed, kept) = network::remove(km.engine.as_ref(), fleet).await?;
    removed.extend(network::remove_abandoned(km.engine.as_ref(), used).await?);
    Ok((removed, kept))
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
