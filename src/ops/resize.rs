//! Pools of another size in their place.
//!
//! Labels of containers cannot be changed, so that a pool which is another than its cluster's nodes say is written
//! down on a volume: one per cluster, for the container of its first control plane, and gone with that. Names of
//! these volumes are never used twice, and of two the later one counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::domain::fleet::Fleet;
use crate::domain::labels;
use crate::domain::net::NetworkInfo;
use crate::domain::net::pool::Reserved;
use crate::domain::net::range::AddrRange;
use crate::domain::net::resize::{grown, shrunk};
use crate::domain::node::fleet_labels;
use crate::engine::{ContainerInfo, Engine, VolumeInfo};
use crate::k8s::{Deadline, metallb, services};

use super::cluster::Built;
use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result};
use super::install::failed;
use super::inventory::{Inventory, pool};
use super::pools;

const STEP: &str = "resize pools";
/// MetalLB takes a configuration within seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// What is written down, by container.
#[derive(Debug, Clone, Default)]
pub(super) struct Records(BTreeMap<String, Record>);

#[derive(Debug, Clone)]
struct Record {
    volume: String,
    number: u64,
    pool: AddrRange,
}

// === impl Records ===

impl Records {
    /// Reads them with one call.
    pub(super) async fn read(engine: &dyn Engine) -> Result<Self> {
        let mut records: BTreeMap<String, Record> = BTreeMap::new();
        for (container, record) in engine.list_volumes(&[labels::RESIZED.to_owned()]).await?.iter().filter_map(Record::read) {
            if records.get(&container).is_none_or(|known| known.number < record.number) {
                records.insert(container, record);
            }
        }
        Ok(Self(records))
    }

    /// The pool that is written down for a container.
    pub(super) fn pool(&self, container: &str) -> Option<AddrRange> {
        self.0.get(container).map(|record| record.pool)
    }
}

// === impl Record ===

impl Record {
    fn read(volume: &VolumeInfo) -> Option<(String, Self)> {
        let number = volume.name.rsplit_once('-')?.1.parse().ok()?;
        let pool = volume.labels.get(labels::POOL)?.parse().ok()?;
        Some((volume.labels.get(labels::RESIZED)?.clone(), Self { volume: volume.name.clone(), number, pool }))
    }
}

/// Writes down a cluster's pool, unless its node says the same. Undo: [`forget`].
async fn write(engine: &dyn Engine, fleet: &Fleet, node: &ContainerInfo, wanted: AddrRange) -> Result<()> {
    let known = Records::read(engine).await?.0.remove(&node.id);
    if pool(node) != Some(wanted) {
        let number = known.as_ref().map_or(0, |known| known.number + 1);
        let short: String = node.id.chars().take(12).collect();
        let mut labels = fleet_labels(&fleet.name);
        labels.insert(labels::RESIZED.to_owned(), node.id.clone());
        labels.insert(labels::POOL.to_owned(), wanted.to_string());
        engine.create_volume(&format!("kindmesh-pool-{short}-{number}"), &labels).await?;
    }
    match known {
        Some(known) => remove(engine, &known.volume).await,
        None => Ok(()),
    }
}

