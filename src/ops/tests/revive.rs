//! What `up` does first with a fleet that it finds at rest, as far as an engine in memory shows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{engine, fleet, kindmesh, node};
use crate::engine::fake::{ExecReply, FakeEngine, Fault, Verb, When};
use crate::engine::{ContainerState, Engine as _, EngineErrorKind};
use crate::ops::inventory::Inventory;
use crate::ops::rest::revive;
use crate::ops::{ErrorKind, Result};

/// Two clusters of a fleet and one of another, all stopped; `progress` is how far their bootstrap got.
async fn stopped(progress: &'static str) -> Arc<FakeEngine> {
    let engine = engine();
    for (cluster, of) in [("f1", "f"), ("f2", "f"), ("other", "g")] {
        node(&engine, cluster, Some(of), "bridge").await;
        let name = format!("{cluster}-control-plane");
        engine.log(&name, "[  OK  ] Reached target Multi-User System.\n");
        engine.kill_container(&name, "SIGKILL").await.unwrap();
    }
    engine.on_exec(move |call| match call.line() {
        line if line.contains("kubeadm") => Some(ExecReply::stdout(format!("{progress}\n"))),
        line if line.starts_with("cat ") => Some(ExecReply::fails(1, "no such file")),
        _ => None,
    });
    engine.clear_calls();
    engine
}

/// Clusters at rest, and those of them that were finished.
async fn revived(engine: &Arc<FakeEngine>) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let km = kindmesh(engine);
    let inventory = Inventory::read(engine.as_ref()).await?;
    let revived = revive(&km, &fleet("f"), &inventory, &km.fleet_scope()).await?;
    Ok((revived.woken, revived.finished))
}

fn state(engine: &FakeEngine, name: &str) -> ContainerState {
    engine.containers().into_iter().find(|one| one.name == format!("{name}-control-plane")).unwrap().state
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn a_fleet_that_runs_is_not_touched_nor_asked() {
    let engine = engine();
    node(&engine, "f1", Some("f"), "bridge").await;
    engine.clear_calls();
    assert_eq!(revived(&engine).await.unwrap(), Default::default());
    assert_eq!((engine.changes(), engine.count(Verb::Exec)), (Vec::new(), 0));
}

#[tokio::test]
async fn what_ended_is_started_and_nothing_of_others() {
    let engine = stopped("done").await;
    assert_eq!(revived(&engine).await.unwrap(), (set(&["f1", "f2"]), set(&["f1", "f2"])));
    assert_eq!([state(&engine, "f1"), state(&engine, "f2")], [ContainerState::Running; 2]);
    assert_eq!(state(&engine, "other"), ContainerState::Exited);
}

#[tokio::test]
async fn a_cluster_that_runs_beside_one_at_rest_is_looked_at_too() {
    let engine = stopped("done").await;
    engine.start_container("f2-control-plane").await.unwrap();
    assert_eq!(revived(&engine).await.unwrap(), (set(&["f1"]), set(&["f1", "f2"])));
}

#[tokio::test]
async fn what_was_never_finished_has_nothing_to_tell() {
    let engine = stopped("interrupted").await;
    assert_eq!(revived(&engine).await.unwrap(), (set(&["f1", "f2"]), set(&[])));
}

#[tokio::test]
async fn one_that_does_not_start_is_left_to_up_and_the_others_run() {
    let engine = stopped("interrupted").await;
    engine.fault(When::Verb(Verb::StartContainer, 1), Fault::Fail(EngineErrorKind::Failed, "no room".to_owned()));
    // It may have been finished: nobody knows.
    assert_eq!(revived(&engine).await.unwrap(), (set(&["f1", "f2"]), set(&["f1"])));
    assert_eq!([state(&engine, "f1"), state(&engine, "f2")], [ContainerState::Exited, ContainerState::Running]);
}

#[tokio::test]
async fn a_node_that_never_ran_is_left_to_up() {
    let engine = engine();
    let labels =
        [(crate::domain::labels::CLUSTER, "f1"), (crate::domain::labels::ROLE, "control-plane"), (crate::domain::labels::FLEET, "f")];
    let spec = crate::domain::container::ContainerSpec {
        image: super::IMAGE.to_owned(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..Default::default()
    };
    engine.create_container("f1-control-plane", &spec).await.unwrap();
    assert_eq!(revived(&engine).await.unwrap(), Default::default());
    assert_eq!(state(&engine, "f1"), ContainerState::Created);
}

#[tokio::test]
async fn giving_up_is_told_and_makes_no_root() {
    let engine = stopped("done").await;
    let cancel = tokio_util::sync::CancellationToken::new();
    cancel.cancel();
    let km = kindmesh(&engine).cancellation(cancel);
    let inventory = Inventory::read(engine.as_ref()).await.unwrap();
    let error = revive(&km, &fleet("f"), &inventory, &km.fleet_scope()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
