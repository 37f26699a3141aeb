//! What was tried and survived, for people (printed) and for the README's table (`target/faults.json`).

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;

use serde_json::{Value, json};

/// Whether everything is to be tried, as `make faults` wants it, or the sample that `make test` has time for.
pub fn all() -> bool {
    std::env::var("KINDMESH_FAULTS").is_ok_and(|which| which == "all")
}

/// Notes how many faults of a kind were tried and survived, in place of an earlier note of the same kind, and fails
/// when some were not.
#[track_caller]
pub fn row(kind: &str, tried: usize, failures: &[String]) {
    let survived = tried - failures.len().min(tried);
    println!("{kind}: {survived} of {tried} survived; {}", machine());
    note(kind, tried, survived);
    assert!(tried > 0, "{kind}: nothing was tried");
    assert!(failures.is_empty(), "{kind}: {} of {tried} failed:\n{}", failures.len(), failures.join("\n"));
}

/// Notes it without failing.
pub fn note(kind: &str, tried: usize, survived: usize) {
    let path = folder().join("faults.json");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
    // Tests of other processes note theirs at the same time.
    file.lock().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    let mut report: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({"rows": []}));
    report["machine"] = json!(machine());
    report["date"] = json!(jiff::Timestamp::now().strftime("%Y-%m-%d").to_string());
    let rows = report["rows"].as_array_mut().expect("rows");
    rows.retain(|row| row["kind"] != kind);
    rows.push(json!({"kind": kind, "tried": tried, "survived": survived}));
    rows.sort_by(|a, b| a["kind"].as_str().cmp(&b["kind"].as_str()));
    let text = format!("{:#}\n", report);
    file.set_len(0).unwrap();
    file.rewind().unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Where records of runs go: what cargo makes goes there, too.
pub fn folder() -> PathBuf {
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Processors, memory and kernel, in a few words.
pub fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let memory = read("/proc/meminfo").split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) >> 20;
    let kernel = read("/proc/sys/kernel/osrelease");
    let release = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    format!("{processors} processors, {memory} GiB, Linux {release}")
}
