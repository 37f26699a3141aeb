//! Clusters without add-ons, made and removed by both sides.

use std::process::Stdio;
use std::time::Instant;

use super::command::{Bench, spread};
use super::peer::{Kind, image};
use super::probe::{self, Moments};
use super::table::Table;

/// What one round of one side took.
struct Round {
    clusters: Vec<Moments>,
    removal: f64,
}

const FLEET: &str = "speed";

/// The figures: what kind takes beside, and what is aimed at.
pub fn measure(bench: &Bench, kind: Option<&Kind>, rounds: usize, wanted: &dyn Fn(&str) -> bool, table: &mut Table) {
    for (count, name) in [(1, "one cluster"), (2, "two clusters at once"), (4, "four clusters")] {
        if !wanted(name) {
            continue;
        }
        let (mut theirs, mut one_by_one, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            if let Some(kind) = kind {
                theirs.push(by_kind(kind, count, true));
                // It takes more than twice as long as all at once: one run shows which is better.
                if count == 4 && one_by_one.is_empty() {
                    one_by_one.push(by_kind(kind, count, false));
                }
            }
            ours.push(by_kindmesh(bench, count));
        }
        let all = |rounds: &[Round], of: fn(&Moments) -> f64| -> Vec<f64> {
            rounds.iter().map(|round| round.clusters.iter().map(of).fold(0.0, f64::max)).collect()
        };
        let removals = |rounds: &[Round]| -> Vec<f64> { rounds.iter().map(|round| round.removal).collect() };
        let usable = |moments: &Moments| moments.usable;
        match count {
            1 => {
                let api = |moments: &Moments| moments.api;
                table.add("one cluster: API answers", "kind", all(&theirs, api), all(&ours, api), 0.5);
                table.add("one cluster: usable", "kind", all(&theirs, usable), all(&ours, usable), 0.4);
                table.add("one cluster: deleted", "kind", removals(&theirs), removals(&ours), 0.5);
            }
            2 => table.add("two clusters at once: both usable", "kind, two in parallel", all(&theirs, usable), all(&ours, usable), 0.45),
            _ => {
                let (parallel, serial) = (all(&theirs, usable), all(&one_by_one, usable));
                let middle = |values: &[f64]| spread(values.iter().copied()).0;
                let (better, how) = match !serial.is_empty() && middle(&serial) < middle(&parallel) {
                    true => (serial, "kind, one after another"),
                    false => (parallel, "kind, four in parallel"),
                };
                table.add("four clusters: all usable", how, better, all(&ours, usable), 0.45);
                table.add("four clusters: deleted", "kind", removals(&theirs), removals(&ours), 0.3);
            }
        }
    }
}

fn by_kind(kind: &Kind, count: usize, at_once: bool) -> Round {
    let folder = tempfile::tempdir().expect("a folder");
    let names: Vec<String> = (1..=count).map(|index| format!("{FLEET}-kind{index}")).collect();
    let file = |name: &str| folder.path().join(name);
    let begun = Instant::now();
    let make = |name: &String| {
        let mut child = kind.create(name, &file(name));
        let moments = probe::follow(&file(name), &format!("kind-{name}"), begun);
        assert!(child.wait().expect("wait for kind").success(), "kind create cluster {name}");
        moments
    };
    let clusters = match at_once {
        true => std::thread::scope(|scope| {
            let threads: Vec<_> = names.iter().map(|name| scope.spawn(|| make(name))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a cluster")).collect()
        }),
        false => names.iter().map(make).collect(),
    };
    Round { clusters, removal: kind.delete(&names, &file("none")) }
}

fn by_kindmesh(bench: &Bench, count: usize) -> Round {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, kubeconfig) = (folder.path().join("fleet.yaml"), folder.path().join("config"));
    let text = format!(
        "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: {FLEET}\nclusterPrefix: {FLEET}\nclusters: {count}\naddons: {{metallb: false}}\n"
    );
    std::fs::write(&file, text).expect("write the fleet file");
    let command = |args: &[&str]| {
        let mut command = bench.command(args);
        command.env("KUBECONFIG", &kubeconfig).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let begun = Instant::now();
    let mut up = command(&["up", "-f", file.to_str().expect("a path"), "--image", &image()]).spawn().expect("run kindmesh");
    let clusters = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=count)
            .map(|index| {
                let (context, kubeconfig) = (format!("kind-{FLEET}{index}"), &kubeconfig);
                scope.spawn(move || probe::follow(kubeconfig, &context, begun))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a cluster")).collect()
    });
    assert!(up.wait().expect("wait for kindmesh").success(), "kindmesh up");
    let begun = Instant::now();
    assert!(command(&["down", "--fleet", FLEET]).status().expect("run kindmesh").success(), "kindmesh down");
    Round { clusters, removal: begun.elapsed().as_secs_f64() }
}
