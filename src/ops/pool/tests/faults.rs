//! Engines that fail and people who give up, in the middle of giving a pool up.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Bench, description, texts};
use crate::domain::container::ContainerSpec;
use crate::engine::fake::{Fault, Verb, When};
use crate::engine::{Engine as _, EngineErrorKind};
use crate::ops::ErrorKind;

const SLOW: Duration = Duration::from_millis(5);

fn markers(bench: &Bench) -> Vec<String> {
    bench.containers().into_iter().filter(|name| name.starts_with("kindmesh-lease-")).collect()
}

/// Cancels when the engine has been asked to remove something.
async fn gives_up(bench: &Bench, cancel: &CancellationToken) {
    while bench.engine.count(Verb::RemoveContainer) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    cancel.cancel();
}

/// Somebody's container, by the name of a member's claim.
async fn in_the_way(bench: &Bench, member: &str) -> String {
    let name = format!("kindmesh-lease-{member}");
    let spec = ContainerSpec { image: super::IMAGE.to_owned(), network: "none".to_owned(), ..ContainerSpec::default() };
    bench.engine.create_container(&name, &spec).await.unwrap();
    name
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_claim_cannot_be_made_is_removed_all_the_same() {
    let bench = Bench::new();
    bench.pool(1, [1, 2, 3]).await;
    let foreign = in_the_way(&bench, "demo-w3").await;
    // One by a filler, one by its name, one with the pool.
    let filled = bench.kindmesh().refill(&"demo".parse().unwrap()).await.unwrap();
    assert_eq!(filled.removed, ["demo-w3", "demo-w2"]);
    bench.member(2, true).await;
    in_the_way(&bench, "demo-w2").await;
    bench.kindmesh().down(&"demo-w2".parse().unwrap()).await.unwrap();
    in_the_way(&bench, "demo-w1").await;
    bench.kindmesh().down(&"demo".parse().unwrap()).await.unwrap();
    assert_eq!(bench.containers(), ["kindmesh-lease-demo-w1", "kindmesh-lease-demo-w2", foreign.as_str()], "and nothing of others");
}

/// As an engine does it that was asked for it by who was killed meanwhile.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_by_nothing_is_no_claim() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1, 2]).await;
    bench.engine.fault(When::Every(Verb::CreateContainer), Fault::Fail(EngineErrorKind::Conflict, "the name is in use".to_owned()));
    let error = bench.kindmesh().lease(&pool, &crate::ops::LeaseOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("the name kindmesh-lease-demo-w1 has been taken by a container that does not exist"), "{error}");
    let begun = tokio::time::Instant::now();
    assert_eq!(bench.kindmesh().refill(&pool).await.unwrap().removed, ["demo-w2"]);
    assert!(begun.elapsed() >= Duration::from_secs(30), "it may only be a moment");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_free_soon_is_waited_for() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1, 2]).await;
    let second = bench.engine.count(Verb::CreateContainer) + 1;
    bench.engine.fault(When::Verb(Verb::CreateContainer, second), Fault::Fail(EngineErrorKind::Conflict, "the name is in use".to_owned()));
    assert_eq!(bench.kindmesh().refill(&pool).await.unwrap().removed, ["demo-w2"]);
}

#[tokio::test]
async fn an_engine_without_room_is_given_room() {
    for name in ["demo-w1", "demo"] {
        let bench = Bench::new();
        bench.pool(1, [1]).await;
        bench.engine.fault(When::Every(Verb::CreateContainer), Fault::Fail(EngineErrorKind::Failed, "no space left on device".to_owned()));
        bench.kindmesh().down(&name.parse().unwrap()).await.unwrap();
        assert_eq!(bench.containers(), Vec::<String>::new(), "{name}");
    }
    let bench = Bench::new();
    bench.pool(1, [1]).await;
    bench.engine.fault(When::Every(Verb::CreateContainer), Fault::Fail(EngineErrorKind::Failed, "no space left on device".to_owned()));
    bench.kindmesh().down_all().await.unwrap();
    assert_eq!((bench.containers(), bench.files()), (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_filler_can_give_up() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1]).await;
    let store = bench.kindmesh().pool_store(&pool).await.unwrap().unwrap();
    let _filler = store.lock().unwrap().unwrap();
    let cancel = CancellationToken::new();
    let km = bench.kindmesh().cancellation(cancel.clone());
    let begun = tokio::time::Instant::now();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        cancel.cancel();
    };
    let (down, ()) = tokio::join!(km.down(&pool), stop);
    assert_eq!(down.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    // Who stays is told what is waited for, also when the record is gone by now.
    let error = bench.kindmesh().down(&pool).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("last seen: another process still fills pool demo"), "{error}");
    assert_eq!(bench.only().await.warm, ["demo-w1"]);
}

#[tokio::test]
async fn who_gives_up_giving_a_pool_up_keeps_what_was_not_reached() {
    let bench = Bench::new();
    let pool = bench.pool(4, 1..=4).await;
    bench.engine.fault(When::Every(Verb::RemoveContainer), Fault::Delay(SLOW));
    let cancel = CancellationToken::new();
    let km = bench.kindmesh().cancellation(cancel.clone());
    let (down, ()) = tokio::join!(km.down(&pool), gives_up(&bench, &cancel));
    assert_eq!(down.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(bench.only().await.warm, ["demo-w2", "demo-w3", "demo-w4"]);
    // And the same command goes on.
    bench.kindmesh().down(&pool).await.unwrap();
    assert_eq!((bench.containers(), bench.files()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn who_gives_up_removing_everything_marks_nothing_more() {
    let bench = Bench::new();
    bench.pool(4, 1..=4).await;
    bench.engine.fault(When::Every(Verb::RemoveContainer), Fault::Delay(SLOW));
    let cancel = CancellationToken::new();
    let km = bench.kindmesh().cancellation(cancel.clone());
    let (down, ()) = tokio::join!(km.down_all(), gives_up(&bench, &cancel));
    assert_eq!(down.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!((markers(&bench), bench.only().await.warm), (Vec::new(), texts(&["demo-w2", "demo-w3", "demo-w4"])));
}

/// What could not be removed the first time is removed the second, with all that belongs to the pool.
#[tokio::test]
async fn a_pool_that_was_given_up_half_is_given_up_wholly_by_the_next() {
    let bench = Bench::new();
    let pool = bench.pool(1, [1]).await;
    let second = bench.engine.count(Verb::RemoveContainer) + 2;
    bench.engine.fault(When::Verb(Verb::RemoveContainer, second), Fault::LoseAnswer);
    bench.kindmesh().down(&pool).await.unwrap_err();
    // The engine finished it meanwhile.
    for name in bench.containers() {
        bench.engine.remove_container(&name).await.unwrap();
    }
    assert!(bench.files().iter().any(|file| file.ends_with("fill.lock")), "{:?}", bench.files());
    let report = bench.kindmesh().down(&pool).await.unwrap();
    assert_eq!((report.pools, bench.files()), (texts(&["demo"]), Vec::new()));
    assert_eq!(bench.kindmesh().warm(&description(), 0).await.unwrap_err().kind(), ErrorKind::NotFound);
}
