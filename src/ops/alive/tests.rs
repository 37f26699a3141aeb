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
    let (done, ()) = tokio::join!(while_they_run(engine, &["a", "b"], work), then);
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

/// Paused, and refused or broken off for a while: none of that is a node's end.
#[tokio::test(start_paused = true)]
async fn what_heals_ends_nothing() {
    let engine = engine().await;
    engine.fault(When::Verb(Verb::WaitContainer, 1), broken());
    engine.fault(When::Verb(Verb::InspectContainer, 1), broken());
    let (done, took) = beside(&engine, async {
        engine.pause_container("a").await.unwrap();
        engine.unpause_container("a").await.unwrap();
    })
    .await;
    assert_eq!((done.unwrap(), took), ("done", WORK));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_gone_ends_the_work() {
    let engine = engine().await;
    engine.fault(When::Every(Verb::WaitContainer), broken());
    engine.fault(When::Every(Verb::InspectContainer), broken());
    let (done, took) = beside(&engine, async {}).await;
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert!(error.to_string().starts_with("the engine of node "), "{error}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}
