use std::collections::BTreeSet;
use std::path::PathBuf;

use futures_util::future::join_all;

use super::{Bench, texts};
use crate::domain::labels;
use crate::engine::fake::{Fault, Verb, When};
use crate::engine::{ContainerState, Engine as _, EngineErrorKind};
use crate::ops::pool::lease::{Pool, take};
use crate::ops::{ErrorKind, LeaseOptions};

/// As far as it goes without clusters: claimed, with a file.
async fn claim(bench: &Bench) -> crate::ops::Result<(String, PathBuf)> {
    let (km, name) = (bench.kindmesh(), "demo".parse().unwrap());
    let pool = Pool::read(&km, &name).await?;
    let (member, file) = take(&km, &pool, None).await?;
    let path = file.path().to_path_buf();
    // As if it were filled.
    std::mem::forget(file);
    Ok((member.fleet.to_string(), path))
}

#[tokio::test]
async fn of_many_at_once_each_gets_a_member_of_its_own() {
    let bench = Bench::new();
    bench.pool(8, 1..=8).await;
    // All see the same, and then reach for the same.
    bench.engine.fault(When::Every(Verb::ListContainers), Fault::Delay(std::time::Duration::from_millis(5)));
    let leased: Vec<_> = join_all((0..8).map(|_| claim(&bench))).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(leased.iter().map(|(fleet, _)| fleet).collect::<BTreeSet<_>>().len(), 8, "{leased:?}");
    assert_eq!(leased.iter().map(|(_, file)| file).collect::<BTreeSet<_>>().len(), 8, "{leased:?}");
    let status = bench.only().await;
    assert_eq!((status.warm.len(), status.leased.len(), status.size), (0, 8, Some(8)));

    let error = claim(&bench).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Conflict, "pool demo has no warm member: 8 leased"));
    assert!(error.hints()[0].contains("kindmesh pool serve --once demo"), "{:?}", error.hints());
    // They are no clusters for anybody.
    assert_eq!(bench.kindmesh().clusters().await.unwrap().len(), 16);
}

#[tokio::test]
async fn the_marker_says_all_and_keeps_no_volume() {
    let bench = Bench::new();
    bench.pool(1, [1]).await;
    let (_, file) = claim(&bench).await.unwrap();
    let marker = bench.engine.container_spec("kindmesh-lease-demo-w1").unwrap();
    assert_eq!(marker.labels[labels::FLEET], "demo-w1");
    assert_eq!(marker.labels[labels::KUBECONFIG], file.display().to_string());
    assert!(!marker.labels.contains_key(labels::CLUSTER) && marker.labels[labels::HELPER] == "lease");
    assert_eq!((marker.binds, marker.anonymous_volumes), (texts(&["/lib/modules:/var:ro"]), Vec::new()));
    assert_eq!(bench.engine.inspect_container("kindmesh-lease-demo-w1").await.unwrap().state, ContainerState::Created);
}

