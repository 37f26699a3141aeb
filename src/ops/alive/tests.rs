use std::sync::Arc;

use super::super::context::Kindmesh;
use super::*;
use crate::domain::container::ContainerSpec;
use crate::engine::EngineErrorKind;
use crate::engine::fake::{FakeEngine, Fault, Verb, When};

const WORK: Duration = Duration::from_secs(600);

/// An engine with a node that runs.
async fn engine() -> FakeEngine {
    let engine = FakeEngine::new();
    engine.add_image("node", &[]);
    for name in ["a", "b"] {
        engine.create_container(name, &ContainerSpec { image: "node".to_owned(), ..Default::default() }).await.unwrap();
        engine.start_container(name).await.unwrap();
    }
    engine
}

fn broken() -> Fault {
    Fault::Fail(EngineErrorKind::Interrupted, "the connection broke".to_owned())
}

/// Work that takes ten minutes, and `then` beside it.
async fn beside(engine: &FakeEngine, then: impl Future<Output = ()>) -> (Result<&'static str>, Duration) {
    let begun = tokio::time::Instant::now();
    let work = async {
        tokio::time::sleep(WORK).await;
        Ok("done")
    };
    let scope = Kindmesh::new(Arc::new(FakeEngine::new())).cluster_scope("c");
    let (done, ()) = tokio::join!(while_they_run(engine, &["a", "b"], &scope, work), then);
    (done, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_runs_lets_work_be_done() {
    let engine = engine().await;
    let (done, took) = beside(&engine, async {}).await;
    assert_eq!((done.unwrap(), took), ("done", WORK));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_ends_ends_the_work() {
    let engine = engine().await;
    let (done, took) = beside(&engine, async { engine.end_container("b", 137) }).await;
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cluster);
    assert_eq!(error.to_string(), "node b ended with exit code 137 while it was worked on");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_removed_ends_the_work() {
    let engine = engine().await;
    let (done, _) = beside(&engine, async { engine.remove_container("a").await.unwrap() }).await;
    assert_eq!(done.unwrap_err().to_string(), "node a was removed while it was worked on");
}

/// Refused or broken off for a while, and paused: none of that is a node's end.
#[tokio::test(start_paused = true)]
async fn what_heals_ends_nothing() {
    let engine = engine().await;
    engine.fault(When::Every(Verb::WaitContainer), broken());
    // Of each node's first four looks the third alone is answered.
    for look in [1, 2, 3, 4, 7, 8] {
        engine.fault(When::Verb(Verb::InspectContainer, look), broken());
    }
    let (done, took) = beside(&engine, async {
        engine.pause_container("a").await.unwrap();
        tokio::time::sleep(WORK / 2).await;
        engine.unpause_container("a").await.unwrap();
    })
    .await;
    assert_eq!((done.unwrap(), took), ("done", WORK));
    assert!(engine.count(Verb::InspectContainer) > 100);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_gone_ends_the_work() {
    let engine = engine().await;
    engine.fault(When::Every(Verb::WaitContainer), broken());
    engine.fault(When::Every(Verb::InspectContainer), broken());
    let (done, took) = beside(&engine, async {}).await;
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert!(error.to_string().starts_with("the engine has gone while node "), "{error}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_falls_silent_ends_the_work() {
    let engine = engine().await;
    engine.fault(When::Every(Verb::InspectContainer), Fault::Delay(WORK));
    let (done, took) = beside(&engine, async {}).await;
    let error = done.unwrap_err();
    assert!(error.one_line().contains("no answer within 20 s"), "{}", error.one_line());
    assert!(took < Duration::from_secs(120), "{took:?}");
}

#[tokio::test]
async fn what_has_become_of_a_node() {
    let mut info = engine().await.inspect_container("a").await.unwrap();
    info.started = Some(7);
    assert_eq!((over(&info, None), over(&info, Some(7))), (None, None));
    assert_eq!(over(&info, Some(6)).as_deref(), Some("was started anew"));
    info.state = ContainerState::Restarting;
    assert_eq!(over(&info, Some(7)).as_deref(), Some("crashed"));
    (info.state, info.exit_code) = (ContainerState::Exited, Some(137));
    assert_eq!(over(&info, Some(7)).as_deref(), Some("ended with exit code 137"));
}
