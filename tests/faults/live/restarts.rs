//! Machines and engines that start anew under a fleet, and under one that is being made.

use std::cell::Cell;
use std::process::Command;
use std::time::{Duration, Instant};

use kindmesh::domain::labels;
use kindmesh::engine::ContainerInfo;
use kindmesh::engine::connect::{ConnectOptions, connect};

use super::{MESH, ONE_NODE, UP};
use crate::real::Real;

/// After an engine has gone, an `up` is to have said so.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a mesh of two clusters, all of it restarted; `make faults` runs it"]
async fn containers_that_all_restart_elsewhere_are_a_fleet_again() {
    let real = tokio::task::block_in_place(|| Real::new("kfmoved", MESH));
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
        tokio::task::block_in_place(|| {
            real.comes()?;
            real.verifies()?;
            real.goes()
        })
    };
    let failures: Vec<String> = attempt.await.err().into_iter().collect();
    tokio::task::block_in_place(|| real.row("all containers restarted, addresses moved", 1, &failures));
}

#[test]
#[ignore = "restarts the engine, under whatever else it runs; `make faults` runs it"]
fn an_engine_that_restarts_is_survived() {
    let mut restarts = Restarts::of("kfrestart", ONE_NODE);
    restarts.under_a_fleet();
    for count in [7, 14] {
        restarts.at(&format!("boundary {count}"), |passed| passed.len() == count);
    }
    restarts.tell("engine restarted in the middle");
}

#[test]
#[ignore = "restarts the engine, under whatever else it runs; `make faults` runs it"]
fn an_engine_that_restarts_under_a_mesh_is_survived() {
    let mut restarts = Restarts::of("kfremesh", MESH);
    restarts.under_a_fleet();
    // Of a step that clusters have each for themselves the first counts.
    for step in ["started start gateways", "started join clusters", "started call the sample"] {
        let reached = |passed: &[String]| passed.iter().position(|one| one == step) == Some(passed.len() - 1);
        restarts.at(&format!("'{step}'"), reached);
    }
    restarts.tell("engine restarted in the installation of a mesh");
}

/// One fleet after the other, under each of which the engine is stopped once and started again.
struct Restarts {
    real: Real,
    engine: String,
    tried: usize,
    failures: Vec<String>,
}

impl Restarts {
    fn of(fleet: &str, body: &str) -> Self {
        let engine = own_engine();
        Self { real: Real::new(fleet, body), engine, tried: 0, failures: Vec::new() }
    }

    fn under_a_fleet(&mut self) {
        self.real.comes().unwrap();
        script(&["stop"]);
        self.mends("under a fleet that is up", true);
    }

    /// Stops the engine when an `up` comes to such a place. It cannot go on then, and must not wait as if it could.
    fn at(&mut self, place: &str, reached: impl Fn(&[String]) -> bool) {
        let what = format!("at {place} of up");
        let stopped = Cell::new(None);
        let error = self.real.watched(&UP, |passed| {
            if reached(passed) {
                script(&["stop"]);
                stopped.set(Some(Instant::now()));
            }
        });
        let after = stopped.get().map(|stopped| stopped.elapsed());
        println!("{what}: it said {}", error.as_deref().unwrap_or("nothing"));
        self.failures.extend(after.filter(|after| *after > SOON).map(|after| format!("{what}: it went on for {} s", after.as_secs())));
        // A node that has gone with its engine, or the engine itself; and not that something was waited for in vain.
        if !error.as_deref().is_some_and(|error| error.contains(r#""kind":"engine""#) || error.contains(" ended")) {
            self.failures.push(format!("{what}: it said {error:?}"));
        }
        self.mends(&what, after.is_some());
    }

    /// Starts the engine again; an `up`, which proves a mesh that there is, must mend what was left.
    fn mends(&mut self, what: &str, stopped: bool) {
        println!("{what}: {}", if stopped { "the engine was stopped" } else { "it did not come to that" });
        self.tried += usize::from(stopped);
        script(&["start", &self.engine]);
        let reached = if stopped { Ok(()) } else { Err("it did not come to that".to_owned()) };
        let mended = self.real.mends();
        self.failures.extend(reached.and(mended).err().map(|why| format!("{what}: {why}")));
    }

    #[track_caller]
    fn tell(&self, kind: &str) {
        self.real.row(kind, self.tried, &self.failures);
    }
}

/// Which engine was started here: others belong to somebody else.
pub(super) fn own_engine() -> String {
    let owner = script(&["owner"]);
    let engine = owner.split('-').next().unwrap_or_default().to_owned();
    assert!(["20", "28"].contains(&engine.as_str()), "only an engine that was started here may be used so, and this one is '{owner}'");
    engine
}

/// Runs what starts and stops engines here; what it printed.
fn script(arguments: &[&str]) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/engine");
    let output = Command::new(path).args(arguments).output().unwrap();
    assert!(output.status.success(), "scripts/engine {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
