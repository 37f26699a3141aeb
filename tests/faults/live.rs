//! On a real engine: the program killed at every step, calls of the socket that go wrong, set-ups by the hundred.

use std::time::Duration;

use crate::calls::Fault;
use crate::proxy::Proxy;
use crate::real::{Moment, Real};
use crate::{report, socket};

mod all;
mod restarts;

const ONE_NODE: &str = "clusters: 1\naddons: {metallb: false}\n";
const MESH: &str = "clusters: 2\nmesh: {}\n";
/// Places in the installation of a mesh that are tried.
const MESH_POINTS: usize = 10;
/// Moments in the first step of a `down`, in milliseconds: containers go all at once, in about a second.
const IN_DOWN: [u64; 5] = [50, 100, 200, 400, 800];
const UP: [&str; 3] = ["up", "-f", "kindmesh.yaml"];

#[test]
fn an_up_killed_at_any_step_is_finished_by_the_next() {
    let real = Real::new("kfup", ONE_NODE);
    let boundaries = real.boundaries(&UP);
    assert!(boundaries.len() >= 16, "fewer steps than there must be: {boundaries:?}");
    real.goes().unwrap();
    let all: Vec<usize> = (1..=boundaries.len()).collect();
    let sample = [boundaries.len() / 4, boundaries.len() * 2 / 3];
    let (tried, failures) = kills(&real, if report::all() { &all } else { &sample });
    real.row("SIGKILL at a step of up", tried, &failures);
}

#[test]
fn a_down_killed_at_any_step_is_finished_by_the_next() {
    let real = Real::new("kfdown", ONE_NODE);
    real.comes().unwrap();
    let down = ["down", "--fleet", real.name.as_str()];
    let boundaries = real.boundaries(&down).len();
    assert!(boundaries >= 2, "it has no steps");
    let at_steps = (1..=boundaries).map(|boundary| Moment { boundary, after: Duration::ZERO });
    let moments: Vec<Moment> = at_steps.chain(IN_DOWN.map(|after| Moment { boundary: 1, after: Duration::from_millis(after) })).collect();
    let (mut tried, mut failures) = (0, Vec::new());
    for moment in if report::all() { &moments[..] } else { &moments[..1] } {
        // What follows is a `down` once, and an `up` the other time.
        for again in [false, true] {
            let mut killed = None;
            let mut attempt = || {
                real.comes()?;
                killed = real.killed(&down, *moment);
                if again {
                    real.comes()?;
                }
                real.goes()
            };
            let done = attempt();
            println!("down, killed {} ms after boundary {}: {killed:?}", moment.after.as_millis(), moment.boundary);
            tried += usize::from(killed.is_some());
            failures
                .extend(done.err().map(|why| format!("killed {} ms after boundary {}: {why}", moment.after.as_millis(), moment.boundary)));
        }
    }
    real.row("SIGKILL at a step of down", tried, &failures);
}

#[test]
#[ignore = "takes a quarter of an hour; `make faults` runs it"]
fn a_mesh_killed_at_any_step_is_finished_by_the_next() {
    let real = Real::new("kfmesh", MESH);
    let boundaries = real.boundaries(&UP);
    let first = boundaries.iter().position(|boundary| boundary == "finished start the scheduler").expect("a step that all clusters have");
    real.goes().unwrap();
    let points: Vec<usize> = (1..=MESH_POINTS).map(|point| first + (boundaries.len() - first) * point / (MESH_POINTS + 1)).collect();
    let (tried, failures) = kills(&real, &points);
    real.row("SIGKILL in the installation of a mesh", tried, &failures);
}

/// Kills an `up` at each of these boundaries. How many were killed, and what failed.
fn kills(real: &Real, boundaries: &[usize]) -> (usize, Vec<String>) {
    let (mut tried, mut failures) = (0, Vec::new());
    for boundary in boundaries {
        let killed = real.killed(&UP, Moment { boundary: *boundary, after: Duration::ZERO });
        println!("killed at boundary {boundary}: {}", killed.as_deref().unwrap_or("it had ended before"));
        tried += usize::from(killed.is_some());
        failures.extend(real.mends().err().map(|why| format!("killed at boundary {boundary}, '{killed:?}': {why}")));
    }
    (tried, failures)
}

/// Calls of `up` that go wrong at a real engine's socket: kind, which of its kind, how. Each `up` tries its privileges
/// with a container that starts and ends: of what is done with containers the first is of that one, the second of the node.
const CALLS: [(&str, usize, Fault); 11] = [
    ("create container", 2, Fault::Lost),
    ("start exec", 4, Fault::Lost),
    ("create network", 1, Fault::Lost),
    ("start container", 2, Fault::Cut),
    ("inspect container", 3, Fault::Status(500)),
    ("logs", 2, Fault::Cut),
    ("remove container", 1, Fault::Lie),
    ("start exec", 6, Fault::Cut),
    ("create exec", 1, Fault::Status(404)),
    ("create network", 1, Fault::Status(409)),
    ("start container", 2, Fault::Late),
];
/// After the program's own deadline for a call.
const LATE: Duration = Duration::from_secs(61);

#[tokio::test(flavor = "multi_thread")]
async fn a_real_engines_socket_that_fails_is_survived() {
    let mut real = tokio::task::block_in_place(|| Real::new("kfsock", ONE_NODE));
    let proxy = Proxy::start(&real.dir.path().join("proxy.sock"), &real.socket(), LATE);
    real.host = Some(format!("unix://{}", proxy.socket.display()));
    let cases = if report::all() { &CALLS[..] } else { &CALLS[..2] };
    let mut failures = Vec::new();
    for (kind, nth, fault) in cases {
        let what = format!("{fault} of call {nth} '{kind}'");
        real.forgets();
        proxy.order(kind, *nth, *fault);
        let (first, struck) = tokio::task::block_in_place(|| (real.failure(&UP), proxy.relent()));
        println!("{what}: {}", first.as_deref().unwrap_or(if struck { "survived at once" } else { "there was no such call" }));
        let told = match &first {
            _ if !struck => Err("there was no such call".to_owned()),
            Some(error) => socket::told(error, &real.name, *fault),
            None => Ok(()),
        };
        // What is late is done now.
        while proxy.busy() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mended = tokio::task::block_in_place(|| real.mends());
        failures.extend(told.and(mended).err().map(|why| format!("{what}: {why}")));
    }
    tokio::task::block_in_place(|| real.row("real engine's socket, up", cases.len(), &failures));
}