#[tokio::test]
async fn a_member_that_does_not_wake_keeps_no_other() {
    let bench = Bench::new();
    let pool = bench.pool(5, 1..=5).await;
    let file = bench.state.path().join("k");
    // No API server is published by these nodes.
    let error = bench.kindmesh().lease(&pool, &LeaseOptions { kubeconfig: Some(file.clone()) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cluster, "{}", error.one_line());
    assert!(error.to_string().starts_with("fleet demo-w1: "), "{error}");
    let hints = error.hints().join("\n");
    assert!(hints.contains("pool serve --once demo") && hints.contains("also failed: fleet demo-w3: "), "{hints}");
    assert!(!file.exists());
    let status = bench.only().await;
    assert_eq!((status.warm, status.unfinished), (texts(&["demo-w4", "demo-w5"]), texts(&["demo-w1", "demo-w2", "demo-w3"])));
    assert_eq!(status.leased, Vec::<String>::new());
    let given_up = |name: &str| ["w1", "w2", "w3"].iter().any(|member| name.contains(member));
    for node in bench.engine.containers().iter().filter(|one| one.labels.contains_key(labels::CLUSTER) && given_up(&one.name)) {
        assert_eq!(node.state, ContainerState::Paused, "{} gets no processor until it is removed", node.name);
    }
    // Whoever fills the pool makes others: those are in nobody's way.
    let next = bench.kindmesh().warm(&super::description(), 2).await.unwrap();
    assert_eq!((next.removed.len(), next.warm), (3, texts(&["demo-w4", "demo-w5"])));
}

#[tokio::test]
async fn a_member_that_cannot_be_given_up_stays_claimed_and_is_named() {
    let bench = Bench::new();
    let pool = bench.pool(2, [1, 2]).await;
    bench.engine.fault(When::Every(Verb::RemoveContainer), Fault::Fail(EngineErrorKind::Failed, "device busy".to_owned()));
    let error = bench.kindmesh().lease(&pool, &LeaseOptions::default()).await.unwrap_err();
    let hint = error.hints().iter().find(|hint| hint.contains("not put back")).unwrap();
    assert!(hint.contains("device busy") && hint.contains("kindmesh down --fleet demo-w1"), "{hint}");
    let status = bench.only().await;
    assert_eq!((status.leased, status.warm), (texts(&["demo-w1"]), texts(&["demo-w2"])));
    assert_eq!(bench.files(), ["fake0001", "fake0001/_pools", "fake0001/_pools/demo", "fake0001/_pools/demo/pool.json"]);
}

#[tokio::test]
async fn who_gives_up_leaves_the_member_as_it_was() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1]).await;
    bench.engine.fault(When::Every(Verb::UnpauseContainer), Fault::Delay(std::time::Duration::from_secs(3600)));
    let cancel = tokio_util::sync::CancellationToken::new();
    let km = bench.kindmesh().cancellation(cancel.clone());
    let options = LeaseOptions::default();
    let gives_up = async {
        while bench.engine.count(Verb::UnpauseContainer) == 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (leased, ()) = tokio::join!(km.lease(&pool, &options), gives_up);
    let error = leased.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.hints().iter().any(|hint| hint.contains("suspended again")), "{:?}", error.hints());
    assert_eq!(bench.only().await.warm, ["demo-w1"]);
}

#[tokio::test]
async fn what_is_refused_is_refused_before_anything_is_claimed() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1]).await;
    let taken = bench.state.path().join("taken");
    std::fs::write(&taken, "mine").unwrap();
    bench.engine.clear_calls();
    let error = bench.kindmesh().lease(&pool, &LeaseOptions { kubeconfig: Some(taken.clone()) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!((std::fs::read_to_string(&taken).unwrap().as_str(), bench.engine.changes().len()), ("mine", 0));

    let relative = LeaseOptions { kubeconfig: Some("k".into()) };
    assert_eq!(bench.kindmesh().lease(&pool, &relative).await.unwrap_err().kind(), ErrorKind::Config);

    let error = bench.kindmesh().lease(&"other".parse().unwrap(), &LeaseOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.hints()[0].contains("kindmesh up --warm 2 --fleet other"), "{:?}", error.hints());

    let stateless = crate::ops::Kindmesh::new(bench.engine.clone());
    let error = stateless.lease(&pool, &LeaseOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(bench.only().await.warm, ["demo-w1"]);
}

#[tokio::test]
async fn a_member_that_is_not_whole_is_not_handed_out() {
    let bench = Bench::new();
    bench.pool(4, 1..=3).await;
    bench.engine.remove_container("cluster2-w1-control-plane").await.unwrap();
    bench.engine.unpause_container("cluster1-w2-control-plane").await.unwrap();
    let status = bench.only().await;
    assert_eq!((status.warm, status.unfinished), (texts(&["demo-w3"]), texts(&["demo-w1", "demo-w2"])));
    assert_eq!(claim(&bench).await.unwrap().0, "demo-w3");
    let error = claim(&bench).await.unwrap_err();
    assert_eq!(error.to_string(), "pool demo has no warm member: 1 leased, 2 unfinished");
}

/// Between the look and the claim the member was removed, with everything that had its name.
#[tokio::test]
async fn a_claim_on_what_is_gone_is_given_up() {
    let bench = Bench::new();
    bench.pool(2, [1, 2]).await;
    let gone = bench.engine.clone();
    bench.engine.on_create(move |name, _| {
        if name == "kindmesh-lease-demo-w1" {
            gone.end_container("cluster1-w1-control-plane", 137);
        }
        Ok(())
    });
    assert_eq!(claim(&bench).await.unwrap().0, "demo-w2");
    assert!(!bench.containers().contains(&"kindmesh-lease-demo-w1".to_owned()), "{:?}", bench.containers());
}
