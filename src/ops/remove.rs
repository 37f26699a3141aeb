//! Containers removed with what belongs to them: volumes, kubeconfig entries, notes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::labels;
use crate::domain::name::Role;
use crate::engine::{ContainerInfo, Engine};

use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result};
use super::inventory::{Inventory, role};
use super::report::DownReport;
use super::{kubeconfig_entry, pool, resize, thaw};

/// Killing and removing a node takes about a second; an engine under load is given time.
const DEADLINE: Duration = Duration::from_secs(180);
/// Pause between two looks whether a container is really gone.
const GONE_PAUSE: Duration = Duration::from_millis(200);
/// A removal is asked for again after so many looks, and given up after so many: 5 s and 60 s.
const LOOKS_PER_REMOVAL: u32 = 25;
const LOOKS: u32 = 300;

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
            let mut results = join_all(nodes.iter().map(|container| remove_one(&km.engine, container))).await;
            if results.iter().all(Result::is_ok) {
                results.extend(join_all(markers.iter().map(|container| remove_one(&km.engine, container))).await);
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
async fn remove_one(engine: &Arc<dyn Engine>, container: &ContainerInfo) -> Result<usize> {
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
            match thaw::end(engine, container, thaw::End::Remove).await {
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
