//! The difference between a fleet's description and what is there, read without changing anything.

use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::diff::{self, Consent, FleetDiff, Found, FoundCluster, FoundNetwork, FoundNode, Installed, NodeState};
use crate::domain::fleet::{ClusterSpec, Fleet};
use crate::domain::labels;
use crate::domain::net::network::mismatches;
use crate::domain::spec_record;
use crate::engine::{ContainerInfo, ContainerState};
use crate::k8s::{istio, metallb, sample};

use super::bootstrap::{self, Progress};
use super::context::Kindmesh;
use super::error::{Error, ErrorKind, Result};
use super::inventory::Inventory;
use super::mesh::MeshInput;
use super::{api_server, expiry, image, network};

/// A cluster that does not answer within this is not asked any more what is installed in it.
const ANSWER: Duration = Duration::from_secs(5);

impl Kindmesh {
    /// What [`Kindmesh::up_with`] would do to the fleet now; nothing is changed, and images are not pulled. What is
    /// there and only brought up to date, as the objects of add-ons are, is not told beforehand.
    ///
    /// # Errors
    /// When the engine fails, or a file that the mesh's description names cannot be used. What cannot be done is a part
    /// of the result.
    pub async fn diff(&self, fleet: &Fleet, consent: &Consent) -> Result<FleetDiff> {
        let km = self.begin();
        if let Some(mesh) = &fleet.mesh {
            MeshInput::read(mesh, jiff::Timestamp::now()).await?;
        }
        let inventory = Inventory::read(km.engine.as_ref()).await?;
        let mut found = outside(&km, fleet, &inventory).await?;
        found.end = expiry::another(km.engine.as_ref(), fleet, &inventory).await?;
        join_all(found.clusters.iter_mut().map(|cluster| look_inside(&km, cluster, &inventory))).await;
        Ok(diff::diff(fleet, &found, consent))
    }
}

/// What the engine tells of a fleet, but for its end, which `up` settles by itself.
pub(super) async fn outside(km: &Kindmesh, fleet: &Fleet, inventory: &Inventory) -> Result<Found> {
    let engine = km.engine.as_ref();
    let network =
        network::find(engine, &fleet.network.name).await?.map(|network| FoundNetwork { differences: mismatches(&network, &fleet.network) });
    let mut clusters = Vec::new();
    let described = |name: &str| fleet.clusters.iter().find(|cluster| cluster.name.as_str() == name);
    for (name, nodes) in inventory.clusters() {
        let owner = inventory.fleet_of_cluster(name);
        let spec = described(name);
        if spec.is_none() && owner != Some(fleet.name.as_str()) {
            continue;
        }
        let foreign = match owner {
            Some(owner) if owner == fleet.name.as_str() => None,
            Some(owner) => Some(format!("fleet {owner}")),
            None => Some("kind or another tool".to_owned()),
        };
        let fixed = match spec {
            Some(spec) if foreign.is_none() => fixed(km, fleet, spec, nodes).await?,
            _ => Vec::new(),
        };
        let loose = spec.filter(|_| foreign.is_none()).and_then(|spec| resized(spec, inventory)).into_iter().collect();
        let nodes = nodes.iter().map(|node| FoundNode { name: node.name.clone(), state: state(node) }).collect();
        clusters.push(FoundCluster { name: name.to_owned(), foreign, nodes, fixed, loose, installed: None });
    }
    Ok(Found { end: None, network, clusters })
}

/// The error for what cannot be done, with every line of it; `Ok` when there is none.
pub(super) fn refuse(diff: &FleetDiff) -> Result<()> {
    let lines: Vec<String> = diff.refused().map(|change| change.line()).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Conflict, format!("fleet {} cannot become what is described: {}", diff.fleet, lines.join("; ")));
    let surplus = diff.refused().any(|change| change.why.iter().any(|why| why.contains("--prune")));
    let error = match surplus {
        true => error.hint("remove what is not described with `--prune`, or describe it; everything else stays as it is"),
        false => error,
    };
    Err(error.hint("`kindmesh diff` shows everything that would be done"))
}

/// What is recorded of a cluster and cannot be changed.
async fn fixed(km: &Kindmesh, fleet: &Fleet, spec: &ClusterSpec, nodes: &[ContainerInfo]) -> Result<Vec<String>> {
    let Some(record) = nodes.iter().find_map(|node| node.labels.get(labels::SPEC)) else { return Ok(Vec::new()) };
    let image = image::look_up(km.engine.as_ref(), spec).await?;
    Ok(spec_record::differences(record, spec, &image, fleet.profile))
}

/// Whether the cluster's pool becomes larger or smaller.
fn resized(spec: &ClusterSpec, inventory: &Inventory) -> Option<String> {
    let size = inventory.pool(spec.name.as_str())?.len();
    (size != u64::from(spec.pool_size)).then(|| format!("poolSize is {size}, becomes {}", spec.pool_size))
}

/// As far as the engine knows.
fn state(node: &ContainerInfo) -> NodeState {
    match node.state {
        ContainerState::Created => NodeState::Unfinished,
        ContainerState::Running => NodeState::Member,
        _ => NodeState::AtRest,
    }
}

/// What running nodes and the API server tell; silence is none of it.
async fn look_inside(km: &Kindmesh, cluster: &mut FoundCluster, inventory: &Inventory) {
    if cluster.foreign.is_some() {
        return;
    }
    let engine = km.engine.as_ref();
    let running = inventory.nodes(&cluster.name).iter().filter(|node| node.state == ContainerState::Running);
    for node in running {
        let progress = tokio::time::timeout(ANSWER, bootstrap::progress(engine, node, &km.cancel)).await;
        if let Ok(Ok(progress)) = progress
            && progress != Progress::Done
            && let Some(found) = cluster.nodes.iter_mut().find(|found| found.name == node.name)
        {
            found.state = NodeState::Unfinished;
        }
    }
    let read = async {
        let server = api_server::connect(engine, &cluster.name, inventory.control_plane(&cluster.name)?).await?;
        let failed = |error| super::install::failed("look what is installed", error);
        let (mesh, sample, pools) =
            tokio::try_join!(istio::control_plane(&server), sample::is_there(&server), metallb::read_pools(&server, ANSWER))
                .map_err(failed)?;
        Ok::<_, Error>(Installed { metallb: !pools.is_empty(), sample, mesh: mesh.is_some() })
    };
    cluster.installed = tokio::time::timeout(ANSWER, read).await.ok().and_then(Result::ok);
}
