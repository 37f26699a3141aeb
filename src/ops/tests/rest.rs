//! The engine's side of it, on an engine in memory. Clusters that answer are needed for the rest.

use super::{engine, helpers_end, kindmesh, node};
use crate::engine::fake::{FakeEngine, Fault, Verb, When};
use crate::engine::{ContainerInfo, ContainerState, Engine as _, EngineErrorKind};
use crate::ops::{ErrorKind, RestState, StopOptions};

async fn duo() -> std::sync::Arc<FakeEngine> {
    let engine = engine();
    node(&engine, "a2", Some("a"), "bridge").await;
    node(&engine, "a1", Some("a"), "bridge").await;
    node(&engine, "b1", Some("b"), "bridge").await;
    node(&engine, "kinds", None, "bridge").await;
    engine
}

async fn states(engine: &FakeEngine) -> Vec<(String, ContainerState)> {
    let mut states: Vec<_> = engine.containers().into_iter().map(|one| (one.name.replace("-control-plane", ""), one.state)).collect();
    states.sort_by(|a, b| a.0.cmp(&b.0));
    states
}

fn all(a1: ContainerState, a2: ContainerState) -> Vec<(String, ContainerState)> {
    let others = ContainerState::Running;
    [("a1", a1), ("a2", a2), ("b1", others), ("kinds", others)].map(|(name, state)| (name.to_owned(), state)).into()
}

#[tokio::test]
async fn a_fleet_is_paused_once_and_nothing_else_with_it() {
    let engine = duo().await;
    let fleet = "a".parse().unwrap();
    let report = kindmesh(&engine).pause(&fleet).await.unwrap();
    assert_eq!((report.state, report.changed), (RestState::Paused, true));
    assert_eq!(report.clusters.iter().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>(), ["a1", "a2"]);
    assert_eq!(states(&engine).await, all(ContainerState::Paused, ContainerState::Paused));
    let again = kindmesh(&engine).pause(&fleet).await.unwrap();
    assert!(!again.changed && again.clusters.iter().all(|cluster| !cluster.changed), "{again:?}");
    assert_eq!(engine.calls().iter().filter(|call| call.verb == Verb::PauseContainer).count(), 2);
}

#[tokio::test]
async fn a_fleet_is_stopped_once_also_when_it_is_paused() {
    let engine = duo().await;
    let fleet = "a".parse().unwrap();
    engine.pause_container("a1-control-plane").await.unwrap();
    let report = kindmesh(&engine).stop(&fleet, &StopOptions::default()).await.unwrap();
    assert_eq!((report.state, report.changed), (RestState::Stopped, true));
    assert_eq!(states(&engine).await, all(ContainerState::Exited, ContainerState::Exited));
    assert!(!kindmesh(&engine).stop(&fleet, &StopOptions::default()).await.unwrap().changed);
}

#[tokio::test]
async fn one_that_fails_is_named_and_the_others_are_done() {
    let engine = duo().await;
    let fleet = "a".parse().unwrap();
    engine.fault(When::Verb(Verb::PauseContainer, 1), Fault::Fail(EngineErrorKind::Failed, "no freezer".to_owned()));
    let error = kindmesh(&engine).pause(&fleet).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert!(error.to_string().contains("a1-control-plane") && error.one_line().contains("no freezer"), "{}", error.one_line());
    assert_eq!(states(&engine).await, all(ContainerState::Running, ContainerState::Paused));
    // Again, and the rest is done.
    let report = kindmesh(&engine).pause(&fleet).await.unwrap();
    assert_eq!(report.clusters.iter().map(|cluster| cluster.changed).collect::<Vec<_>>(), [true, false]);
    assert_eq!(states(&engine).await, all(ContainerState::Paused, ContainerState::Paused));

    engine.fault(When::Verb(Verb::KillContainer, 2), Fault::Fail(EngineErrorKind::Failed, "it clings to life".to_owned()));
    let error = kindmesh(&engine).stop(&fleet, &StopOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("a2-control-plane"), "{}", error.one_line());
    assert_eq!(states(&engine).await, all(ContainerState::Exited, ContainerState::Running));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anything_is_done() {
    let engine = duo().await;
    let fleet = "a".parse().unwrap();
    kindmesh(&engine).stop(&fleet, &StopOptions::default()).await.unwrap();
    for (refused, hint) in [
        (kindmesh(&engine).pause(&fleet).await.unwrap_err(), "kindmesh start --fleet a"),
        (kindmesh(&engine).resume(&fleet).await.unwrap_err(), "kindmesh start --fleet a"),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(refused.to_string().contains("nodes a1-control-plane, a2-control-plane are"), "{refused}");
        assert!(refused.hints().iter().any(|said| said.contains(hint)), "{:?}", refused.hints());
    }
    assert_eq!(states(&engine).await, all(ContainerState::Exited, ContainerState::Exited));
    let error = kindmesh(&engine).start(&"c".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_node_that_cannot_be_woken_is_named_and_the_others_are_woken() {
    let engine = duo().await;
    let fleet = "a".parse().unwrap();
    kindmesh(&engine).pause(&fleet).await.unwrap();
    engine.fault(When::Verb(Verb::UnpauseContainer, 1), Fault::Fail(EngineErrorKind::Failed, "frozen stiff".to_owned()));
    let error = kindmesh(&engine).resume(&fleet).await.unwrap_err();
    assert!(error.to_string().contains("a1-control-plane") && error.one_line().contains("frozen stiff"), "{}", error.one_line());
    assert_eq!(states(&engine).await, all(ContainerState::Paused, ContainerState::Running));

    kindmesh(&engine).stop(&fleet, &StopOptions::default()).await.unwrap();
    engine.fault(When::Every(Verb::StartContainer), Fault::Fail(EngineErrorKind::Failed, "port is already allocated".to_owned()));
    let error = kindmesh(&engine).start(&fleet).await.unwrap_err();
    assert!(error.one_line().contains("a published port is in use"), "{}", error.one_line());
}

#[tokio::test]
async fn a_node_that_ends_as_soon_as_it_is_let_go_on_is_stopped() {
    let engine = duo().await;
    let unkillable = "cannot kill container: tried to kill container, but did not receive an exit event".to_owned();
    engine.fault(When::Verb(Verb::KillContainer, 1), Fault::Fail(EngineErrorKind::Failed, unkillable));
    let ends = |_: &ContainerInfo| engine.end_container("b1-control-plane", 137);
    let (km, fleet, options) = (kindmesh(&engine), "b".parse().unwrap(), StopOptions::default());
    let report = tokio::select! {
        report = km.stop(&fleet, &options) => report.unwrap(),
        never = helpers_end(&engine, "/freezer/docker/b1/kubepods/freezer.state\n", ends) => match never {},
    };
    assert!(report.changed);
    assert_eq!(engine.count(Verb::KillContainer), 2, "it was asked again");
}
