use super::{container, engine, helpers_end, kindmesh, names, node};
use crate::domain::labels;
use crate::engine::fake::{Fault, Verb, When};
use crate::engine::{ContainerInfo, Engine as _, EngineErrorKind};
use crate::ops::ErrorKind;

#[tokio::test]
async fn everything_of_the_fleet_and_nothing_else() {
    let engine = engine();
    node(&engine, "a1", Some("a"), "bridge").await;
    node(&engine, "a2", Some("a"), "bridge").await;
    node(&engine, "b1", Some("b"), "bridge").await;
    node(&engine, "kinds", None, "bridge").await;
    container(&engine, "web", "bridge", &[]).await;
    let report = kindmesh(&engine).down(&"a".parse().unwrap()).await.unwrap();
    assert_eq!((report.clusters, report.volumes), (vec!["a1".to_owned(), "a2".to_owned()], 2));
    assert_eq!(names(&engine), ["b1-control-plane", "kinds-control-plane", "web"]);
    assert_eq!(engine.volumes().len(), 3);
    let again = kindmesh(&engine).down(&"a".parse().unwrap()).await.unwrap();
    assert_eq!(again.containers, Vec::<String>::new(), "nothing is left to do");
}

#[tokio::test]
async fn one_that_cannot_be_removed_is_named_and_the_others_go() {
    let engine = engine();
    node(&engine, "a1", Some("a"), "bridge").await;
    node(&engine, "a2", Some("a"), "bridge").await;
    engine.fault(When::Verb(Verb::RemoveContainer, 1), Fault::Fail(EngineErrorKind::Failed, "device busy".to_owned()));
    let error = kindmesh(&engine).down(&"a".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert!(error.to_string().contains("a1-control-plane") && error.to_string().contains("device busy"), "{error}");
    assert_eq!(names(&engine), ["a1-control-plane"]);
    kindmesh(&engine).down(&"a".parse().unwrap()).await.unwrap();
    assert_eq!(names(&engine), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_that_was_lost_is_made_good_by_the_next() {
    let engine = engine();
    node(&engine, "a1", Some("a"), "bridge").await;
    engine.fault(When::Verb(Verb::RemoveContainer, 1), Fault::LoseAnswer);
    kindmesh(&engine).down(&"a".parse().unwrap()).await.unwrap_err();
    kindmesh(&engine).down(&"a".parse().unwrap()).await.unwrap();
    assert_eq!(names(&engine), Vec::<String>::new());
}

#[tokio::test]
async fn a_cluster_of_kinds_goes_when_it_is_named() {
    let engine = engine();
    node(&engine, "kinds", None, "bridge").await;
    node(&engine, "a1", Some("a"), "bridge").await;
    let report = kindmesh(&engine).delete_cluster("kinds").await.unwrap();
    assert_eq!(report.containers, ["kinds-control-plane"]);
    assert_eq!(names(&engine), ["a1-control-plane"]);
    let error = kindmesh(&engine).delete_cluster("kinds").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hints().iter().any(|hint| hint.contains("a1")), "{:?}", error.hints());
}

#[tokio::test]
async fn all_takes_every_fleet_and_helpers_but_not_kinds() {
    let engine = engine();
    node(&engine, "a1", Some("a"), "bridge").await;
    node(&engine, "b1", Some("b"), "bridge").await;
    node(&engine, "kinds", None, "bridge").await;
    container(&engine, "left", "bridge", &[(labels::HELPER, "probe")]).await;
    kindmesh(&engine).down_all().await.unwrap();
    assert_eq!(names(&engine), ["kinds-control-plane"]);
}

/// What engines of every version say of a container with frozen processes.
const UNKILLABLE: &str = "cannot remove container \"a1\": could not kill: tried to kill container, but did not receive an exit event";

#[tokio::test]
async fn what_is_frozen_is_let_go_on_and_removed() {
    let engine = engine();
    node(&engine, "a1", Some("a"), "bridge").await;
    engine.fault(When::Verb(Verb::RemoveContainer, 1), Fault::Fail(EngineErrorKind::Failed, UNKILLABLE.to_owned()));
    let id = engine.inspect_container("a1-control-plane").await.unwrap().id;
    let about = |helper: &ContainerInfo| {
        let spec = engine.container_spec(&helper.name).unwrap();
        assert_eq!((spec.image.as_str(), spec.network.as_str(), spec.privileged), (super::IMAGE, "none", false));
        assert_eq!(spec.entrypoint.unwrap().last(), Some(&id), "it is about that node alone");
    };
    let (km, fleet) = (kindmesh(&engine), "a".parse().unwrap());
    let report = tokio::select! {
        report = km.down(&fleet) => report.unwrap(),
        never = helpers_end(&engine, "/freezer/docker/a1/kubepods/freezer.state\n", about) => match never {},
    };
    assert_eq!(report.containers, ["a1-control-plane"]);
    assert!(engine.containers().is_empty(), "neither node nor helper is left");
}

#[tokio::test]
async fn where_nothing_can_be_let_go_on_the_engines_words_are_told() {
    let engine = engine();
    node(&engine, "a1", Some("a"), "bridge").await;
    engine.fault(When::Verb(Verb::RemoveContainer, 1), Fault::Fail(EngineErrorKind::Failed, UNKILLABLE.to_owned()));
    // As where control groups have version 2.
    engine.on_create(|_, spec| if spec.mounts.is_empty() { Ok(()) } else { Err("bind source path does not exist".to_owned()) });
    let error = kindmesh(&engine).down(&"a".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("did not receive an exit event"), "{error}");
    assert_eq!(names(&engine), ["a1-control-plane"]);
}
