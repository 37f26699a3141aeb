//! On a real engine: the program killed at every step, calls of the socket that go wrong, set-ups by the hundred.

use std::process::Command;
use std::time::Duration;

use kindmesh::domain::labels;
use kindmesh::engine::ContainerInfo;
use kindmesh::engine::connect::{ConnectOptions, connect};

use crate::calls::Fault;
use crate::proxy::Proxy;
use crate::real::{Moment, Real};
use crate::report;

const ONE_NODE: &str = "clusters: 1\naddons: {metallb: false}\n";
const MESH: &str = "clusters: 2\nmesh: {}\n";
/// Places in the installation of a mesh that are tried.
const MESH_POINTS: usize = 10;
/// Kills of a `down` after its beginning, in milliseconds.
const DOWN_AFTER: [u64; 6] = [0, 50, 100, 200, 400, 800];

#[test]
fn an_up_killed_at_any_step_is_finished_by_the_next() {
    let real = Real::new("kfup", ONE_NODE);
    let boundaries = real.killed(&["up", "-f", "kindmesh.yaml"], None);
    assert!(boundaries.len() >= 16, "fewer steps than there must be: {boundaries:?}");
    real.goes().unwrap();
    let all: Vec<usize> = (1..=boundaries.len()).collect();
    let sample = [boundaries.len() / 4, boundaries.len() * 2 / 3];
    let failures = kills(&real, if report::all() { &all } else { &sample });
    report::row("SIGKILL at a step of up", failures.0, &failures.1);
}

#[test]
fn a_down_killed_at_any_step_is_finished_by_the_next() {
    let real = Real::new("kfdown", ONE_NODE);
    let afters: &[u64] = if report::all() { &DOWN_AFTER } else { &DOWN_AFTER[2..3] };
    let (mut tried, mut failures) = (0, Vec::new());
    for after in afters {
        // What follows is a `down` once, and an `up` the other time.
        for again in [false, true].into_iter().take(if report::all() { 2 } else { 1 }) {
            let attempt = || {
                real.comes()?;
                let moment = Moment { boundary: 1, after: Duration::from_millis(*after) };
                real.killed(&["down", "--fleet", &real.name], Some(moment));
                if again {
                    real.comes()?;
                }
                real.goes()
            };
            tried += 1;
            failures.extend(attempt().err().map(|why: String| format!("killed {after} ms after its first step: {why}")));
        }
    }
    report::row("SIGKILL at a step of down", tried, &failures);
}

#[test]
#[ignore = "takes a quarter of an hour; `make faults` runs it"]
fn a_mesh_killed_at_any_step_is_finished_by_the_next() {
    let real = Real::new("kfmesh", MESH);
    let boundaries = real.killed(&["up", "-f", "kindmesh.yaml"], None);
    let first = boundaries.iter().position(|boundary| boundary == "finished start the scheduler").expect("a step that all clusters have");
    real.goes().unwrap();
    let points: Vec<usize> = (1..=MESH_POINTS).map(|point| first + (boundaries.len() - first) * point / (MESH_POINTS + 1)).collect();
    let failures = kills(&real, &points);
    report::row("SIGKILL in the installation of a mesh", failures.0, &failures.1);
}

/// Kills an `up` at each of these boundaries. How many were tried, and what failed.
fn kills(real: &Real, boundaries: &[usize]) -> (usize, Vec<String>) {
    let mut failures = Vec::new();
    for boundary in boundaries {
        let moment = Moment { boundary: *boundary, after: Duration::ZERO };
        let passed = real.killed(&["up", "-f", "kindmesh.yaml"], Some(moment));
        let place = passed.last().cloned().unwrap_or_default();
        println!("killed at boundary {boundary}: {place}");
        failures.extend(real.mends().err().map(|why| format!("killed at '{place}': {why}")));
    }
    (boundaries.len(), failures)
}

