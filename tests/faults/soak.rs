//! Fleets made, looked at and removed, many times: `make soak N=100`. Counts successes, failures with their causes, and
//! what is left behind: on the engine, in its memory, among its open files.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use crate::real::Real;
use crate::report;

/// With MetalLB and a sample: its pod runs, has an address of the pool, and answers.
const FLEET: &str = "clusters: 1\naddons: {sample: true}\n";
/// Open files that an engine may have more in the end than after the first round, which warms it up.
const MORE_FILES: usize = 16;
/// What it remembers takes more rounds than one: its memory is compared with that after so many, where there are more
/// than twice as many, and may then have grown by so much.
const WARM_ROUNDS: usize = 10;
const MORE_MIB: u64 = 64;

/// The processes of an engine.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    memory_kib: u64,
    files: usize,
}

#[test]
#[ignore = "takes a quarter of a minute a round; `make soak N=100` runs it"]
fn soak() {
    let rounds: usize =
        std::env::var("KINDMESH_SOAK").ok().and_then(|text| text.parse().ok()).expect("KINDMESH_SOAK is how many rounds there are to be");
    let real = Real::new("kfsoak", FLEET);
    let (mut failures, mut seconds) = (Vec::new(), Vec::new());
    let (mut first, mut warm) = (Usage::default(), Usage::default());
    let begun = Instant::now();
    for round in 1..=rounds {
        let since = Instant::now();
        let up = real.comes();
        let took = since.elapsed().as_secs_f64();
        let down = real.goes();
        match up.and(down) {
            Ok(()) => seconds.push(took),
            Err(why) => failures.push(format!("round {round}: {why}")),
        }
        let usage = Usage::now();
        match round {
            1 => first = usage,
            WARM_ROUNDS => warm = usage,
            _ => {}
        }
        println!(
            "round {round} of {rounds}: up {took:.1} s; engine {} MiB, {} files; {} failures",
            usage.memory_kib >> 10,
            usage.files,
            failures.len()
        );
    }
    let end = Usage::now();
    let left = real.left();
    let leaks = leaks(rounds, &left, [first, warm, end]);
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    let ten = (rounds >= WARM_ROUNDS).then_some(warm.memory_kib >> 10);
    let report = json!({
        "machine": report::machine(),
        "date": report::today(),
        "rounds": rounds,
        "succeeded": rounds - failures.len(),
        "failures": failures,
        "leaks": leaks,
        "left": left,
        "medianUpSeconds": (middle * 10.0).round() / 10.0,
        "slowestUpSeconds": seconds.last().map(|seconds| (seconds * 10.0).round() / 10.0),
        "engineMemoryMiB": {"afterFirst": first.memory_kib >> 10, "afterTen": ten, "atEnd": end.memory_kib >> 10},
        "engineFiles": {"afterFirst": first.files, "atEnd": end.files},
        "tookSeconds": begun.elapsed().as_secs(),
    });
    let path = report::folder().join("soak.json");
    std::fs::write(&path, format!("{report:#}\n")).unwrap();
    println!("{report:#}\nwritten to {}", path.display());
    // A leak is as bad as a set-up that failed.
    failures.extend(leaks);
    real.row("soak: set-ups of one cluster", rounds, &failures);
}

/// What is still there that should not be: on the engine, among its open files, in its memory. The usage is that
/// after the first round, after those that warm it up, and at the end.
fn leaks(rounds: usize, left: &[String], [first, warm, end]: [Usage; 3]) -> Vec<String> {
    let mut leaks: Vec<String> = left.iter().map(|one| format!("left behind: {one}")).collect();
    if end.files > first.files + MORE_FILES {
        leaks.push(format!("the engine keeps files open: {} after the first round, {} at the end", first.files, end.files));
    }
    let (before, after) = (warm.memory_kib >> 10, end.memory_kib >> 10);
    if rounds > 2 * WARM_ROUNDS && after > before + MORE_MIB {
        leaks.push(format!("the engine keeps memory: {before} MiB after {WARM_ROUNDS} rounds, {after} MiB at the end"));
    }
    leaks
}

#[test]
fn leaks_are_told_by_what_grows() {
    let usage = |mib: u64, files| Usage { memory_kib: mib << 10, files };
    let quiet = [usage(50, 100), usage(100, 110), usage(100 + MORE_MIB, 100 + MORE_FILES)];
    assert_eq!(leaks(100, &[], quiet), Vec::<String>::new());
    let grown = [usage(50, 100), usage(100, 110), usage(101 + MORE_MIB, 101 + MORE_FILES)];
    assert_eq!(leaks(100, &["network kind".to_owned()], grown).len(), 3);
    assert_eq!(leaks(20, &[], grown).len(), 1, "too few rounds to tell of memory");
}

// === impl Usage ===

impl Usage {
    /// What all processes of engines on this machine use together; nothing where the engine is elsewhere.
    fn now() -> Self {
        let mut usage = Self::default();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let path: PathBuf = process.path();
            let Ok(name) = std::fs::read_to_string(path.join("comm")) else { continue };
            if !["dockerd", "containerd"].contains(&name.trim()) {
                continue;
            }
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|line| line.split_whitespace().next());
            usage.memory_kib += resident.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            usage.files += std::fs::read_dir(path.join("fd")).map_or(0, Iterator::count);
        }
        usage
    }
}
