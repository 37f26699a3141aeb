//! Fleets made beforehand: handed out once each, and none is left when the process has ended.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kindmesh::testing::{TestFleet, TestFleetBuilder, TestPool, wait_for};

use crate::killed::REAPERS_TIME;
use crate::support::{engine, left_of, turn};

/// Set for the process that has the pool.
const CHILD: &str = "KINDMESH_TEST_POOL";

static POOL: TestPool = TestPool::new(1, describe);

fn describe() -> TestFleetBuilder {
    TestFleet::builder().name("pooled")
}

/// Started by the other in a process of its own; alone it does nothing.
#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let begun = Instant::now();
    let first = POOL.lease().await.unwrap();
    let made = begun.elapsed();
    first.verify().await.unwrap();
    // The next is made meanwhile.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let begun = Instant::now();
    let second = POOL.lease().await.unwrap();
    // Where several tests share two processors everything takes longer, a fleet that is made most of all.
    let quick = (made / 2).max(Duration::from_secs(8));
    assert!(begun.elapsed() < quick, "made beforehand: {:?}, where making one took {made:?}", begun.elapsed());
    second.verify().await.unwrap();
    assert_ne!(first.name(), second.name());
    // A third is being made when the process ends.
}

#[tokio::test(flavor = "multi_thread")]
async fn pooled_fleets_are_there_at_once_and_none_is_left() {
    let _turn = turn().await;
    let engine = engine().await;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["pool::child", "--exact", "--nocapture"]).env(CHILD, "1").env_remove("KINDMESH_KEEP").stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let ended = tokio::task::spawn_blocking(move || (child.id(), child.wait().unwrap())).await.unwrap();
    wait_for("everything of the pool to be gone", REAPERS_TIME, || async {
        let mut left = left_of(engine.as_ref(), "pooled-").await;
        left.extend(left_of(engine.as_ref(), &format!("p{}-", ended.0)).await);
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    })
    .await
    .unwrap();
    assert!(ended.1.success(), "{}", ended.1);
}
