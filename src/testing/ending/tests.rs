use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::engine::EngineErrorKind;
use crate::engine::fake::{Fault, Verb, When};
use crate::testing::support::{containers, engine, node, of, source};

fn name() -> FleetName {
    "mine".parse().unwrap()
}

#[tokio::test]
async fn a_drop_removes_the_fleet_and_no_other() {
    let engine = engine();
    node(&engine, "mine", &of("me")).await;
    node(&engine, "other", &of("me")).await;
    drop(Ending::remove(source(&engine), name(), None));
    assert_eq!(containers(&engine), ["other-control-plane"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_a_panic() {
    let engine = engine();
    node(&engine, "mine", &of("me")).await;
    let ending = Ending::remove(source(&engine), name(), None);
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _ending = ending;
        panic!("a test that fails");
    }));
    assert!(panicked.is_err() && containers(&engine).is_empty());
}

#[tokio::test]
async fn what_is_kept_stays() {
    let engine = engine();
    node(&engine, "mine", &of("me")).await;
    let ending = Ending::keep(source(&engine), name());
    assert!(ending.keeps());
    drop(ending);
    assert_eq!(containers(&engine), ["mine-control-plane"]);
}

#[tokio::test]
async fn what_fails_now_is_told_and_tried_again_by_the_drop() {
    let engine = engine();
    node(&engine, "mine", &of("me")).await;
    engine.fault(When::Verb(Verb::RemoveContainer, 1), Fault::Fail(EngineErrorKind::Failed, "no".to_owned()));
    let error = Ending::remove(source(&engine), name(), None).now().await.unwrap_err();
    assert!(error.to_string().contains("mine-control-plane"), "{error}");
    assert_eq!(containers(&engine), Vec::<String>::new(), "the drop did it");
}
