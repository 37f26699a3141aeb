//! Which root a fleet has, found out before anything is made: a root that is made needlessly would part
//! new clusters from old ones for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::ca::other_root;
use super::ca_store::CaStore;
use crate::domain::name::FleetName;
use crate::domain::pki::{CaBundle, Root, Verdict};
use crate::k8s::cacerts;
use crate::ops::api_server;
use crate::ops::bootstrap::{self, Progress};
use crate::ops::context::{Kindmesh, Outcome};
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::inventory::{Inventory, is_running};

/// A cluster that does not answer in this time is judged when its turn comes.
const ANSWER: Duration = Duration::from_secs(3);
/// Before a root is made, one that may have a mesh is given this time: an API server that starts again takes half of it
/// on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// What a cluster signs with, as far as it can be asked now.
enum Told {
    /// A bundle.
    Bundle(CaBundle),
    /// Nothing that can be used: it has no mesh.
    Nothing,
    /// It did not answer.
    Silent,
}

/// The root of the fleet: the stored one, or else the user's; `None` when one is to be made. What clusters
/// trust that are there already must agree with it. Before one is made, those of `finished` must have told, and those
/// that run, whose bootstrap got so far that they may have a mesh: they are waited for.
pub(super) async fn look(
    km: &Kindmesh,
    store: &CaStore,
    fleet: &FleetName,
    own: Option<Root>,
    (inventory, finished): (&Inventory, &BTreeSet<String>),
    now: Timestamp,
) -> Result<Option<Root>> {
    let root = match store.load(now)? {
        Some(stored) => Some(store.agree(stored, own.as_ref())?),
        None => own,
    };
    let asked = join_all(inventory.of_fleet(fleet).map(|(name, _)| async move { (name, ask(km, name, inventory).await) })).await;
    for (cluster, told) in &asked {
        agrees(root.as_ref(), told, fleet, cluster, store, now)?;
    }
    if root.is_some() {
        return Ok(root);
    }
    for (cluster, _) in asked.iter().filter(|(_, told)| matches!(told, Told::Silent)) {
        let told = wait_for(km, cluster, inventory, finished.contains(*cluster)).await?;
        if matches!(told, Told::Silent) {
            return Err(untold(fleet, cluster, store));
        }
        agrees(None, &told, fleet, cluster, store, now)?;
    }
    Ok(None)
}

/// Whether what a cluster told goes with the root that is known.
fn agrees(root: Option<&Root>, told: &Told, fleet: &FleetName, cluster: &str, store: &CaStore, now: Timestamp) -> Result<()> {
    match (root, told) {
        (Some(root), Told::Bundle(bundle)) if root.judge(bundle, now) == Verdict::OtherRoot => {
            Err(other_root(root, bundle).within(format_args!("cluster {cluster}")))
        }
        (None, Told::Bundle(bundle)) => Err(lost(fleet, cluster, bundle, store)),
        _ => Ok(()),
    }
}

/// Asks a silent cluster until it tells, if it can have a mesh. An API server may be slow, or start again, at this
/// moment; a root that is made over its head can never be taken back.
async fn wait_for(km: &Kindmesh, cluster: &str, inventory: &Inventory, finished: bool) -> Result<Told> {
    const STEP: &str = "ask which root is trusted";
    let Some(control_plane) = inventory.control_plane(cluster).ok().filter(|node| is_running(node)) else {
        return Ok(if finished { Told::Silent } else { Told::Nothing });
    };
    let scope = km.cluster_scope(cluster);
    scope
        .step(STEP, bootstrap::LONGEST + PATIENCE, async {
            let far = bootstrap::progress(km.engine.as_ref(), control_plane, &scope.cancel).await;
            if matches!(far, Ok(Progress::Fresh | Progress::Interrupted)) {
                return Ok(Outcome::unchanged(Told::Nothing));
            }
            let until = Instant::now() + PATIENCE;
            loop {
                let told = ask(km, cluster, inventory).await;
                if !matches!(told, Told::Silent) || Instant::now() >= until {
                    return Ok(Outcome::unchanged(told));
                }
                scope.progress(STEP, "its API server does not answer");
                tokio::select! {
                    () = scope.cancel.cancelled() => return Err(Error::cancelled(STEP)),
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        })
        .await
}

/// Asks a cluster what it signs with.
async fn ask(km: &Kindmesh, cluster: &str, inventory: &Inventory) -> Told {
    let asked = async {
        let control_plane = inventory.control_plane(cluster).ok().filter(|node| is_running(node))?;
        let server = api_server::connect(km.engine.as_ref(), cluster, control_plane).await.ok()?;
        let files = cacerts::read(&server).await.ok()?;
        Some(files.and_then(|files| CaBundle::from_files(&files).ok().flatten()))
    };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Some(Some(bundle))) => Told::Bundle(bundle),
        Ok(Some(None)) => Told::Nothing,
        Ok(None) | Err(_) => Told::Silent,
    }
}

/// A root that is made now may not be the one that the cluster trusts.
fn untold(fleet: &FleetName, cluster: &str, store: &CaStore) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "no root certificate of fleet {fleet} is on this machine ({} is missing), and cluster {cluster} does not tell which one it trusts",
            store.folder().display()
        ),
    )
    .hint(format!("run `kindmesh start --fleet {fleet}` first, so that the root its clusters trust can be looked up"))
    .hint("run this where the mesh was made, or name the state folder it was made with by --state-dir")
}

fn lost(fleet: &FleetName, cluster: &str, bundle: &CaBundle, store: &CaStore) -> Error {
    let fingerprint = bundle.describe().ok().and_then(|chain| chain.root().map(|root| root.fingerprint.clone()));
    Error::new(
        ErrorKind::NotFound,
        format!(
            "the mesh of fleet {fleet} has a root certificate whose key is not on this machine: cluster {cluster} trusts {}, and {} is missing",
            fingerprint.unwrap_or_else(|| "an unreadable one".to_owned()),
            store.folder().display()
        ),
    )
    .hint("run this where the mesh was made, name the state folder it was made with by --state-dir, or give the root with --root-ca and --root-key")
    .hint(format!("if the key is lost, start over: `kindmesh down --fleet {fleet}`"))
}
