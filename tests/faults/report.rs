//! What was tried and survived, for people (printed) and for the README's table (`target/faults.json`).

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;

use serde_json::{Value, json};

/// Whether everything is to be tried, as `make faults` and `make fuzz` want it, or the sample that `make test` has time for.
pub fn all() -> bool {
    std::env::var("KINDMESH_FAULTS").is_ok_and(|which| which == "all")
}

/// Notes how many faults of a kind were tried and survived, and fails when some were not.
#[track_caller]
pub fn row(kind: &str, tried: usize, failures: &[String]) {
    told(kind, tried, failures, &machine());
}

/// The same, of what an engine had a part in.
#[track_caller]
pub fn row_on(engine: &str, kind: &str, tried: usize, failures: &[String]) {
    told(kind, tried, failures, &format!("{}, {engine}", machine()));
}

#[track_caller]
fn told(kind: &str, tried: usize, failures: &[String], machine: &str) {
    // What failed was tried, whatever else went wrong with the counting.
    let tried = tried.max(failures.len());
    assert!(tried > 0, "{kind}: nothing was tried");
    let survived = tried - failures.len();
    println!("{kind}: {survived} of {tried} survived; {machine}");
    note(kind, tried, survived, machine);
    assert!(failures.is_empty(), "{kind}: {} of {tried} failed:\n{}", failures.len(), failures.join("\n"));
}

/// Notes it without failing.
pub fn note(kind: &str, tried: usize, survived: usize, machine: &str) {
    let path = folder().join("faults.json");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
    // Tests of other processes note theirs at the same time.
    file.lock().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    let before: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let run = json!({
        "kind": kind,
        "tried": tried,
        "survived": survived,
        "date": today(),
        "machine": machine,
        "sample": !all(),
    });
    let text = format!("{:#}\n", merged(&before, run));
    file.set_len(0).unwrap();
    file.rewind().unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A record with one more run in it, in place of the row of its kind unless that says more: a sample does not take
/// the place of a larger run without failures, and nothing that tried less takes the place of failures but others.
pub fn merged(before: &Value, mut run: Value) -> Value {
    let mut rows: Vec<Value> = before["rows"].as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        // Once all rows had one date and one machine.
        for what in ["date", "machine"] {
            if row[what].is_null() {
                row[what] = before[what].clone();
            }
        }
    }
    match rows.iter_mut().find(|row| row["kind"] == run["kind"]) {
        Some(row) if stays(row, &run) => {}
        Some(row) => {
            let due = due(row);
            if !passed(row) && !passed(&run) && due > count(&run, "tried") {
                run["due"] = json!(due);
            }
            *row = run;
        }
        None => rows.push(run),
    }
    rows.sort_by(|a, b| a["kind"].as_str().cmp(&b["kind"].as_str()));
    json!({ "rows": rows })
}

/// Whether a row is worth more than a run of its kind.
fn stays(row: &Value, run: &Value) -> bool {
    let is_smaller = count(run, "tried") < due(row);
    passed(run) && is_smaller && (!passed(row) || run["sample"] == true)
}

/// How many a run must have tried, and survived, to take the place of a row with failures. More than the row itself
/// tried when fewer were enough to fail again.
fn due(row: &Value) -> u64 {
    count(row, "due").max(count(row, "tried"))
}

fn passed(row: &Value) -> bool {
    count(row, "survived") >= count(row, "tried")
}

fn count(row: &Value, what: &str) -> u64 {
    row[what].as_u64().unwrap_or(0)
}

/// Where records of runs go: what cargo makes goes there, too.
pub fn folder() -> PathBuf {
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The day, as records have it.
pub fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
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