async fn remove(engine: &dyn Engine, volume: &str) -> Result<()> {
    match engine.remove_volume(volume).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Removes what is written down for containers.
pub(super) async fn forget(engine: &dyn Engine, gone: &[ContainerInfo]) -> Result<()> {
    for volume in engine.list_volumes(&[labels::RESIZED.to_owned()]).await? {
        if gone.iter().any(|one| volume.labels.get(labels::RESIZED) == Some(&one.id)) {
            remove(engine, &volume.name).await?;
        }
    }
    Ok(())
}

/// Volumes for containers that are no more: of a removal that was killed.
pub(super) async fn orphans(engine: &dyn Engine) -> Result<Vec<String>> {
    let volumes = engine.list_volumes(&[labels::RESIZED.to_owned()]).await?;
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    let there: BTreeSet<String> =
        engine.list_containers(&[labels::CLUSTER.to_owned()]).await?.into_iter().map(|container| container.id).collect();
    let orphan = |volume: &VolumeInfo| volume.labels.get(labels::RESIZED).is_some_and(|id| !there.contains(id));
    Ok(volumes.into_iter().filter(orphan).map(|volume| volume.name).collect())
}

/// Removes the [`orphans`].
pub(super) async fn tidy(engine: &dyn Engine) -> Result<()> {
    for volume in orphans(engine).await? {
        remove(engine, &volume).await?;
    }
    Ok(())
}

/// Makes pools of existing clusters larger, where the description says so. Claims are written down before anybody
/// uses them, and given up where another fleet claimed the same addresses at the same moment.
///
/// `pools` holds every pool of the fleet and gets the new ones. Returns whether any has grown; `None` when another
/// fleet was faster.
pub(super) async fn grow(
    engine: &dyn Engine,
    fleet: &Fleet,
    network: &NetworkInfo,
    pools: &mut BTreeMap<String, AddrRange>,
    reserved: &[Reserved],
) -> Result<Option<bool>> {
    let subnet = pools::ipv4_subnet(network)?;
    let mut changed = false;
    for spec in &fleet.clusters {
        let name = spec.name.as_str();
        let Some(range) = pools.get(name).copied().filter(|range| range.len() < u64::from(spec.pool_size)) else { continue };
        let beside = pools.iter().filter(|(other, _)| other.as_str() != name);
        let beside = beside.map(|(other, range)| Reserved { range: *range, owner: format!("pool of cluster {other}") });
        let reserved: Vec<Reserved> = reserved.iter().cloned().chain(beside).collect();
        let wanted = grown(subnet, &reserved, name, range, spec.pool_size).map_err(|error| refused(name, &error))?;
        let inventory = Inventory::read(engine).await?;
        let Some(node) = inventory.nodes(name).first() else { continue };
        write(engine, fleet, node, wanted).await?;
        if pools::overlapped(name, wanted, &network.name, &Inventory::read(engine).await?) {
            write(engine, fleet, node, range).await?;
            return Ok(None);
        }
        pools.insert(name.to_owned(), wanted);
        changed = true;
    }
    Ok(Some(changed))
}

/// Makes the pools of clusters that are up smaller, where the description says so, around the addresses that their
/// services have.
pub(super) async fn shrink(km: &Kindmesh, fleet: &Fleet, built: &mut [Built], scope: &Scope) -> Result<()> {
    let size = |name: &str| fleet.clusters.iter().find(|spec| spec.name.as_str() == name).map(|spec| spec.pool_size);
    let too_large = |built: &&mut Built| size(&built.report.name).is_some_and(|size| built.report.pool.len() > u64::from(size));
    let smaller: Vec<&mut Built> = built.iter_mut().filter(too_large).collect();
    if smaller.is_empty() {
        return Ok(());
    }
    let engine = km.engine.as_ref();
    scope
        .step(STEP, DEADLINE, async {
            for one in smaller {
                let (name, range) = (one.report.name.clone(), one.report.pool);
                let Some(size) = size(&name) else { continue };
                let balancers = services::load_balancers(&one.server).await.map_err(|error| failed(STEP, error))?;
                let used: Vec<_> = balancers
                    .iter()
                    .filter_map(|service| match service.address {
                        Some(IpAddr::V4(address)) => Some(address),
                        _ => None,
                    })
                    .collect();
                let wanted = shrunk(&name, range, size, &used).map_err(|error| refused(&name, &error))?;
                // What it gives up is not free before it is out of MetalLB's hands.
                if fleet.addons.metallb.is_some() {
                    let seen = |state: &str| scope.progress(STEP, state);
                    let install = metallb::Install::new(wanted);
                    install.apply_pool(&one.server, Deadline::after(DEADLINE), &seen).await.map_err(|error| failed(STEP, error))?;
                }
                let inventory = Inventory::read(engine).await?;
                if let Some(node) = inventory.nodes(&name).first() {
                    write(engine, fleet, node, wanted).await?;
                }
                one.report.pool = wanted;
                one.report.changed = true;
            }
            Ok(Outcome::changed(()))
        })
        .await
}

fn refused(cluster: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Conflict, error.to_string())
        .hint(format!("free those addresses, ask for another `poolSize`, or make the cluster anew: `--recreate {cluster}`"))
}