/// Calls of `up` that go wrong at a real engine's socket: kind, which of its kind, how.
const CALLS: [(&str, usize, Fault); 8] = [
    ("create container", 2, Fault::Lost),
    ("start exec", 4, Fault::Lost),
    ("create network", 1, Fault::Lost),
    ("start container", 2, Fault::Cut),
    ("inspect container", 3, Fault::Status(500)),
    ("logs", 2, Fault::Cut),
    ("remove container", 1, Fault::Lie),
    ("start exec", 6, Fault::Cut),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_real_engines_socket_that_fails_is_survived() {
    let mut real = tokio::task::block_in_place(|| Real::new("kfsock", ONE_NODE));
    let proxy = Proxy::start(&real.dir.path().join("proxy.sock"), &real.socket(), Duration::ZERO);
    real.host = Some(format!("unix://{}", proxy.socket.display()));
    let cases = if report::all() { &CALLS[..] } else { &CALLS[..2] };
    let mut failures = Vec::new();
    for (kind, nth, fault) in cases {
        proxy.order(kind, *nth, *fault);
        // The first may fail; what it says is the business of the tests beside this one.
        let (first, mended) = tokio::task::block_in_place(|| {
            let first = real.try_run(&["up", "-f", "kindmesh.yaml"]);
            proxy.relent();
            (first, real.mends())
        });
        println!("{fault} of call {nth} '{kind}': {}", first.err().unwrap_or_else(|| "survived at once".to_owned()).trim());
        failures.extend(mended.err().map(|why| format!("{fault} of call {nth} '{kind}': {why}")));
    }
    report::row("real engine's socket, up", cases.len(), &failures);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two clusters, one after the other restarted; `make faults` runs it"]
async fn containers_that_all_restart_elsewhere_are_a_fleet_again() {
    let real = tokio::task::block_in_place(|| Real::new("kfmoved", "clusters: 2\naddons: {sample: true}\n"));
    let engine = connect(&ConnectOptions::to_host(format!("unix://{}", real.socket().display()))).await.unwrap();
    let label = [format!("{}={}", labels::FLEET, real.name)];
    let attempt = async {
        tokio::task::block_in_place(|| real.comes())?;
        let mut nodes = engine.list_containers(&label).await.unwrap();
        let addresses = |nodes: &[ContainerInfo]| -> Vec<_> {
            nodes.iter().map(|node| (node.name.clone(), node.networks.values().find_map(|at| at.ipv4))).collect()
        };
        let before = addresses(&nodes);
        for node in &nodes {
            engine.stop_container(&node.id, 5).await.map_err(|error| error.to_string())?;
        }
        // The one that was first comes last: an engine hands out the lowest free address.
        nodes.reverse();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.networks.values().find_map(|at| at.ipv4)));
        for node in &nodes {
            engine.start_container(&node.id).await.map_err(|error| error.to_string())?;
        }
        if addresses(&engine.list_containers(&label).await.unwrap()) == before {
            return Err("no address has moved: this tests nothing".to_owned());
        }
        tokio::task::block_in_place(|| real.mends())
    };
    let failures: Vec<String> = attempt.await.err().into_iter().collect();
    report::row("all containers restarted, addresses moved", 1, &failures);
}

#[test]
#[ignore = "restarts the engine, under whatever else it runs; `make faults` runs it"]
fn an_engine_that_restarts_is_survived() {
    let script = |arguments: &[&str]| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/engine");
        let output = Command::new(path).args(arguments).output().unwrap();
        assert!(output.status.success(), "scripts/engine {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let owner = script(&["owner"]);
    let engine = owner.split('-').next().unwrap_or_default().to_owned();
    assert!(["20", "28"].contains(&engine.as_str()), "only an engine that was started here can be restarted, and this one is '{owner}'");
    let real = Real::new("kfrestart", ONE_NODE);
    let mut failures = Vec::new();
    let mut attempt = |what: &str, before: &dyn Fn()| {
        before();
        script(&["start", &engine]);
        failures.extend(real.mends().err().map(|why| format!("{what}: {why}")));
    };
    attempt("under a fleet that is up", &|| {
        real.comes().unwrap();
        script(&["stop"]);
    });
    for boundary in [7, 14] {
        attempt(&format!("at boundary {boundary} of up"), &|| {
            // Whatever it says: it cannot go on without an engine.
            let stopped = |passed: usize| {
                if passed == boundary {
                    script(&["stop"]);
                }
            };
            real.watched(&["up", "-f", "kindmesh.yaml"], stopped);
        });
    }
    report::row("engine restarted in the middle", 3, &failures);
}
