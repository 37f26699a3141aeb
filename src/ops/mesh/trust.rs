//! Which root a fleet has, found out before anything is made: a root that is made needlessly would part
//! new clusters from old ones for ever.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::ca::other_root;
use super::ca_store::CaStore;
use crate::domain::name::FleetName;
use crate::domain::pki::{CaBundle, Root, Verdict};
use crate::k8s::cacerts;
use crate::ops::api_server;
use crate::ops::context::Kindmesh;
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::inventory::{Inventory, is_running};

/// A cluster that does not answer in this time is judged when its turn comes.
const ANSWER: Duration = Duration::from_secs(3);

/// The root of the fleet: the stored one, or else the user's; `None` when one is to be made. What clusters
/// trust that are there already must agree with it.
pub(super) async fn look(
    km: &Kindmesh,
    store: &CaStore,
    fleet: &FleetName,
    own: Option<Root>,
    inventory: &Inventory,
    now: Timestamp,
) -> Result<Option<Root>> {
    let root = match store.load(now)? {
        Some(stored) => Some(store.agree(stored, own.as_ref())?),
        None => own,
    };
    for (cluster, bundle) in bundles(km, fleet, inventory).await {
        match &root {
            Some(root) if root.judge(&bundle, now) == Verdict::OtherRoot => {
                return Err(other_root(root, &bundle).within(format_args!("cluster {cluster}")));
            }
            Some(_) => {}
            None => return Err(lost(fleet, &cluster, &bundle, store)),
        }
    }
    Ok(root)
}

/// What the fleet's clusters sign with, as far as they can be asked now.
async fn bundles(km: &Kindmesh, fleet: &FleetName, inventory: &Inventory) -> Vec<(String, CaBundle)> {
    let there = inventory.of_fleet(fleet).filter(|(_, nodes)| nodes.iter().any(is_running)).map(|(name, _)| async move {
        let asked = async {
            let server = api_server::connect(km.engine.as_ref(), name, inventory.control_plane(name).ok()?).await.ok()?;
            let files = cacerts::read(&server).await.ok()??;
            Some((name.to_owned(), CaBundle::from_files(&files).ok()??))
        };
        tokio::time::timeout(ANSWER, asked).await.ok().flatten()
    });
    join_all(there).await.into_iter().flatten().collect()
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
