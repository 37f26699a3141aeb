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
    let (mut failures, mut seconds, mut warm) = (Vec::new(), Vec::new(), Usage::default());
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
        if round == 1 {
            warm = usage;
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
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    let report = json!({
        "machine": report::machine(),
        "date": jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        "rounds": rounds,
        "succeeded": rounds - failures.len(),
        "failures": failures,
        "left": left,
        "medianUpSeconds": (middle * 10.0).round() / 10.0,
        "slowestUpSeconds": seconds.last().map(|seconds| (seconds * 10.0).round() / 10.0),
        "engineMemoryMiB": {"afterFirst": warm.memory_kib >> 10, "atEnd": end.memory_kib >> 10},
        "engineFiles": {"afterFirst": warm.files, "atEnd": end.files},
        "tookSeconds": begun.elapsed().as_secs(),
    });
    let path = report::folder().join("soak.json");
    std::fs::write(&path, format!("{report:#}\n")).unwrap();
    println!("{report:#}\nwritten to {}", path.display());
    assert!(left.is_empty(), "left behind: {left:?}");
    assert!(end.files <= warm.files + MORE_FILES, "the engine keeps files open: {warm:?}, then {end:?}");
    report::row("soak: set-ups of one cluster", rounds, &failures);
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
