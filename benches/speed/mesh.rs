//! From nothing to a verified mesh of two, by both sides.

use super::command::Bench;
use super::engine;
use super::hand;
use super::peer::image;
use super::table::Table;

/// The figure that the times of fleets at rest are set beside.
pub const FIGURE: &str = "from nothing to a verified mesh of two";

const FLEET: &str = "speedmesh";

/// The figures: time and the nodes' CPU seconds.
pub fn measure(bench: &Bench, compared: bool, rounds: usize, wanted: &dyn Fn(&str) -> bool, table: &mut Table) {
    if !wanted(FIGURE) {
        return;
    }
    let (mut theirs, mut their_cpu, mut ours, mut our_cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        if compared {
            let run = hand::run(&[]);
            theirs.push(run.verified);
            their_cpu.push(run.node_cpu());
        }
        let (wall, cpu) = once(bench);
        ours.push(wall);
        our_cpu.push(cpu);
    }
    let peer = "a script with kind, kubectl, helm";
    table.add(FIGURE, peer, theirs, ours, 0.5);
    table.add("CPU seconds of a mesh's nodes until verified, per cluster", peer, their_cpu, our_cpu, 0.55);
}

fn once(bench: &Bench) -> (f64, f64) {
    let (run, report) = bench.run(&["up", "--mesh", "--fleet", FLEET, "--clusters", "2", "--image", &image()]);
    let nodes: Vec<&str> =
        report["clusters"].as_array().expect("clusters").iter().filter_map(|cluster| cluster["nodes"][0].as_str()).collect();
    let cpu = nodes.iter().map(|node| engine::usage(node).cpu).sum::<f64>() / nodes.len() as f64;
    bench.run(&["down", "--fleet", FLEET]);
    (run.wall, cpu)
}
