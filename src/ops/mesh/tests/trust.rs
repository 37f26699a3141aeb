use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::domain::container::ContainerSpec;
use crate::domain::labels;
use crate::engine::Engine as _;
use crate::engine::fake::{ExecReply, FakeEngine};
use crate::ops::context::Kindmesh;
use crate::ops::error::{ErrorKind, Result};
use crate::ops::inventory::Inventory;
use crate::ops::mesh::ca_store::CaStore;
use crate::ops::mesh::trust::look;

/// A cluster `c` of the fleet, which does not answer; `far` is how far its bootstrap got.
async fn silent(far: &'static str) -> Kindmesh {
    let engine = FakeEngine::new();
    engine.add_image("node", &[]);
    engine.on_exec(move |call| match call.line() {
        line if line.contains("kubeadm") => Some(ExecReply::stdout(format!("{far}\n"))),
        line if line.starts_with("cat ") => Some(ExecReply::fails(1, "no such file")),
        _ => None,
    });
    let labels = [(labels::CLUSTER, "c"), (labels::ROLE, "control-plane"), (labels::FLEET, "demo")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let spec = ContainerSpec { image: "node".into(), network: "bridge".into(), labels: BTreeMap::from(labels), ..Default::default() };
    engine.create_container("c-control-plane", &spec).await.unwrap();
    engine.start_container("c-control-plane").await.unwrap();
    Kindmesh::new(Arc::new(engine))
}

async fn looked(km: &Kindmesh, store: &CaStore, own: Option<Root>, finished: &[&str]) -> Result<Option<Root>> {
    let inventory = Inventory::read(km.engine().as_ref()).await?;
    let finished: BTreeSet<String> = finished.iter().map(|name| (*name).to_owned()).collect();
    look(km, store, &fleet(), own, (&inventory, &finished), now()).await
}

#[tokio::test(start_paused = true)]
async fn no_root_is_made_beside_one_that_a_fleet_at_rest_may_have() {
    let state = tempfile::tempdir().unwrap();
    let store = CaStore::new(state.path(), "AB:CD", &fleet());
    let km = silent("done").await;
    let error = looked(&km, &store, None, &["c"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("cluster c does not tell") && error.to_string().contains("demo/ca is missing"), "{error}");
    assert!(error.hints()[0].starts_with("run `kindmesh start --fleet demo` first"), "{:?}", error.hints());
    assert!(store.load(now()).unwrap().is_none(), "looking makes nothing");
}

#[tokio::test]
async fn a_root_that_is_known_needs_nobody_to_tell_it() {
    let state = tempfile::tempdir().unwrap();
    let store = CaStore::new(state.path(), "AB:CD", &fleet());
    let km = silent("done").await;
    let own = root();
    assert_eq!(looked(&km, &store, Some(own.clone()), &["c"]).await.unwrap(), Some(own));
    let (stored, _) = store.ensure(None, now()).unwrap();
    assert_eq!(looked(&km, &store, None, &["c"]).await.unwrap(), Some(stored));
}

/// Nothing is at rest, so nothing was woken and looked at: a cluster that only is slow has a root all the same.
#[tokio::test(start_paused = true)]
async fn no_root_is_made_over_a_cluster_that_is_slow_to_answer() {
    let state = tempfile::tempdir().unwrap();
    let store = CaStore::new(state.path(), "AB:CD", &fleet());
    for far in ["done", "started"] {
        let begun = tokio::time::Instant::now();
        let error = looked(&silent(far).await, &store, None, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{far}");
        assert!(error.to_string().contains("cluster c does not tell"), "{error}");
        assert!(begun.elapsed() >= std::time::Duration::from_secs(60), "it is waited for: {:?}", begun.elapsed());
    }
    assert!(!store.folder().exists(), "looking makes nothing");
}

#[tokio::test]
async fn a_cluster_that_was_never_finished_has_none() {
    let state = tempfile::tempdir().unwrap();
    let store = CaStore::new(state.path(), "AB:CD", &fleet());
    for far in ["fresh", "interrupted"] {
        assert_eq!(looked(&silent(far).await, &store, None, &[]).await.unwrap(), None, "{far}");
    }
    let km = silent("done").await;
    km.engine().kill_container("c-control-plane", "SIGKILL").await.unwrap();
    assert_eq!(looked(&km, &store, None, &[]).await.unwrap(), None, "at rest, and nobody says that it was finished");
}
