//! A test process that is killed leaves nothing, without another one that comes after it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kindmesh::domain::labels;
use kindmesh::engine::Engine;
use kindmesh::testing::{TestFleet, wait_for};

use crate::support::{engine, left_of, turn};

/// Set for the process that is killed: the beginning of its fleet's name.
const CHILD: &str = "KINDMESH_TEST_CHILD";
/// What it prints on a line of its own once its cluster is there and has been used.
const UP: &str = "up";
/// From the end of a process to nothing left of it: seconds for the connection to come back, for the removal,
/// and for looking again; the rest is for machines that are busy.
pub const REAPERS_TIME: Duration = Duration::from_secs(45);

/// Started by the others in a process of its own; alone it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(name) = std::env::var(CHILD) else { return };
    let fleet = TestFleet::builder().name(name).start().await.unwrap();
    fleet.cluster("cluster1").apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: up}\n").await.unwrap();
    println!("{UP}");
    std::future::pending::<()>().await;
}

fn start(name: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["killed::child", "--exact", "--nocapture"]).env(CHILD, name).env_remove("KINDMESH_KEEP");
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether a child has printed that its fleet is up. Read to its end: a child must never wait for its reader.
fn says_up(stdout: ChildStdout) -> Arc<AtomicBool> {
    let said = Arc::new(AtomicBool::new(false));
    let heard = said.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The harness may have begun the line.
            if line.split(' ').next_back() == Some(UP) {
                heard.store(true, Ordering::SeqCst);
            }
        }
    });
    said
}

/// Kills a child when `ready`, told whether it says that its fleet is up, finds what it looks for. Returns how long it
/// took until all was gone.
async fn kill_when<F: Future<Output = Result<(), String>>>(name: &str, mut ready: impl FnMut(bool) -> F) -> Duration {
    let engine = engine().await;
    let mut child = start(name);
    let up = says_up(child.stdout.take().unwrap());
    let found = wait_for("the moment to kill", Duration::from_secs(120), || ready(up.load(Ordering::SeqCst))).await;
    child.kill().unwrap();
    child.wait().unwrap();
    found.unwrap();
    let begun = Instant::now();
    let owner = format!("p{}-", child.id());
    wait_for("everything of a killed test to be gone", REAPERS_TIME, || async {
        let mut left = left_of(engine.as_ref(), &format!("{name}-")).await;
        left.extend(left_of(engine.as_ref(), &owner).await);
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    })
    .await
    .unwrap();
    begun.elapsed()
}

async fn nodes(engine: &dyn Engine, name: &str) -> usize {
    let nodes = engine.list_containers(&[labels::ROLE.to_owned()]).await.unwrap();
    nodes.iter().filter(|one| one.labels.get(labels::FLEET).is_some_and(|fleet| fleet.starts_with(name))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_test_leaves_nothing_after_the_reapers_time() {
    let _turn = turn().await;
    let engine = engine().await;
    // While the fleet is made: with the first network, and with the first node.
    for (name, of_nodes) in [("killnet", false), ("killnode", true)] {
        let took = kill_when(name, |_| async {
            let there = if of_nodes {
                nodes(engine.as_ref(), name).await > 0
            } else {
                !left_of(engine.as_ref(), &format!("{name}-")).await.is_empty()
            };
            if there { Ok(()) } else { Err("nothing is there yet".to_owned()) }
        })
        .await;
        println!("{name}: all gone after {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_killed_with_a_fleet_that_works_leaves_nothing() {
    let _turn = turn().await;
    let took = kill_when("killup", |up| async move { if up { Ok(()) } else { Err("it has not said that it is up".to_owned()) } }).await;
    println!("killup: all gone after {took:?}");
}
