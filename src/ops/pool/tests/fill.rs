use std::time::Duration;

use super::{Bench, description, texts};
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::{ClusterBuilder, NetworkBuilder};
use crate::domain::labels;
use crate::domain::warm;
use crate::engine::fake::{FakeEngine, Fault, Verb, When};
use crate::ops::pool::store::Record;
use crate::ops::{ErrorKind, LeaseOptions, PoolReport, Result};

/// Lets helper containers end, as real ones do.
async fn helpers(engine: &FakeEngine) {
    loop {
        for one in engine.containers() {
            if one.labels.get(labels::HELPER).is_some_and(|purpose| purpose == "probe") {
                engine.end_container(&one.name, 0);
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn warmed(bench: &Bench, size: u32) -> Result<PoolReport> {
    tokio::select! {
        made = async { bench.kindmesh().warm(&description(), size).await } => made,
        () = helpers(&bench.engine) => unreachable!("helpers go on for ever"),
    }
}

#[tokio::test]
async fn what_cannot_exist_twice_is_refused_before_anything_is_made() {
    let bench = Bench::new();
    let port = Fleet::builder("demo").cluster(ClusterBuilder::new("a").api_server_port(6443)).build().unwrap();
    let own = Fleet::builder("demo").network(NetworkBuilder::own("172.30.0.0/16")).build().unwrap();
    let long = Fleet::builder("demo").cluster(ClusterBuilder::new("x".repeat(40))).build().unwrap();
    for (fleet, words) in [(port, "API server port 6443"), (own, "is the fleet's own"), (long, "characters")] {
        let error = bench.kindmesh().warm(&fleet, 2).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(words) && !error.hints().is_empty(), "{error}");
    }
    let error = bench.kindmesh().warm(&description(), 100).await.unwrap_err();
    assert!(error.to_string().contains("at most 99"), "{error}");
    assert_eq!(crate::ops::Kindmesh::new(bench.engine.clone()).warm(&description(), 1).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!((bench.engine.changes().len(), bench.files()), (0, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn members_bear_the_label_and_one_that_fails_stays_to_be_completed() {
    let bench = Bench::new();
    bench.engine.on_start(|_, spec| if spec.network == "none" { Ok(()) } else { Err("enough is seen".to_owned()) });
    let error = warmed(&bench, 2).await.unwrap_err();
    assert!(error.to_string().starts_with("member demo-w1 of pool demo: ") && error.one_line().contains("enough is seen"), "{error}");
    let nodes = bench.engine.containers();
    assert_eq!(nodes.len(), 2);
    for node in &nodes {
        assert_eq!((node.labels[labels::WARM].as_str(), node.labels[labels::FLEET].as_str()), ("demo", "demo-w1"));
        assert_eq!(node.labels[labels::DESCRIPTION], warm::digest(&description()));
    }
    let status = bench.only().await;
    assert_eq!((status.size, status.unfinished), (Some(2), texts(&["demo-w1"])));
    // The next filler goes on with that one.
    let error = warmed(&bench, 2).await.unwrap_err();
    assert!(error.to_string().starts_with("member demo-w1 of pool demo: "), "{error}");
}

#[tokio::test]
async fn a_full_pool_is_left_alone_and_a_smaller_one_made_smaller() {
    let bench = Bench::new();
    bench.pool(2, [1, 3]).await;
    bench.engine.clear_calls();
    let report = warmed(&bench, 2).await.unwrap();
    assert_eq!((report.changed, report.warm, bench.engine.changes().len()), (false, texts(&["demo-w1", "demo-w3"]), 0));
    let report = warmed(&bench, 1).await.unwrap();
    assert_eq!((report.changed, report.removed, report.warm), (true, texts(&["demo-w3"]), texts(&["demo-w1"])));
    assert_eq!(bench.containers(), ["cluster1-w1-control-plane", "cluster2-w1-control-plane"]);
}

#[tokio::test]
async fn two_descriptions_do_not_meet_in_a_pool() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1]).await;
    let other = Fleet::builder("demo").clusters(3).build().unwrap();
    let error = bench.kindmesh().warm(&other, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("demo-w1") && error.hints()[0].contains("kindmesh down --fleet demo"), "{error}");
    assert_eq!(bench.kindmesh().refill(&pool).await.unwrap().warm, ["demo-w1"], "nothing was written");
}

/// The record may be gone, or be another machine's: members tell by what they were made.
#[tokio::test]
async fn two_descriptions_do_not_meet_where_nothing_is_written_down() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1]).await;
    bench.kindmesh().pool_store(&pool).await.unwrap().unwrap().forget().unwrap();
    let other = Fleet::builder("demo").clusters(2).image("other/node:v1").build().unwrap();
    let error = bench.kindmesh().warm(&other, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("demo-w1 of another description"), "{error}");
    assert_eq!(bench.only().await.size, None, "nothing was written");
    assert!(!bench.files().iter().any(|file| file.contains("demo")), "{:?}", bench.files());

    // As another machine would have it, which wrote it down before there was a member.
    let store = bench.kindmesh().pool_store(&pool).await.unwrap().unwrap();
    store.write(&Record { size: 1, fleet: other }).unwrap();
    let error = bench.kindmesh().refill(&pool).await.unwrap_err();
    assert!(error.to_string().contains("demo-w1 of another description"), "{error}");
    let error = bench.kindmesh().lease(&pool, &LeaseOptions::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "pool demo has no warm member: 1 of another description");
    assert_eq!(bench.only().await.unfinished, ["demo-w1"]);

    // The same description again: the member is as good as before.
    store.forget().unwrap();
    assert_eq!(bench.kindmesh().warm(&description(), 1).await.unwrap().warm, ["demo-w1"]);
}

#[tokio::test(start_paused = true)]
async fn a_description_is_not_replaced_while_a_filler_goes_by_it() {
    let bench = Bench::new();
    let pool = bench.pool(1, []).await;
    let store = bench.kindmesh().pool_store(&pool).await.unwrap().unwrap();
    let lock = store.lock().unwrap().unwrap();
    store.forget().unwrap();
    let error = bench.kindmesh().warm(&description(), 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("a member in the making"), "{error}");
    drop(lock);
}

/// What is asked for in the moment in which a filler ends is done by that filler.
#[tokio::test]
async fn a_filler_looks_once_more_when_it_has_let_go() {
    let bench = Bench::new();
    let pool = bench.pool(2, [1, 2]).await;
    let (km, store) = (bench.kindmesh(), bench.kindmesh().pool_store(&pool).await.unwrap().unwrap());
    bench.engine.fault(When::Every(Verb::ListContainers), Fault::Delay(Duration::from_millis(150)));
    let first = km.refill(&pool);
    let second = async {
        // The filler has seen that nothing is to be done, and composes its report.
        until(|| bench.engine.count(Verb::ListContainers) == 3).await;
        store.write(&Record { size: 1, fleet: description() }).unwrap();
        km.refill(&pool).await
    };
    let (first, second) = tokio::join!(first, second);
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(second.busy && !second.changed);
    assert_eq!((first.removed, first.warm), (texts(&["demo-w2"]), texts(&["demo-w1"])));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_cannot_be_filled_keeps_no_other() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1, 2]).await;
    let worse = Fleet::builder("ahead").image("nobody/node:v0").build().unwrap();
    let store = bench.kindmesh().pool_store(&worse.name).await.unwrap().unwrap();
    store.write(&Record { size: 1, fleet: worse }).unwrap();
    let error = bench.kindmesh().refill_all(&[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Image);
    assert_eq!(bench.containers().len(), 2, "the other pool was filled");

    // For who stays, too; also beside one whose record is damaged.
    let damaged = bench.state.path().join("fake0001/_pools/broken/pool.json");
    std::fs::create_dir_all(damaged.parent().unwrap()).unwrap();
    std::fs::write(damaged, "{").unwrap();
    bench.member(2, true).await;
    let cancel = tokio_util::sync::CancellationToken::new();
    let server = bench.kindmesh().cancellation(cancel.clone());
    let watch = async {
        for _ in 0..2 {
            until(|| bench.containers().len() == 2).await;
            bench.member(2, true).await;
        }
        until(|| bench.containers().len() == 2).await;
        cancel.cancel();
    };
    let begun = tokio::time::Instant::now();
    let (served, ()) = tokio::join!(server.serve_pools(&[]), watch);
    served.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60), "one that fails is waited for, and nobody else: {:?}", begun.elapsed());
    let pools = bench.kindmesh().pools().await.unwrap();
    let told: Vec<(&str, bool)> = pools.iter().map(|pool| (pool.pool.as_str(), pool.problem.is_some())).collect();
    assert_eq!(told, [("ahead", false), ("broken", true), (pool.as_str(), false)]);
    assert!(pools[1].problem.as_ref().unwrap().contains("pool.json"), "{:?}", pools[1]);
}

