//! The program interrupted in the middle: once it ends by itself, twice it ends at once, and each time it tells what
//! is left and the next one goes on from there.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bench::{Bench, IMAGE};
use crate::calls::Fault;

/// The exit code of a command that was stopped by a signal.
const CANCELLED: i32 = 130;
/// Running steps have five seconds to end, and the engine three to say what is left.
const PATIENCE: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::from_secs(4);

/// How a program ended that was interrupted.
struct Interrupted {
    code: Option<i32>,
    /// Its error, as it was told to programs.
    error: Value,
    /// Time since the last signal.
    took: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_that_is_interrupted_once_ends_its_steps() {
    let bench = Arc::new(written("once"));
    let ended = interrupted(&bench, 1).await;
    assert_eq!(ended.code, Some(CANCELLED), "{}", ended.error);
    assert_eq!(ended.error["kind"], "cancelled");
    assert!(ended.took < PATIENCE, "it took {:?}", ended.took);
    let left = left(&ended.error);
    assert!(left.iter().any(|one| one.starts_with("left: container once1-control-plane")), "{left:?}");
    assert!(left.iter().any(|one| one.starts_with("left: network ")), "{left:?}");
    assert!(!left.iter().any(|one| one.contains("lock")), "it had time to give back its lock: {left:?}");
    goes_on(&bench, "once").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_that_is_interrupted_twice_ends_at_once() {
    let bench = Arc::new(written("twice"));
    let ended = interrupted(&bench, 2).await;
    assert_eq!(ended.code, Some(CANCELLED), "{}", ended.error);
    assert_eq!(ended.error["message"], "stopped at once by interrupt");
    assert!(ended.took < AT_ONCE, "it took {:?}", ended.took);
    let left = left(&ended.error);
    // Its lock goes with the work that was dropped, in the background.
    for what in ["container twice1-control-plane", "network "] {
        assert!(left.iter().any(|one| one.starts_with(&format!("left: {what}"))), "no {what} among {left:?}");
    }
    goes_on(&bench, "twice").await;
}

/// A bench with a fleet file. The start of the node is late: there is time to interrupt.
fn written(name: &str) -> Bench {
    let bench = Bench::new(name);
    let text = format!(
        "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: {name}\nclusterPrefix: {name}\nclusters: 1\nimage: {IMAGE}\n\
         addons: {{metallb: false}}\ntimeouts: {{nodeBoot: 20s, clusterReady: 20s}}\n"
    );
    std::fs::write(bench.dir.path().join("kindmesh.yaml"), text).unwrap();
    bench.proxy.order("start container", 2, Fault::Late);
    bench
}

/// Runs `up` and interrupts it so often: first when its nodes' start is under way, then as soon as it has heard of it.
async fn interrupted(bench: &Arc<Bench>, times: usize) -> Interrupted {
    let bench = bench.clone();
    tokio::task::spawn_blocking(move || {
        let mut child = command(&bench, &["up", "-f", "kindmesh.yaml", "-o", "json"]).stderr(Stdio::piped()).spawn().unwrap();
        let (mut sent, mut error, mut last) = (0, Value::Null, Instant::now());
        for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
            let is_due = match sent {
                0 => event["event"] == "started" && event["step"] == "start nodes" && under_way(&bench),
                _ => event["message"].as_str().is_some_and(|message| message.starts_with("interrupt: ")),
            };
            if is_due && sent < times {
                kill_process(Pid::from_child(&child), Signal::INT).unwrap();
                (sent, last) = (sent + 1, Instant::now());
            }
            if !event["error"]["kind"].is_null() {
                error = event["error"].clone();
            }
        }
        let code = child.wait().unwrap().code();
        assert_eq!(sent, times, "it ended before: {error}");
        Interrupted { code, error, took: last.elapsed() }
    })
    .await
    .unwrap()
}

/// Waits until the call that is late has come.
fn under_way(bench: &Bench) -> bool {
    let begun = Instant::now();
    while !bench.proxy.busy() {
        assert!(begun.elapsed() < PATIENCE, "the node is not started");
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// What an error says is left.
fn left(error: &Value) -> Vec<String> {
    let causes = error["causes"].as_array().cloned().unwrap_or_default();
    causes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Another `up` completes, and `down` leaves nothing.
async fn goes_on(bench: &Arc<Bench>, name: &str) {
    bench.quiet().await;
    assert!(bench.proxy.relent(), "the start of the node was not late");
    for arguments in [&["up", "-f", "kindmesh.yaml"][..], &["status", "--fleet", name], &["down", "--fleet", name]] {
        let mut command = command(bench, arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(bench.left(), Vec::<String>::new());
}

/// The program, sealed off from the user's home and environment.
fn command(bench: &Bench, arguments: &[&str]) -> Command {
    let dir = bench.dir.path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kindmesh"));
    command.args(arguments).env_clear().env("HOME", dir).env("KUBECONFIG", dir.join("kubeconfig")).current_dir(dir);
    command.env("DOCKER_HOST", format!("unix://{}", bench.proxy.socket.display())).stdin(Stdio::null()).stdout(Stdio::null());
    command
}
