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

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

const ROUNDS: usize = 3;
const KINDMESH: &str = env!("CARGO_BIN_EXE_kindmesh");
/// How often a running command's own figures are read from the kernel.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// What one run of the command took.
struct Run {
    wall: f64,
    cpu: f64,
    peak_mib: f64,
    /// Longest time each step took in any cluster.
    steps: BTreeMap<String, f64>,
}

fn main() {
    help();
    image();
    for clusters in [1, 2] {
        fleet(clusters);
    }
}

fn help() {
    let mut times: Vec<f64> = (0..20)
        .map(|_| {
            let begun = Instant::now();
            assert!(Command::new(KINDMESH).arg("--help").stdout(Stdio::null()).status().expect("run kindmesh").success());
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("kindmesh --help: median {:.1} ms, slowest of 20 {:.1} ms", times[10], times[19]);
}

fn image() {
    let run = run(&["build", "node-image"]);
    println!("build node-image, nothing changed: {:.1} s", run.wall);
}

fn fleet(clusters: usize) {
    let count = clusters.to_string();
    let name = format!("bench{clusters}");
    let up = ["up", "--fleet", &name, "--clusters", &count, "--sample"];
    let (mut ups, mut downs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ups.push(run(&up));
        downs.push(run(&["down", "--fleet", &name]));
    }
    let of = |runs: &[Run], figure: fn(&Run) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2], values[0], values[values.len() - 1])
    };
    let (wall, least, most) = of(&ups, |run| run.wall);
    println!(
        "\n{clusters} cluster(s): usable in {wall:.1} s ({least:.1} to {most:.1} of {ROUNDS}), removed in {:.1} s",
        of(&downs, |run| run.wall).0
    );
    println!("  kindmesh itself: {:.2} s CPU, {:.0} MiB peak", of(&ups, |run| run.cpu).0, of(&ups, |run| run.peak_mib).2);
    let names: Vec<&String> = ups[0].steps.keys().collect();
    let mut steps: Vec<(f64, &String)> = names
        .into_iter()
        .map(|step| {
            let mut values: Vec<f64> = ups.iter().filter_map(|run| run.steps.get(step).copied()).collect();
            values.sort_by(f64::total_cmp);
            (values[values.len() / 2], step)
        })
        .collect();
    steps.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (took, step) in steps.iter().filter(|(took, _)| *took >= 0.05) {
        println!("  {took:>6.1} s  {step}");
    }
}

/// Runs the command to its end, listening to its events and to what the kernel says of it.
fn run(args: &[&str]) -> Run {
    let kubeconfig = std::env::temp_dir().join(format!("kindmesh-bench-{}", std::process::id()));
    let begun = Instant::now();
    let mut child = Command::new(KINDMESH)
        .args(args)
        .args(["-o", "json"])
        .env("KUBECONFIG", &kubeconfig)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run kindmesh");
    let events = BufReader::new(child.stderr.take().expect("its standard error"));
    let last_words = Arc::new(Mutex::new(String::new()));
    let words = last_words.clone();
    let listener = std::thread::spawn(move || {
        let mut steps: BTreeMap<String, f64> = BTreeMap::new();
        for line in events.lines().map_while(Result::ok) {
            if let Ok(event) = serde_json::from_str::<Value>(&line)
                && let (Some(step), Some(took)) = (event["step"].as_str(), event["took"].as_f64())
            {
                let longest = steps.entry(step.to_owned()).or_default();
                *longest = longest.max(took);
            }
            *words.lock().expect("no panic") = line;
        }
        steps
    });
    let (mut cpu, mut peak_mib) = (0.0, 0.0);
    let status = loop {
        if let Some(seen) = own_figures(child.id()) {
            (cpu, peak_mib) = seen;
        }
        if let Some(status) = child.try_wait().expect("wait for kindmesh") {
            break status;
        }
        #[expect(clippy::disallowed_methods, reason = "a sampling interval, not a wait for a condition")]
        std::thread::sleep(SAMPLE_EVERY);
    };
    let wall = begun.elapsed().as_secs_f64();
    let steps = listener.join().expect("the listener");
    assert!(status.success(), "kindmesh {args:?}: {}", last_words.lock().expect("no panic"));
    let _gone = std::fs::remove_file(&kubeconfig);
    Run { wall, cpu, peak_mib, steps }
}

/// CPU seconds and peak memory in MiB of a process, as Linux tells.
fn own_figures(process: u32) -> Option<(f64, f64)> {
    // A clock tick is 1/100 s on every Linux that matters (USER_HZ).
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok())?;
    Some((ticks / TICKS, peak / 1024.0))
}