#[tokio::test]
async fn only_one_fills_a_pool() {
    let bench = Bench::new();
    let pool = bench.pool(3, [1]).await;
    let store = bench.kindmesh().pool_store(&pool).await.unwrap().unwrap();
    let lock = store.lock().unwrap().unwrap();
    assert!(store.lock().unwrap().is_none());
    let report = bench.kindmesh().refill(&pool).await.unwrap();
    assert_eq!((report.busy, report.changed, report.warm), (true, false, texts(&["demo-w1"])));
    drop(lock);
    assert!(store.lock().unwrap().is_some(), "released with whoever held it");
    let error = bench.kindmesh().refill(&"other".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn names_that_somebody_has_are_passed_over() {
    let bench = Bench::new();
    crate::ops::tests::node(&bench.engine, "cluster2-w1", None, "bridge").await;
    crate::ops::tests::node(&bench.engine, "mine", Some("demo-w2"), "bridge").await;
    bench.engine.on_start(|_, spec| if spec.network == "none" { Ok(()) } else { Err("enough is seen".to_owned()) });
    let error = warmed(&bench, 1).await.unwrap_err();
    assert!(error.to_string().starts_with("member demo-w3 of pool demo: "), "{}", error.one_line());
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_given_up_while_it_is_filled_leaves_nothing() {
    let bench = Bench::new();
    let (km, pool) = (bench.kindmesh(), description().name);
    // A node of this engine never says that it has booted.
    let gives_up = async {
        until(|| bench.engine.count(Verb::ContainerLogs) > 0 && bench.containers().contains(&"cluster2-w1-control-plane".to_owned())).await;
        km.down(&pool).await
    };
    let (filled, down) = tokio::join!(warmed(&bench, 2), gives_up);
    let (filled, down) = (filled.unwrap(), down.unwrap());
    assert_eq!((filled.size, filled.made, down.pools), (0, Vec::<String>::new(), texts(&["demo"])));
    assert_eq!((bench.containers(), bench.files(), bench.engine.volumes()), (Vec::new(), Vec::new(), Vec::new()));
    assert!(bench.engine.networks().is_empty(), "{:?}", bench.engine.networks());
}

#[tokio::test(start_paused = true)]
async fn a_server_fills_until_it_is_stopped() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1, 2]).await;
    let cancel = tokio_util::sync::CancellationToken::new();
    let server = bench.kindmesh().cancellation(cancel.clone());
    let watch = async {
        until(|| bench.containers().len() == 2).await;
        bench.member(2, true).await;
        until(|| bench.containers().len() == 2).await;
        cancel.cancel();
    };
    let (served, ()) = tokio::join!(server.serve_pools(&[]), watch);
    served.unwrap();
    assert_eq!(bench.only().await.warm, ["demo-w1"]);
    let error = bench.kindmesh().serve_pools(&[pool, "other".parse().unwrap()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
