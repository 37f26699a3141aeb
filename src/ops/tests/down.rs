use super::{container, engine, kindmesh, names, node};
use crate::domain::labels;
use crate::engine::EngineErrorKind;
use crate::engine::fake::{Fault, Verb, When};
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
