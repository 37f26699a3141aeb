//! Whole fleets, timed: one cluster and two, from `up` to usable and gone again, with the share of
//! every step and kindmesh's own cost; `kindmesh --help`; a node image build with nothing changed.
//!
//! ```text
//! cargo bench --bench fleet
//! ```
//!
//! Needs an engine and the node image, and some minutes. Usable means: every node Ready, every system
//! pod running, and the sample answering on its LoadBalancer address, which takes DNS, kube-proxy,
//! MetalLB and a pod of its own.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program for people that ends at the first surprise")]

use std::process::Stdio;
use std::time::Instant;

#[path = "support/command.rs"]
mod command;

use command::{Bench, Run, spread, steps};

const ROUNDS: usize = 3;

fn main() {
    let bench = Bench::new();
    help(&bench);
    image(&bench);
    for clusters in [1, 2] {
        fleet(&bench, clusters);
    }
}

fn help(bench: &Bench) {
    let (middle, _, most) = spread((0..20).map(|_| {
        let begun = Instant::now();
        assert!(bench.command(&["--help"]).stdout(Stdio::null()).status().expect("run kindmesh").success());
        begun.elapsed().as_secs_f64() * 1e3
    }));
    println!("kindmesh --help: median {middle:.1} ms, slowest of 20 {most:.1} ms");
}

fn image(bench: &Bench) {
    let (run, _) = bench.run(&["build", "node-image"]);
    println!("build node-image, nothing changed: {:.1} s", run.wall);
}

fn fleet(bench: &Bench, clusters: usize) {
    let count = clusters.to_string();
    let name = format!("bench{clusters}");
    let up = ["up", "--fleet", &name, "--clusters", &count, "--sample"];
    let (mut ups, mut downs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ups.push(bench.run(&up).0);
        downs.push(bench.run(&["down", "--fleet", &name]).0);
    }
    let of = |runs: &[Run], figure: fn(&Run) -> f64| spread(runs.iter().map(figure));
    let (wall, least, most) = of(&ups, |run| run.wall);
    println!(
        "\n{clusters} cluster(s): usable in {wall:.1} s ({least:.1} to {most:.1} of {ROUNDS}), removed in {:.1} s",
        of(&downs, |run| run.wall).0
    );
    println!("  kindmesh itself: {:.2} s CPU, {:.0} MiB peak", of(&ups, |run| run.cpu).0, of(&ups, |run| run.peak_mib).2);
    for (name, step) in steps(&ups).into_iter().filter(|(_, step)| step.longest >= 0.05) {
        println!("  {:>6.1} s  {name}, over at {:.1} s", step.longest, step.over);
    }
}
