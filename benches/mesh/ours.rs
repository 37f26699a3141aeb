//! Meshes by kindmesh.

use std::process::Stdio;

use serde_json::Value;

use super::command::{Bench, Run};
use super::engine::{self, Usage};
use super::failover;

/// One mesh, made and verified.
pub struct Ours {
    /// The `up` that made the mesh, its own proof included.
    pub run: Run,
    /// Seconds of an `up` without a mesh before, when there was one.
    pub clusters: Option<f64>,
    /// Whether the nodes were privileged.
    pub privileged: bool,
    /// What each node had cost when the mesh was verified.
    pub nodes: Vec<Usage>,
    /// Seconds from the last remote secret until every control plane and proxy knew all endpoints.
    pub converged: f64,
    /// Seconds of `verify` alone, afterwards.
    pub verify: f64,
    /// Seconds for which calls failed when the second cluster's pods were taken away.
    pub failover: f64,
    /// Node image of the clusters.
    pub image: String,
    /// Kubernetes version of the clusters.
    pub kubernetes: String,
}

/// A fleet that goes when this goes, however the bench ends.
struct Fleet<'a> {
    bench: &'a Bench,
    name: &'a str,
}

const FLEET: &str = "meshbench";

// === impl Ours ===

impl Ours {
    /// All in one go.
    pub fn from_nothing(bench: &Bench, clusters: usize) -> Self {
        let fleet = Fleet { bench, name: FLEET };
        Self::mesh(&fleet, clusters, None)
    }

    /// Clusters and MetalLB first.
    pub fn from_existing(bench: &Bench, clusters: usize) -> Self {
        let fleet = Fleet { bench, name: FLEET };
        let (run, _) = fleet.up(clusters, &[]);
        Self::mesh(&fleet, clusters, Some(run.wall))
    }

    fn mesh(fleet: &Fleet<'_>, count: usize, before: Option<f64>) -> Self {
        let (run, report) = fleet.up(count, &["--mesh"]);
        let clusters = report["clusters"].as_array().expect("clusters in the report");
        let nodes = clusters.iter().flat_map(|cluster| cluster["nodes"].as_array()).flatten();
        let nodes: Vec<&str> = nodes.map(|node| node.as_str().expect("the name of a node")).collect();
        let usages = nodes.iter().map(|node| engine::usage(node)).collect();
        let (verify, verdict) = fleet.bench.run(&["verify", "--fleet", fleet.name]);
        assert_eq!(verdict["ok"], true, "verify: {verdict}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            run,
            clusters: before,
            privileged: report["privileges"] == "privileged",
            nodes: usages,
            converged: report["mesh"]["proof"]["convergedAfter"].as_f64().expect("when endpoints had converged"),
            verify: verify.wall,
            // Versions alternate over the clusters: the second one has v2.
            failover: failover::measure(nodes[0], nodes[1], "helloworld-v2"),
            image: text(&clusters[0]["image"]),
            kubernetes: text(&clusters[0]["kubernetesVersion"]),
        }
    }

    /// CPU seconds of a node until the mesh was verified, on average.
    pub fn node_cpu(&self) -> f64 {
        self.nodes.iter().map(|usage| usage.cpu).sum::<f64>() / self.nodes.len() as f64
    }

    /// MiB of a node when the mesh was verified, on average.
    pub fn node_memory(&self) -> f64 {
        self.nodes.iter().map(|usage| usage.memory).sum::<f64>() / self.nodes.len() as f64
    }
}

// === impl Fleet ===

impl Fleet<'_> {
    fn up(&self, clusters: usize, more: &[&str]) -> (Run, Value) {
        let count = clusters.to_string();
        let image = std::env::var("KINDMESH_NODE_IMAGE").ok();
        let image: Vec<&str> = image.iter().flat_map(|image| ["--image", image]).collect();
        self.bench.run(&[&["up", "--fleet", self.name, "--clusters", &count], image.as_slice(), more].concat())
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        let gone = self.bench.command(&["down", "--fleet", self.name]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        // While a panic ends the bench, a second one would hide what it says.
        if !std::thread::panicking() {
            assert!(gone.expect("run kindmesh").success(), "fleet {} could not be removed", self.name);
        }
    }
}
