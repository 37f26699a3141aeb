//! Meshes by hand: the script beside which kindmesh is measured.

use std::process::{Command, Stdio};

use serde::Deserialize;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/mesh-by-hand");

/// What one run of the script tells.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByHand {
    steps: Vec<Step>,
    /// Seconds until clusters and MetalLB were at rest; only when that was waited for.
    pub usable: Option<f64>,
    /// Seconds from there, or from nothing, until both versions had answered every client.
    pub verified: f64,
    nodes: Vec<Node>,
    /// CPU seconds of kind, kubectl and helm.
    pub tools_cpu: f64,
}

#[derive(Deserialize)]
struct Step {
    step: String,
    at: f64,
}

#[derive(Deserialize)]
struct Node {
    cpu: f64,
    memory: f64,
}

/// Every run of the script.
#[derive(Default)]
pub struct Runs {
    /// In one go.
    pub nothing: Vec<ByHand>,
    /// With a rest before the mesh.
    pub existing: Vec<ByHand>,
}

// === impl Runs ===

impl Runs {
    /// Runs it both ways, once.
    pub fn run(&mut self) {
        self.nothing.push(run(&[]));
        self.existing.push(run(&["--settled"]));
    }

    /// Whether it never ran.
    pub fn is_empty(&self) -> bool {
        self.nothing.is_empty()
    }

    /// The steps of the first run of either kind, as Markdown.
    pub fn steps(&self) -> impl Iterator<Item = String> {
        let kinds = [("from nothing, by hand", &self.nothing), ("from existing clusters, by hand", &self.existing)];
        kinds.into_iter().filter_map(|(title, runs)| {
            let rows: Vec<String> = runs.first()?.steps.iter().map(|step| format!("| {} | {:.1} s |", step.step, step.at)).collect();
            Some(format!("| {title} | over at |\n|---|---|\n{}", rows.join("\n")))
        })
    }
}

/// Runs it once.
pub fn run(flags: &[&str]) -> ByHand {
    // Its progress is shown as it comes; only the document is read.
    let output = Command::new(SCRIPT).arg("--json").args(flags).stderr(Stdio::inherit()).output().expect("run the script");
    assert!(output.status.success(), "{SCRIPT} {flags:?} ended with {}", output.status);
    serde_json::from_slice(&output.stdout).expect("the script's document")
}

// === impl ByHand ===

impl ByHand {
    /// CPU seconds of a node until the mesh was verified, on average.
    pub fn node_cpu(&self) -> f64 {
        self.nodes.iter().map(|node| node.cpu).sum::<f64>() / self.nodes.len() as f64
    }

    /// MiB of a node then, on average.
    pub fn node_memory(&self) -> f64 {
        self.nodes.iter().map(|node| node.memory).sum::<f64>() / self.nodes.len() as f64
    }
}
