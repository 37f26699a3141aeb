//! One image of 130 MB into two clusters: for the first time, and again when there is nothing to send; beside
//! it `kind load docker-image`, for both clusters at once and one after the other.
//!
//! ```text
//! cargo bench --bench load
//! ```
//!
//! Needs an engine, the node image, and for kind the docker command and an engine that can run privileged
//! commands. Every load is of an image that no node has seen, of the same size; all ways take turns.
//!
//! | variable | what | default |
//! |---|---|---|
//! | `KINDMESH_BENCH_ROUNDS` | rounds | 3 |
//! | `KINDMESH_NODE_IMAGE` | node image | that of the default version |

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program for people that ends at the first surprise")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use kindmesh::domain::oci::sha256_digest;
use kindmesh::engine::Engine;
use kindmesh::engine::connect::{ConnectOptions, connect};
use serde_json::json;

#[path = "support/command.rs"]
mod command;

use command::{Bench, Run, spread, steps};

const FLEET: &str = "loadbench";
const CLUSTERS: [&str; 2] = ["loadbench1", "loadbench2"];
/// Sizes of the layers, in MB: a base, a runtime, a program.
const LAYERS: [usize; 3] = [60, 50, 20];

/// Seconds of each run: for the first time, and again.
#[derive(Default)]
struct Times {
    first: Vec<f64>,
    again: Vec<f64>,
}

struct Images {
    runtime: tokio::runtime::Runtime,
    engine: Arc<dyn Engine>,
    made: u64,
}

fn main() {
    let bench = Bench::new();
    let rounds = std::env::var("KINDMESH_BENCH_ROUNDS").map_or(3, |text| text.parse().expect("a number"));
    let file = bench.file("fleet.yaml", &fleet_file());
    bench.run(&["up", "-f", &file]);
    let measured = std::panic::catch_unwind(|| measure(&bench, rounds));
    bench.run(&["down", "--fleet", FLEET]);
    if let Err(panic) = measured {
        std::panic::resume_unwind(panic);
    }
}

fn fleet_file() -> String {
    let image = std::env::var("KINDMESH_NODE_IMAGE").map_or_else(|_| String::new(), |image| format!("  image: {image}\n"));
    let clusters: String = CLUSTERS.iter().map(|name| format!("- name: {name}\n{image}")).collect();
    format!("apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: {FLEET}\nclusters:\n{clusters}")
}

fn measure(bench: &Bench, rounds: usize) {
    let mut images = Images::new();
    let kind = kind(bench, &mut images);
    let (mut ours, mut at_once, mut in_turn) = (Times::default(), Times::default(), Times::default());
    let mut runs: Vec<Run> = Vec::new();
    for _ in 0..rounds {
        images.with(|image| {
            for times in [&mut ours.first, &mut ours.again] {
                let (run, _) = bench.run(&["load", image, "--fleet", FLEET]);
                times.push(run.wall);
                runs.push(run);
            }
        });
        let Ok(kind) = &kind else { continue };
        images.with(|image| at_once.add(|| kind_at_once(bench, kind, image)));
        images.with(|image| in_turn.add(|| CLUSTERS.iter().for_each(|cluster| wait(kind_load(bench, kind, image, cluster)))));
    }
    println!("| one image of {} MB into two clusters | first | again |\n|---|---|---|", LAYERS.iter().sum::<usize>());
    println!("{}", ours.row("kindmesh load"));
    if let Err(why) = &kind {
        println!("\nNot compared with kind: {why}.");
    } else {
        println!("{}\n{}", at_once.row("kind load, both at once"), in_turn.row("kind load, one after the other"));
        // Beside the better of its two ways.
        let ratio = |times: fn(&Times) -> &Vec<f64>| middle(times(&ours)) / middle(times(&at_once)).min(middle(times(&in_turn)));
        println!("| ratio (aim: 0.40, 0.50) | {:.2} | {:.2} |", ratio(|times| &times.first), ratio(|times| &times.again));
    }
    let firsts: Vec<&Run> = runs.iter().step_by(2).collect();
    println!(
        "\nkindmesh itself: {:.2} s CPU, {:.0} MiB peak",
        spread(firsts.iter().map(|run| run.cpu)).0,
        spread(firsts.iter().map(|run| run.peak_mib)).2
    );
    for (name, step) in steps(firsts) {
        println!("  {:>6.2} s  {name}, over at {:.2} s", step.longest, step.over);
    }
}

