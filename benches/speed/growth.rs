//! How `up` grows with the number of clusters.

use super::command::Bench;
use super::engine;
use super::peer::image;

/// One size of a fleet.
pub struct Size {
    /// Clusters.
    pub clusters: usize,
    /// Seconds of `up`.
    pub wall: f64,
    /// CPU seconds of all nodes then.
    pub cpu: f64,
    /// MiB of all nodes then.
    pub memory: f64,
    /// CPU seconds of kindmesh itself.
    pub own_cpu: f64,
    /// Its peak in MiB.
    pub own_memory: f64,
}

/// Once each: one, two, four, eight.
pub fn measure(bench: &Bench) -> Vec<Size> {
    [1, 2, 4, 8].map(|clusters| once(bench, clusters)).into()
}

fn once(bench: &Bench, clusters: usize) -> Size {
    let (fleet, count) = (format!("grow{clusters}"), clusters.to_string());
    let (run, report) = bench.run(&["up", "--fleet", &fleet, "--clusters", &count, "--image", &image()]);
    let nodes: Vec<&str> =
        report["clusters"].as_array().expect("clusters").iter().filter_map(|cluster| cluster["nodes"][0].as_str()).collect();
    let usages: Vec<_> = nodes.iter().map(|node| engine::usage(node)).collect();
    bench.run(&["down", "--fleet", &fleet]);
    let size = Size {
        clusters,
        wall: run.wall,
        cpu: usages.iter().map(|usage| usage.cpu).sum(),
        memory: usages.iter().map(|usage| usage.memory).sum(),
        own_cpu: run.cpu,
        own_memory: run.peak_mib,
    };
    eprintln!("{}", line(&size));
    size
}

/// As a table.
pub fn markdown(sizes: &[Size]) -> String {
    let rows: Vec<String> = sizes.iter().map(line).collect();
    format!(
        "| clusters | up | nodes' CPU | nodes' memory | kindmesh's CPU | kindmesh's peak |\n|---|---|---|---|---|---|\n{}",
        rows.join("\n")
    )
}

fn line(size: &Size) -> String {
    format!(
        "| {} | {:.1} s | {:.0} s | {:.0} MiB | {:.2} s | {:.0} MiB |",
        size.clusters, size.wall, size.cpu, size.memory, size.own_cpu, size.own_memory
    )
}
