use super::{engine, kindmesh};
use crate::domain::diff::{Action, Change, Consent, Recreate};
use crate::domain::fleet::{BootProfile, Fleet};
use crate::domain::fleet_builder::ClusterBuilder;
use crate::domain::labels;
use crate::domain::spec_record;
use crate::engine::fake::{FakeEngine, Verb};
use crate::ops::{ErrorKind, UpOptions};

fn wanted(pool: u32) -> Fleet {
    Fleet::builder("f").cluster(ClusterBuilder::new("f1").pool_size(pool)).build().unwrap()
}

/// A cluster as an earlier `up` left it.
async fn there(engine: &FakeEngine, name: &str) {
    let record = spec_record::record(&wanted(25).clusters[0], super::IMAGE, BootProfile::Fast);
    let of = [
        (labels::CLUSTER, name),
        (labels::ROLE, "control-plane"),
        (labels::FLEET, "f"),
        (labels::POOL, "172.18.255.230-172.18.255.254"),
        (labels::SPEC, record.as_str()),
    ];
    super::container(engine, &format!("{name}-control-plane"), "bridge", &of).await;
}

fn lines(changes: &[Change], action: Action) -> Vec<String> {
    changes.iter().filter(|change| change.action == action).map(Change::line).collect()
}

#[tokio::test]
async fn everything_that_cannot_be_done_is_told_at_once_and_nothing_is_made() {
    let engine = engine();
    there(&engine, "f1").await;
    there(&engine, "old").await;
    engine.clear_calls();
    let is = wanted(25).clusters[0].pod_subnet;
    let wanted = || Fleet::builder("f").cluster(ClusterBuilder::new("f1").pod_subnet("10.77.0.0/16")).build().unwrap();
    let diff = kindmesh(&engine).diff(&wanted(), &Consent::default()).await.unwrap();
    let refused = [
        "refuse cluster old: there and not described; `--prune` removes it".to_owned(),
        format!(
            "refuse cluster f1: podSubnet is {is}, wanted is 10.77.0.0/16; cannot be changed in its place; `--recreate f1` makes it anew"
        ),
    ];
    assert_eq!(lines(&diff.changes, Action::Refuse), refused);
    // Nodes are asked how far they are.
    let changes: Vec<_> = engine.changes().into_iter().filter(|call| call.verb != Verb::Exec).collect();
    assert!(changes.is_empty(), "{changes:?}");

    let error = kindmesh(&engine).up(&wanted()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(refused.iter().all(|line| error.to_string().contains(line)), "{error}");
    assert_eq!(engine.containers().len(), 2);
}

#[tokio::test]
async fn what_may_be_done_is_done_to_what_was_named_alone() {
    let engine = engine();
    there(&engine, "f1").await;
    there(&engine, "old").await;
    let options = UpOptions { prune: true, recreate: Recreate::Named(["f1".to_owned()].into()) };
    let diff = kindmesh(&engine).diff(&wanted(25), &options.consent()).await.unwrap();
    assert_eq!(lines(&diff.changes, Action::Recreate), ["recreate cluster f1: asked for"]);
    assert_eq!(lines(&diff.changes, Action::Remove), ["remove cluster old: not described"]);
}

#[tokio::test]
async fn another_size_of_a_pool_is_a_change_in_its_place() {
    let engine = engine();
    there(&engine, "f1").await;
    let diff = kindmesh(&engine).diff(&wanted(30), &Consent::default()).await.unwrap();
    let lines: Vec<String> = diff.changes.iter().map(Change::line).filter(|line| line.contains("poolSize")).collect();
    assert!(lines.len() == 1 && lines[0].ends_with("cluster f1: poolSize is 25, becomes 30"), "{:?}", diff.changes);
    assert!(diff.changed && diff.refused().next().is_none(), "{:?}", diff.changes);
}

#[tokio::test]
async fn files_that_up_would_not_find_are_told() {
    let engine = engine();
    let text = "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: f\nmesh: {istio: {valuesFiles: [/nowhere/values.yaml]}}\n";
    let fleet = crate::domain::fleet_file::parse(text, "f.yaml").unwrap();
    let error = kindmesh(&engine).diff(&fleet, &Consent::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::NotFound, "read the values file /nowhere/values.yaml"));
    assert!(error.hints()[0].contains("the folder that the file is in"), "{:?}", error.hints());

    // Without an image there are no helpers to wait for.
    let report = kindmesh(&std::sync::Arc::new(FakeEngine::new())).doctor(&fleet).await;
    let files = report.checks.iter().find(|check| check.name == "files").unwrap();
    assert!(files.why.contains("/nowhere/values.yaml") && files.fix.as_deref().unwrap_or_default().contains("folder"), "{files:?}");
}