/// Where the real kind is, or why it cannot be compared with.
fn kind(bench: &Bench, images: &mut Images) -> Result<PathBuf, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/get-kind");
    let output = Command::new(script).stderr(Stdio::inherit()).output().map_err(|error| format!("{script}: {error}"))?;
    let kind = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if !output.status.success() {
        return Err(format!("{script} ended with {}", output.status));
    }
    let mut works = false;
    images.with(|image| works = kind_load(bench, &kind, image, CLUSTERS[0]).wait().expect("wait for kind").success());
    if works { Ok(kind) } else { Err("its load fails on this engine, which may not allow privileged commands".to_owned()) }
}

fn kind_load(bench: &Bench, kind: &PathBuf, image: &str, cluster: &str) -> std::process::Child {
    let mut command = Command::new(kind);
    command.args(["load", "docker-image", image, "--name", cluster]).env("KUBECONFIG", bench.folder().join("config"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run kind")
}

fn kind_at_once(bench: &Bench, kind: &PathBuf, image: &str) {
    let both = CLUSTERS.map(|cluster| kind_load(bench, kind, image, cluster));
    both.into_iter().for_each(wait);
}

fn wait(mut child: std::process::Child) {
    assert!(child.wait().expect("wait for kind").success(), "kind load failed");
}

fn middle(values: &[f64]) -> f64 {
    spread(values.iter().copied()).0
}

// === impl Times ===

impl Times {
    fn add(&mut self, load: impl Fn()) {
        for times in [&mut self.first, &mut self.again] {
            let begun = Instant::now();
            load();
            times.push(begun.elapsed().as_secs_f64());
        }
    }

    fn row(&self, title: &str) -> String {
        let cell = |values: &[f64]| {
            let (middle, least, most) = spread(values.iter().copied());
            format!("{middle:.2} s ({least:.2} to {most:.2} of {})", values.len())
        };
        format!("| {title} | {} | {} |", cell(&self.first), cell(&self.again))
    }
}

// === impl Images ===

impl Images {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let options = ConnectOptions { docker_host: std::env::var("DOCKER_HOST").ok(), ..ConnectOptions::default() };
        let engine: Arc<dyn Engine> = runtime.block_on(connect(&options)).expect("an engine");
        Self { runtime, engine, made: 0 }
    }

    /// Does something with an image that nobody has seen; it is gone from the engine afterwards.
    fn with(&mut self, act: impl FnOnce(&str)) {
        self.made += 1;
        let name = format!("kindmesh-bench/load:{}", self.made);
        let archive = bytes::Bytes::from(archive(&name, self.made));
        let stream = futures_util::stream::iter([Ok(archive)]).boxed();
        self.runtime.block_on(self.engine.load_images(stream)).expect("load into the engine");
        act(&name);
        self.runtime.block_on(self.engine.remove_image(&name)).expect("remove from the engine");
    }
}

/// An image archive of noise, which nothing can pack.
fn archive(name: &str, seed: u64) -> Vec<u8> {
    let layers: Vec<Vec<u8>> = LAYERS
        .iter()
        .zip(1u64..)
        .map(|(megabytes, number)| {
            // As images are: some large files, many small ones.
            let large = (0..megabytes / 2).map(|at| (format!("data/{number}/large{at}"), 1_900_000));
            let small = (0..megabytes * 10).map(|at| (format!("data/{number}/small{at}"), 10_000));
            let files = large.chain(small).zip(1u64..).map(|((path, size), at)| (path, noise(size, (seed << 32) + (number << 20) + at)));
            let folders = [("data/".to_owned(), Vec::new()), (format!("data/{number}/"), Vec::new())];
            tar_of(folders.into_iter().chain(files))
        })
        .collect();
    let ids: Vec<String> = layers.iter().map(|layer| sha256_digest(layer)).collect();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let history: Vec<_> = ids.iter().map(|_| json!({"created_by": "noise"})).collect();
    let config = json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": ids}, "history": history});
    let paths: Vec<String> = (0..layers.len()).map(|number| format!("layer{number}.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": paths}]);
    let documents =
        [("config.json".to_owned(), config.to_string().into_bytes()), ("manifest.json".to_owned(), manifest.to_string().into_bytes())];
    tar_of(documents.into_iter().chain(paths.iter().cloned().zip(layers)))
}

fn tar_of(files: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        header.set_entry_type(if path.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
        builder.append_data(&mut header, path, content.as_slice()).expect("write to memory");
    }
    builder.into_inner().expect("write to memory")
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}
