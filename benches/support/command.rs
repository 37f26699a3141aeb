//! The command, run to its end and watched from outside.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program that is measured, unless `KINDMESH_BENCH_PROGRAM` names another.
const KINDMESH: &str = env!("CARGO_BIN_EXE_kindmesh");
/// How often a running command's own figures are read from the kernel.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// Where commands keep what they write: apart from the user's.
pub struct Bench {
    folder: tempfile::TempDir,
}

/// What one run of the command took.
pub struct Run {
    /// Seconds.
    pub wall: f64,
    /// CPU seconds of the command itself.
    pub cpu: f64,
    /// Its peak memory.
    pub peak_mib: f64,
    /// Steps by their names.
    pub steps: BTreeMap<String, Step>,
}

/// A step of a run.
#[derive(Clone, Copy, Default)]
pub struct Step {
    /// Longest time it took in any cluster, in seconds.
    pub longest: f64,
    /// When it was over in all clusters, in seconds since the run began.
    pub over: f64,
}

// === impl Bench ===

impl Bench {
    /// A fresh place.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A command with what it writes there.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("KINDMESH_BENCH_PROGRAM").unwrap_or_else(|| KINDMESH.into()));
        command.args(args).env("KUBECONFIG", self.folder.path().join("config")).env("KINDMESH_STATE_DIR", self.folder.path());
        command
    }

    /// The place.
    #[allow(dead_code, reason = "every bench is a program of its own and uses what it needs")]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Writes a file there; its path.
    #[allow(dead_code, reason = "every bench is a program of its own and uses what it needs")]
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("write a file");
        path.display().to_string()
    }

    /// Runs the command to its end, listening to its events and to what the kernel says of it. With what
    /// it took comes the document it wrote.
    pub fn run(&self, args: &[&str]) -> (Run, Value) {
        let begun = Instant::now();
        let mut child = self
            .command(args)
            .args(["-o", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run kindmesh");
        let mut output = child.stdout.take().expect("its standard output");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).map(|_| text)
        });
        let events = BufReader::new(child.stderr.take().expect("its standard error"));
        let last_words = Arc::new(Mutex::new(String::new()));
        let words = last_words.clone();
        let listener = std::thread::spawn(move || {
            let mut steps: BTreeMap<String, Step> = BTreeMap::new();
            for line in events.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str::<Value>(&line)
                    && let (Some(name), Some(took)) = (event["step"].as_str(), event["took"].as_f64())
                {
                    let step = steps.entry(name.to_owned()).or_default();
                    step.longest = step.longest.max(took);
                    // Not the event's own time: an operation within another one counts from its own beginning.
                    step.over = begun.elapsed().as_secs_f64();
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
        let text = reader.join().expect("the reader").expect("what it wrote");
        (Run { wall, cpu, peak_mib, steps }, serde_json::from_str(&text).unwrap_or_default())
    }
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

/// Middle, least and most. Of an even number the middle is the mean of the two.
pub fn spread(values: impl IntoIterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let middle = if values.len().is_multiple_of(2) { (values[half - 1] + values[half]) / 2.0 } else { values[half] };
    (middle, values[0], values[values.len() - 1])
}

/// The steps of several runs, each with the middle of its figures, in the order in which they were over.
pub fn steps<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Vec<(String, Step)> {
    let runs: Vec<&Run> = runs.into_iter().collect();
    let names: Vec<&String> = runs.first().into_iter().flat_map(|run| run.steps.keys()).collect();
    let mut steps: Vec<(String, Step)> = names
        .into_iter()
        .map(|name| {
            let of = |figure: fn(&Step) -> f64| spread(runs.iter().filter_map(|run| run.steps.get(name)).map(figure)).0;
            (name.clone(), Step { longest: of(|step| step.longest), over: of(|step| step.over) })
        })
        .collect();
    steps.sort_by(|a, b| a.1.over.total_cmp(&b.1.over));
    steps
}
